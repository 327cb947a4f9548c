//! What recipients do with the links in a message: unsubscribe, open, click. The links' tickets are the only credential.

use axle_domain::communication::{MessageChannel, SuppressionOrigin};
use axle_domain::event::EventType;
use axle_domain::lead::LeadStatus;
use axle_domain::mail::{Access, MachineReason, Purpose, Ticket, swept};
use axle_domain::{Actor, Time, TraceId};
use axle_store::communications::{CommunicationRecord, ContentRecord};
use axle_store::{Tx, Versioned};
use serde_json::json;

use super::{event, suppressions};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::status;

/// Attempts against others who change the same message at the same moment.
const RACES: usize = 8;
/// Opens and clicks of a message that are told of one by one; all are counted.
const TOLD: u32 = 20;
/// Clicks of a message that are remembered with their times.
const HITS_KEPT: usize = 100;

/// Who follows a link, as far as the request says.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    pub head: bool,
    pub prefetch: bool,
    pub user_agent: Option<String>,
}

impl Visit {
    fn machine(&self, record: &CommunicationRecord, at: Time) -> Option<MachineReason> {
        let access = Access {
            head: self.head,
            prefetch: self.prefetch,
            user_agent: self.user_agent.as_deref(),
            sent_at: record.sent_at,
            at,
        };
        access.machine()
    }
}

const BROKEN: Error = Error::NotFound("link");

/// The ticket of a link, if it is one of ours for this purpose.
async fn read(app: &App, text: &str, is: impl Fn(Purpose) -> bool) -> Result<Ticket> {
    app.link_key().await?.read(text).filter(|ticket| is(ticket.purpose)).ok_or(BROKEN)
}

async fn find(app: &App, ticket: &Ticket) -> Result<Versioned<CommunicationRecord>> {
    app.table().await.communication(ticket.entity, ticket.communication(), app.now()).await?.ok_or(BROKEN)
}

/// Whether an unsubscribe link is one of ours; changes nothing.
///
/// # Errors
/// [`Error::NotFound`]
pub async fn check_unsubscribe(app: &App, ticket: &str) -> Result<()> {
    let ticket = read(app, ticket, |purpose| purpose == Purpose::Unsubscribe).await?;
    find(app, &ticket).await.map(drop)
}

/// Puts the recipient of the link's message on the list. Again changes nothing.
///
/// # Errors
/// [`Error::NotFound`] if the link is not one of ours.
pub async fn unsubscribe(app: &App, ticket: &str) -> Result<()> {
    let ticket = read(app, ticket, |purpose| purpose == Purpose::Unsubscribe).await?;
    unsubscribe_by(app, &ticket, "unsubscribe-link").await
}

/// The same with a ticket that was read, however it came.
pub(super) async fn unsubscribe_by(app: &App, ticket: &Ticket, way: &str) -> Result<()> {
    let ctx = Ctx::system(ticket.entity, way, app.now(), TraceId::random());
    for _ in 0..RACES {
        let Versioned { value: mut record, version } = find(app, ticket).await?;
        let (origin, to) = (SuppressionOrigin::Unsubscribe, record.to.clone());
        let suppression = suppressions::record(app, ticket.entity, to, None, origin, Some(record.id), ctx.now).await?;
        let mut tx = app.table().await.tx();
        if !suppressions::join(app, &mut tx, suppression.clone()).await? {
            return Ok(());
        }
        record.engagement.unsubscribed_at.get_or_insert(ctx.now);
        record.updated_at = ctx.now;
        tx.replace("message", &record, version);
        status::advance(app, &mut tx, ticket.entity, record.lead_id, LeadStatus::Unsubscribed, ctx.now).await?;
        let told = suppressions::unsubscribed_event(&ctx, &suppression, record.channel.as_str());
        let told = told.campaign(record.campaign_id).trace(record.trace_id);
        let told = match record.lead_id {
            Some(lead) => told.lead(lead),
            None => told,
        };
        tx.emit(&told, app.config().event_retention_days);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("an unsubscription met too many others".to_owned()))
}

/// Notes that a message was opened.
///
/// # Errors
/// [`Error::NotFound`] if the link is not one of ours.
pub async fn opened(app: &App, ticket: &str, visit: &Visit) -> Result<()> {
    let ticket = read(app, ticket, |purpose| purpose == Purpose::Open).await?;
    note(app, &ticket, |record, tx, now| {
        let machine = visit.machine(record, now).is_some();
        let e = &mut record.engagement;
        let count = if machine { &mut e.machine_opens } else { &mut e.opens };
        *count = count.saturating_add(1);
        let tell = *count <= TOLD;
        if !machine {
            e.opened_at.get_or_insert(now);
        }
        if tell {
            let told = event(record, EventType::CommunicationOpened, Actor::system("tracking"), now, json!({"machine": machine}));
            tx.emit(&told, app.config().event_retention_days);
        }
    })
    .await
}

/// Notes that a link was followed, and answers where it leads: nowhere but to a link of that message.
///
/// # Errors
/// [`Error::NotFound`] if the link is not one of ours.
pub async fn clicked(app: &App, ticket: &str, visit: &Visit) -> Result<String> {
    let ticket = read(app, ticket, |purpose| matches!(purpose, Purpose::Click(_))).await?;
    let Purpose::Click(number) = ticket.purpose else { return Err(BROKEN) };
    let content =
        app.table().await.communication_content(ticket.entity, ticket.communication(), app.now()).await?.ok_or(BROKEN)?;
    let target = content.links.get(usize::from(number)).cloned().ok_or(BROKEN)?;
    let noted = note(app, &ticket, |record, tx, now| click(app, record, tx, now, visit, number, &content)).await;
    if let Err(e) = noted {
        // Whoever clicked wants to get there, whether or not we can count.
        tracing::warn!(communication_id = %ticket.communication(), error = e.for_the_log(), "a click was not counted");
    }
    Ok(target)
}

fn click(
    app: &App,
    record: &mut CommunicationRecord,
    tx: &mut Tx<'_>,
    now: Time,
    visit: &Visit,
    number: u16,
    content: &ContentRecord,
) {
    let obvious = visit.machine(record, now).is_some();
    let e = &mut record.engagement;
    e.hits.push((number, now));
    let surplus = e.hits.len().saturating_sub(HITS_KEPT);
    e.hits.drain(..surplus);
    let recent: Vec<(u16, Time)> =
        e.hits.iter().copied().filter(|(_, at)| now.since(*at) <= axle_domain::mail::SWEEP_MS).collect();
    let sweep = swept(&recent, content.links.len());
    if sweep && !obvious {
        // The clicks before this one that made up the sweep were taken for a person's.
        let taken = u32::try_from(recent.len().saturating_sub(1)).unwrap_or(0).min(e.clicks);
        e.clicks -= taken;
        e.machine_clicks = e.machine_clicks.saturating_add(taken);
        if e.clicks == 0 {
            e.clicked_at = None;
        }
    }
    let machine = obvious || sweep;
    let count = if machine { &mut e.machine_clicks } else { &mut e.clicks };
    *count = count.saturating_add(1);
    let tell = *count <= TOLD;
    if !machine {
        e.clicked_at.get_or_insert(now);
    }
    if tell {
        let url = content.links.get(usize::from(number)).cloned().unwrap_or_default();
        let data = json!({"machine": machine, "url": url});
        tx.emit(
            &event(record, EventType::CommunicationClicked, Actor::system("tracking"), now, data),
            app.config().event_retention_days,
        );
    }
}

/// Changes a message's engagement, whoever changes the message meanwhile.
async fn note(app: &App, ticket: &Ticket, change: impl Fn(&mut CommunicationRecord, &mut Tx<'_>, Time)) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { value: mut record, version } = find(app, ticket).await?;
        if record.channel != MessageChannel::Email {
            return Err(BROKEN);
        }
        let mut tx = app.table().await.tx();
        change(&mut record, &mut tx, app.now());
        tx.replace("message", &record, version);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("an engagement met too many others".to_owned()))
}

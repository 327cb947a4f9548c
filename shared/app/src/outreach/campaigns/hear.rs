//! What events tell a campaign: that messages went out, that people answered, met, or want no more, that deals were closed. Each is
//! counted, and ends or furthers the run that it is about; and whoever answers well is promoted into the CRM.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axle_domain::campaign::metrics::{self, Wording};
use axle_domain::campaign::run::{RunState, StopCause, run_id};
use axle_domain::crm::stage::Stage;
use axle_domain::event::{Event, EventType};
use axle_domain::reply::ReplyClass;
use axle_domain::{CampaignId, CampaignRunId, CommunicationId, EntityId, LeadId, TraceId};
use axle_store::CommitError;
use axle_store::events::EventQuery;
use axle_store::runs::RunJob;
use serde::{Deserialize, Serialize};

use super::run::{Next, Turn, advance};
use crate::context::{App, Ctx};
use crate::crm;
use crate::error::{Error, Result};

/// Attempts against others who change the same run.
const RACES: usize = 16;
/// Events that a repair reads at a time.
const PAGE: usize = 500;
/// What one page of a repair may take; it stops when it has less.
const PAGE_TIME: Duration = Duration::from_secs(10);

/// Counts an event and lets the run that it is about follow. Twice, late or in another order, it comes to the same.
///
/// # Errors
/// The event has to be handed out again.
pub async fn hear(app: &App, event: &Event) -> Result<()> {
    if matches!(event.event_type, EventType::LeadWon | EventType::LeadLost) {
        return closed(app, event).await;
    }
    count(app, event).await?;
    let cause = cause_of(event);
    let mut runs: BTreeSet<CampaignRunId> = BTreeSet::new();
    if let (Some(campaign), Some(lead)) = (event.campaign_id, event.lead_id) {
        runs.insert(run_id(campaign, lead));
    }
    match (cause, event.lead_id) {
        (Some(cause), Some(lead)) => {
            // What somebody says to one message holds for whatever else is being sent to them.
            let live = app.table().await.live_lead(event.entity_id, lead, app.now()).await?;
            runs.extend(live.map(|live| live.owner));
            for run in runs {
                stop(app, event.entity_id, run, cause).await?;
            }
        }
        _ if tells_outcome(event.event_type) => {
            for run_id in runs {
                advance(app, &RunJob { entity_id: event.entity_id, run_id, trace_id: event.trace_id }).await?;
            }
        }
        _ => {}
    }
    promote(app, event).await
}

/// A deal was won or lost: what is being sent to its people ends.
async fn closed(app: &App, event: &Event) -> Result<()> {
    let Ok(deal) = event.subject.id.parse() else { return Ok(()) };
    let ctx = system(app, event);
    for lead in crm::promote::prospects_of(app, &ctx, deal).await? {
        stop_lead(app, event.entity_id, lead, StopCause::DealClosed).await?;
    }
    Ok(())
}

/// Who answers that they are interested, or books a meeting, is for the CRM.
async fn promote(app: &App, event: &Event) -> Result<()> {
    let class = event.data.get("class").and_then(|class| class.as_str());
    let stage = match event.event_type {
        EventType::CommunicationReplied if class == Some(ReplyClass::Interested.as_str()) => Stage::Contacted,
        EventType::MeetingBooked => Stage::Qualified,
        _ => return Ok(()),
    };
    let Some(lead) = event.lead_id else { return Ok(()) };
    let ctx = system(app, event);
    match crm::promote::promote(app, &ctx, lead, stage).await {
        Ok(deal) => {
            tracing::info!(entity_id = %event.entity_id, %lead, deal = deal.map(tracing::field::display), "a prospect is promoted");
            Ok(())
        }
        // Nothing that a repetition would mend, and no reason to keep the event from what else follows from it.
        Err(e @ Error::Invalid(_)) => {
            tracing::warn!(entity_id = %event.entity_id, %lead, error = e.for_the_log(), "a prospect could not be promoted");
            Ok(())
        }
        Err(Error::Conflict(why)) => Err(Error::Unavailable(why)),
        Err(e) => Err(e),
    }
}

fn system(app: &App, event: &Event) -> Ctx {
    Ctx::system(event.entity_id, "campaign-runner", app.now(), event.trace_id.unwrap_or_else(TraceId::random))
}

const fn tells_outcome(kind: EventType) -> bool {
    matches!(kind, EventType::CommunicationSent | EventType::CommunicationFailed | EventType::CommunicationCancelled)
}

/// What an event ends a sequence for.
fn cause_of(event: &Event) -> Option<StopCause> {
    let kind = event.data.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default().to_ascii_lowercase();
    match event.event_type {
        EventType::CommunicationReplied if metrics::is_reply(event) => Some(StopCause::Reply),
        EventType::MeetingBooked => Some(StopCause::Meeting),
        EventType::ContactUnsubscribed | EventType::CommunicationComplained => Some(StopCause::Unsubscribe),
        // A full mailbox will have room again.
        EventType::CommunicationBounced if !matches!(kind.as_str(), "transient" | "soft") => Some(StopCause::Bounce),
        _ => None,
    }
}

/// Ends the sequence that is being sent to a lead, in whatever campaign; answers whether there was one.
pub async fn stop_lead(app: &App, entity: EntityId, lead: LeadId, cause: StopCause) -> Result<bool> {
    match app.table().await.live_lead(entity, lead, app.now()).await? {
        Some(live) => stop(app, entity, live.owner, cause).await,
        None => Ok(false),
    }
}

/// Ends a run for a cause that its campaign stops on. A message that waits is cancelled; one that a provider has goes out first.
pub(super) async fn stop(app: &App, entity: EntityId, run: CampaignRunId, cause: StopCause) -> Result<bool> {
    for _ in 0..RACES {
        let Some(mut turn) = Turn::read(app, entity, run).await? else { return Ok(false) };
        if turn.run.state.is_over() || !cause.ends(&turn.campaign.spec.messaging.stop_on) {
            return Ok(false);
        }
        if turn.run.state == RunState::Sending {
            if turn.run.stopping.is_none() {
                turn.run.stopping = Some(cause);
                let mut tx = app.table().await.tx();
                turn.put(&mut tx);
                match tx.commit().await {
                    Ok(()) => {}
                    Err(CommitError::Condition { .. }) => continue,
                    Err(e) => return Err(e.into()),
                }
            }
            advance(app, &RunJob { entity_id: entity, run_id: run, trace_id: None }).await?;
            return Ok(true);
        }
        // To go on means that somebody else changed it: look again.
        if turn.end(RunState::Stopped, cause.as_str()).await? == Next::Rest {
            return Ok(true);
        }
    }
    Err(Error::Unavailable("a run keeps changing".to_owned()))
}

/// Counts an event for its campaign, if it has one and counts for anything; answers whether that was news.
async fn count(app: &App, event: &Event) -> Result<bool> {
    let Some(campaign) = event.campaign_id else { return Ok(false) };
    if metrics::count(event, None).is_none() {
        return Ok(false);
    }
    let wording = match (event.lead_id, event.subject.id.parse::<CommunicationId>()) {
        (Some(lead), Ok(message)) if event.subject.kind == "communication" => {
            let run = app.table().await.run(event.entity_id, run_id(campaign, lead), app.now()).await?;
            run.and_then(|run| {
                let message = run.value.message(message)?.clone();
                Some(Wording { step: message.step, variant: message.variant? })
            })
        }
        _ => None,
    };
    match metrics::count(event, wording.as_ref()) {
        Some(count) => Ok(app.table().await.count_for_campaign(event.entity_id, campaign, &count).await?),
        None => Ok(false),
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Events that were not counted.
    pub events: usize,
    /// Sums that were wrong nevertheless.
    pub sums: usize,
    /// Set when time ran out: call again with this as `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}

/// What an operator can ask of the function that runs campaigns.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Makes a campaign's numbers what the event log says.
    Repair {
        entity_id: EntityId,
        campaign_id: CampaignId,
        #[serde(default)]
        from: Option<String>,
    },
}

/// Makes a campaign's numbers what the event log says, as far back as that goes, until `deadline` draws near. Events may go on meanwhile.
pub async fn repair(app: &App, operation: Operation, deadline: Instant) -> Result<Repaired> {
    let Operation::Repair { entity_id, campaign_id, from } = operation;
    let table = app.table().await;
    let prefixes = ["communication.", "contact.", "meeting."].map(str::to_owned).to_vec();
    let query = EventQuery { prefixes, campaign_id: Some(campaign_id), ..EventQuery::default() };
    let (mut done, mut after) = (Repaired::default(), from);
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            // Events come newest first; nothing stands before this position.
            return Ok(Repaired { unfinished: after.or_else(|| Some("~".to_owned())), ..done });
        }
        let (events, next) = table.events(entity_id, &query, after.as_deref(), PAGE, app.now()).await?;
        for event in &events {
            done.events += usize::from(count(app, event).await?);
        }
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    done.sums = table.settle_campaign(entity_id, campaign_id).await?;
    tracing::info!(%entity_id, %campaign_id, events = done.events, sums = done.sums, "a campaign's numbers repaired");
    Ok(done)
}

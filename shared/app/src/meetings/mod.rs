//! Meetings with leads: booked by hand, or told of by a scheduling service.

mod hooks;

pub use hooks::{HookAnswer, HookOutcome, report, set_hook_secret};

use axle_domain::cost::CostUnit;
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::lead::LeadStatus;
use axle_domain::meeting::{MeetingInput, MeetingSource, MeetingStatus};
use axle_domain::{Actor, Faults, Input, MeetingId, Time};
use axle_store::costs::CostPlace;
use axle_store::leads::Slot;
use axle_store::meetings::MeetingRecord;
use axle_store::{CommitError, Tx};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{require_campaign, without_nulls};
use crate::outreach::status::{self, LEAD};

/// Attempts against others who change the same lead at the same moment.
const RACES: usize = 8;

/// Books a meeting with a lead.
///
/// # Errors
/// [`Error::Invalid`] with every fault.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: MeetingInput,
    answer: impl Fn(&MeetingRecord) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    if !matches!(app.table().await.slot(ctx.entity_id, input.lead_id).await?, Slot::Lead(_)) {
        faults.add("/lead_id", "no lead has this id");
    }
    match require_campaign(app, ctx, "/campaign_id", input.campaign_id).await {
        Err(Error::Invalid(found)) => faults.extend(found),
        other => other?,
    }
    faults.check().map_err(Error::Invalid)?;
    let MeetingInput { lead_id, starts_at, ends_at, title, campaign_id } = input;
    let record = MeetingRecord {
        entity_id: ctx.entity_id,
        id: MeetingId::new_at(ctx.now),
        status: MeetingStatus::Booked,
        source: MeetingSource::Api,
        external_id: None,
        lead_id: Some(lead_id),
        campaign_id,
        starts_at,
        ends_at,
        title: title.map(|title| title.trim().to_owned()),
        attendees: Vec::new(),
        trace_id: ctx.trace_id,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let made = answer(&record)?;
    for _ in 0..RACES {
        let mut tx = app.table().await.tx();
        tx.create("meeting", &record);
        book(app, &mut tx, &record, ctx.actor.clone(), ctx.now).await?;
        ctx.keep(&mut tx, &made);
        match tx.commit().await {
            Ok(()) => return Ok(made),
            Err(CommitError::Condition { label: LEAD, .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("the lead was changed at the same moment; try again".to_owned()))
}

/// What follows from a meeting's being booked.
async fn book(app: &App, tx: &mut Tx<'_>, record: &MeetingRecord, actor: Actor, now: Time) -> Result<()> {
    status::advance(app, tx, record.entity_id, record.lead_id, LeadStatus::Meeting, now).await?;
    let (entity_id, subject, campaign_id) = (record.entity_id, record.id.uuid().as_u128(), record.campaign_id);
    tx.cost_unit(&CostPlace { entity_id, at: now, subject, campaign_id, agent_id: None }, CostUnit::Meeting);
    let data = json!({"starts_at": record.starts_at, "ends_at": record.ends_at, "title": record.title});
    tx.emit(&event(record, EventType::MeetingBooked, actor, now, data), app.config().event_retention_days);
    Ok(())
}

fn event(record: &MeetingRecord, event_type: EventType, actor: Actor, now: Time, data: Value) -> Event {
    let subject = Subject::new("meeting", record.id);
    let event = Event::new(event_type, record.entity_id, now, actor, subject, without_nulls(data));
    let event = event.campaign(record.campaign_id).trace(record.trace_id);
    match record.lead_id {
        Some(lead) => event.lead(lead),
        None => event,
    }
}

//! What scheduling services tell of meetings.
//!
//! A booking is one record whose id follows from the service's own, so what is told twice is one meeting. Services repeat their reports
//! and do not keep to an order: a cancellation that comes before its booking stays, and the booking comes too late.

use axle_domain::event::EventType;
use axle_domain::lead::IdentityKey;
use axle_domain::mail::{Hook, MeetingChange, MeetingNotice};
use axle_domain::meeting::{HookSecretInput, MEETING_TITLE_MAX, MeetingStatus, meeting_id};
use axle_domain::{Actor, CampaignId, EntityId, Faults, Input, LeadId, MeetingId, Time, TraceId};
use axle_store::meetings::MeetingRecord;
use axle_store::shared_secrets::SharedSecretRecord;
use axle_store::{CommitError, Tx, Versioned};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{book, event};
use crate::answer::Answer;
use crate::communications::latest_to;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::outreach::leads::{Place, find_place};
use crate::shared_secrets;

/// Attempts against others who tell of the same meeting at the same moment.
const RACES: usize = 8;
/// Attendees that are looked up.
const ATTENDEES_TRIED: usize = 10;
/// Characters of a service's id: it is stored, and part of nothing else.
const EXTERNAL_ID_MAX: usize = 500;

/// What a report came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookOutcome {
    Booked,
    Rescheduled,
    Cancelled,
    /// It was known, or a later report has overtaken it.
    Unchanged,
    /// Not about a booking that stands or falls.
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HookAnswer {
    pub outcome: HookOutcome,
    pub meeting_id: Option<MeetingId>,
}

const fn secret_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Calcom => "hook-calcom",
        Hook::Calendly => "hook-calendly",
    }
}

/// Keeps the secret that a service signs with, in place of the one before. `answer` is given the URL to enter there.
///
/// # Errors
/// [`Error::Invalid`]
pub async fn set_hook_secret(
    app: &App,
    ctx: &Ctx,
    hook: Hook,
    input: HookSecretInput,
    answer: impl FnOnce(&str) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let (name, entity) = (secret_name(hook), ctx.entity_id);
    let known = shared_secrets::find(app, entity, name).await?;
    let record = SharedSecretRecord {
        entity_id: entity,
        name: name.to_owned(),
        sealed: shared_secrets::seal(app, entity, name, &input.secret).await?,
        previous: None,
        previous_until: None,
        updated_at: ctx.now,
    };
    let url = format!("{}/meetings/hooks/{}/{entity}", app.config().base_url.trim_end_matches('/'), hook.as_str());
    let made = answer(&url)?;
    let mut tx = app.table().await.tx();
    shared_secrets::put(&mut tx, &record, known.map(|known| known.version));
    audit::note(ctx, &mut tx, "meeting_hook.secret_set", name, json!({"provider": hook.as_str()}));
    tx.commit().await?;
    Ok(made)
}

/// Takes a report of a service.
///
/// # Errors
/// [`Error::Unauthenticated`], the same whether the tenant has no secret, is not there, or the signature does not fit;
/// [`Error::Malformed`] for what the service would not send.
pub async fn report(app: &App, entity: EntityId, hook: Hook, signature: &str, body: &[u8]) -> Result<HookAnswer> {
    const REFUSED: Error = Error::Unauthenticated("the signature is missing, too old or not good");
    let Some(found) = shared_secrets::find(app, entity, secret_name(hook)).await? else { return Err(REFUSED) };
    let secrets = shared_secrets::live(app, &found.value).await?;
    if !secrets.iter().any(|secret| hook.verify(secret, signature, body, app.now())) {
        return Err(REFUSED);
    }
    let notice = hook.parse(body).map_err(|e| Error::Malformed(e.to_string()))?;
    let Some(notice) = notice else { return Ok(HookAnswer { outcome: HookOutcome::Ignored, meeting_id: None }) };
    if notice.external_id.is_empty() || notice.external_id.len() > EXTERNAL_ID_MAX {
        return Err(Error::Malformed("the booking's id is empty or too long".to_owned()));
    }
    for _ in 0..RACES {
        if let Some(answer) = apply(app, entity, hook, &notice).await? {
            return Ok(answer);
        }
    }
    Err(Error::Unavailable("a meeting's report met too many others".to_owned()))
}

/// What is to be written for a report.
struct Step {
    outcome: HookOutcome,
    record: MeetingRecord,
    /// The version of the record that it replaces.
    version: Option<u64>,
    /// The meeting whose place it takes.
    before: Option<Versioned<MeetingRecord>>,
}

/// Does what a report says; `None` if somebody was faster.
async fn apply(app: &App, entity: EntityId, hook: Hook, notice: &MeetingNotice) -> Result<Option<HookAnswer>> {
    let (table, now) = (app.table().await, app.now());
    let id = meeting_id(entity, hook, &notice.external_id);
    let known = table.meeting(entity, id, now).await?;
    let before = match &notice.change {
        MeetingChange::Moved { from: Some(from) } => table.meeting(entity, meeting_id(entity, hook, from), now).await?,
        _ => None,
    };
    let Some(step) = step(app, hook, notice, id, entity, known, before, now).await? else {
        return Ok(Some(HookAnswer { outcome: HookOutcome::Unchanged, meeting_id: Some(id) }));
    };
    let answer = HookAnswer { outcome: step.outcome, meeting_id: Some(id) };
    let mut tx = table.tx();
    write(app, &mut tx, step, hook, now).await?;
    match tx.commit().await {
        Ok(()) => Ok(Some(answer)),
        Err(CommitError::Condition { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// What a report changes, given what is known; `None` for nothing.
#[allow(clippy::too_many_arguments, reason = "all of them are what is known")]
async fn step(
    app: &App,
    hook: Hook,
    notice: &MeetingNotice,
    id: MeetingId,
    entity: EntityId,
    known: Option<Versioned<MeetingRecord>>,
    before: Option<Versioned<MeetingRecord>>,
    now: Time,
) -> Result<Option<Step>> {
    if let Some(Versioned { value: mut record, version }) = known {
        let stands = record.status == MeetingStatus::Booked;
        record.updated_at = now;
        let version = Some(version);
        return Ok(match &notice.change {
            MeetingChange::Cancelled if stands => {
                record.status = MeetingStatus::Cancelled;
                Some(Step { outcome: HookOutcome::Cancelled, record, version, before: None })
            }
            MeetingChange::Moved { .. } if stands && (record.starts_at, record.ends_at) != (notice.starts_at, notice.ends_at) => {
                record.starts_at = notice.starts_at;
                record.ends_at = notice.ends_at;
                Some(Step { outcome: HookOutcome::Rescheduled, record, version, before: None })
            }
            _ => None,
        });
    }
    let cancelled = notice.change == MeetingChange::Cancelled;
    let (lead_id, campaign_id) = match &before {
        Some(before) => (before.value.lead_id, before.value.campaign_id),
        None => whose(app, entity, notice, now).await?,
    };
    let record = MeetingRecord {
        entity_id: entity,
        id,
        status: if cancelled { MeetingStatus::Cancelled } else { MeetingStatus::Booked },
        source: hook.into(),
        external_id: Some(notice.external_id.clone()),
        lead_id,
        campaign_id,
        starts_at: notice.starts_at,
        ends_at: notice.ends_at,
        title: notice.title.as_deref().map(clean),
        attendees: notice.attendees.iter().take(ATTENDEES_TRIED).map(|person| person.address.to_string()).collect(),
        trace_id: before.as_ref().map_or_else(TraceId::random, |before| before.value.trace_id),
        created_at: now,
        updated_at: now,
    };
    let outcome = match (cancelled, &before) {
        (true, _) => HookOutcome::Cancelled,
        (false, Some(_)) => HookOutcome::Rescheduled,
        (false, None) => HookOutcome::Booked,
    };
    Ok(Some(Step { outcome, record, version: None, before }))
}

async fn write(app: &App, tx: &mut Tx<'_>, step: Step, hook: Hook, now: Time) -> Result<()> {
    let Step { outcome, record, version, before } = step;
    let (actor, retention) = (Actor::system(hook.as_str()), app.config().event_retention_days);
    match version {
        Some(version) => tx.replace("meeting", &record, version),
        None => tx.create("meeting", &record),
    }
    let from = before.as_ref().map(|before| before.value.id);
    if let Some(Versioned { value: mut old, version }) = before {
        old.status = MeetingStatus::Moved;
        old.updated_at = now;
        tx.replace("meeting before", &old, version);
    }
    match outcome {
        HookOutcome::Booked => book(app, tx, &record, actor, now).await?,
        HookOutcome::Rescheduled => {
            let data = json!({"starts_at": record.starts_at, "ends_at": record.ends_at, "title": record.title, "from": from});
            tx.emit(&event(&record, EventType::MeetingRescheduled, actor, now, data), retention);
        }
        // Of a booking that nobody has told of there is nothing to be told either.
        HookOutcome::Cancelled if version.is_some() => {
            let data = json!({"starts_at": record.starts_at, "title": record.title});
            tx.emit(&event(&record, EventType::MeetingCancelled, actor, now, data), retention);
        }
        HookOutcome::Cancelled | HookOutcome::Unchanged | HookOutcome::Ignored => {}
    }
    Ok(())
}

/// One line of text, as long as a title may be.
fn clean(title: &str) -> String {
    title.split(char::is_control).collect::<Vec<_>>().join(" ").trim().chars().take(MEETING_TITLE_MAX).collect()
}

/// The lead among the attendees, and the campaign that wrote to it last.
async fn whose(app: &App, entity: EntityId, notice: &MeetingNotice, now: Time) -> Result<(Option<LeadId>, Option<CampaignId>)> {
    let ctx = Ctx::system(entity, "meetings", now, TraceId::random());
    for person in notice.attendees.iter().take(ATTENDEES_TRIED) {
        let latest = latest_to(app, entity, person.address.as_str()).await?.map(|found| found.value);
        let campaign = latest.as_ref().and_then(|record| record.campaign_id);
        if let Some(lead) = latest.and_then(|record| record.lead_id) {
            return Ok((Some(lead), campaign));
        }
        let identity = IdentityKey::from(format!("email:{}", person.address));
        match find_place(app.table().await, &ctx, &identity).await {
            Ok(Place::Held(lead)) => return Ok((Some(lead), campaign)),
            Ok(Place::Free(_)) | Err(Error::Conflict(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok((None, None))
}

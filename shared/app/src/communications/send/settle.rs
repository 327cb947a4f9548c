//! What follows from an attempt.

use std::time::Duration;

use axle_domain::communication::{CommunicationStatus, MessageChannel, SuppressionOrigin, Throttle, retry_wait, throttle_wait};
use axle_domain::event::EventType;
use axle_domain::lead::LeadStatus;
use axle_domain::{Actor, Time};
use axle_providers::mail::{Accepted, Blame, SendError, SendErrorKind};
use axle_store::communications::CommunicationRecord;
use axle_store::message_refs::MessageRef;
use axle_store::outbox_rates::MessageOutcome;
use axle_store::suppressions::SuppressionRecord;
use axle_store::{CommitError, Tx, Versioned};
use serde_json::json;

use super::super::{cost, event, suppressions};
use super::{Settled, after, give_back, message, note, send_later};
use crate::context::App;
use crate::error::{Error, Result};
use crate::outreach::status;

/// Attempts against feedback that is recorded at the same moment.
const RACES: usize = 8;
/// Of these, attempts that also move the lead on. What became of the message is recorded even if somebody keeps changing its lead.
const RACES_WITH_LEAD: usize = 6;
const UNKNOWN: &str =
    "outcome unknown: the worker was lost while the provider had the message, which may have gone out; retry to send it again";

fn actor() -> Actor {
    Actor::system("outbox-sender")
}

/// Records what came of the call on the claimed message. Answers how it ended, if it did and this call recorded it.
pub(super) async fn settle(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    outcome: Result<Accepted, SendError>,
    duration_ms: u64,
) -> Result<Option<Settled>> {
    match outcome {
        Ok(accepted) => sent(app, claimed, &accepted, duration_ms).await,
        Err(error) => match error.kind {
            SendErrorKind::Permanent(blame) => failed(app, claimed, &error.reason, duration_ms, false, Some(blame)).await,
            SendErrorKind::OutcomeUnknown if claimed.value.channel == MessageChannel::Webhook => {
                again(app, claimed, &error.reason, duration_ms, None).await
            }
            SendErrorKind::OutcomeUnknown => {
                failed(app, claimed, &format!("outcome unknown: {}", error.reason), duration_ms, true, None).await
            }
            SendErrorKind::Transient { retry_after } => again(app, claimed, &error.reason, duration_ms, retry_after).await,
            SendErrorKind::Throttled(throttle) => throttled(app, claimed, &error.reason, duration_ms, throttle).await,
        },
    }
}

/// Writes a change of a message that this worker holds, together with what else it means. If somebody recorded feedback in between, the
/// change is made to what they wrote; if the claim is no longer ours, whoever took it over has decided and nothing is written.
async fn write(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    change: impl Fn(&mut CommunicationRecord, Time),
    suppression: Option<SuppressionRecord>,
    lead: Option<LeadStatus>,
    more: impl Fn(&mut Tx<'_>, &CommunicationRecord),
) -> Result<Option<CommunicationRecord>> {
    let claim = claimed.value.claim.clone();
    let mut current = claimed;
    for attempt in 0..RACES {
        let Versioned { value: mut record, version } = current;
        let (now, from) = (app.now(), record.status);
        change(&mut record, now);
        record.claim = None;
        record.claimed_until = None;
        record.updated_at = now;
        let mut tx = app.table().await.tx();
        tx.replace("message", &record, version);
        tx.count_communication(&record, Some(from));
        more(&mut tx, &record);
        if let Some(suppression) = &suppression {
            suppressions::join(app, &mut tx, suppression.clone()).await?;
        }
        if let Some(next) = lead.filter(|_| attempt < RACES_WITH_LEAD) {
            status::advance(app, &mut tx, record.entity_id, record.lead_id, next, now).await?;
        }
        if tx.try_commit().await? {
            return Ok(Some(record));
        }
        let found = app.table().await.communication(record.entity_id, record.id, now).await?;
        let Some(found) =
            found.filter(|found| found.value.claim == claim && found.value.status == CommunicationStatus::Processing)
        else {
            return Ok(None);
        };
        current = found;
    }
    Err(Error::Unavailable("a message's outcome could not be recorded".to_owned()))
}

async fn sent(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    accepted: &Accepted,
    duration_ms: u64,
) -> Result<Option<Settled>> {
    let id = claimed.value.id;
    let visible = visible_id(app, &claimed.value, accepted).await?;
    let to = app.address_hash(claimed.value.entity_id, &claimed.value.to).await?;
    let latency_ms = latency(&claimed.value, app.now());
    let change = |record: &mut CommunicationRecord, now: Time| {
        note(record, now, duration_ms, "sent", None);
        become_sent(record, now);
        record.provider = Some(accepted.provider.as_str().to_owned());
        record.provider_message_id.clone_from(&accepted.provider_message_id);
        record.message_id.clone_from(&visible);
        record.tries += 1;
    };
    let recorded = write(app, claimed, change, None, Some(LeadStatus::Contacted), |tx, record| {
        tell_sent(app, tx, record, latency_ms);
        put_ref(tx, record, &to);
    })
    .await?;
    if recorded.is_none() {
        tracing::warn!(communication_id = %id, "a message was sent after its claim had run out");
    }
    Ok(recorded.map(|_| Settled { failed: false, latency_ms: Some(latency_ms) }))
}

/// How long a message has been due.
fn latency(record: &CommunicationRecord, now: Time) -> u64 {
    now.since(record.due_since.unwrap_or(record.scheduled_send_time)).max(0).unsigned_abs()
}

/// Makes a sent e-mail be found by its Message-ID and by its recipient.
fn put_ref(tx: &mut Tx<'_>, record: &CommunicationRecord, address_hash: &str) {
    let Some(message_id) = record.message_id.clone() else { return };
    tx.put_message_ref(&MessageRef {
        message_id,
        entity_id: record.entity_id,
        communication_id: record.id,
        to: Some(address_hash.to_owned()),
        created_at: record.updated_at,
    });
}

/// Makes a message sent that was given up with its outcome unknown, because its provider has told of it since. The caller writes the
/// message itself.
pub(crate) async fn found_sent(app: &App, tx: &mut Tx<'_>, record: &mut CommunicationRecord, at: Time) -> Result<()> {
    let from = record.status;
    let to = app.address_hash(record.entity_id, &record.to).await?;
    let latency_ms = latency(record, at);
    become_sent(record, at);
    tx.count_communication(record, Some(from));
    tell_sent(app, tx, record, latency_ms);
    put_ref(tx, record, &to);
    Ok(())
}

/// The id that the recipient sees: the provider's own, or ours.
async fn visible_id(app: &App, record: &CommunicationRecord, accepted: &Accepted) -> Result<Option<String>> {
    if record.channel != MessageChannel::Email {
        return Ok(None);
    }
    if let Some(id) = &accepted.message_id {
        return Ok(Some(id.as_str().to_owned()));
    }
    let from = match record.identity_id {
        None => app.config().sender.as_ref().map(|sender| sender.address.clone()),
        Some(id) => {
            let identity = app.table().await.sending_identity(record.entity_id, id, app.now()).await?;
            identity.and_then(|identity| axle_domain::address::Email::parse(&identity.value.from).ok())
        }
    };
    Ok(from.map(|from| message::message_id(record, &from).as_str().to_owned()))
}

fn become_sent(record: &mut CommunicationRecord, now: Time) {
    record.status = CommunicationStatus::Sent;
    record.sent_at = Some(now);
    record.due_at = None;
    record.due_since = None;
    record.error = None;
    record.outcome_unknown = false;
}

fn tell_sent(app: &App, tx: &mut Tx<'_>, record: &CommunicationRecord, latency_ms: u64) {
    let at = record.updated_at;
    tx.count_outcome(record, at, MessageOutcome::Sent { latency_ms });
    cost::count_sent(tx, record);
    let provider = record.provider.as_deref().unwrap_or("unknown");
    let data = json!({"channel": record.channel, "provider": provider, "provider_message_id": record.provider_message_id});
    tx.emit(&event(record, EventType::CommunicationSent, actor(), at, data), app.config().event_retention_days);
}

async fn failed(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    reason: &str,
    duration_ms: u64,
    unknown: bool,
    blame: Option<Blame>,
) -> Result<Option<Settled>> {
    let place = claimed.value.place.clone();
    let change = |record: &mut CommunicationRecord, now: Time| {
        note(record, now, duration_ms, if unknown { "unknown" } else { "failed" }, Some(reason.to_owned()));
        record.status = CommunicationStatus::Failed;
        record.tries += 1;
        record.due_at = None;
        record.error = Some(reason.to_owned());
        record.outcome_unknown = unknown;
        if !unknown {
            record.place = None;
        }
    };
    let bounced = blame == Some(Blame::Recipient) && claimed.value.channel != MessageChannel::Webhook;
    let suppression = match bounced {
        false => None,
        true => {
            let CommunicationRecord { entity_id, id, to, .. } = claimed.value.clone();
            let (origin, why) = (SuppressionOrigin::Bounce, Some(reason.to_owned()));
            Some(suppressions::record(app, entity_id, to, why, origin, Some(id), app.now()).await?)
        }
    };
    let lead = bounced.then_some(LeadStatus::Bounced);
    let Some(record) = write(app, claimed, change, suppression, lead, |tx, record| tell_failed(app, tx, record, reason)).await?
    else {
        return Ok(None);
    };
    if !unknown {
        give_back(app, &record, place).await;
    }
    Ok(Some(Settled { failed: true, latency_ms: None }))
}

fn tell_failed(app: &App, tx: &mut Tx<'_>, record: &CommunicationRecord, reason: &str) {
    tx.count_outcome(record, record.updated_at, MessageOutcome::Failed);
    let data = json!({"reason": reason, "attempts": record.tries});
    tx.emit(&event(record, EventType::CommunicationFailed, actor(), record.updated_at, data), app.config().event_retention_days);
}

/// Puts a message off that the provider did not take for the moment; fails it after its last attempt.
async fn again(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    reason: &str,
    duration_ms: u64,
    asked: Option<Duration>,
) -> Result<Option<Settled>> {
    let random = u64::from_be_bytes(axle_domain::id::entropy());
    match retry_wait(claimed.value.tries + 1, random, asked) {
        Some(wait) => put_off(app, claimed, reason, duration_ms, wait, 1).await,
        None => failed(app, claimed, reason, duration_ms, false, None).await,
    }
}

/// Puts a message off that came up against a limit of the account. It is no attempt of this message: however many are sent at once, each
/// has all of its own.
async fn throttled(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    reason: &str,
    duration_ms: u64,
    throttle: Throttle,
) -> Result<Option<Settled>> {
    let random = u64::from_be_bytes(axle_domain::id::entropy());
    let overdue = Duration::from_millis(latency(&claimed.value, app.now()));
    match throttle_wait(throttle, overdue, random) {
        Some(wait) => put_off(app, claimed, reason, duration_ms, wait, 0).await,
        None => again(app, claimed, reason, duration_ms, None).await,
    }
}

/// Makes a claimed message wait.
async fn put_off(
    app: &App,
    claimed: Versioned<CommunicationRecord>,
    reason: &str,
    duration_ms: u64,
    wait: Duration,
    tries: u32,
) -> Result<Option<Settled>> {
    let place = claimed.value.place.clone();
    let change = |record: &mut CommunicationRecord, now: Time| {
        note(record, now, duration_ms, "retry", Some(reason.to_owned()));
        let at = after(now, wait);
        record.status = CommunicationStatus::Pending;
        record.tries += tries;
        record.due_since.get_or_insert(record.scheduled_send_time);
        record.scheduled_send_time = at;
        record.due_at = Some(at);
        record.error = Some(reason.to_owned());
        record.place = None;
    };
    let Some(record) = write(app, claimed, change, None, None, |_, _| {}).await? else { return Ok(None) };
    give_back(app, &record, place).await;
    let at = record.scheduled_send_time;
    if let Err(e) = send_later(app, &record.job(), at, app.now()).await {
        // It is recorded and on the due-index, so the scheduler will see to it.
        tracing::warn!(communication_id = %record.id, error = e.for_the_log(), "a retry could not be queued");
    }
    Ok(None)
}

/// Ends a claimed message whose recipient wants no more.
pub(super) async fn suppressed(app: &App, claimed: Versioned<CommunicationRecord>, known: &SuppressionRecord) -> Result<()> {
    let place = claimed.value.place.clone();
    let reason = format!("the address is on the suppression list ({})", known.origin);
    let change = |record: &mut CommunicationRecord, now: Time| {
        note(record, now, 0, "suppressed", Some(reason.clone()));
        record.status = CommunicationStatus::Suppressed;
        record.due_at = None;
        record.error = Some(reason.clone());
        record.place = None;
    };
    if let Some(record) = write(app, claimed, change, None, None, |_, _| {}).await? {
        give_back(app, &record, place).await;
    }
    Ok(())
}

/// Fails a message that cannot be attempted at all.
pub(super) async fn refuse(app: &App, found: Versioned<CommunicationRecord>, why: &str) -> Result<Option<Settled>> {
    let Versioned { value: mut record, version } = found;
    let (now, from, place) = (app.now(), record.status, record.place.take());
    note(&mut record, now, 0, "failed", Some(why.to_owned()));
    record.status = CommunicationStatus::Failed;
    record.due_at = None;
    record.error = Some(why.to_owned());
    record.updated_at = now;
    let mut tx = app.table().await.tx();
    tx.replace("message", &record, version);
    tx.count_communication(&record, Some(from));
    tell_failed(app, &mut tx, &record, why);
    match tx.commit().await {
        Ok(()) => {
            give_back(app, &record, place).await;
            Ok(Some(Settled { failed: true, latency_ms: None }))
        }
        Err(CommitError::Condition { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Resolves a claim that ran out.
pub(super) async fn abandoned(app: &App, found: Versioned<CommunicationRecord>) -> Result<Option<Settled>> {
    tracing::warn!(communication_id = %found.value.id, "a claimed message was left behind");
    if found.value.engagement.shows_that_it_went_out() {
        return went_out(app, found).await;
    }
    if found.value.channel == MessageChannel::Webhook {
        return again(app, found, "the worker was lost", 0, None).await;
    }
    failed(app, found, UNKNOWN, 0, true, None).await
}

/// Records as sent what was left behind, because something came back of it already.
async fn went_out(app: &App, found: Versioned<CommunicationRecord>) -> Result<Option<Settled>> {
    let to = app.address_hash(found.value.entity_id, &found.value.to).await?;
    let latency_ms = latency(&found.value, app.now());
    let change = |record: &mut CommunicationRecord, now: Time| {
        note(record, now, 0, "sent", None);
        become_sent(record, now);
        record.tries += 1;
    };
    let recorded = write(app, found, change, None, Some(LeadStatus::Contacted), |tx, record| {
        tell_sent(app, tx, record, latency_ms);
        put_ref(tx, record, &to);
    });
    Ok(recorded.await?.map(|_| Settled { failed: false, latency_ms: Some(latency_ms) }))
}

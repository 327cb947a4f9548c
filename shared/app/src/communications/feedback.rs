//! What Amazon SES reports about messages that it took: bounces, complaints, deliveries.
//!
//! A report is recorded on its message in one transaction with everything that follows from it, and the message remembers the report's
//! id, so that what the queue hands out twice counts once. Reports also tell of messages whose sender died before it could record
//! that SES had them: such a message, failed with its outcome unknown, becomes `sent` after all.

use axle_domain::communication::{CommunicationStatus, MessageChannel, SuppressionOrigin};
use axle_domain::event::{Event, EventType};
use axle_domain::lead::LeadStatus;
use axle_domain::mail::{Bounced, Feedback, FeedbackKind, MessageId};
use axle_domain::{Actor, EntityId, Time};
use axle_store::Versioned;
use axle_store::communications::CommunicationRecord;
use axle_store::outbox_rates::MessageOutcome;
use serde_json::json;

use super::{event, send, suppressions};
use crate::context::App;
use crate::error::{Error, Result};
use crate::outreach::status;

/// Attempts against others who change the same message at the same moment.
const RACES: usize = 8;
/// Times that a report is looked at whose message is not known: its sender may be about to record it.
pub const FEEDBACK_ATTEMPTS: u32 = 3;
/// Characters of a reason that are kept.
const REASON_MAX: usize = 500;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    Recorded,
    /// It was recorded before.
    Known,
    /// About a message that is not ours, or about nothing that we keep.
    Passed,
}

fn actor() -> Actor {
    Actor::system("mail-feedback")
}

/// What a report means for its message.
struct Meaning {
    event_type: EventType,
    data: serde_json::Value,
    /// Puts the address on the list.
    suppress: Option<(SuppressionOrigin, Option<String>)>,
    lead: LeadStatus,
}

/// Records a report. `received` is how often it was handed out, this time included.
///
/// # Errors
/// [`Error::Unavailable`] if it has to be handed out again.
pub async fn feedback(app: &App, report: &Feedback, received: u32) -> Result<Noted> {
    if matches!(report.kind, FeedbackKind::Other(_) | FeedbackKind::Receipt(_)) {
        return Ok(Noted::Passed);
    }
    for _ in 0..RACES {
        let Some(found) = find(app, report).await? else {
            let tagged = report.communication_id.is_some();
            if tagged || received >= FEEDBACK_ATTEMPTS {
                tracing::info!(tagged, "a report about a message that is not ours");
                return Ok(Noted::Passed);
            }
            return Err(Error::Unavailable("a report about a message that is not recorded yet".to_owned()));
        };
        let (mut record, version) = (found.value, found.version);
        if record.channel != MessageChannel::Email {
            return Ok(Noted::Passed);
        }
        let now = app.now();
        let Some(meaning) = note(&mut record, report, now) else { return Ok(Noted::Known) };
        if commit(app, record, version, report, meaning, now).await? {
            return Ok(Noted::Recorded);
        }
    }
    Err(Error::Unavailable("a report met too many others".to_owned()))
}

/// The message that a report is about: by the tags that it was sent with, or else by SES's own id.
async fn find(app: &App, report: &Feedback) -> Result<Option<Versioned<CommunicationRecord>>> {
    let (table, now) = (app.table().await, app.now());
    if let (Some(entity), Some(id)) = (report.entity_id, report.communication_id) {
        return Ok(table.communication(entity, id, now).await?);
    }
    let Ok(message_id) = MessageId::of_ses(&report.ses_message_id, &app.config().region) else { return Ok(None) };
    let Some(known) = table.message_ref(message_id.as_str(), now).await? else { return Ok(None) };
    Ok(table.communication(known.entity_id, known.communication_id, now).await?)
}

/// Changes the message by what the report says; `None` if it says nothing new.
fn note(record: &mut CommunicationRecord, report: &Feedback, now: Time) -> Option<Meaning> {
    // Nothing happened in the future, whatever a clock says.
    let at = report.at.min(now);
    let e = &mut record.engagement;
    match &report.kind {
        FeedbackKind::Delivery { .. } => {
            if e.delivered_at.is_some() {
                return None;
            }
            e.delivered_at = Some(at);
            let data = json!({"channel": record.channel});
            Some(Meaning { event_type: EventType::CommunicationDelivered, data, suppress: None, lead: LeadStatus::Contacted })
        }
        FeedbackKind::Bounce { hard, recipients, feedback_id } => {
            let named = if feedback_id.is_empty() { format!("bounce/{}", report.at) } else { feedback_id.clone() };
            e.report(&named).then_some(())?;
            let reason = recipients.iter().find_map(reason_of);
            let data = json!({"kind": if *hard { "hard" } else { "soft" }, "reason": reason});
            let event_type = EventType::CommunicationBounced;
            if !hard {
                return Some(Meaning { event_type, data, suppress: None, lead: LeadStatus::Contacted });
            }
            e.bounced_at.get_or_insert(at);
            let suppress = Some((SuppressionOrigin::Bounce, reason));
            Some(Meaning { event_type, data, suppress, lead: LeadStatus::Bounced })
        }
        FeedbackKind::Complaint { complaint_type, feedback_id, .. } => {
            let named = if feedback_id.is_empty() { format!("complaint/{}", report.at) } else { feedback_id.clone() };
            e.report(&named).then_some(())?;
            e.complained_at.get_or_insert(at);
            let suppress = Some((SuppressionOrigin::Complaint, complaint_type.as_deref().map(clip)));
            let data = json!({"reason": complaint_type});
            let event_type = EventType::CommunicationComplained;
            Some(Meaning { event_type, data, suppress, lead: LeadStatus::Unsubscribed })
        }
        FeedbackKind::Rejected { reason } => {
            e.report("rejected").then_some(())?;
            let data = json!({"kind": "rejected", "reason": clip(reason)});
            let event_type = EventType::CommunicationBounced;
            Some(Meaning { event_type, data, suppress: None, lead: LeadStatus::Contacted })
        }
        FeedbackKind::Receipt(_) | FeedbackKind::Other(_) => None,
    }
}

fn reason_of(bounced: &Bounced) -> Option<String> {
    let parts: Vec<&str> = [bounced.status.as_deref(), bounced.diagnostic.as_deref()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| clip(&parts.join(" ")))
}

fn clip(text: &str) -> String {
    text.chars().take(REASON_MAX).collect()
}

/// Writes everything that a report leads to; false if somebody was faster.
async fn commit(
    app: &App,
    mut record: CommunicationRecord,
    version: u64,
    report: &Feedback,
    meaning: Meaning,
    now: Time,
) -> Result<bool> {
    let Meaning { event_type, data, suppress, lead } = meaning;
    let (table, entity, retention) = (app.table().await, record.entity_id, app.config().event_retention_days);
    let mut tx = table.tx();
    record.updated_at = now;
    if record.provider_message_id.is_none() {
        // Its sender has not recorded this: it is about to, or it died.
        let message_id = MessageId::of_ses(&report.ses_message_id, &app.config().region);
        record.provider = Some("ses".to_owned());
        record.provider_message_id = Some(report.ses_message_id.clone());
        record.message_id = message_id.ok().map(|id| id.as_str().to_owned());
    }
    if record.status == CommunicationStatus::Failed && record.outcome_unknown {
        send::found_sent(app, &mut tx, &mut record, report.at.min(now)).await?;
    }
    if matches!(lead, LeadStatus::Bounced) {
        tx.count_outcome(&record, now, MessageOutcome::Bounced);
    }
    if let Some((origin, reason)) = suppress {
        let suppression = suppressions::record(app, entity, record.to.clone(), reason, origin, Some(record.id), now).await?;
        suppressions::join(app, &mut tx, suppression).await?;
    }
    status::advance(app, &mut tx, entity, record.lead_id, lead, now).await?;
    tx.replace("message", &record, version);
    tx.emit(&told(&record, event_type, now, data), retention);
    Ok(tx.try_commit().await?)
}

fn told(record: &CommunicationRecord, event_type: EventType, now: Time, data: serde_json::Value) -> Event {
    event(record, event_type, actor(), now, data)
}

/// The tenant that a recipient's address names: `<entity id>@<inbound domain>`.
pub(super) fn tenant_of(recipient: &str) -> Option<EntityId> {
    recipient.split_once('@')?.0.parse().ok()
}

//! The steps that messages, webhook deliveries and leads' ways through campaigns are in the traces they belong to.

use axle_domain::Time;
use axle_domain::campaign::run::RunState;
use axle_domain::communication::CommunicationStatus;
use axle_domain::trace::{Span, SpanId, attribute, name};
use axle_domain::webhook::DeliveryStatus;
use axle_store::communications::{CommunicationRecord, Engagement};
use axle_store::deliveries::{AttemptRecord, DeliveryRecord};
use axle_store::runs::{RunNote, RunRecord};

use crate::communications::cost;

/// Queued, waited, sent: as far as the message has come.
pub fn of_message(message: &CommunicationRecord, parent: Option<SpanId>) -> Vec<Span> {
    let CommunicationRecord { id, trace_id, status, created_at, updated_at, .. } = *message;
    let step = |name: &str, at: Time| Span::new(trace_id, name, id, at).with(attribute::COMMUNICATION_ID, id.to_string());
    let queued = step(name::QUEUE, created_at).parent(parent).with(attribute::CHANNEL, message.channel.as_str()).done(created_at);
    let wait = step(name::WAIT, created_at).parent(queued.span_id);
    let attempted = message.attempts.first().map(|first| before(first.at, first.duration_ms));
    let begun = match (attempted, status) {
        (Some(at), _) => Some(at.max(created_at)),
        // Claimed by that change.
        (None, CommunicationStatus::Processing | CommunicationStatus::Sent) => Some(updated_at),
        (None, _) => None,
    };
    let Some(begun) = begun else {
        let waited = match status {
            CommunicationStatus::Pending => wait,
            other => wait.with(attribute::OUTCOME, other.as_str()).done(updated_at),
        };
        return vec![queued, waited];
    };
    let send = step(name::SEND, begun).parent(queued.span_id).with(attribute::ATTEMPTS, message.tries);
    vec![queued, wait.done(begun), outcome(message, with_facts(message, send))]
}

fn before(at: Time, ms: u64) -> Time {
    at.plus_millis(-i64::try_from(ms).unwrap_or(i64::MAX))
}

/// How the sending stands. What a recipient does not want is no error; it says so in its outcome.
fn outcome(message: &CommunicationRecord, send: Span) -> Span {
    let ended = message.attempts.last().map_or(message.updated_at, |last| last.at);
    let why = message.error.as_deref();
    match message.status {
        CommunicationStatus::Sent => send.done(message.sent_at.unwrap_or(ended)),
        CommunicationStatus::Failed => send.failed(ended, why.unwrap_or("it failed")),
        CommunicationStatus::Suppressed | CommunicationStatus::Cancelled => {
            send.with(attribute::OUTCOME, message.status.as_str()).done(ended)
        }
        CommunicationStatus::Pending | CommunicationStatus::Processing => Span { error: why.map(str::to_owned), ..send },
    }
}

fn with_facts(message: &CommunicationRecord, mut send: Span) -> Span {
    let facts = [(attribute::MESSAGING_SYSTEM, &message.provider), (attribute::MESSAGE_ID, &message.provider_message_id)];
    for (name, value) in facts {
        send.attributes.set(name, value.clone());
    }
    if message.status == CommunicationStatus::Sent {
        send.attributes.set(attribute::COST, cost::price(message).to_string());
    }
    let Engagement { delivered_at, bounced_at, complained_at, opened_at, clicked_at, replied_at, unsubscribed_at, .. } =
        &message.engagement;
    let came_back = [
        ("axle.delivered_at", delivered_at),
        ("axle.bounced_at", bounced_at),
        ("axle.complained_at", complained_at),
        ("axle.opened_at", opened_at),
        ("axle.clicked_at", clicked_at),
        ("axle.replied_at", replied_at),
        ("axle.unsubscribed_at", unsubscribed_at),
    ];
    for (name, at) in came_back {
        send.attributes.set(name, at.map(|at| at.to_string()));
    }
    send
}

/// A lead's way through a campaign: a root that lasts as long as the way, and under it what was done, and what is waited for.
pub fn of_run(run: &RunRecord) -> Vec<Span> {
    let root = Span::new(run.trace_id, name::SEQUENCE, run.id, run.created_at)
        .with(attribute::CAMPAIGN_ID, run.campaign_id.to_string())
        .with(attribute::LEAD_ID, run.lead_id.to_string())
        .with(attribute::OUTCOME, run.state.as_str())
        .with(attribute::REASON, run.reason.clone());
    let ended = run.ended_at.unwrap_or(run.updated_at);
    let root = match run.state {
        RunState::Failed => root.failed(ended, run.reason.as_deref().unwrap_or("it failed")),
        state if state.is_over() => root.done(ended),
        _ => root,
    };
    let step = |name: &str, subject: String, at: Time| Span::new(run.trace_id, name, subject, at).parent(root.span_id);
    // Of a message that was queued the message itself tells.
    let queued = |note: &&RunNote| {
        matches!(note.what.as_str(), name::QUEUE | name::SEND)
            && run.messages.iter().any(|message| note.step == Some(message.step))
    };
    let notes = run.notes.iter().filter(|note| !queued(note)).map(|note| {
        let span = step(&note.what, format!("{}/{}/{}", run.id, note.at, note.step.unwrap_or(0)), note.since.unwrap_or(note.at));
        let span = Span { attributes: note.attributes.clone(), ..span };
        let span = span.with(attribute::DETAIL, note.detail.clone()).with(attribute::STEP, note.step);
        if note.failed { span.failed(note.at, &note.detail) } else { span.done(note.at) }
    });
    let waits_for = match run.state {
        RunState::Waiting => Some(name::WAIT),
        RunState::AwaitingApproval => Some(name::APPROVE),
        _ => None,
    };
    let waiting = waits_for.map(|name| {
        let since = run.since.unwrap_or(run.created_at);
        let due = run.due_at.map(|at| at.to_string());
        step(name, format!("{}/{since}", run.id), since).with(attribute::STEP, run.step).with(attribute::DUE_AT, due)
    });
    let steps: Vec<Span> = notes.chain(waiting).collect();
    std::iter::once(root).chain(steps).collect()
}

/// An event on its way to an endpoint. `None` if it belongs to no trace.
pub fn of_delivery(delivery: &DeliveryRecord, parent: Option<SpanId>) -> Option<Span> {
    let span = Span::new(delivery.trace_id?, name::DELIVER, delivery.id, delivery.created_at)
        .parent(parent)
        .with(attribute::DELIVERY_ID, delivery.id.to_string())
        .with(attribute::WEBHOOK_ID, delivery.webhook_id.to_string())
        .with(attribute::EVENT_ID, delivery.event_id.to_string())
        .with(attribute::EVENT_TYPE, delivery.event_type.as_str())
        .with(attribute::ATTEMPTS, delivery.tries);
    let last = delivery.attempts.last();
    let span = span.with(attribute::HTTP_STATUS, last.and_then(|attempt| attempt.status_code));
    let ended = last.map_or(delivery.created_at, |AttemptRecord { at, duration_ms, .. }| {
        at.plus_millis(i64::try_from(*duration_ms).unwrap_or(i64::MAX))
    });
    let why = last.and_then(|attempt| attempt.error.as_deref());
    Some(match delivery.status {
        DeliveryStatus::Delivered => span.done(ended),
        DeliveryStatus::Dead => span.failed(ended, why.unwrap_or("it was given up")),
        // To be tried again.
        DeliveryStatus::Pending | DeliveryStatus::Failed => Span { error: why.map(str::to_owned), ..span },
    })
}

//! What follows from an attempt.

use axle_domain::event::{Event, EventType, Subject};
use axle_domain::webhook::{Attempt, DeliveryStatus, Outcome, judge};
use axle_domain::{Actor, Time};
use axle_store::deliveries::{AttemptRecord, DeliveryRecord};
use axle_store::webhooks::WebhookRecord;
use axle_store::{CommitError, Versioned};
use serde_json::json;

use super::{Tried, after, random, send_later};
use crate::context::App;
use crate::error::Result;
use crate::webhooks::endpoints::origin;

const GONE: &str = "it answered with status 410: it wants no more events";
const GIVEN_UP: &str = "for 5 days, no delivery to it has succeeded";

/// Records an attempt on the claimed delivery and does what the rules make of it: no more, another attempt, or the
/// endpoint's end.
pub(super) async fn settle(
    app: &App,
    claimed: Versioned<DeliveryRecord>,
    endpoint: &WebhookRecord,
    attempt: Attempt,
    record: AttemptRecord,
    responsive: bool,
) -> Result<Option<Tried>> {
    let Versioned { value: mut delivery, version } = claimed;
    let (now, schedule) = (app.now(), app.config().webhook_schedule);
    delivery.tries += 1;
    delivery.note(record);
    delivery.claimed_until = None;
    let outcome = judge(attempt, delivery.tries, schedule, random());
    let given_up = endpoint.failing_since.is_some_and(|since| schedule.gives_up(since.into(), now.into()));
    let disable = match outcome {
        Outcome::Gone => Some(GONE),
        Outcome::Retry { .. } | Outcome::Dead if given_up => Some(GIVEN_UP),
        _ => None,
    };
    let wait = match outcome {
        Outcome::Retry { after } if disable.is_none() => Some(after),
        _ => None,
    };
    delivery.status = match (outcome, wait) {
        (Outcome::Delivered, _) => DeliveryStatus::Delivered,
        (_, Some(_)) => DeliveryStatus::Failed,
        (_, None) => DeliveryStatus::Dead,
    };
    delivery.next_attempt_at = wait.map(|wait| after(now, wait));
    let recorded = match disable {
        Some(reason) => record_and_disable(app, &delivery, version, endpoint, reason, now).await?,
        None => app.table().await.put_delivery(&delivery, version).await?.is_some(),
    };
    if !recorded {
        // Our claim ran out, or a replay came in between: whoever changed the delivery goes on with it.
        return Ok(None);
    }
    let trace_id = delivery.trace_id.map(tracing::field::display);
    if disable.is_none()
        && let Err(e) = mark(app, endpoint, outcome == Outcome::Delivered, responsive, now).await
    {
        tracing::warn!(webhook_id = %endpoint.id, trace_id, error = e.for_the_log(), "an endpoint's state could not be noted");
    }
    if let Some(wait) = wait
        && let Err(e) = send_later(app, &delivery.job(), wait).await
    {
        // It is recorded and on the due-index, so the scheduler will see to it.
        tracing::warn!(delivery_id = %delivery.id, trace_id, error = e.for_the_log(), "a retry could not be queued");
    }
    Ok(Some(Tried::of(&delivery, true)))
}

/// Records the outcome together with the endpoint's end and the event that tells of it; without them if the endpoint was
/// disabled, deleted or given another URL in the meantime. False if the delivery was changed by somebody else.
async fn record_and_disable(
    app: &App,
    delivery: &DeliveryRecord,
    version: u64,
    endpoint: &WebhookRecord,
    reason: &str,
    now: Time,
) -> Result<bool> {
    let table = app.table().await;
    let subject = Subject::new("webhook", endpoint.id);
    // Others are told of it too, and its path and query may hold secrets.
    let data = json!({"url": origin(&endpoint.url), "reason": reason});
    let actor = Actor::system("webhook-deliverer");
    let mut event = Event::new(EventType::WebhookDisabled, endpoint.entity_id, now, actor, subject, data);
    // It follows from the event that could not be delivered.
    event.trace_id = delivery.trace_id;
    let mut tx = table.tx();
    tx.replace("delivery", delivery, version);
    tx.disable_webhook(endpoint, reason, now);
    tx.emit(&event, app.config().event_retention_days);
    match tx.commit().await {
        Ok(()) => {
            let trace_id = delivery.trace_id.map(tracing::field::display);
            tracing::info!(entity_id = %endpoint.entity_id, webhook_id = %endpoint.id, trace_id, reason, "an endpoint was disabled");
            Ok(true)
        }
        Err(CommitError::Condition { label: "webhook", .. }) => Ok(table.put_delivery(delivery, version).await?.is_some()),
        Err(CommitError::Condition { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Notes what the attempt says of the endpoint, if that is news. A failure to do so does no harm: the next attempt says the
/// same.
async fn mark(app: &App, endpoint: &WebhookRecord, delivered: bool, responsive: bool, now: Time) -> Result<()> {
    if endpoint.failing_since.is_none() == delivered && endpoint.responsive == Some(responsive) {
        return Ok(());
    }
    let failing_at = (!delivered).then_some(now);
    app.table().await.mark_webhook(endpoint.entity_id, endpoint.id, failing_at, responsive).await?;
    Ok(())
}

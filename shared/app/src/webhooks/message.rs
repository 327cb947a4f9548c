//! One call of an endpoint: what is sent, and what came of it. Standard Webhooks 1.0.

use std::time::Duration;

use axle_domain::Time;
use axle_domain::event::Event;
use axle_domain::webhook::{Attempt, SigningSecret, parse_retry_after, sign};
use axle_domain::{EntityId, EventId};
use axle_providers::outbound::{BodyLimit, Exchange, Request};
use axle_store::deliveries::AttemptRecord;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// How long an endpoint may take for its answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are kept.
const EXCERPT: usize = 1024;
const USER_AGENT: &str = concat!("axle-webhooks/", env!("CARGO_PKG_VERSION"));

/// The body. `data` is the event's own, as the registry's schema of its type describes it.
#[derive(Serialize)]
struct Body<'a> {
    id: EventId,
    r#type: &'static str,
    /// When it happened, the same at every attempt; the attempt's own time is the header's.
    timestamp: Time,
    entity_id: EntityId,
    data: &'a Value,
}

/// The signed call that tells `url` of `event`.
pub(super) fn request(url: &str, event: &Event, secrets: &[SigningSecret], now: Time, timeout: Duration) -> Result<Request> {
    let Event { id, event_type, entity_id, occurred_at, data, .. } = event;
    let body = Body { id: *id, r#type: event_type.as_str(), timestamp: *occurred_at, entity_id: *entity_id, data };
    let body = serde_json::to_vec(&body).map_err(|e| Error::Internal(e.to_string()))?;
    let (id, timestamp) = (id.to_string(), now.secs());
    let signature = sign(secrets, &id, timestamp, &body);
    let mut request = Request::post(url, body)
        .header("content-type", "application/json")
        .header("user-agent", USER_AGENT)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .timeout(timeout)
        .limit(BodyLimit::First(EXCERPT));
    if let Some(trace) = event.trace_id {
        let [a, b, c, d, e, f, g, h]: [u8; 8] = axle_domain::id::entropy();
        let span = u64::from_be_bytes([a, b, c, d, e, f, g, h | 1]);
        request = request.header("traceparent", format!("00-{trace}-{span:016x}-01"));
    }
    Ok(request)
}

/// What came of a call, for the rules and for the record.
pub(super) fn read(exchange: Exchange, now: Time) -> (Attempt, AttemptRecord) {
    let duration_ms = u64::try_from(exchange.duration.as_millis()).unwrap_or(u64::MAX);
    let mut record = AttemptRecord { at: now, status_code: None, duration_ms, error: None, response_excerpt: None };
    let response = match exchange.outcome {
        Ok(response) => response,
        Err(error) => {
            record.error = Some(error.to_string());
            return (Attempt::Failed, record);
        }
    };
    record.status_code = Some(response.status);
    record.response_excerpt = Some(response.excerpt(EXCERPT));
    record.error = match response.status {
        200..=299 => None,
        300..=399 => Some(format!("answered with status {}; redirects are not followed", response.status)),
        410 => Some("answered with status 410: wants no more events".to_owned()),
        status => Some(format!("answered with status {status}")),
    };
    let retry_after = response.retry_after.and_then(|value| parse_retry_after(&value, now.into()));
    (Attempt::Answered { status: response.status, retry_after }, record)
}

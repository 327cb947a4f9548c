//! Room for attempts: none of a slow, dead or busy endpoint's may stand in the way of another's.
//!
//! What is scarce is workers. While one attempt of a batch waits for its answer, the whole invocation waits, and there are only
//! so many (the event source's `MaximumConcurrency`, 50). So attempts are let in by endpoint, across all workers, and how
//! many depends on what the endpoint has shown of itself: one that answers soon may have [`RESPONSIVE`] at a time, one that is not
//! known yet [`UNKNOWN`], and one whose last attempt hung [`UNRESPONSIVE`], of which there may be [`UNRESPONSIVE_TOTAL`] in the
//! whole deployment. An endpoint that fails *quickly* occupies nobody and needs no such care.
//!
//! The places are counted in the table (2 write units an attempt) and forgotten after a minute, so a worker that dies blocks
//! its place for no longer. Whoever finds no place comes back later; that costs no attempt.

use std::time::Duration;

use axle_store::webhooks::WebhookRecord;
use axle_store::{Gate, Place};

use super::{millis, random};
use crate::context::App;
use crate::error::Result;

/// Attempts at a time of an endpoint that answers soon: some 200 deliveries a second at 100 ms each. It can still begin to hang
/// at any moment, and then takes this many workers with it for one timeout.
const RESPONSIVE: u64 = 20;
/// Attempts at a time of an endpoint that has not been called before.
const UNKNOWN: u64 = 4;
/// Attempts at a time of an endpoint that does not answer, or late. More than one, so that a single lost packet does not
/// keep it waiting.
const UNRESPONSIVE: u64 = 2;
/// Attempts at a time of all endpoints that do not answer.
const UNRESPONSIVE_TOTAL: u64 = 15;

/// The longest wait for the rate limit: SQS delays a message by 15 minutes at most.
const MAX_WAIT_SECS: u64 = 900;

pub(super) enum Admission {
    In(Permit),
    /// Come back after this time.
    Wait(Duration),
}

/// The right to make one attempt now.
pub(super) struct Permit(Vec<Place>);

impl Permit {
    pub(super) async fn give_back(self, app: &App) {
        for place in self.0 {
            if let Err(e) = app.table().await.leave(place).await {
                tracing::warn!(error = %e, "a place could not be given back; it is free again within a minute");
            }
        }
    }
}

/// Asks for an attempt at an endpoint: first of its own rate limit, then for a place.
pub(super) async fn admit(app: &App, endpoint: &WebhookRecord) -> Result<Admission> {
    let (table, now) = (app.table().await, app.now());
    if let Some(rate) = endpoint.rate_limit_per_second.map(u64::from).filter(|rate| *rate > 0) {
        let nth = table.count_attempt(endpoint.entity_id, endpoint.id, now).await?;
        if nth > rate {
            // Those that are over the limit spread over the seconds to come, as many to each as the limit allows.
            return Ok(Admission::Wait(Duration::from_secs(((nth - 1) / rate).min(MAX_WAIT_SECS))));
        }
    }
    let (width, wait) = match endpoint.responsive {
        Some(true) => (RESPONSIVE, between(1_000, 3_000)),
        None => (UNKNOWN, between(1_000, 3_000)),
        Some(false) => (UNRESPONSIVE, between(10_000, 30_000)),
    };
    let gate = Gate::Endpoint(endpoint.entity_id, endpoint.id);
    let Some(own) = table.enter(gate, width, now).await? else { return Ok(Admission::Wait(wait)) };
    let mut permit = Permit(vec![own]);
    if endpoint.responsive == Some(false) {
        match table.enter(Gate::Unresponsive, UNRESPONSIVE_TOTAL, now).await? {
            Some(shared) => permit.0.push(shared),
            None => {
                permit.give_back(app).await;
                return Ok(Admission::Wait(wait));
            }
        }
    }
    Ok(Admission::In(permit))
}

/// A random time, so that those who wait do not come back together.
fn between(from_ms: i64, to_ms: i64) -> Duration {
    let span = (to_ms - from_ms).unsigned_abs();
    millis(from_ms) + Duration::from_millis(random() % span)
}

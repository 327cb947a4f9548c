//! Room for attempts: none of a slow, dead or busy endpoint's may stand in the way of another's.
//!
//! What is scarce is workers. While one attempt of a batch waits for its answer the whole invocation waits, and there are only
//! so many (the event source's `MaximumConcurrency`, 50). So each endpoint may occupy only some of them, and how many depends on
//! what it has shown of itself: an endpoint that answers soon [`RESPONSIVE`], one that was never called [`UNKNOWN`], and one whose
//! last attempt hung [`UNRESPONSIVE`], of which all together may occupy [`UNRESPONSIVE_TOTAL`]. An endpoint that fails
//! *quickly* occupies nobody and needs no such care.
//!
//! The places are counted in the table: 2 write units for an endpoint's share of a batch, from its first attempt there to its
//! last. They are forgotten after a minute, so a worker that dies blocks its places for no longer. A message that finds no
//! place comes back later, which costs none of its delivery's attempts; the longer it has waited already the later, so that
//! asking stays cheap however much is waiting.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axle_domain::WebhookId;
use axle_store::webhooks::WebhookRecord;
use axle_store::{Gate, Place};
use tokio::sync::Mutex;

use super::{millis, random};
use crate::context::App;
use crate::error::Result;

/// Workers that an endpoint which answers soon may occupy: 160 attempts at a time in full batches. It can still begin to hang at
/// any moment, and takes these workers with it for one timeout; the others are enough for everybody else.
const RESPONSIVE: u64 = 16;
/// Workers that an endpoint which was never called may occupy.
const UNKNOWN: u64 = 2;
/// Workers that an endpoint which does not answer, or late, may occupy.
const UNRESPONSIVE: u64 = 1;
/// Workers that all endpoints which do not answer may occupy together.
const UNRESPONSIVE_TOTAL: u64 = 15;

/// How often a place is asked for before the message is put off: those of endpoints that answer become free all the time. No
/// more, as whoever waits here keeps a worker from others.
const TRIES: u32 = 2;
/// The longest wait of a message that found no place, in milliseconds on average.
const LONGEST_WAIT: i64 = 40_000;
/// The same for an endpoint that does not answer.
const LONGEST_UNRESPONSIVE_WAIT: i64 = 600_000;
/// The longest wait for the rate limit: SQS delays a message by 15 minutes at most.
const MAX_WAIT_SECS: u64 = 900;

/// The places that one worker holds for its batch.
#[derive(Default)]
pub(super) struct Rooms(std::sync::Mutex<HashMap<WebhookId, Arc<Mutex<Room>>>>);

/// One endpoint's share of the batch.
#[derive(Default)]
struct Room {
    /// Attempts being made.
    attempts: usize,
    /// Held while there are any.
    places: Vec<Place>,
    /// No place was to be had: the batch's other messages need not ask as well.
    full: bool,
}

impl Rooms {
    fn of(&self, id: WebhookId) -> Arc<Mutex<Room>> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rooms.entry(id).or_default())
    }

    /// Asks for an attempt, which has been `waiting` for so many milliseconds: first the endpoint's own rate limit, then for a
    /// place. `None` lets it in, and [`Rooms::leave`] is to be called after it; otherwise it is to come back after the time given.
    pub(super) async fn enter(&self, app: &App, endpoint: &WebhookRecord, waiting: i64) -> Result<Option<Duration>> {
        if let Some(wait) = over_the_rate(app, endpoint).await? {
            return Ok(Some(wait));
        }
        let room = self.of(endpoint.id);
        let mut room = room.lock().await;
        if room.attempts == 0 && !room.full {
            room.places = take_places(app, endpoint).await?;
            room.full = room.places.is_empty();
        }
        if room.full {
            let wait = match endpoint.responsive {
                Some(true) => waiting.clamp(2_000, LONGEST_WAIT),
                None => waiting.clamp(5_000, LONGEST_WAIT),
                Some(false) => waiting.clamp(20_000, LONGEST_UNRESPONSIVE_WAIT),
            };
            // Random, so that those who wait do not come back together.
            return Ok(Some(between(wait / 2, wait * 3 / 2)));
        }
        room.attempts += 1;
        Ok(None)
    }

    /// Ends an attempt; the endpoint's last one of the batch gives its places back.
    pub(super) async fn leave(&self, app: &App, id: WebhookId) {
        let room = self.of(id);
        let mut room = room.lock().await;
        room.attempts = room.attempts.saturating_sub(1);
        if room.attempts == 0 {
            give_back(app, std::mem::take(&mut room.places)).await;
        }
    }
}

/// How long to wait for the endpoint's rate limit, if it is reached. Counts the attempt that is about to be made.
async fn over_the_rate(app: &App, endpoint: &WebhookRecord) -> Result<Option<Duration>> {
    let Some(rate) = endpoint.rate_limit_per_second.map(u64::from).filter(|rate| *rate > 0) else { return Ok(None) };
    let nth = app.table().await.count_attempt(endpoint.entity_id, endpoint.id, app.now()).await?;
    if nth <= rate {
        return Ok(None);
    }
    // Those over the limit spread over the seconds to come, as many to each as the limit allows.
    Ok(Some(Duration::from_secs(((nth - 1) / rate).min(MAX_WAIT_SECS))))
}

/// The endpoint's place and, if it needs one, its place among those that do not answer; empty if either is not to be had.
async fn take_places(app: &App, endpoint: &WebhookRecord) -> Result<Vec<Place>> {
    let table = app.table().await;
    let gate = Gate::Endpoint(endpoint.entity_id, endpoint.id);
    if endpoint.responsive != Some(false) {
        let width = if endpoint.responsive == Some(true) { RESPONSIVE } else { UNKNOWN };
        for attempt in 1..=TRIES {
            if let Some(place) = table.enter(gate, width, app.now()).await? {
                return Ok(vec![place]);
            }
            if attempt < TRIES {
                tokio::time::sleep(between(50, 150)).await;
            }
        }
        return Ok(Vec::new());
    }
    let Some(own) = table.enter(gate, UNRESPONSIVE, app.now()).await? else { return Ok(Vec::new()) };
    match table.enter(Gate::Unresponsive, UNRESPONSIVE_TOTAL, app.now()).await? {
        Some(shared) => Ok(vec![own, shared]),
        None => {
            give_back(app, vec![own]).await;
            Ok(Vec::new())
        }
    }
}

async fn give_back(app: &App, places: Vec<Place>) {
    for place in places {
        if let Err(e) = app.table().await.leave(place).await {
            tracing::warn!(error = %e, "a place could not be given back; it is free again within a minute");
        }
    }
}

fn between(from_ms: i64, to_ms: i64) -> Duration {
    let span = (to_ms - from_ms).unsigned_abs();
    millis(from_ms) + Duration::from_millis(random() % span)
}

//! One attempt to deliver.
//!
//! A message says no more than which delivery; what is to be done is read from the record. So a message that comes twice, too
//! early or too late changes nothing, and a lost one is made up for by the scheduler once the delivery has failed before (from
//! then on it stands on the due-index), or by the queue, which hands an unfinished message out again.
//!
//! Before the call the delivery is claimed, by a write that requires the version that was read. A claim outlasts the call's
//! timeout by a margin; a worker that dies in between leaves a claim that runs out, and the attempt is made again: at least
//! once is the promise, and `webhook-id` lets the receiver tell.

mod capacity;
mod settle;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axle_domain::webhook::{DeliveryStatus, EndpointStatus};
use axle_domain::{DeliveryId, EntityId, EventId, Time, TraceId, WebhookId};
use axle_providers::outbound::{Exchange, Request};
use axle_providers::queue::{MAX_DELAY, Message};
use axle_store::Versioned;
use axle_store::deliveries::{AttemptRecord, DeliverJob, DeliveryRecord};
use axle_store::webhooks::WebhookRecord;

use super::{message, sealed};
use crate::context::App;
use crate::error::{Error, Result};
use capacity::Rooms;

/// How long a claim outlasts the call's timeout: enough to record what came of it.
const CLAIM_MARGIN: Duration = Duration::from_secs(5);

/// What a deployment could want otherwise; tests do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an endpoint may take for its whole answer.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: message::TIMEOUT }
    }
}

impl Limits {
    /// An answer that takes longer than a third of the timeout occupies us: its endpoint does not count as responsive.
    fn soon(self) -> Duration {
        self.timeout / 3
    }

    fn claim(self) -> Duration {
        self.timeout + CLAIM_MARGIN
    }
}

/// How a delivery stands after it was worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    pub entity_id: EntityId,
    pub delivery_id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub trace_id: Option<TraceId>,
    pub status: DeliveryStatus,
    /// Whether the endpoint was called; a delivery whose endpoint is gone ends without.
    pub attempted: bool,
    /// Absent when nothing was answered.
    pub status_code: Option<u16>,
    pub duration_ms: u64,
}

impl Tried {
    fn of(delivery: &DeliveryRecord, attempted: bool) -> Self {
        let last = delivery.attempts.last();
        Self {
            entity_id: delivery.entity_id,
            delivery_id: delivery.id,
            webhook_id: delivery.webhook_id,
            event_id: delivery.event_id,
            trace_id: delivery.trace_id,
            status: delivery.status,
            attempted,
            status_code: last.and_then(|attempt| attempt.status_code),
            duration_ms: last.map_or(0, |attempt| attempt.duration_ms),
        }
    }
}

/// Whether a delivery is to be attempted.
enum Standing {
    Due,
    NotBefore(Time),
    Closed,
}

fn standing(delivery: &DeliveryRecord, now: Time) -> Standing {
    if !delivery.status.is_open() {
        return Standing::Closed;
    }
    match delivery.next_attempt_at.max(delivery.claimed_until) {
        Some(at) if at > now => Standing::NotBefore(at),
        _ => Standing::Due,
    }
}

/// Delivers one batch of messages.
pub struct Deliverer {
    app: Arc<App>,
    limits: Limits,
    rooms: Rooms,
}

impl Deliverer {
    pub fn new(app: Arc<App>, limits: Limits) -> Self {
        Self { app, limits, rooms: Rooms::default() }
    }

    /// Makes the attempt that a message asks for, if it is due and its endpoint has room for it. The messages of a batch are to
    /// be handled side by side. Answers how the delivery stands, or nothing if it was none of ours: not due, put off, settled by
    /// somebody else.
    ///
    /// A first attempt that succeeds costs 3 read units and 5 write units, 2 of which all of the endpoint's in the batch share.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Internal`]: the message has to be handed out again. An endpoint that fails is no error.
    pub async fn deliver(&self, job: &DeliverJob) -> Result<Option<Tried>> {
        let app = &*self.app;
        let table = app.table().await;
        let key = DeliveryRecord::key_of(job.entity_id, job.delivery_id);
        let Some(found) = table.get::<DeliveryRecord>(&key, app.now()).await? else { return Ok(None) };
        let now = app.now();
        match standing(&found.value, now) {
            Standing::Closed => return Ok(None),
            Standing::NotBefore(at) => return send_later(app, job, millis(at.since(now))).await.map(|()| None),
            Standing::Due => {}
        }
        let endpoint_key = WebhookRecord::key_of(job.entity_id, found.value.webhook_id);
        let endpoint = match table.get::<WebhookRecord>(&endpoint_key, now).await? {
            Some(endpoint) if endpoint.value.status == EndpointStatus::Enabled => endpoint.value,
            Some(_) => return bury(app, found, "not sent: the endpoint is disabled").await,
            None => return bury(app, found, "not sent: the endpoint was deleted").await,
        };
        let waiting = now.since(found.value.last_heard_of());
        if let Some(wait) = self.rooms.enter(app, &endpoint, waiting).await? {
            return postpone(app, found, wait).await.map(|()| None);
        }
        let outcome = attempt(app, found, &endpoint, self.limits).await;
        self.rooms.leave(app, endpoint.id).await;
        outcome
    }
}

async fn attempt(app: &App, found: Versioned<DeliveryRecord>, endpoint: &WebhookRecord, limits: Limits) -> Result<Option<Tried>> {
    let (table, now) = (app.table().await, app.now());
    let Some(event) = table.event(endpoint.entity_id, found.value.event_id, now).await? else {
        return bury(app, found, "not sent: the event is no longer kept").await;
    };
    let secrets = sealed::live(app, endpoint, now).await?;
    let request = message::request(&endpoint.url, &event, &secrets, now, limits.timeout)?;
    let Versioned { value: mut delivery, version } = found;
    delivery.claimed_until = Some(after(now, limits.claim()));
    let Some(version) = table.put_delivery(&delivery, version).await? else {
        // Another worker is at it. Should it die, somebody has to look again.
        return send_later(app, &delivery.job(), limits.claim()).await.map(|()| None);
    };
    let exchange = call(app, endpoint, request, limits, delivery.trace_id).await;
    let responsive = exchange.duration < limits.soon();
    let (attempt, record) = message::read(exchange, now);
    settle::settle(app, Versioned { value: delivery, version }, endpoint, attempt, record, responsive).await
}

/// Makes the call. An endpoint that lets it wait is known to do so from then on, and not only when the time is up.
async fn call(app: &App, endpoint: &WebhookRecord, request: Request, limits: Limits, trace_id: Option<TraceId>) -> Exchange {
    let mut call = pin!(app.outbound().send(request));
    if let Ok(exchange) = tokio::time::timeout(limits.soon(), &mut call).await {
        return exchange;
    }
    if endpoint.responsive != Some(false)
        && let Err(e) = app.table().await.mark_unresponsive(endpoint.entity_id, endpoint.id).await
    {
        let trace_id = trace_id.map(tracing::field::display);
        tracing::warn!(webhook_id = %endpoint.id, trace_id, error = %e, "an endpoint's state could not be noted");
    }
    call.await
}

/// Ends a delivery that cannot be attempted any more.
async fn bury(app: &App, found: Versioned<DeliveryRecord>, why: &str) -> Result<Option<Tried>> {
    let Versioned { value: mut delivery, version } = found;
    let at = app.now();
    delivery.note(AttemptRecord { at, status_code: None, duration_ms: 0, error: Some(why.to_owned()), response_excerpt: None });
    delivery.status = DeliveryStatus::Dead;
    delivery.next_attempt_at = None;
    delivery.claimed_until = None;
    let recorded = app.table().await.put_delivery(&delivery, version).await?;
    Ok(recorded.map(|_| Tried::of(&delivery, false)))
}

/// Puts off an attempt for which there is no room now. It does not count as one.
///
/// A delivery on the due-index moves there too: left overdue, it would be given another message by each sweep.
async fn postpone(app: &App, found: Versioned<DeliveryRecord>, wait: Duration) -> Result<()> {
    let Versioned { value: mut delivery, version } = found;
    if delivery.next_attempt_at.is_some() {
        delivery.next_attempt_at = Some(after(app.now(), wait));
        if app.table().await.put_delivery(&delivery, version).await?.is_none() {
            return Ok(());
        }
    }
    send_later(app, &delivery.job(), wait).await
}

/// Sends the delivery's message with a delay. One that SQS cannot delay for so long is left to the due-index.
async fn send_later(app: &App, job: &DeliverJob, wait: Duration) -> Result<()> {
    if wait > MAX_DELAY {
        return Ok(());
    }
    let body = serde_json::to_string(job).map_err(|e| Error::Internal(e.to_string()))?;
    let sent = app.deliver_queue().send(Message::after(wait, body)).await;
    sent.map_err(|e| Error::Unavailable(e.to_string()))
}

fn after(now: Time, wait: Duration) -> Time {
    now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

fn random() -> u64 {
    u64::from_be_bytes(axle_domain::id::entropy())
}

//! Deliveries: one event on its way to one endpoint, with every attempt.

use axle_domain::event::Event;
use axle_domain::event::EventType;
use axle_domain::{DeliveryId, EntityId, EventId, Time, TraceId, WebhookId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::item::{Job, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Page, Span};
use crate::table::Table;
use crate::tx::CommitError;

pub use axle_domain::webhook::DeliveryStatus;

/// Delivery records are kept this long.
pub const KEEP_DAYS: i64 = 30;
/// Attempts that a delivery remembers.
pub const ATTEMPTS_KEPT: usize = 30;
/// Bytes of an answer that are kept of attempts before the last one: ten full excerpts would make every later write of the
/// item ten times as dear.
const OLD_EXCERPT: usize = 256;
/// Partitions that the listing of one endpoint's deliveries is spread over: each takes 1,000 writes a second.
const LISTING_SHARDS: u128 = 4;
/// Shards of the due-index: the scheduler reads them all each minute.
pub const DUE_SHARDS: u128 = 4;

const NAMESPACE: Uuid = Uuid::from_u128(0x8a7e_2c1d_6b3f_4e59_a0d4_15c8_92fb_7e36);

/// One attempt, or (without status code, and with duration 0) why none was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub at: Time,
    /// Absent when nothing was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    pub duration_ms: u64,
    /// Why it does not count as delivered, in words for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_excerpt: Option<String>,
}

/// A delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryRecord {
    pub entity_id: EntityId,
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event_type: EventType,
    /// The event's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    pub status: DeliveryStatus,
    /// The latest attempts, oldest first; older ones are dropped beyond [`ATTEMPTS_KEPT`].
    pub attempts: Vec<AttemptRecord>,
    /// Attempts of the current round; a replay starts a new round.
    pub tries: u32,
    /// When the next attempt is due. A new delivery has none: its message is on its way with the record itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// While this lies ahead, a worker is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Time>,
    pub created_at: Time,
}

/// The message that makes the deliverer try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverJob {
    pub entity_id: EntityId,
    pub delivery_id: DeliveryId,
    /// For the log: what a message that cannot be handled belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

impl DeliveryRecord {
    pub fn key_of(entity: EntityId, id: DeliveryId) -> Key {
        Key::thing(entity, "DELIVERY", id)
    }

    /// The id of an event's delivery to an endpoint: dispatching twice makes the same delivery.
    pub fn id_of(event: EventId, webhook: WebhookId) -> DeliveryId {
        DeliveryId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{event}/{webhook}").as_bytes()))
    }

    /// A new delivery of an event to an endpoint.
    pub fn new(event: &Event, webhook_id: WebhookId, now: Time) -> Self {
        Self {
            entity_id: event.entity_id,
            id: Self::id_of(event.id, webhook_id),
            webhook_id,
            event_id: event.id,
            event_type: event.event_type,
            trace_id: event.trace_id,
            status: DeliveryStatus::Pending,
            attempts: Vec::new(),
            tries: 0,
            next_attempt_at: None,
            claimed_until: None,
            created_at: now,
        }
    }

    pub fn job(&self) -> DeliverJob {
        DeliverJob { entity_id: self.entity_id, delivery_id: self.id, trace_id: self.trace_id }
    }

    /// Remembers an attempt.
    pub fn note(&mut self, attempt: AttemptRecord) {
        if let Some(excerpt) = self.attempts.last_mut().and_then(|last| last.response_excerpt.as_mut()) {
            excerpt.truncate(excerpt.floor_char_boundary(OLD_EXCERPT));
        }
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
    }

    /// When it was last attempted, or made.
    pub fn last_heard_of(&self) -> Time {
        self.attempts.last().map_or(self.created_at, |attempt| attempt.at)
    }

    /// Starts a new round of attempts, due at once.
    pub fn restart(&mut self, now: Time) {
        self.status = DeliveryStatus::Pending;
        self.tries = 0;
        self.next_attempt_at = Some(now);
        self.claimed_until = None;
    }
}

fn listing_partition(entity: EntityId, webhook: WebhookId, shard: u128) -> String {
    format!("E#{entity}#WEBHOOK#{webhook}#DELIVERIES#{shard}")
}

impl Record for DeliveryRecord {
    const TYPE: &'static str = "delivery";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let listing = listing_partition(self.entity_id, self.webhook_id, self.id.uuid().as_u128() % LISTING_SHARDS);
        let due = self.next_attempt_at.map(|at| (due_partition(self.id.uuid()), format!("{at}#{}", self.id)));
        let body = serde_json::json!(self.job()).to_string();
        Placement {
            gsi1: Some((listing, format!("{}#{}", self.created_at, self.id))),
            gsi3: due,
            expires_at: Some(self.created_at.plus_days(KEEP_DAYS)),
            job: Some(Job { queue: "deliver", body }),
            ..Placement::default()
        }
    }
}

/// Deliveries that are to be tried again now: with this record go their messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    /// At most 100.
    pub deliveries: Vec<DeliveryId>,
    pub created_at: Time,
}

impl Record for ReplayRecord {
    const TYPE: &'static str = "replay";
    fn key(&self) -> Key {
        Key::thing(self.entity_id, "REPLAY", self.id.as_hyphenated())
    }
    fn placement(&self) -> Placement {
        let message = |id: &DeliveryId| serde_json::json!({"entity_id": self.entity_id, "delivery_id": id});
        let body = serde_json::Value::from_iter(self.deliveries.iter().map(message)).to_string();
        let expires_at = Some(self.created_at.plus_days(1));
        Placement { job: Some(Job { queue: "deliver", body }), expires_at, ..Placement::default() }
    }
}

/// The due-index partition of a thing.
pub fn due_partition(id: Uuid) -> String {
    format!("DUE#{}", id.as_u128() % DUE_SHARDS)
}

/// Something on the due-index.
#[derive(Clone, Debug)]
pub struct Due {
    /// The item's `type`.
    pub kind: String,
    pub entity_id: EntityId,
    pub id: Uuid,
    pub position: String,
}

impl Table {
    /// Replaces the delivery that was read at `version`; answers with the new version, or `None` if somebody else changed it
    /// in between. A plain put, half the price of a transaction.
    pub async fn put_delivery(&self, delivery: &DeliveryRecord, version: u64) -> Result<Option<u64>> {
        let mut tx = self.tx();
        tx.replace("delivery", delivery, version);
        match tx.commit_alone().await {
            Ok(()) => Ok(Some(version + 1)),
            Err(CommitError::Condition { .. }) => Ok(None),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    pub(crate) async fn delivery_index(
        &self,
        entity: EntityId,
        webhook: WebhookId,
        filter: &Filter,
        span: &Span,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        let partitions = (0..LISTING_SHARDS).map(|shard| listing_partition(entity, webhook, shard)).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        self.page(&listing, span, after, filter, limit).await
    }

    /// An endpoint's deliveries, newest first.
    pub async fn deliveries(
        &self,
        entity: EntityId,
        webhook: WebhookId,
        status: Option<DeliveryStatus>,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<DeliveryRecord>>, Option<String>)> {
        let mut filter = Filter::default();
        if let Some(status) = status {
            filter.equals("status", status.as_str());
        }
        let page = self.delivery_index(entity, webhook, &filter, &Span::default(), after, limit).await?;
        let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
        let keys: Vec<Key> = ids.map(|id| DeliveryRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, page.next))
    }

    /// The ids of an endpoint's deliveries made in a span of time that have any of these states, newest first; from the index
    /// alone, which may lag a moment behind. At most `max` and one more, so that a caller sees when there are too many.
    pub async fn delivery_ids(
        &self,
        entity: EntityId,
        webhook: WebhookId,
        statuses: &[DeliveryStatus],
        from: Time,
        to: Time,
        max: usize,
    ) -> Result<Vec<DeliveryId>> {
        let span = Span { from: Some(from.to_string()), to: Some(to.to_string()) };
        let mut filter = Filter::default();
        filter.any("status", &statuses.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>(), &[]);
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = self.delivery_index(entity, webhook, &filter, &span, after.as_deref(), 1_000).await?;
            for item in &page.items {
                let id = text(item, "id").and_then(|id| id.parse().ok());
                ids.push(id.ok_or_else(|| Error::Fault("a delivery without an id".to_owned()))?);
            }
            match page.next {
                Some(next) if ids.len() <= max => after = Some(next),
                _ => break,
            }
        }
        ids.truncate(max + 1);
        Ok(ids)
    }

    /// What is due before `before`, oldest first, from all shards.
    pub async fn due(&self, before: Time, after: Option<&str>, limit: usize) -> Result<(Vec<Due>, Option<String>)> {
        let partitions = (0..DUE_SHARDS).map(|shard| format!("DUE#{shard}")).collect();
        let listing = Listing { index: Some("gsi3"), partitions, ascending: true };
        let span = Span { from: None, to: Some(before.to_string()) };
        let page = self.page(&listing, &span, after, &Filter::default(), limit).await?;
        let due = page.items.iter().filter_map(|item| {
            Some(Due {
                kind: text(item, "type")?.to_owned(),
                entity_id: text(item, "entity_id")?.parse().ok()?,
                id: text(item, "id")?.parse().ok()?,
                position: text(item, "gsi3sk")?.to_owned(),
            })
        });
        Ok((due.collect(), page.next))
    }
}

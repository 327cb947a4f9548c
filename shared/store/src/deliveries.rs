//! Deliveries: one event on its way to one endpoint, with every attempt.

use axle_domain::event::EventType;
use axle_domain::{DeliveryId, EntityId, EventId, Time, WebhookId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Job, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// Delivery records are kept this long.
pub const KEEP_DAYS: i64 = 30;
/// Shards of the due-index: the scheduler reads them all each minute.
pub const DUE_SHARDS: u128 = 4;

const NAMESPACE: Uuid = Uuid::from_u128(0x8a7e_2c1d_6b3f_4e59_a0d4_15c8_92fb_7e36);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for its first or next attempt.
    Pending,
    Delivered,
    /// The last attempt failed, another will follow.
    Failed,
    /// Given up.
    Dead,
}

impl DeliveryStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_excerpt: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryRecord {
    pub entity_id: EntityId,
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event_type: EventType,
    pub status: DeliveryStatus,
    /// The latest attempts, oldest first; older ones are dropped beyond `ATTEMPTS_KEPT`.
    pub attempts: Vec<AttemptRecord>,
    /// Attempts of the current round; a replay starts a new round.
    pub tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// While this lies ahead, a worker is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Time>,
    pub created_at: Time,
}

pub const ATTEMPTS_KEPT: usize = 30;

/// The message that makes the deliverer try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverJob {
    pub entity_id: EntityId,
    pub delivery_id: DeliveryId,
}

impl DeliveryRecord {
    pub fn key_of(entity: EntityId, id: DeliveryId) -> Key {
        Key::thing(entity, "DELIVERY", id)
    }

    /// The id of an event's delivery to an endpoint: dispatching twice makes the same delivery.
    pub fn id_of(event: EventId, webhook: WebhookId) -> DeliveryId {
        DeliveryId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{event}/{webhook}").as_bytes()))
    }

    pub fn job(&self) -> DeliverJob {
        DeliverJob { entity_id: self.entity_id, delivery_id: self.id }
    }
}

impl Record for DeliveryRecord {
    const TYPE: &'static str = "delivery";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let listing = format!("E#{}#WEBHOOK#{}#DELIVERIES", self.entity_id, self.webhook_id);
        let due = self.next_attempt_at.map(|at| (due_partition(self.id.uuid()), format!("{at}#{}", self.id)));
        let body = serde_json::json!({"entity_id": self.entity_id, "delivery_id": self.id}).to_string();
        Placement {
            gsi1: Some((listing, format!("{}#{}", self.created_at, self.id))),
            gsi3: due,
            expires_at: Some(self.created_at.plus_days(KEEP_DAYS)),
            job: Some(Job { queue: "deliver", body }),
            ..Placement::default()
        }
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
    /// An endpoint's deliveries, newest first.
    pub async fn deliveries(&self, entity: EntityId, webhook: WebhookId, status: Option<DeliveryStatus>, span: &Span, after: Option<&str>, limit: usize, now: Time) -> Result<(Vec<Versioned<DeliveryRecord>>, Option<String>)> {
        let partitions = vec![format!("E#{entity}#WEBHOOK#{webhook}#DELIVERIES")];
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let mut filter = Filter::default();
        if let Some(status) = status {
            filter.equals("status", status.as_str());
        }
        let page = self.page(&listing, span, after, &filter, limit).await?;
        let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
        let keys: Vec<Key> = ids.map(|id| DeliveryRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, page.next))
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

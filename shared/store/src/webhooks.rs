//! Webhook endpoints. A tenant's endpoints are one small partition, read whole when an event is dispatched.

use axle_domain::{EntityId, Time, WebhookId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Record, Versioned, from_item};
use crate::key::Key;
use crate::table::{Table, Update};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    Enabled,
    Disabled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookRecord {
    pub entity_id: EntityId,
    pub id: WebhookId,
    pub url: String,
    /// Patterns such as `lead.*`; empty for all.
    pub event_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_second: Option<u32>,
    pub status: EndpointStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// The signing secret, sealed.
    pub secret: String,
    /// The secret before the last rotation, sealed, and until when it signs too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Time>,
    /// When deliveries began to fail without a success since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl WebhookRecord {
    pub fn key_of(entity: EntityId, id: WebhookId) -> Key {
        Key::member(entity, "WEBHOOKS", id)
    }
}

impl Record for WebhookRecord {
    const TYPE: &'static str = "webhook";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
}

impl Table {
    /// Every endpoint of a tenant, oldest first.
    pub async fn webhooks(&self, entity: EntityId, consistent: bool) -> Result<Vec<Versioned<WebhookRecord>>> {
        let items = self.partition(&format!("E#{entity}#WEBHOOKS"), "", consistent).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }

    /// Notes that deliveries began to fail (`Some`) or succeed again (`None`); writes nothing when that is known.
    pub async fn mark_webhook(&self, entity: EntityId, id: WebhookId, failing_since: Option<Time>) -> Result<()> {
        let update = match failing_since {
            Some(at) => Update::new("SET failing_since = :at").when("attribute_exists(pk) AND attribute_not_exists(failing_since)").text(":at", at),
            None => Update::new("REMOVE failing_since").when("attribute_exists(failing_since)"),
        };
        self.update(&WebhookRecord::key_of(entity, id), update).await.map(drop)
    }
}

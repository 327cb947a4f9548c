//! Webhook endpoints. A tenant's endpoints are one small partition, read whole when an event is dispatched.

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::webhook::{EventFilter, filter_of};
use axle_domain::{EntityId, Time, WebhookId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Record, Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::{Table, Update};
use crate::tx::Tx;

pub use axle_domain::webhook::EndpointStatus;

/// An endpoint.
#[derive(Clone, Serialize, Deserialize)]
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
    /// Whether the last attempt came back soon, with whatever answer; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responsive: Option<bool>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl WebhookRecord {
    pub fn key_of(entity: EntityId, id: WebhookId) -> Key {
        Key::member(entity, COLLECTION, id)
    }

    /// The event types that it wants.
    pub fn filter(&self) -> EventFilter {
        filter_of(&self.event_types)
    }
}

/// Without URL and secrets: paths of webhook URLs often hold tokens.
impl std::fmt::Debug for WebhookRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRecord").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

const COLLECTION: &str = "WEBHOOKS";

fn partition_of(entity: EntityId) -> String {
    format!("E#{entity}#{COLLECTION}")
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
        let items = self.partition(&partition_of(entity), "", consistent).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }

    /// A page of a tenant's endpoints, newest first.
    pub async fn webhooks_page(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Versioned<WebhookRecord>>, Option<String>)> {
        let listing = Listing { index: None, partitions: vec![partition_of(entity)], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let records: Result<Vec<_>> = page.items.into_iter().map(|item| from_item(item, None)).collect();
        Ok((records?.into_iter().flatten().collect(), page.next))
    }

    /// Notes how the endpoint is doing: that deliveries fail (since `failing_at`, unless they did so before) or succeed
    /// again (`None`), and whether it answers soon. Leaves the version alone: a tenant's edit must not fail on it. One write
    /// unit a KB; call it on changes only.
    pub async fn mark_webhook(&self, entity: EntityId, id: WebhookId, failing_at: Option<Time>, responsive: bool) -> Result<()> {
        let update = match failing_at {
            Some(at) => Update::new("SET responsive = :r, failing_since = if_not_exists(failing_since, :at)").text(":at", at),
            None => Update::new("SET responsive = :r REMOVE failing_since"),
        };
        let update = update.when("attribute_exists(pk)").value(":r", AttributeValue::Bool(responsive));
        self.update(&WebhookRecord::key_of(entity, id), update).await.map(drop)
    }

    /// Notes that an endpoint lets an attempt wait, before it is known how that ends. Otherwise like
    /// [`mark_webhook`](Self::mark_webhook).
    pub async fn mark_unresponsive(&self, entity: EntityId, id: WebhookId) -> Result<()> {
        let update = Update::new("SET responsive = :r").when("attribute_exists(pk)").value(":r", AttributeValue::Bool(false));
        self.update(&WebhookRecord::key_of(entity, id), update).await.map(drop)
    }
}

impl Tx<'_> {
    /// Disables an endpoint, if it is still enabled and still has the URL that was found wanting (label `webhook`).
    pub fn disable_webhook(&mut self, endpoint: &WebhookRecord, reason: &str, now: Time) {
        let update = Update::new("SET #s = :disabled, disabled_reason = :reason, updated_at = :now, version = version + :one")
            .when("#s = :enabled AND #u = :url")
            .name("#s", "status")
            .name("#u", "url")
            .text(":disabled", "disabled")
            .text(":enabled", "enabled")
            .text(":reason", reason)
            .text(":url", &endpoint.url)
            .text(":now", now)
            .number(":one", 1);
        self.update("webhook", endpoint.key(), update);
    }
}

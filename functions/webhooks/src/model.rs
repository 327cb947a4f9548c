//! Webhooks as the API shows them.

use axle_app::webhooks::TestOutcome;
use axle_domain::webhook::{DeliveryStatus, EndpointStatus, WebhookSettings};
use axle_domain::{DeliveryId, EventId, Time, WebhookId};
use axle_store::Versioned;
use axle_store::deliveries::{AttemptRecord, DeliveryRecord};
use axle_store::webhooks::WebhookRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An endpoint.
#[derive(Serialize, ToSchema)]
pub struct WebhookOut {
    pub id: WebhookId,
    pub url: String,
    pub event_types: Vec<String>,
    pub description: Option<String>,
    pub rate_limit_per_second: Option<u32>,
    pub status: EndpointStatus,
    /// Why it was disabled, if the system did it.
    pub disabled_reason: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Versioned<WebhookRecord>> for WebhookOut {
    fn from(webhook: &Versioned<WebhookRecord>) -> Self {
        let WebhookRecord {
            entity_id: _,
            id,
            url,
            event_types,
            description,
            rate_limit_per_second,
            status,
            disabled_reason,
            secret: _,
            previous_secret: _,
            previous_until: _,
            failing_since: _,
            responsive: _,
            created_at,
            updated_at,
        } = webhook.value.clone();
        Self { id, url, event_types, description, rate_limit_per_second, status, disabled_reason, created_at, updated_at }
    }
}

/// An endpoint with its signing secret, which is null in an idempotent replay.
#[derive(Serialize, ToSchema)]
pub struct WebhookWithSecretOut {
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
    #[serde(flatten)]
    pub webhook: WebhookOut,
}

#[derive(Serialize, ToSchema)]
pub struct WebhookPage {
    pub webhooks: Vec<WebhookOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct SecretOut {
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateSecretInput {
    /// How long the old secret signs as well; a day by default, a week at most.
    #[schema(minimum = 0, maximum = 604800, default = 86400)]
    pub overlap_seconds: Option<u32>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestInput {
    /// By default the first type that the endpoint listens to.
    #[schema(value_type = Option<axle_domain::event::EventType>)]
    pub event_type: Option<String>,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
pub struct TestOut {
    /// The endpoint answered with 2xx.
    pub delivered: bool,
    pub status_code: Option<u16>,
    pub duration_ms: u64,
    /// The first KiB of the answer's body.
    pub response_excerpt: Option<String>,
    pub error: Option<String>,
}

impl From<TestOutcome> for TestOut {
    fn from(outcome: TestOutcome) -> Self {
        let TestOutcome { delivered, status_code, duration_ms, response_excerpt, error } = outcome;
        Self { delivered, status_code, duration_ms, response_excerpt, error }
    }
}

/// One attempt.
#[derive(Serialize, ToSchema)]
pub struct AttemptOut {
    pub at: Time,
    pub status_code: Option<u16>,
    pub duration_ms: u64,
    pub error: Option<String>,
    pub response_excerpt: Option<String>,
}

impl From<AttemptRecord> for AttemptOut {
    fn from(attempt: AttemptRecord) -> Self {
        let AttemptRecord { at, status_code, duration_ms, error, response_excerpt } = attempt;
        Self { at, status_code, duration_ms, error, response_excerpt }
    }
}

/// One event on its way to the endpoint.
#[derive(Serialize, ToSchema)]
pub struct DeliveryOut {
    pub id: DeliveryId,
    pub event_id: EventId,
    #[schema(example = "lead.created")]
    pub event_type: String,
    pub status: DeliveryStatus,
    /// Oldest first; the latest 30.
    pub attempts: Vec<AttemptOut>,
    pub next_attempt_at: Option<Time>,
    pub created_at: Time,
}

impl From<DeliveryRecord> for DeliveryOut {
    fn from(delivery: DeliveryRecord) -> Self {
        let DeliveryRecord {
            entity_id: _,
            id,
            webhook_id: _,
            event_id,
            event_type,
            status,
            attempts,
            tries: _,
            next_attempt_at,
            claimed_until: _,
            trace_id: _,
            created_at,
        } = delivery;
        let attempts = attempts.into_iter().map(AttemptOut::from).collect();
        Self { id, event_id, event_type: event_type.to_string(), status, attempts, next_attempt_at, created_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct DeliveryPage {
    pub deliveries: Vec<DeliveryOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ReplayOut {
    /// How many deliveries are on their way again.
    pub replayed: u64,
}

/// A merge patch of an endpoint's settings.
pub type WebhookPatch = axle_http::PatchOf<WebhookSettings>;

impl axle_domain::Input for RotateSecretInput {}
impl axle_domain::Input for TestInput {}

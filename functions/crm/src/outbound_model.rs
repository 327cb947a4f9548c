//! E-mails and connections as the API shows them.

use axle_domain::campaign::SendingWindow;
use axle_domain::communication::{CommunicationStatus, IdentityStatus, Warmup};
use axle_domain::mail::IdentityKind;
use axle_domain::{CommunicationId, SendingIdentityId, Time};
use axle_store::Versioned;
use axle_store::communications::CommunicationRecord;
use axle_store::identities::IdentityRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An e-mail that was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmQueuedEmail)]
pub struct QueuedEmailOut {
    /// Names it in `GET /communications/{id}`.
    pub id: CommunicationId,
    pub status: CommunicationStatus,
    /// Not before this; limits and sending windows can make it later.
    pub scheduled_send_time: Time,
}

impl From<&CommunicationRecord> for QueuedEmailOut {
    fn from(record: &CommunicationRecord) -> Self {
        Self { id: record.id, status: record.status, scheduled_send_time: record.scheduled_send_time }
    }
}

/// An e-mail connection. Credentials are never shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EmailConnection)]
pub struct ConnectionOut {
    pub id: SendingIdentityId,
    pub channel: IdentityKind,
    #[schema(example = "ada@example.com")]
    pub from: String,
    pub name: Option<String>,
    pub daily_limit: Option<u32>,
    pub warmup: Option<Warmup>,
    pub sending_window: Option<SendingWindow>,
    pub status: IdentityStatus,
    /// What is still to be done, or what the last check found wrong.
    pub status_detail: Option<String>,
    pub verified_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Versioned<IdentityRecord>> for ConnectionOut {
    fn from(identity: &Versioned<IdentityRecord>) -> Self {
        let IdentityRecord {
            entity_id: _,
            id,
            kind,
            from,
            name,
            credentials: _,
            revision: _,
            daily_limit,
            warmup,
            warmup_since: _,
            sending_window,
            status,
            status_detail,
            verified_at,
            confirmed_at: _,
            created_at,
            updated_at,
        } = identity.value.clone();
        Self {
            id,
            channel: kind,
            from,
            name,
            daily_limit,
            warmup,
            sending_window,
            status,
            status_detail,
            verified_at,
            created_at,
            updated_at,
        }
    }
}

/// One page of connections.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EmailConnectionPage)]
pub struct ConnectionPage {
    pub connections: Vec<ConnectionOut>,
    pub page: u32,
    pub page_size: u32,
    /// On all pages.
    pub total: u64,
}

/// What can be changed of a connection. A change of `from` or `credentials` makes it unverified.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EmailConnectionSettings)]
pub struct ConnectionSettings {
    #[schema(max_length = 254, format = "email", example = "ada@example.com")]
    pub from: String,
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Takes the place of all that is stored, which is not shown.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Value>,
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub daily_limit: Option<u32>,
    pub warmup: Option<Warmup>,
    pub sending_window: Option<SendingWindow>,
}

/// A merge patch of a connection's settings.
pub type ConnectionPatch = axle_http::PatchOf<ConnectionSettings>;

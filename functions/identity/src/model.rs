//! Identity as the API shows it.

use axle_domain::identity::{KeyId, Plan, Role, Scope};
use axle_domain::rate::Limits;
use axle_domain::{Actor, EntityId, Time, UserId};
use axle_store::identity::{ApiKeyRecord, AuditRecord, EntityRecord, MemberRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A tenant.
#[derive(Serialize, ToSchema)]
pub struct EntityOut {
    pub id: EntityId,
    pub name: String,
    /// The name of its space in the marketplace.
    #[schema(example = "acme-inc")]
    pub slug: String,
    pub created_at: Time,
}

impl From<EntityRecord> for EntityOut {
    fn from(entity: EntityRecord) -> Self {
        let EntityRecord { id, name, slug, created_at, created_by: _ } = entity;
        Self { id, name, slug, created_at }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntityInput {
    #[schema(min_length = 1, max_length = 200, example = "Acme, Inc.")]
    pub name: String,
}

#[derive(Serialize, ToSchema)]
pub struct EntityPage {
    pub entities: Vec<EntityOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberInput {
    /// With its country code.
    #[schema(min_length = 1, max_length = 40, example = "+14155550123")]
    pub phone: String,
    pub role: Role,
}

/// A person's place in a tenant.
#[derive(Serialize, ToSchema)]
pub struct MemberOut {
    pub user_id: UserId,
    #[schema(example = "+14155550123")]
    pub phone: String,
    pub role: Role,
    pub added_at: Time,
}

impl From<MemberRecord> for MemberOut {
    fn from(member: MemberRecord) -> Self {
        let MemberRecord { entity_id: _, user_id, phone, role, added_at } = member;
        Self { user_id, phone: phone.into(), role, added_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct MemberPage {
    pub members: Vec<MemberOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct MeOut {
    pub actor: Actor,
    pub entity: EntityOut,
    pub scopes: Vec<String>,
    pub plan: Plan,
}

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyInput {
    #[schema(min_length = 1, max_length = 100, example = "importer")]
    pub name: String,
    /// At most the caller's own.
    #[schema(min_items = 1, max_items = 30, example = json!(["leads:read", "leads:write"]))]
    pub scopes: Vec<Scope>,
    /// At most the caller's own.
    #[serde(default)]
    pub plan: Plan,
    /// At most the caller's own.
    #[serde(default)]
    pub limits: Limits,
    /// In the future. The key works for ever if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = "2099-12-31T23:59:59Z")]
    pub expires_at: Option<Time>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateKeyInput {
    /// How long the old secret works on; at most 7 days.
    #[schema(minimum = 0, maximum = 604800, default = 0)]
    pub overlap_seconds: u64,
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyOut {
    pub id: KeyId,
    pub name: String,
    pub scopes: Vec<String>,
    pub plan: Plan,
    pub limits: Limits,
    pub created_at: Time,
    pub expires_at: Option<Time>,
    /// To the minute.
    pub last_used_at: Option<Time>,
    /// Until when the secret before the last rotation works on.
    pub previous_valid_until: Option<Time>,
}

impl From<&ApiKeyRecord> for ApiKeyOut {
    fn from(key: &ApiKeyRecord) -> Self {
        let ApiKeyRecord {
            id,
            entity_id: _,
            name,
            scopes,
            plan,
            limits,
            hash: _,
            previous_hash: _,
            previous_until,
            created_at,
            created_by: _,
            expires_at,
            last_used_at,
        } = key.clone();
        let scopes = scopes.iter().map(String::from).collect();
        Self { id, name, scopes, plan, limits, created_at, expires_at, last_used_at, previous_valid_until: previous_until }
    }
}

/// An API key with the key itself, which is shown this once. In an idempotent replay it is null.
#[derive(Serialize, ToSchema)]
pub struct NewApiKeyOut {
    #[schema(example = "ak_7Gk2mQ9xTb4L_...")]
    pub api_key: Option<String>,
    #[serde(flatten)]
    pub key: ApiKeyOut,
}

#[derive(Serialize, ToSchema)]
pub struct ApiKeyPage {
    pub api_keys: Vec<ApiKeyOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// One change that was made.
#[derive(Serialize, ToSchema)]
pub struct AuditOut {
    pub id: String,
    pub at: Time,
    pub actor: Actor,
    #[schema(example = "api_key.created")]
    pub action: String,
    pub subject_id: String,
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl From<AuditRecord> for AuditOut {
    fn from(entry: AuditRecord) -> Self {
        let AuditRecord { entity_id: _, id, at, actor, action, subject_id, detail } = entry;
        Self { id: id.to_string(), at, actor, action, subject_id, detail }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AuditPage {
    pub entries: Vec<AuditOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// A merge patch of an API key.
pub type ApiKeyPatch = axle_http::PatchOf<ApiKeyInput>;

impl axle_domain::Input for ApiKeyInput {}
impl axle_domain::Input for RotateKeyInput {}
impl axle_domain::Input for EntityInput {}
impl axle_domain::Input for MemberInput {}

//! Tenants, API keys and the audit log.

use axle_domain::identity::{KeyHash, KeyId, Plan, ScopeSet};
use axle_domain::rate::Limits;
use axle_domain::{Actor, EntityId, Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
use crate::item::{Placement, Record, Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::{Table, Update};

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntityRecord {
    pub id: EntityId,
    pub name: String,
    pub slug: String,
    pub created_at: Time,
}

impl Record for EntityRecord {
    const TYPE: &'static str = "entity";
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
}

impl EntityRecord {
    pub fn key_of(id: EntityId) -> Key {
        Key::thing(id, "ENTITY", "self")
    }
}

/// Holds a slug for the one tenant that has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlugRecord {
    pub slug: String,
    pub entity_id: EntityId,
}

impl Record for SlugRecord {
    const TYPE: &'static str = "slug";
    fn key(&self) -> Key {
        Key::directory("SLUG", &self.slug)
    }
}

/// An API key. The key itself is not here, only its keyed hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    pub id: KeyId,
    pub entity_id: EntityId,
    pub name: String,
    pub scopes: ScopeSet,
    pub plan: Plan,
    #[serde(default)]
    pub limits: Limits,
    pub hash: KeyHash,
    /// The hash before the last rotation, good until `previous_until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<KeyHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Time>,
    pub created_at: Time,
    /// Who made it; `ownerUserId=me` means this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
    /// When the key stops working. Not the item's TTL: an expired key stays listed until it is deleted.
    #[serde(default, rename = "valid_until", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
}

impl ApiKeyRecord {
    pub fn key_of(id: &KeyId) -> Key {
        Key::directory("KEY", id)
    }
}

impl Record for ApiKeyRecord {
    const TYPE: &'static str = "api_key";
    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = Some((format!("E#{}#KEYS", self.entity_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

/// One entry of the append-only audit log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    pub entity_id: EntityId,
    pub id: uuid::Uuid,
    pub at: Time,
    pub actor: Actor,
    /// Such as `api_key.created`.
    pub action: String,
    pub subject_id: String,
    pub detail: Value,
}

impl Record for AuditRecord {
    const TYPE: &'static str = "audit";
    fn key(&self) -> Key {
        Key::member(self.entity_id, "AUDIT", self.id.as_hyphenated())
    }
}

impl Table {
    /// Every API key of a tenant, newest first, expired ones too.
    pub async fn api_keys(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<ApiKeyRecord>>, Option<String>)> {
        let listing = Listing { index: Some("gsi1"), partitions: vec![format!("E#{entity}#KEYS")], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let ids = page.items.iter().filter_map(|item| crate::item::text(item, "id")?.parse::<KeyId>().ok());
        let keys: Vec<Key> = ids.map(|id| ApiKeyRecord::key_of(&id)).collect();
        Ok((self.get_many(&keys, now).await?, page.next))
    }

    /// Notes that a key was used. Only called when a credential enters an environment's cache, so at most once a minute and
    /// environment.
    pub async fn touch_api_key(&self, id: &KeyId, now: Time) -> Result<()> {
        let update = Update::new("SET last_used_at = :now").when("attribute_exists(pk)").text(":now", now);
        self.update(&ApiKeyRecord::key_of(id), update).await.map(drop)
    }

    /// A page of the audit log, newest first.
    pub async fn audit_log(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<AuditRecord>, Option<String>)> {
        let listing = Listing { index: None, partitions: vec![format!("E#{entity}#AUDIT")], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let records: Result<Vec<_>> = page.items.into_iter().map(|item| from_item::<AuditRecord>(item, None)).collect();
        Ok((records?.into_iter().flatten().map(|v| v.value).collect(), page.next))
    }
}

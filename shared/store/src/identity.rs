//! Tenants, API keys and the audit log.

use axle_domain::address::Phone;
use axle_domain::identity::{KeyHash, KeyId, Plan, Role, ScopeSet};
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
    /// The tenant whose credential made this one; it stays among the tenants that one sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<EntityId>,
}

impl Record for EntityRecord {
    const TYPE: &'static str = "entity";
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = self.created_by.map(|maker| (Self::made_by(maker), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

impl EntityRecord {
    pub fn key_of(id: EntityId) -> Key {
        Key::thing(id, "ENTITY", "self")
    }

    fn made_by(maker: EntityId) -> String {
        format!("E#{maker}#ENTITIES")
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

/// A person who signs in by phone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    pub id: UserId,
    pub phone: Phone,
    pub created_at: Time,
}

impl UserRecord {
    pub fn key_of(id: UserId) -> Key {
        Key::directory("USER", id)
    }
}

impl Record for UserRecord {
    const TYPE: &'static str = "user";
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
}

/// Leads from a phone to its user. The number itself is not part of the key, only its keyed hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneRecord {
    pub phone_hash: String,
    pub user_id: UserId,
}

impl PhoneRecord {
    pub fn key_of(hash: &str) -> Key {
        Key::directory("PHONE", hash)
    }
}

impl Record for PhoneRecord {
    const TYPE: &'static str = "phone";
    fn key(&self) -> Key {
        Self::key_of(&self.phone_hash)
    }
}

/// A person's place in a tenant. Found from the tenant by its key, and from the person by the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberRecord {
    pub entity_id: EntityId,
    pub user_id: UserId,
    pub phone: Phone,
    pub role: Role,
    pub added_at: Time,
}

impl Record for MemberRecord {
    const TYPE: &'static str = "member";
    fn key(&self) -> Key {
        Key::member(self.entity_id, "MEMBERS", self.user_id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = Some((format!("USER#{}#ENTITIES", self.user_id), format!("{}#{}", self.added_at, self.entity_id)));
        Placement { gsi1, ..Placement::default() }
    }
}

impl Table {
    /// A page of a tenant's members, oldest first.
    pub async fn members(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<MemberRecord>, Option<String>)> {
        let listing = Listing { index: None, partitions: vec![format!("E#{entity}#MEMBERS")], ascending: true };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let records: Result<Vec<_>> = page.items.into_iter().map(|item| from_item::<MemberRecord>(item, None)).collect();
        Ok((records?.into_iter().flatten().map(|v| v.value).collect(), page.next))
    }

    /// A page of the tenants that a tenant has made, newest first.
    pub async fn entities_made_by(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<EntityRecord>, Option<String>)> {
        let listing = Listing { index: Some("gsi1"), partitions: vec![EntityRecord::made_by(entity)], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let ids = page.items.iter().filter_map(|item| crate::item::text(item, "id")?.parse::<EntityId>().ok());
        let keys: Vec<Key> = ids.map(EntityRecord::key_of).collect();
        Ok((self.get_many::<EntityRecord>(&keys, now).await?.into_iter().map(|v| v.value).collect(), page.next))
    }
}

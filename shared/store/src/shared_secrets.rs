//! Secrets that a tenant shares with another system, by what they are for. Sealed.

use axle_domain::{EntityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Record, Versioned};
use crate::key::Key;
use crate::table::Table;

/// A secret, and the one before it while both are good.
#[derive(Clone, Serialize, Deserialize)]
pub struct SharedSecretRecord {
    pub entity_id: EntityId,
    /// What it is for.
    #[serde(rename = "id")]
    pub name: String,
    pub sealed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Time>,
    pub updated_at: Time,
}

impl std::fmt::Debug for SharedSecretRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedSecretRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SharedSecretRecord {
    pub fn key_of(entity: EntityId, name: &str) -> Key {
        Key::member(entity, "SECRETS", name)
    }
}

impl Record for SharedSecretRecord {
    const TYPE: &'static str = "shared_secret";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.name)
    }
}

impl Table {
    pub async fn shared_secret(&self, entity: EntityId, name: &str, now: Time) -> Result<Option<Versioned<SharedSecretRecord>>> {
        self.get(&SharedSecretRecord::key_of(entity, name), now).await
    }
}

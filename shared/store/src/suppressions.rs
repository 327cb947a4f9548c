//! Addresses that are not written to. Keyed by a keyed hash of the address, so that keys and logs of keys name nobody.

use axle_domain::communication::SuppressionOrigin;
use axle_domain::{CommunicationId, EntityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

const SHARDS: u8 = 4;

/// An address on the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuppressionRecord {
    pub entity_id: EntityId,
    /// Keyed hash of the address, in hex.
    pub id: String,
    /// In normal form; the tenant's own data, to be shown to the tenant.
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub origin: SuppressionOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communication_id: Option<CommunicationId>,
    pub created_at: Time,
}

impl SuppressionRecord {
    pub fn key_of(entity: EntityId, hash: &str) -> Key {
        Key::thing(entity, "SUPPRESSION", hash)
    }
}

fn partition(entity: EntityId, shard: u8) -> String {
    format!("E#{entity}#SUPPRESSIONS#{shard}")
}

impl Record for SuppressionRecord {
    const TYPE: &'static str = "suppression";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.id)
    }
    fn placement(&self) -> Placement {
        let shard = self.id.bytes().last().unwrap_or(0) % SHARDS;
        Placement {
            gsi1: Some((partition(self.entity_id, shard), format!("{}#{}", self.created_at, self.id))),
            ..Placement::default()
        }
    }
}

impl Table {
    /// Whether an address is on the list, strongly consistent.
    pub async fn suppression(&self, entity: EntityId, hash: &str, now: Time) -> Result<Option<Versioned<SuppressionRecord>>> {
        self.get(&SuppressionRecord::key_of(entity, hash), now).await
    }

    /// A page of the list, newest first.
    pub async fn suppressions(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<SuppressionRecord>, Option<String>)> {
        let listing =
            Listing { index: Some("gsi1"), partitions: (0..SHARDS).map(|n| partition(entity, n)).collect(), ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let keys: Vec<Key> =
            page.items.iter().filter_map(|item| Some(SuppressionRecord::key_of(entity, text(item, "id")?))).collect();
        let found = self.get_many::<SuppressionRecord>(&keys, now).await?;
        Ok((found.into_iter().map(|found| found.value).collect(), page.next))
    }
}

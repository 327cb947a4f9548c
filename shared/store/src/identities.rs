//! Sending identities. A tenant has a handful, in one partition.

use axle_domain::campaign::SendingWindow;
use axle_domain::communication::{IdentityStatus, Warmup};
use axle_domain::mail::IdentityKind;
use axle_domain::{EntityId, SendingIdentityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Record, Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

const COLLECTION: &str = "SENDERS";

/// An address that messages come from.
#[derive(Clone, Serialize, Deserialize)]
pub struct IdentityRecord {
    pub entity_id: EntityId,
    pub id: SendingIdentityId,
    pub kind: IdentityKind,
    pub from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Changes with the credentials and the address.
    pub revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
    /// The first day of the warm-up.
    pub warmup_since: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_window: Option<SendingWindow>,
    pub status: IdentityStatus,
    /// What is still to be done, or what the last check found wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    /// When whoever reads mail at the address has confirmed it; SES asks no tenant for a proof, so we do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl std::fmt::Debug for IdentityRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityRecord").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl IdentityRecord {
    pub fn key_of(entity: EntityId, id: SendingIdentityId) -> Key {
        Key::member(entity, COLLECTION, id)
    }

    /// The zone that its days are counted in: the sending window's, or UTC.
    pub fn zone(&self) -> Option<&str> {
        self.sending_window.as_ref().map(|window| window.timezone.as_str()).filter(|zone| *zone != "contact")
    }
}

impl Record for IdentityRecord {
    const TYPE: &'static str = "sending_identity";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
}

impl Table {
    pub async fn sending_identity(
        &self,
        entity: EntityId,
        id: SendingIdentityId,
        now: Time,
    ) -> Result<Option<Versioned<IdentityRecord>>> {
        self.get(&IdentityRecord::key_of(entity, id), now).await
    }

    /// A page of a tenant's identities, newest first.
    pub async fn sending_identities(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Versioned<IdentityRecord>>, Option<String>)> {
        let listing = Listing { index: None, partitions: vec![format!("E#{entity}#{COLLECTION}")], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let records: Result<Vec<_>> = page.items.into_iter().map(|item| from_item(item, None)).collect();
        Ok((records?.into_iter().flatten().collect(), page.next))
    }
}

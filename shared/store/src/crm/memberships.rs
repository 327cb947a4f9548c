//! Contacts' places in companies: kept with the contact, listed by company.

use std::collections::HashSet;

use axle_domain::{CompanyId, CompanyMembershipId, ContactId, EntityId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Placement, Record, Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;

use super::contacts::ContactRecord;

/// Name space of the ids: one pair has one place, and so one id.
const PLACES: Uuid = Uuid::from_u128(0x8d0e_6f1a_52c3_4b77_9a41_c07e_5b1d_2f96);

/// A contact's place in a company. Whether it is the primary one stands with the contact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompanyMembershipRecord {
    pub entity_id: EntityId,
    /// `id` in the table, so that a company's listing shows it.
    #[serde(rename = "id")]
    pub contact_id: ContactId,
    /// The company that it was made for; that may have been merged into another since.
    pub company_id: CompanyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl CompanyMembershipRecord {
    pub fn key_of(entity: EntityId, contact: ContactId, company: CompanyId) -> Key {
        Key { pk: ContactRecord::key_of(entity, contact).pk, sk: format!("COMPANY#{company}") }
    }

    pub fn membership_id(&self) -> CompanyMembershipId {
        let pair = format!("{}/{}", self.contact_id, self.company_id);
        CompanyMembershipId::from_uuid(Uuid::new_v5(&PLACES, pair.as_bytes()))
    }
}

fn partition(entity: EntityId, company: CompanyId) -> String {
    format!("E#{entity}#COMPANY#{company}#CONTACTS")
}

impl Record for CompanyMembershipRecord {
    const TYPE: &'static str = "company_membership";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.contact_id, self.company_id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = (partition(self.entity_id, self.company_id), format!("{}#{}", self.created_at, self.contact_id));
        Placement { gsi1: Some(gsi1), ..Placement::default() }
    }
}

impl Table {
    /// A contact's places, in the order of the companies' ids; strongly consistent.
    pub async fn company_memberships(
        &self,
        entity: EntityId,
        contact: ContactId,
    ) -> Result<Vec<Versioned<CompanyMembershipRecord>>> {
        let items = self.partition(&ContactRecord::key_of(entity, contact).pk, "COMPANY#", true).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }

    /// The contacts of a company that goes by all of these ids, newest first, each once.
    pub async fn contact_ids_of(&self, entity: EntityId, companies: &[CompanyId]) -> Result<Vec<ContactId>> {
        let partitions = companies.iter().map(|company| partition(entity, *company)).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let ids = self.all_ids(&listing, &Filter::default()).await?;
        let mut seen = HashSet::new();
        Ok(ids.iter().filter_map(|id| id.parse().ok()).filter(|id: &ContactId| seen.insert(*id)).collect())
    }

    /// The places of several contacts in a company that goes by all of these ids; eventually consistent.
    pub async fn places_in(
        &self,
        entity: EntityId,
        contacts: &[ContactId],
        companies: &[CompanyId],
        now: Time,
    ) -> Result<Vec<Versioned<CompanyMembershipRecord>>> {
        let pairs = contacts.iter().flat_map(|contact| companies.iter().map(|company| (*contact, *company)));
        let keys: Vec<Key> = pairs.map(|(contact, company)| CompanyMembershipRecord::key_of(entity, contact, company)).collect();
        self.get_many(&keys, now).await
    }
}

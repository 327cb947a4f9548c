//! Contacts, and which of them an e-mail address leads to.

use std::collections::{BTreeMap, BTreeSet};

use axle_domain::address::Email;
use axle_domain::crm::{ContactProfile, OwnerFilter, PageNumber};
use axle_domain::{CompanyId, ContactId, EntityId, Time, UserId};
use serde::{Deserialize, Serialize};

use super::search::{Criteria, Kind, Newest, Order, Wanted, still_matching};
use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's contacts are listed in.
const SHARDS: u128 = 8;
/// The board that counts contacts, as `all`.
pub const BOARD: &str = "crm-contacts";

/// A contact. `owner`, `company_id` and `q` are what lists filter by, so they stand beside the profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContactRecord {
    pub entity_id: EntityId,
    pub id: ContactId,
    pub profile: ContactProfile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The company of the primary membership. That it stands here, once, is what makes the primary one the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    /// The text that `q` searches.
    pub q: String,
    /// Set once they turned out to be another contact. They stay readable, and are in no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<ContactId>,
    /// The contacts that turned out to be this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<ContactId>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl ContactRecord {
    pub fn key_of(entity: EntityId, id: ContactId) -> Key {
        Key::thing(entity, "CONTACT", id)
    }
}

impl Record for ContactRecord {
    const TYPE: &'static str = "contact";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        if self.merged_into.is_some() {
            return Placement::default();
        }
        let shard = self.id.uuid().as_u128() % SHARDS;
        let gsi1 = Some((format!("E#{}#CONTACTS#{shard}", self.entity_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

/// Leads from an e-mail address to the first contact that has it. Others may have it too: addresses are shared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContactEmailRecord {
    pub entity_id: EntityId,
    pub email: Email,
    pub contact_id: ContactId,
}

impl ContactEmailRecord {
    pub fn key_of(entity: EntityId, email: &Email) -> Key {
        Key::thing(entity, "CONTACTEMAIL", email)
    }
}

impl Record for ContactEmailRecord {
    const TYPE: &'static str = "contact_email";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.email)
    }
}

/// What to look for among contacts.
#[derive(Clone, Debug, Default)]
pub struct ContactQuery {
    pub owner: Option<OwnerFilter>,
    /// Folded.
    pub q: Option<String>,
}

impl ContactQuery {
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.owner(self.owner);
        if let Some(q) = &self.q {
            filter.contains("q", q);
        }
        filter
    }

    fn criteria(&self) -> Criteria {
        Criteria { status: None, owner: self.owner, q: self.q.clone() }
    }

    /// The same judgement of a record that is at hand.
    pub fn matches(&self, contact: &ContactRecord) -> bool {
        self.criteria().matches(None, contact.owner, &contact.q)
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.owner.is_none() && self.q.is_none()
    }
}

fn listing(entity: EntityId) -> Listing {
    let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#CONTACTS#{shard}")).collect();
    Listing { index: Some("gsi1"), partitions, ascending: false }
}

impl Table {
    /// One page of contacts, newest first, and how many there are on all pages. What a search finds among very many is as of about a
    /// second ago; who does not match any more is left out.
    pub async fn contacts(
        &self,
        entity: EntityId,
        query: &ContactQuery,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<ContactRecord>>, u64)> {
        let count = if query.is_empty() {
            let board = self.tally(entity, BOARD).await?;
            Some(board.get("all").map_or(0, |n| u64::try_from(*n).unwrap_or(0)))
        } else {
            None
        };
        let (listing, filter, order) = (listing(entity), query.filter(), Order::NewestFirst);
        let all = count.unwrap_or(u64::MAX);
        let wanted = Wanted { kind: Kind::Contacts, criteria: query.criteria(), order, page, count, all };
        let newest = Newest { listing: &listing, filter: &filter };
        let (ids, total) = self.list_or_search(entity, &wanted, &listing, newest, now).await?;
        let ids: Vec<ContactId> = ids.into_iter().map(ContactId::from_uuid).collect();
        let found = self.contacts_by_id(entity, &ids, now).await?;
        Ok(still_matching(found, ids.len(), (total, count), |contact| contact.merged_into.is_none() && query.matches(contact)))
    }

    /// Contacts by id, in this order; unknown ones are left out. Eventually consistent.
    pub async fn contacts_by_id(&self, entity: EntityId, ids: &[ContactId], now: Time) -> Result<Vec<Versioned<ContactRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| ContactRecord::key_of(entity, *id)).collect();
        self.get_many(&keys, now).await
    }

    /// The ids that contacts go by now: of each their own, or the one of the contact they were merged into. Unknown ones are left out.
    /// Eventually consistent; 0.5 read units each.
    pub async fn current_contacts(
        &self,
        entity: EntityId,
        ids: impl IntoIterator<Item = ContactId>,
        now: Time,
    ) -> Result<BTreeMap<ContactId, ContactId>> {
        let distinct: Vec<ContactId> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.contacts_by_id(entity, &distinct, now).await?;
        Ok(found.into_iter().map(|c| (c.value.id, c.value.merged_into.unwrap_or(c.value.id))).collect())
    }

    /// The ids of every contact, newest first.
    pub async fn contact_ids(&self, entity: EntityId) -> Result<Vec<ContactId>> {
        let ids = self.all_ids(&listing(entity), &Filter::default()).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// The contact that an e-mail address leads to.
    pub async fn contact_of_email(&self, entity: EntityId, email: &Email, now: Time) -> Result<Option<ContactId>> {
        let found = self.get::<ContactEmailRecord>(&ContactEmailRecord::key_of(entity, email), now).await?;
        Ok(found.map(|record| record.value.contact_id))
    }
}

impl Tx<'_> {
    /// A new contact (label `contact`), counted.
    pub fn create_contact(&mut self, contact: &ContactRecord) {
        self.create("contact", contact);
        self.tally(contact.entity_id, BOARD, contact.id.uuid().as_u128(), &[("all", 1)]);
    }

    /// Lets an address lead to a contact (label `email`), if it leads nowhere yet.
    pub fn point_email(&mut self, contact: &ContactRecord, email: &Email) {
        let record = ContactEmailRecord { entity_id: contact.entity_id, email: email.clone(), contact_id: contact.id };
        self.create("email", &record);
    }

    /// Takes back where an address leads.
    pub fn unpoint_email(&mut self, entity: EntityId, email: &Email) {
        self.remove("email", ContactEmailRecord::key_of(entity, email));
    }
}

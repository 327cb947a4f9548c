//! Deals.

use axle_domain::crm::deal::{DealPlace, DealProfile};
use axle_domain::crm::stage::Stage;
use axle_domain::crm::{OwnerFilter, PageNumber};
use axle_domain::{CompanyId, ContactId, DealId, EntityId, LeadId, TaskId, Time, UserId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's deals are listed in.
const SHARDS: u128 = 8;
/// The board that counts deals by their stage, for the totals of lists.
const BOARD: &str = "crm-deals";

/// A deal. What lists filter by stands beside the profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DealRecord {
    pub entity_id: EntityId,
    pub id: DealId,
    #[serde(rename = "status")]
    pub stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The prospect that it was opened for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prospect_id: Option<LeadId>,
    pub profile: DealProfile,
    /// The text that `q` searches.
    pub q: String,
    /// When it was won or lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
    /// The task that Axle made when it was won or lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chore: Option<TaskId>,
    pub stage_changed_at: Time,
    pub created_at: Time,
    pub updated_at: Time,
}

impl DealRecord {
    pub fn key_of(entity: EntityId, id: DealId) -> Key {
        Key::thing(entity, "DEAL", id)
    }

    pub fn place(&self) -> DealPlace {
        DealPlace { stage: self.stage, company_id: self.company_id, contact_id: self.contact_id, owner: self.owner }
    }

    /// Percent.
    pub fn probability(&self) -> u8 {
        self.stage.probability(self.profile.probability)
    }

    /// The company that it holds by being won.
    pub fn held_company(&self) -> Option<CompanyId> {
        self.company_id.filter(|_| self.stage == Stage::Won)
    }
}

impl Record for DealRecord {
    const TYPE: &'static str = "deal";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let (entity, shard) = (self.entity_id, self.id.uuid().as_u128() % SHARDS);
        let position = format!("{}#{}", self.created_at, self.id);
        Placement {
            gsi1: Some((format!("E#{entity}#DEALS#{shard}"), position.clone())),
            gsi2: self.company_id.map(|company| (company_partition(entity, company), position)),
            ..Placement::default()
        }
    }
}

fn company_partition(entity: EntityId, company: CompanyId) -> String {
    format!("E#{entity}#COMPANY#{company}#DEALS")
}

/// Ids as filters compare them.
pub(super) fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// What to look for among deals.
#[derive(Clone, Debug, Default)]
pub struct DealQuery {
    /// Ids that one company goes by.
    pub companies: Option<Vec<CompanyId>>,
    /// Ids that one person goes by.
    pub contacts: Option<Vec<ContactId>>,
    pub stage: Option<Stage>,
    pub owner: Option<OwnerFilter>,
    /// Folded.
    pub q: Option<String>,
}

impl DealQuery {
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        if let Some(contacts) = &self.contacts {
            filter.any("contact_id", &texts(contacts), &[]);
        }
        if let Some(stage) = self.stage {
            filter.equals("status", stage.as_str());
        }
        filter.owner(self.owner);
        if let Some(q) = &self.q {
            filter.contains("q", q);
        }
        filter
    }

    fn listing(&self, entity: EntityId) -> Listing {
        match &self.companies {
            Some(companies) => {
                let partitions = companies.iter().map(|company| company_partition(entity, *company)).collect();
                Listing { index: Some("gsi2"), partitions, ascending: false }
            }
            None => {
                let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#DEALS#{shard}")).collect();
                Listing { index: Some("gsi1"), partitions, ascending: false }
            }
        }
    }

    /// Whether the tally by stage knows the number of matches.
    fn is_counted(&self) -> bool {
        self.companies.is_none() && self.contacts.is_none() && self.owner.is_none() && self.q.is_none()
    }
}

impl Table {
    /// One page of deals, newest first, and how many there are on all pages.
    pub async fn deals(
        &self,
        entity: EntityId,
        query: &DealQuery,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<DealRecord>>, u64)> {
        let stage = query.stage.map(Stage::as_str);
        let count = if query.is_counted() { Some(self.counted(entity, BOARD, stage).await?) } else { None };
        let (ids, total) = self.numbered(&query.listing(entity), &query.filter(), page, count).await?;
        let ids: Vec<DealId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        Ok((self.deals_by_id(entity, &ids, now).await?, total))
    }

    /// Deals by id, in this order; unknown ones are left out. Eventually consistent.
    pub async fn deals_by_id(&self, entity: EntityId, ids: &[DealId], now: Time) -> Result<Vec<Versioned<DealRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| DealRecord::key_of(entity, *id)).collect();
        self.get_many(&keys, now).await
    }

    /// The ids of the deals that a query finds, newest first.
    pub async fn deal_ids(&self, entity: EntityId, query: &DealQuery) -> Result<Vec<DealId>> {
        let ids = self.all_ids(&query.listing(entity), &query.filter()).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

impl Tx<'_> {
    /// A new deal, counted.
    pub fn create_deal(&mut self, deal: &DealRecord) {
        self.create("lead", deal);
        self.count_deal(deal, &[(deal.stage.as_str(), 1)]);
    }

    /// Replaces a deal that was read at `version`; its count follows its stage.
    pub fn replace_deal(&mut self, old: &DealRecord, new: &DealRecord, version: u64) {
        self.replace("lead", new, version);
        self.count_deal(new, &[(old.stage.as_str(), -1)]);
        self.count_deal(new, &[(new.stage.as_str(), 1)]);
    }

    /// Deletes a deal that was read at `version`.
    pub fn delete_deal(&mut self, deal: &DealRecord, version: u64) {
        self.delete("lead", DealRecord::key_of(deal.entity_id, deal.id), version);
        self.count_deal(deal, &[(deal.stage.as_str(), -1)]);
    }

    fn count_deal(&mut self, deal: &DealRecord, deltas: &[(&str, i64)]) {
        self.tally(deal.entity_id, BOARD, deal.id.uuid().as_u128(), deltas);
    }
}

//! Companies, and the domains that each belong to one of them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::address::Domain;
use axle_domain::crm::{CompanyProfile, CompanySort, CompanyStatus, Hold, OwnerFilter, PageNumber};
use axle_domain::{CompanyId, EntityId, Time, UserId};
use serde::{Deserialize, Serialize};

use super::search::{Criteria, Kind, Newest, Order, Wanted, still_matching};
use crate::error::Result;
use crate::item::{Item, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's companies are listed in: 8,000 created a second, and few enough to read all for a page.
const SHARDS: u128 = 8;
/// The board that counts companies, in all by their status.
pub const BOARD: &str = "crm-companies";

/// A company. `status`, `owner` and `q` are what lists filter by, so they stand beside the profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompanyRecord {
    pub entity_id: EntityId,
    pub id: CompanyId,
    pub profile: CompanyProfile,
    pub status: CompanyStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The folded name: what `q` searches, and the order of names.
    pub q: String,
    /// Set once it turned out to be another company. It stays readable, and is in no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<CompanyId>,
    /// Set while deals with it are won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The companies that turned out to be this one, directly or by way of another: what was written for them is this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<CompanyId>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl CompanyRecord {
    pub fn key_of(entity: EntityId, id: CompanyId) -> Key {
        Key::thing(entity, "COMPANY", id)
    }

    /// Every id that it goes by: its own, and those of the companies merged into it.
    pub fn ids(&self) -> Vec<CompanyId> {
        std::iter::once(self.id).chain(self.absorbed.iter().copied()).collect()
    }
}

/// Characters of a name that decide its place in the order of names; the id decides the rest. Keeps the sort key within DynamoDB's
/// 1,024 bytes.
pub(super) const ORDERED_BY: usize = 200;

/// Ends the name in its sort key, and sorts before the space of a longer one: `Acme` comes before `Acme Corp`.
const BEFORE_SPACE: char = '\u{1f}';

impl Record for CompanyRecord {
    const TYPE: &'static str = "company";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        if self.merged_into.is_some() {
            return Placement::default();
        }
        let (entity, shard) = (self.entity_id, self.id.uuid().as_u128() % SHARDS);
        let name: String = self.q.chars().take(ORDERED_BY).collect();
        Placement {
            gsi1: Some((format!("E#{entity}#COMPANIES#{shard}"), format!("{}#{}", self.created_at, self.id))),
            gsi2: Some((format!("E#{entity}#COMPANYNAMES#{shard}"), format!("{name}{BEFORE_SPACE}{}", self.id))),
            ..Placement::default()
        }
    }
}

/// Says whose a domain is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompanyDomainRecord {
    pub entity_id: EntityId,
    pub domain: Domain,
    pub company_id: CompanyId,
}

impl CompanyDomainRecord {
    pub fn key_of(entity: EntityId, domain: &Domain) -> Key {
        Key::thing(entity, "COMPANYDOMAIN", domain)
    }

    /// The company named by what stands in a domain's place.
    pub fn holder(existing: Option<&Item>) -> Option<CompanyId> {
        existing.and_then(|item| text(item, "company_id")).and_then(|id| id.parse().ok())
    }
}

impl Record for CompanyDomainRecord {
    const TYPE: &'static str = "company_domain";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.domain)
    }
}

/// What to look for among companies.
#[derive(Clone, Debug, Default)]
pub struct CompanyQuery {
    pub status: Option<CompanyStatus>,
    pub owner: Option<OwnerFilter>,
    /// Folded.
    pub q: Option<String>,
}

impl CompanyQuery {
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        if let Some(status) = self.status {
            filter.equals("status", status.as_str());
        }
        filter.owner(self.owner);
        if let Some(q) = &self.q {
            filter.contains("q", q);
        }
        filter
    }

    fn criteria(&self) -> Criteria {
        Criteria { status: self.status, owner: self.owner, q: self.q.clone() }
    }

    /// The same judgement of a record that is at hand.
    pub fn matches(&self, company: &CompanyRecord) -> bool {
        company.merged_into.is_none() && self.criteria().matches(Some(company.status), company.owner, &company.q)
    }

    /// Whether the tally by status knows the number of matches.
    fn is_counted(&self) -> bool {
        self.owner.is_none() && self.q.is_none()
    }
}

fn listing(entity: EntityId, sort: CompanySort) -> Listing {
    let (index, collection, ascending) = match sort {
        CompanySort::Name => ("gsi2", "COMPANYNAMES", true),
        CompanySort::CreatedAt => ("gsi1", "COMPANIES", true),
        CompanySort::NewestFirst => ("gsi1", "COMPANIES", false),
    };
    let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#{collection}#{shard}")).collect();
    Listing { index: Some(index), partitions, ascending }
}

fn count_of(board: &BTreeMap<String, i64>, status: Option<CompanyStatus>) -> u64 {
    let counted = board.iter().filter(|(name, _)| status.is_none_or(|status| status.as_str() == name.as_str()));
    u64::try_from(counted.map(|(_, n)| n).sum::<i64>()).unwrap_or(0)
}

impl Table {
    /// One page of companies, and how many there are on all pages. Without `owner` and `q` the total comes from the tally. What a search
    /// finds among very many is as of about a second ago; what does not match any more is left out.
    pub async fn companies(
        &self,
        entity: EntityId,
        query: &CompanyQuery,
        sort: CompanySort,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<CompanyRecord>>, u64)> {
        let order = match sort {
            CompanySort::Name => Order::Name,
            CompanySort::CreatedAt => Order::OldestFirst,
            CompanySort::NewestFirst => Order::NewestFirst,
        };
        let (count, all) = if query.is_counted() {
            let board = self.tally(entity, BOARD).await?;
            (Some(count_of(&board, query.status)), count_of(&board, None))
        } else {
            (None, u64::MAX)
        };
        let (listing, filter) = (listing(entity, sort), query.filter());
        let by_time = self::listing(entity, CompanySort::NewestFirst);
        let wanted = Wanted { kind: Kind::Companies, criteria: query.criteria(), order, page, count, all };
        let by_time = Newest { listing: &by_time, filter: &filter };
        let (ids, total) = self.list_or_search(entity, &wanted, &listing, by_time, now).await?;
        let ids: Vec<CompanyId> = ids.into_iter().map(CompanyId::from_uuid).collect();
        let found = self.companies_by_id(entity, &ids, now).await?;
        Ok(still_matching(found, ids.len(), (total, count), |company| query.matches(company)))
    }

    /// Companies by id, in this order; unknown ones are left out. Eventually consistent.
    pub async fn companies_by_id(&self, entity: EntityId, ids: &[CompanyId], now: Time) -> Result<Vec<Versioned<CompanyRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| CompanyRecord::key_of(entity, *id)).collect();
        self.get_many(&keys, now).await
    }

    /// [`companies_by_id`](Self::companies_by_id), strongly consistent.
    pub async fn companies_now(&self, entity: EntityId, ids: &[CompanyId], now: Time) -> Result<Vec<Versioned<CompanyRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| CompanyRecord::key_of(entity, *id)).collect();
        self.get_many_now(&keys, now).await
    }

    /// The ids that companies go by now: of each its own, or the one of the company that it was merged into. Unknown ones are
    /// left out. Eventually consistent; 0.5 read units each.
    pub async fn current_companies(
        &self,
        entity: EntityId,
        ids: impl IntoIterator<Item = CompanyId>,
        now: Time,
    ) -> Result<BTreeMap<CompanyId, CompanyId>> {
        let distinct: Vec<CompanyId> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.companies_by_id(entity, &distinct, now).await?;
        Ok(found.into_iter().map(|c| (c.value.id, c.value.merged_into.unwrap_or(c.value.id))).collect())
    }

    /// The ids of every company that matches, newest first.
    pub async fn company_ids(&self, entity: EntityId, query: &CompanyQuery) -> Result<Vec<CompanyId>> {
        let ids = self.all_ids(&listing(entity, CompanySort::NewestFirst), &query.filter()).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// The company that has a domain.
    pub async fn company_of_domain(&self, entity: EntityId, domain: &Domain, now: Time) -> Result<Option<CompanyId>> {
        let found = self.get::<CompanyDomainRecord>(&CompanyDomainRecord::key_of(entity, domain), now).await?;
        Ok(found.map(|record| record.value.company_id))
    }
}

impl Tx<'_> {
    /// A new company (labels `company` and `domain`), counted. With domain 6 write units, and 2 for the tally.
    pub fn create_company(&mut self, company: &CompanyRecord) {
        self.create("company", company);
        if let Some(domain) = &company.profile.domain {
            self.claim_domain(company, domain);
        }
        self.tally(company.entity_id, BOARD, company.id.uuid().as_u128(), &[(company.status.as_str(), 1)]);
    }

    /// Replaces a company that was read at `version`: its domain changes hands and its count its status with it.
    pub fn replace_company(&mut self, old: &CompanyRecord, new: &CompanyRecord, version: u64) {
        self.replace("company", new, version);
        if old.profile.domain != new.profile.domain {
            if let Some(domain) = &old.profile.domain {
                self.remove("domain", CompanyDomainRecord::key_of(old.entity_id, domain));
            }
            if let Some(domain) = &new.profile.domain {
                self.claim_domain(new, domain);
            }
        }
        if old.status != new.status {
            let moved = [(old.status.as_str(), -1), (new.status.as_str(), 1)];
            self.tally(new.entity_id, BOARD, new.id.uuid().as_u128(), &moved);
        }
    }

    fn claim_domain(&mut self, company: &CompanyRecord, domain: &Domain) {
        let record = CompanyDomainRecord { entity_id: company.entity_id, domain: domain.clone(), company_id: company.id };
        // A merged company's domain is its winner's already.
        let own = vec![(":own".to_owned(), AttributeValue::S(company.id.to_string()))];
        self.put_if("domain", &record, "attribute_not_exists(pk) OR company_id = :own", own);
    }
}

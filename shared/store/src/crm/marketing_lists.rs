//! Marketing lists, and the companies on them.

use axle_domain::crm::PageNumber;
use axle_domain::{CompanyId, EntityId, MarketingListId, Time};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::item::{Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::{CommitError, Tx};

/// Partitions that a list's companies are spread over: one call adds them by the thousand.
const SHARDS: u128 = 8;

/// A list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MarketingListRecord {
    pub entity_id: EntityId,
    pub id: MarketingListId,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The folded name.
    pub q: String,
    pub created_at: Time,
    pub updated_at: Time,
}

impl MarketingListRecord {
    pub fn key_of(entity: EntityId, id: MarketingListId) -> Key {
        Key::thing(entity, "MARKETINGLIST", id)
    }
}

impl Record for MarketingListRecord {
    const TYPE: &'static str = "marketing_list";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = Some((format!("E#{}#MARKETINGLISTS", self.entity_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

/// A company's place on a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ListedRecord {
    entity_id: EntityId,
    list_id: MarketingListId,
    #[serde(rename = "id")]
    company_id: CompanyId,
    added_at: Time,
}

fn collection(list: MarketingListId, shard: u128) -> String {
    format!("MARKETINGLIST#{list}#COMPANIES#{shard}")
}

fn key_of(entity: EntityId, list: MarketingListId, company: CompanyId) -> Key {
    Key::member(entity, &collection(list, company.uuid().as_u128() % SHARDS), company)
}

impl Record for ListedRecord {
    const TYPE: &'static str = "listed_company";
    fn key(&self) -> Key {
        key_of(self.entity_id, self.list_id, self.company_id)
    }
}

fn listing(entity: EntityId, list: MarketingListId) -> Listing {
    let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#{}", collection(list, shard))).collect();
    Listing { index: None, partitions, ascending: true }
}

fn board(list: MarketingListId) -> String {
    format!("crm-list-{list}")
}

/// Companies that one transaction puts on a list, beside the count: DynamoDB takes 100 writes.
const PER_TX: usize = 99;
/// Attempts against others who add the same companies at the same moment.
const RACES: usize = 8;

impl Table {
    /// One page of lists, newest first, and how many there are.
    pub async fn marketing_lists(
        &self,
        entity: EntityId,
        q: Option<&str>,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<MarketingListRecord>>, u64)> {
        let partitions = vec![format!("E#{entity}#MARKETINGLISTS")];
        let mut filter = Filter::default();
        if let Some(q) = q {
            filter.contains("q", q);
        }
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let (ids, total) = self.numbered(&listing, &filter, page, None).await?;
        let ids = ids.iter().filter_map(|id| id.parse().ok());
        let keys: Vec<Key> = ids.map(|id| MarketingListRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, total))
    }

    /// How many companies are on a list.
    pub async fn listed_count(&self, entity: EntityId, list: MarketingListId) -> Result<u64> {
        let board = self.tally(entity, &board(list)).await?;
        Ok(board.get("companies").map_or(0, |n| u64::try_from(*n).unwrap_or(0)))
    }

    /// One page of the companies on a list, in the order in which the companies were made, and how many there are.
    pub async fn listed_companies(
        &self,
        entity: EntityId,
        list: MarketingListId,
        page: PageNumber,
    ) -> Result<(Vec<CompanyId>, u64)> {
        let count = self.listed_count(entity, list).await?;
        let (ids, total) = self.numbered(&listing(entity, list), &Filter::default(), page, Some(count)).await?;
        Ok((ids.iter().filter_map(|id| id.parse().ok()).collect(), total))
    }

    /// Puts companies on a list, each once, and counts them in the same transactions. Answers how many were added; the others
    /// were there already.
    ///
    /// # Errors
    /// The list is gone, or the table does not answer; what was added before stays added.
    pub async fn add_to_list(
        &self,
        entity: EntityId,
        list: MarketingListId,
        companies: &[CompanyId],
        now: Time,
    ) -> Result<usize> {
        let mut added = 0;
        for chunk in companies.chunks(PER_TX) {
            added += self.add_chunk(entity, list, chunk, now).await?;
        }
        Ok(added)
    }

    async fn add_chunk(&self, entity: EntityId, list: MarketingListId, chunk: &[CompanyId], now: Time) -> Result<usize> {
        for _ in 0..RACES {
            let keys: Vec<Key> = chunk.iter().map(|company| key_of(entity, list, *company)).collect();
            let there = self.batch_get(&keys, Some("id"), true).await?;
            let there: Vec<&str> = there.iter().filter_map(|item| text(item, "id")).collect();
            let fresh: Vec<CompanyId> =
                chunk.iter().copied().filter(|company| !there.contains(&company.to_string().as_str())).collect();
            let Some(first) = fresh.first() else { return Ok(0) };
            let mut tx = self.tx();
            for company_id in &fresh {
                tx.create("company", &ListedRecord { entity_id: entity, list_id: list, company_id: *company_id, added_at: now });
            }
            let count = i64::try_from(fresh.len()).unwrap_or(0);
            tx.tally(entity, &board(list), first.uuid().as_u128(), &[("companies", count)]);
            if tx.try_commit().await? {
                return Ok(fresh.len());
            }
            // Somebody else has just added some of them: look again.
        }
        Err(Error::Unavailable("others add the same companies all the time".to_owned()))
    }

    /// Takes every company off a list that is deleted already.
    pub async fn clear_list(&self, entity: EntityId, list: MarketingListId) -> Result<()> {
        let ids = self.all_ids(&listing(entity, list), &Filter::default()).await?;
        let companies: Vec<CompanyId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        for chunk in companies.chunks(PER_TX) {
            let mut tx = self.tx();
            for company in chunk {
                tx.remove("company", key_of(entity, list, *company));
            }
            tx.commit().await.map_err(|e| match e {
                CommitError::Store(e) => e,
                CommitError::Condition { label, .. } => Error::Fault(format!("an unconditional delete of a {label} failed")),
            })?;
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Deletes a list that was read at `version`; [`Table::clear_list`] follows.
    pub fn delete_list(&mut self, list: &MarketingListRecord, version: u64) {
        self.delete("list", list.key(), version);
    }
}

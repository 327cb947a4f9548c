//! What was spent, one record each, written with what it was spent on: nothing is counted twice, and nothing is forgotten.

use axle_domain::{CampaignId, EntityId, LeadId, Micros, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Record, Versioned, from_item};
use crate::key::Key;
use crate::table::Table;

/// Partitions of a tenant's costs of one day.
const SHARDS: u128 = 4;

/// What money was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostCategory {
    AiInference,
    DataEnrichment,
    ChannelCosts,
    AgentTransactions,
}

/// One expense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRecord {
    pub entity_id: EntityId,
    /// Follows from what was done, so that the same expense has one place.
    pub id: Uuid,
    pub category: CostCategory,
    pub amount: Micros,
    pub at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    /// Who was paid for what, such as a model.
    pub item: String,
}

fn collection(day: &str, shard: u128) -> String {
    format!("COSTS#{day}#{shard}")
}

fn day_of(at: Time) -> String {
    at.to_string().chars().take(10).collect()
}

impl Record for CostRecord {
    const TYPE: &'static str = "cost";
    fn key(&self) -> Key {
        Key::member(self.entity_id, &collection(&day_of(self.at), self.id.as_u128() % SHARDS), self.id.as_hyphenated())
    }
}

impl Table {
    /// A tenant's expenses of the UTC day of `at`.
    pub async fn costs(&self, entity: EntityId, at: Time) -> Result<Vec<CostRecord>> {
        let day = day_of(at);
        let partitions: Vec<String> = (0..SHARDS).map(|shard| format!("E#{entity}#{}", collection(&day, shard))).collect();
        let reads = partitions.iter().map(|partition| self.partition(partition, "", false));
        let items = futures_util::future::try_join_all(reads).await?.into_iter().flatten();
        let records: Result<Vec<Option<Versioned<CostRecord>>>> = items.map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().map(|record| record.value).collect())
    }
}

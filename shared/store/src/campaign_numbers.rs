//! What a campaign has brought: numbers, and the marks of what was counted.

use std::collections::BTreeMap;

use axle_domain::campaign::metrics::Count;
use axle_domain::{CampaignId, EntityId};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::item::{Record, from_item};
use crate::key::Key;
use crate::table::Table;
use crate::tally::{SHARDS, add_up, shard_key};

/// Attempts against counts that happen at the same moment.
const RACES: usize = 8;
/// The number that every count raises, so that a repair notices what happens meanwhile.
const APPLIED: &str = "applied";

fn board(campaign: CampaignId) -> String {
    format!("CAMPAIGN#{campaign}")
}

/// Something that was counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignMark {
    pub entity_id: EntityId,
    pub campaign_id: CampaignId,
    pub mark: String,
    pub numbers: Vec<String>,
}

fn marks(campaign: CampaignId, shard: u128) -> String {
    format!("CAMPAIGN#{campaign}#MARKS#{shard:02}")
}

impl Record for CampaignMark {
    const TYPE: &'static str = "campaign_mark";
    fn key(&self) -> Key {
        Key::member(self.entity_id, &marks(self.campaign_id, u128::from(Count::shard(&self.mark))), &self.mark)
    }
}

impl Table {
    /// Counts something, if it was not counted before; answers whether that was news. Four write units; one if it is none.
    pub async fn count_for_campaign(&self, entity: EntityId, campaign: CampaignId, count: &Count) -> Result<bool> {
        let Count { mark, numbers } = count.clone();
        let shard = u128::from(Count::shard(&mark));
        let mark = CampaignMark { entity_id: entity, campaign_id: campaign, mark, numbers };
        let mut tx = self.tx();
        tx.create("mark", &mark);
        let deltas = mark.numbers.iter().map(|name| (name.as_str(), 1)).chain([(APPLIED, 1)]);
        tx.tally(entity, &board(campaign), shard, &deltas.collect::<Vec<_>>());
        tx.try_commit().await
    }

    /// A campaign's numbers; strongly consistent, some 1 read unit.
    pub async fn campaign_numbers(&self, entity: EntityId, campaign: CampaignId) -> Result<BTreeMap<String, i64>> {
        let mut numbers = self.tally(entity, &board(campaign)).await?;
        numbers.remove(APPLIED);
        Ok(numbers)
    }

    /// Makes a campaign's numbers what its marks say; answers how many were wrong.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a shard never rests long enough; asking again later helps.
    pub async fn settle_campaign(&self, entity: EntityId, campaign: CampaignId) -> Result<usize> {
        let mut wrong = 0;
        for shard in 0..SHARDS {
            wrong += self.settle_campaign_shard(entity, campaign, shard).await?;
        }
        Ok(wrong)
    }

    async fn settle_campaign_shard(&self, entity: EntityId, campaign: CampaignId, shard: u128) -> Result<usize> {
        let board = board(campaign);
        for _ in 0..RACES {
            let mut actual = BTreeMap::new();
            add_up(&self.get_raw(&shard_key(entity, &board, shard)).await?.unwrap_or_default(), &mut actual);
            let applied = actual.remove(APPLIED).unwrap_or(0);
            let mut delta: BTreeMap<String, i64> = actual.into_iter().map(|(name, n)| (name, -n)).collect();
            let pk = Key::member(entity, &marks(campaign, shard), "").pk;
            for item in self.partition(&pk, "", true).await? {
                for name in from_item::<CampaignMark>(item, None)?.into_iter().flat_map(|mark| mark.value.numbers) {
                    *delta.entry(name).or_insert(0) += 1;
                }
            }
            delta.retain(|_, by| *by != 0);
            if delta.is_empty() {
                return Ok(0);
            }
            let wrong = delta.len();
            let mut tx = self.tx();
            let deltas = delta.iter().map(|(name, by)| (name.as_str(), *by)).chain([(APPLIED, 1)]);
            tx.tally(entity, &board, shard, &deltas.collect::<Vec<_>>());
            tx.only_if(entity, &board, shard, APPLIED, applied);
            if tx.try_commit().await? {
                return Ok(wrong);
            }
        }
        Err(Error::Unavailable(format!("shard {shard} of a campaign's numbers keeps changing")))
    }
}

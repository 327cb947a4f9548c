//! The numbers of the dashboard, kept up to date from the table's stream.
//!
//! For each record a *mark* remembers what it was counted as, and at which of its versions. A change is counted by the difference to
//! the mark, in one transaction with the mark: what comes twice or late finds a mark of the same or a later version and does nothing.

use std::collections::{BTreeMap, HashMap};

use axle_domain::crm::numbers::{Contribution, MAIN, OWNER};
use axle_domain::{EntityId, Time, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counted::Counted;
use crate::error::{Error, Result};
use crate::item::{Item, Placement, Record, Versioned, from_item, text};
use crate::key::Key;
use crate::table::Table;
use crate::tally::{SHARDS, add_up, shard_key};
use crate::tx::{CommitError, Tx};

/// Attempts against others who count the same record.
const RACES: usize = 8;
/// Days that the mark of a deleted record is kept: longer than the stream keeps what came before the deletion (one day).
const GONE_DAYS: i64 = 7;
/// The number that every change of a shard raises, so that its repair notices what happens meanwhile.
const APPLIED: &str = "applied";
/// Owners that are read of each shard.
const OWNERS_READ: i32 = 500;
/// Boards that one step of a repair puts right: a transaction takes 100 writes.
const BOARDS_AT_ONCE: usize = 90;
/// Boards that a repair reads side by side.
const READ_AT_ONCE: usize = 16;

/// What a record was counted as.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MarkRecord {
    pub entity_id: EntityId,
    /// `<kind>#<id>`
    pub subject: String,
    pub shard: u8,
    /// The record's version that was counted.
    pub counted_version: u64,
    #[serde(default, skip_serializing_if = "Contribution::is_empty")]
    pub numbers: Contribution,
    /// Unix seconds; set once the record is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_until: Option<i64>,
}

impl MarkRecord {
    fn key_of(entity: EntityId, counted: &Counted) -> Key {
        Key::member(entity, &format!("CRM#MARKS#{:02}", shard_of(counted.id)), counted.subject())
    }

    pub fn is_gone(&self) -> bool {
        self.gone_until.is_some()
    }
}

impl Record for MarkRecord {
    const TYPE: &'static str = "crm_mark";
    fn key(&self) -> Key {
        Key::member(self.entity_id, &format!("CRM#MARKS#{:02}", self.shard), &self.subject)
    }
    fn placement(&self) -> Placement {
        Placement { expires_at: self.gone_until.map(Time::from_secs), ..Placement::default() }
    }
}

fn shard_of(id: Uuid) -> u128 {
    id.as_u128() % SHARDS
}

/// Owners' numbers lie beside the marks' shards, so that a shard's marks say all that is in it.
fn owner_key(entity: EntityId, shard: u128, owner: &str) -> Key {
    Key::member(entity, &format!("CRM#OWNERS#{shard:02}"), owner)
}

fn add_all(tx: &mut Tx<'_>, entity: EntityId, shard: u128, delta: &Contribution) {
    for (board, numbers) in delta.boards() {
        let deltas = numbers.iter().map(|(name, by)| (name.as_str(), *by));
        match board.strip_prefix(OWNER) {
            Some(owner) => tx.add(owner_key(entity, shard, owner), deltas, None),
            None => tx.add(shard_key(entity, board, shard), deltas, None),
        }
    }
    tx.add(shard_key(entity, MAIN, shard), [(APPLIED, 1)], None);
}

impl Table {
    /// Counts a record as it is at a version; answers whether that was news. `anew` counts the version that was counted last once
    /// more, in case that it is counted otherwise now.
    pub async fn count(&self, entity: EntityId, counted: &Counted, anew: bool, now: Time) -> Result<bool> {
        let key = MarkRecord::key_of(entity, counted);
        for _ in 0..RACES {
            let known = match self.get_raw(&key).await? {
                Some(item) => from_item::<MarkRecord>(item, None)?,
                None => None,
            };
            let numbers = counted.numbers.clone().unwrap_or_default();
            let before = known.as_ref().map(|mark| mark.value.numbers.clone()).unwrap_or_default();
            let delta = numbers.minus(&before);
            let last = known.as_ref().map_or(0, |mark| mark.value.counted_version);
            if last > counted.version || (last == counted.version && (!anew || delta.is_empty())) {
                return Ok(false);
            }
            let mark = MarkRecord {
                entity_id: entity,
                subject: counted.subject(),
                shard: u8::try_from(shard_of(counted.id)).unwrap_or_default(),
                counted_version: counted.version,
                numbers,
                gone_until: counted.numbers.is_none().then(|| now.plus_days(GONE_DAYS).secs()),
            };
            match self.write_mark(entity, &mark, known.as_ref().map(|mark| mark.version), &delta).await {
                Ok(()) => return Ok(true),
                Err(CommitError::Condition { .. }) => {}
                Err(CommitError::Store(e)) => return Err(e),
            }
        }
        Err(Error::Unavailable("a mark keeps changing".to_owned()))
    }

    async fn write_mark(
        &self,
        entity: EntityId,
        mark: &MarkRecord,
        version: Option<u64>,
        delta: &Contribution,
    ) -> Result<(), CommitError> {
        let mut tx = self.tx();
        match version {
            Some(version) => tx.replace("mark", mark, version),
            None => tx.create("mark", mark),
        }
        if delta.is_empty() {
            return tx.commit_alone().await;
        }
        add_all(&mut tx, entity, u128::from(mark.shard), delta);
        tx.commit().await
    }

    /// The numbers of boards; eight or nine read units, however many records there are.
    pub async fn boards(&self, entity: EntityId, names: &[String]) -> Result<BTreeMap<String, BTreeMap<String, i64>>> {
        let reads = names.iter().map(async |name| Ok((name.clone(), self.tally(entity, name).await?)));
        Ok(futures_util::future::try_join_all(reads).await?.into_iter().collect())
    }

    /// The numbers of owners: those of the first 500 of each shard.
    pub async fn owners(&self, entity: EntityId) -> Result<BTreeMap<UserId, BTreeMap<String, i64>>> {
        let reads = (0..SHARDS).map(|shard| self.first_of(format!("E#{entity}#CRM#OWNERS#{shard:02}"), OWNERS_READ));
        let mut owners: BTreeMap<UserId, BTreeMap<String, i64>> = BTreeMap::new();
        for item in futures_util::future::try_join_all(reads).await?.into_iter().flatten() {
            if let Some(owner) = text(&item, "sk").and_then(|owner| owner.parse().ok()) {
                add_up(&item, owners.entry(owner).or_default());
            }
        }
        Ok(owners)
    }

    /// The marks of one of the shards, in the order of their subjects.
    pub async fn marks(&self, entity: EntityId, shard: u128) -> Result<Vec<Versioned<MarkRecord>>> {
        let items = self.partition(&format!("E#{entity}#CRM#MARKS#{shard:02}"), "", true).await?;
        let marks: Result<Vec<_>> = items.into_iter().map(|item| from_item::<MarkRecord>(item, None)).collect();
        Ok(marks?.into_iter().flatten().collect())
    }

    /// Makes the numbers of one shard what its marks say; answers how many were wrong. `boards` are looked at in any case, the others
    /// if a mark speaks of them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the shard never rests long enough; asking again later helps.
    pub async fn settle(&self, entity: EntityId, shard: u128, boards: &[String]) -> Result<usize> {
        let mut wrong = 0;
        for _ in 0..RACES {
            let mut actual = self.shard_numbers(entity, shard, boards).await?;
            let applied = actual.remove_applied();
            let mut due = Contribution::default();
            for mark in self.marks(entity, shard).await? {
                due.merge(&mark.value.numbers, 1);
            }
            let unread: Vec<String> = due.boards().map(|(b, _)| b.to_owned()).filter(|b| !actual.read.contains_key(b)).collect();
            let more = self.shard_numbers(entity, shard, &unread).await?;
            actual.read.extend(more.read.into_iter().filter(|(board, _)| unread.contains(board)));
            let delta = due.minus(&actual.contribution());
            if delta.is_empty() {
                return Ok(wrong);
            }
            let mut some = Contribution::default();
            for (board, numbers) in delta.boards().take(BOARDS_AT_ONCE) {
                numbers.iter().for_each(|(name, by)| some.add(board, name, *by));
            }
            let mut tx = self.tx();
            add_all(&mut tx, entity, shard, &some);
            tx.only_if(entity, MAIN, shard, APPLIED, applied);
            match tx.commit().await {
                Ok(()) => wrong += some.boards().map(|(_, numbers)| numbers.len()).sum::<usize>(),
                Err(CommitError::Condition { .. }) => {}
                Err(CommitError::Store(e)) => return Err(e),
            }
        }
        Err(Error::Unavailable(format!("shard {shard} of the dashboard's numbers keeps changing")))
    }

    /// The main board first: whatever is counted after it was read raises its `applied`.
    async fn shard_numbers(&self, entity: EntityId, shard: u128, boards: &[String]) -> Result<ShardNumbers> {
        let mut read = HashMap::new();
        let main = self.get_raw(&shard_key(entity, MAIN, shard)).await?.unwrap_or_default();
        read.insert(MAIN.to_owned(), numbers_of(&main));
        for item in self.partition(&format!("E#{entity}#CRM#OWNERS#{shard:02}"), "", true).await? {
            let owner = text(&item, "sk").unwrap_or_default();
            read.insert(format!("{OWNER}{owner}"), numbers_of(&item));
        }
        let others = boards.iter().filter(|board| *board != MAIN && !board.starts_with(OWNER));
        let reads = stream::iter(others.map(async |board| {
            let item = self.get_raw(&shard_key(entity, board, shard)).await?.unwrap_or_default();
            Ok::<_, Error>((board.clone(), numbers_of(&item)))
        }));
        read.extend(reads.buffered(READ_AT_ONCE).try_collect::<Vec<_>>().await?);
        Ok(ShardNumbers { read })
    }

    async fn first_of(&self, partition: String, limit: i32) -> Result<Vec<Item>> {
        let request = self.client.query().table_name(&self.name).key_condition_expression("pk = :pk").limit(limit);
        let request = request.expression_attribute_values(":pk", aws_sdk_dynamodb::types::AttributeValue::S(partition));
        let out = request.set_return_consumed_capacity(self.capacity()).send().await.map_err(crate::error::sdk)?;
        if let Some(meter) = &self.meter {
            meter.note("Query", false, &out.consumed_capacity);
        }
        Ok(out.items.unwrap_or_default())
    }
}

/// What one shard holds, by board.
struct ShardNumbers {
    read: HashMap<String, BTreeMap<String, i64>>,
}

impl ShardNumbers {
    fn remove_applied(&mut self) -> i64 {
        self.read.get_mut(MAIN).and_then(|main| main.remove(APPLIED)).unwrap_or(0)
    }

    fn contribution(&self) -> Contribution {
        let mut all = Contribution::default();
        for (board, numbers) in &self.read {
            numbers.iter().for_each(|(name, n)| all.add(board, name, *n));
        }
        all
    }
}

fn numbers_of(item: &Item) -> BTreeMap<String, i64> {
    let mut numbers = BTreeMap::new();
    add_up(item, &mut numbers);
    numbers
}

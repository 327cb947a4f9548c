//! Numbers that are right at every moment, because the writes that change what they count change them too.
//!
//! A board of numbers is spread over shards, so that writers at the same moment meet different items, and so that no item takes
//! every write. A write changes all its numbers in *one* shard: whoever reads a shard reads a state between two writes.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::{EntityId, Time};

use crate::error::Result;
use crate::item::Item;
use crate::key::Key;
use crate::table::{Table, Update};
use crate::tx::Tx;

/// Items that a board is spread over.
pub const SHARDS: u128 = 16;
/// Keeps the names of numbers apart from the item's own attributes.
const PREFIX: &str = "n_";

fn collection(board: &str) -> String {
    format!("TALLY#{board}")
}

pub(crate) fn shard_key(entity: EntityId, board: &str, shard: u128) -> Key {
    Key::member(entity, &collection(board), format!("{shard:02}"))
}

/// What a transaction adds to the numbers of one item.
pub(crate) struct Tally {
    key: Key,
    deltas: BTreeMap<String, i64>,
    expires: Option<Time>,
    /// A number that the item must have, or must not have if that is 0.
    only_if: Option<(&'static str, i64)>,
    /// When what is counted last happened.
    stamp: Option<Time>,
}

/// When what is counted happened. A board remembers the latest.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub at: Time,
}

/// The attribute that has it.
const LAST: &str = "last_at";

impl Tx<'_> {
    /// Adds `deltas` to the numbers of `board`, in the shard of `subject` (the UUID of what is counted). Two write units for each
    /// shard of a board; calls that meet the same one are added up, and what comes to 0 is not written.
    pub fn tally(&mut self, entity: EntityId, board: &str, subject: u128, deltas: &[(&str, i64)]) {
        self.tally_until(entity, board, subject, deltas, None);
    }

    /// The same on a board that nobody asks for after a time, such as one an hour, and that goes then.
    pub fn tally_until(&mut self, entity: EntityId, board: &str, subject: u128, deltas: &[(&str, i64)], expires: Option<Time>) {
        self.add(shard_key(entity, board, subject % SHARDS), deltas.iter().copied(), expires);
    }

    /// The same, and the board remembers when.
    pub(crate) fn tally_stamped(&mut self, entity: EntityId, board: &str, subject: u128, deltas: &[(&str, i64)], stamp: Stamp) {
        let key = shard_key(entity, board, subject % SHARDS);
        self.add(key.clone(), deltas.iter().copied(), None);
        if let Some(tally) = self.tallies.iter_mut().find(|tally| tally.key == key) {
            tally.stamp = tally.stamp.max(Some(stamp.at));
        }
    }

    /// Adds to the numbers of an item that has nothing else. An item can be written once in a transaction, so this waits for its end.
    pub(crate) fn add<'n>(&mut self, key: Key, deltas: impl IntoIterator<Item = (&'n str, i64)>, expires: Option<Time>) {
        let index = self.tallies.iter().position(|tally| tally.key == key).unwrap_or_else(|| {
            self.tallies.push(Tally { key, deltas: BTreeMap::new(), expires, only_if: None, stamp: None });
            self.tallies.len() - 1
        });
        let Some(tally) = self.tallies.get_mut(index) else { return };
        for (name, by) in deltas {
            *tally.deltas.entry(name.to_owned()).or_insert(0) += by;
        }
    }

    /// Requires that a number of a board's shard still is what it was read as. Needs something to be added to that shard as well.
    pub(crate) fn only_if(&mut self, entity: EntityId, board: &str, shard: u128, name: &'static str, seen: i64) {
        let key = shard_key(entity, board, shard);
        if let Some(tally) = self.tallies.iter_mut().find(|tally| tally.key == key) {
            tally.only_if = Some((name, seen));
        }
    }

    /// Makes writes of what was added up.
    pub(crate) fn write_tallies(&mut self) {
        for Tally { key, mut deltas, expires, only_if, stamp } in std::mem::take(&mut self.tallies) {
            deltas.retain(|_, by| *by != 0);
            if deltas.is_empty() {
                continue;
            }
            let adds: Vec<String> = (0..deltas.len()).map(|i| format!("#n{i} :n{i}")).collect();
            let end = if expires.is_some() { ", expires_at = :expires" } else { "" };
            // Writers of one shard at the same moment may be milliseconds out of order; the latest of all shards is what is shown.
            let last = if stamp.is_some() { format!(", {LAST} = :last") } else { String::new() };
            let mut update = Update::new(format!("ADD {} SET #type = :type{end}{last}", adds.join(", ")));
            if let Some(at) = stamp {
                update.values.insert(":last".to_owned(), AttributeValue::S(at.to_string()));
            }
            if let Some(at) = expires {
                update.values.insert(":expires".to_owned(), AttributeValue::N(at.secs().to_string()));
            }
            update.names.insert("#type".to_owned(), "type".to_owned());
            update.values.insert(":type".to_owned(), AttributeValue::S("tally".to_owned()));
            for (i, (name, by)) in deltas.into_iter().enumerate() {
                update.names.insert(format!("#n{i}"), format!("{PREFIX}{name}"));
                update.values.insert(format!(":n{i}"), AttributeValue::N(by.to_string()));
            }
            if let Some((name, seen)) = only_if {
                update.names.insert("#seen".to_owned(), format!("{PREFIX}{name}"));
                update.values.extend((seen != 0).then(|| (":seen".to_owned(), AttributeValue::N(seen.to_string()))));
                update = update.when(if seen == 0 { "attribute_not_exists(#seen)" } else { "#seen = :seen" });
            }
            self.update("tally", key, update);
        }
    }
}

impl Table {
    /// The numbers of a board, summed over its shards; strongly consistent, some 1 read unit. What was never counted is absent.
    pub async fn tally(&self, entity: EntityId, board: &str) -> Result<BTreeMap<String, i64>> {
        let mut sums = BTreeMap::new();
        for item in self.partition(&format!("E#{entity}#{}", collection(board)), "", true).await? {
            add_up(&item, &mut sums);
        }
        Ok(sums)
    }

    /// The same with the latest stamp.
    pub(crate) async fn stamped_tally(&self, entity: EntityId, board: &str) -> Result<(BTreeMap<String, i64>, Option<Time>)> {
        let (mut sums, mut last) = (BTreeMap::new(), None);
        for item in self.partition(&format!("E#{entity}#{}", collection(board)), "", true).await? {
            add_up(&item, &mut sums);
            last = last.max(crate::item::text(&item, LAST).and_then(|at| at.parse().ok()));
        }
        Ok((sums, last))
    }

    /// One number of a board, or the sum of all.
    pub(crate) async fn counted(&self, entity: EntityId, board: &str, name: Option<&str>) -> Result<u64> {
        let numbers = self.tally(entity, board).await?;
        let wanted = numbers.iter().filter(|(known, _)| name.is_none_or(|name| name == known.as_str()));
        Ok(u64::try_from(wanted.map(|(_, n)| n).sum::<i64>()).unwrap_or(0))
    }
}

pub(crate) fn add_up(item: &Item, sums: &mut BTreeMap<String, i64>) {
    for (name, value) in item {
        let number = value.as_n().ok().and_then(|n| n.parse::<i64>().ok());
        if let (Some(name), Some(number)) = (name.strip_prefix(PREFIX), number) {
            *sums.entry(name.to_owned()).or_insert(0) += number;
        }
    }
}

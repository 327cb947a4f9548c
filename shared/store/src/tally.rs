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

impl Tx<'_> {
    /// Adds `deltas` to the numbers of `board`, in the shard of `subject` (the UUID of what is counted). Two write units.
    /// One call a board and subject in a transaction; deltas of 0 are left out, and with none left nothing is written.
    pub fn tally(&mut self, entity: EntityId, board: &str, subject: u128, deltas: &[(&str, i64)]) {
        self.tally_until(entity, board, subject, deltas, None);
    }

    /// The same on a board that nobody asks for after a time, such as one an hour, and that goes then.
    pub fn tally_until(&mut self, entity: EntityId, board: &str, subject: u128, deltas: &[(&str, i64)], expires: Option<Time>) {
        let deltas: Vec<_> = deltas.iter().filter(|(_, by)| *by != 0).collect();
        if deltas.is_empty() {
            return;
        }
        let adds: Vec<String> = (0..deltas.len()).map(|i| format!("#n{i} :n{i}")).collect();
        let end = if expires.is_some() { ", expires_at = :expires" } else { "" };
        let mut update = Update::new(format!("ADD {} SET #type = :type{end}", adds.join(", ")));
        if let Some(at) = expires {
            update.values.insert(":expires".to_owned(), AttributeValue::N(at.secs().to_string()));
        }
        update.names.insert("#type".to_owned(), "type".to_owned());
        update.values.insert(":type".to_owned(), AttributeValue::S("tally".to_owned()));
        for (i, (name, by)) in deltas.into_iter().enumerate() {
            update.names.insert(format!("#n{i}"), format!("{PREFIX}{name}"));
            update.values.insert(format!(":n{i}"), AttributeValue::N(by.to_string()));
        }
        let shard = subject % SHARDS;
        self.update("tally", Key::member(entity, &collection(board), format!("{shard:02}")), update);
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
}

fn add_up(item: &Item, sums: &mut BTreeMap<String, i64>) {
    for (name, value) in item {
        let number = value.as_n().ok().and_then(|n| n.parse::<i64>().ok());
        if let (Some(name), Some(number)) = (name.strip_prefix(PREFIX), number) {
            *sums.entry(name.to_owned()).or_insert(0) += number;
        }
    }
}

//! What became of messages lately, in numbers that change in the same write as the messages.
//!
//! A board holds ten minutes: few numbers an item, so that a write of it stays one unit's size.

use axle_domain::communication::{DeliveryNumbers, latency_class};
use axle_domain::{EntityId, Time};

use crate::communications::CommunicationRecord;
use crate::error::Result;
use crate::table::Table;
use crate::tx::Tx;

/// Seconds of a board.
const SLOT_SECS: i64 = 600;
/// Hours that boards are kept: service levels look back a day.
const KEPT_HOURS: i64 = 26;
/// Boards that are read side by side.
const SIDE_BY_SIDE: usize = 16;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// Handed to its provider, so long after it was due.
    Sent {
        latency_ms: u64,
    },
    Failed,
    Bounced,
}

fn slot(at: Time) -> i64 {
    at.secs().div_euclid(SLOT_SECS)
}

fn board(slot: i64) -> String {
    format!("OUTBOXRATE#{slot}")
}

fn name(kind: char, at: Time) -> String {
    format!("{kind}{}", at.secs().rem_euclid(SLOT_SECS) / 60)
}

fn latency_name(class: u32) -> String {
    format!("l{class}")
}

fn latency_class_of(name: &str) -> Option<u32> {
    name.strip_prefix('l')?.parse().ok()
}

impl Tx<'_> {
    /// Counts what became of a message in the minute of `at`.
    pub fn count_outcome(&mut self, record: &CommunicationRecord, at: Time, outcome: MessageOutcome) {
        let names = match outcome {
            MessageOutcome::Sent { latency_ms } => vec![name('s', at), latency_name(latency_class(latency_ms))],
            MessageOutcome::Failed => vec![name('f', at)],
            MessageOutcome::Bounced => vec![name('b', at)],
        };
        let deltas: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let expires = Some(at.plus_secs(KEPT_HOURS * 3_600));
        self.tally_until(record.entity_id, &board(slot(at)), record.id.uuid().as_u128(), &deltas, expires);
    }
}

impl Table {
    /// What became of messages in the last `minutes`, the running one included: one read unit for each ten minutes. Latencies are those
    /// of whole boards, so of up to nine minutes more.
    pub async fn delivery_numbers(&self, entity: EntityId, now: Time, minutes: i64) -> Result<DeliveryNumbers> {
        use futures_util::{StreamExt as _, TryStreamExt as _, stream};
        let minutes = minutes.clamp(1, KEPT_HOURS * 60);
        let since = now.plus_secs(-60 * (minutes - 1));
        let boards = stream::iter(slot(since)..=slot(now));
        let read = boards.map(async |slot| self.tally(entity, &board(slot)).await.map(|numbers| (slot, numbers)));
        let read: Vec<_> = read.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let mut all = DeliveryNumbers::default();
        let first = since.secs().div_euclid(60);
        for (slot, numbers) in read {
            let count = |n: i64| u64::try_from(n).unwrap_or(0);
            for minute in (0..SLOT_SECS / 60).filter(|minute| slot * (SLOT_SECS / 60) + minute >= first) {
                let number = |kind: char| count(numbers.get(&format!("{kind}{minute}")).copied().unwrap_or(0));
                all.sent += number('s');
                all.failed += number('f');
                all.bounced += number('b');
            }
            for (name, number) in &numbers {
                if let Some(class) = latency_class_of(name) {
                    *all.latencies.entry(class).or_default() += count(*number);
                }
            }
        }
        Ok(all)
    }
}

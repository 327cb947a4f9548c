//! Service levels, and what agents' executions came to, by the minute.

use axle_domain::slo::{ExecutionNumbers, Objective, SloState, duration_class};
use axle_domain::webhook::DeliveryStatus;
use axle_domain::{EntityId, Time, WebhookId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deliveries::due_partition;
use crate::error::Result;
use crate::item::{Placement, Record, Versioned, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Span};
use crate::table::Table;
use crate::tx::{CommitError, Tx};

/// Minutes of a board of executions: few numbers an item, so that a write of it stays one unit's size.
const SLOT_MINUTES: i64 = 10;
/// Hours that boards are kept: service levels look back a day.
const KEPT_HOURS: i64 = 26;
/// Boards that are read side by side.
const SIDE_BY_SIDE: usize = 16;
/// The latest deliveries of an endpoint that are judged.
pub const DELIVERIES_JUDGED: usize = 20_000;
/// Deliveries that are read at a time.
const PAGE: usize = 1_000;

const NAMESPACE: Uuid = Uuid::from_u128(0x94d2_5c0b_e871_4f36_9ab4_07d3_6e1f_c258);

/// A service level and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    pub name: String,
    pub objective: Objective,
    pub threshold: f64,
    pub window_minutes: u32,
    pub status: SloState,
    /// What was measured last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_at: Option<Time>,
    /// While a breach goes on, when it was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breached_since: Option<Time>,
    /// When it is to be judged next.
    pub check_at: Time,
    pub created_at: Time,
    pub updated_at: Time,
}

impl SloRecord {
    /// The id follows from the name: a name is one service level.
    pub fn id_of(entity: EntityId, name: &str) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{entity}/{name}").as_bytes())
    }

    pub fn key_of(entity: EntityId, id: Uuid) -> Key {
        Key::member(entity, "SLOS", id.as_hyphenated())
    }
}

impl Record for SloRecord {
    const TYPE: &'static str = "slo";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let due = (due_partition(self.id), format!("{}#{}", self.check_at, self.id));
        Placement { gsi3: Some(due), ..Placement::default() }
    }
}

fn slot(minute: i64) -> i64 {
    minute.div_euclid(SLOT_MINUTES)
}

fn minute_of(at: Time) -> i64 {
    at.secs().div_euclid(60)
}

fn board(slot: i64) -> String {
    format!("EXECUTIONS#{slot}")
}

impl Tx<'_> {
    /// Counts an agent's execution, or run, that has ended. Two write units; it goes with the write that ends it, which happens once.
    pub fn count_execution(&mut self, entity: EntityId, id: Uuid, at: Time, succeeded: bool, duration_ms: u64) {
        let minute = minute_of(at);
        let place = minute.rem_euclid(SLOT_MINUTES);
        let outcome = format!("{}{place}", if succeeded { 's' } else { 'f' });
        let duration = format!("d{place}x{}", duration_class(duration_ms));
        let deltas = [(outcome.as_str(), 1), (duration.as_str(), 1)];
        let expires = Some(at.plus_secs(KEPT_HOURS * 3_600));
        self.tally_until(entity, &board(slot(minute)), id.as_u128(), &deltas, expires);
    }
}

impl Table {
    /// What became of agents' executions in the last `minutes`, the running one included: one read unit for each ten minutes.
    pub async fn execution_numbers(&self, entity: EntityId, now: Time, minutes: i64) -> Result<ExecutionNumbers> {
        let last = minute_of(now);
        let first = last - minutes.clamp(1, KEPT_HOURS * 60) + 1;
        let boards = stream::iter(slot(first)..=slot(last));
        let read = boards.map(async |slot| self.tally(entity, &board(slot)).await.map(|numbers| (slot, numbers)));
        let read: Vec<_> = read.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let mut all = ExecutionNumbers::default();
        for (slot, numbers) in read {
            for (name, count) in numbers {
                let (Some(kind), Some(rest)) = (name.chars().next(), name.get(1..)) else { continue };
                let (place, class) = rest.split_once('x').unwrap_or((rest, "0"));
                let (Ok(place), Ok(class), Ok(count)) = (place.parse::<i64>(), class.parse(), u64::try_from(count)) else {
                    continue;
                };
                match kind {
                    _ if !(first..=last).contains(&(slot * SLOT_MINUTES + place)) => {}
                    's' => all.succeeded += count,
                    'f' => all.failed += count,
                    _ => *all.durations.entry(class).or_default() += count,
                }
            }
        }
        Ok(all)
    }

    /// How many of a tenant's webhook deliveries of a span of time succeeded, and how many did not, as yet or for good. Read from the index
    /// of the latest 20,000 of each endpoint: half a read unit for some 15, so it costs those who ask and nobody else.
    pub async fn delivery_outcomes(&self, entity: EntityId, from: Time, to: Time) -> Result<(u64, u64)> {
        let endpoints = self.webhooks(entity, false).await?;
        let counts = stream::iter(endpoints).map(|endpoint| self.outcomes_of(entity, endpoint.value.id, from, to));
        let counts: Vec<(u64, u64)> = counts.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        Ok(counts.into_iter().fold((0, 0), |(good, bad), (g, b)| (good + g, bad + b)))
    }

    async fn outcomes_of(&self, entity: EntityId, webhook: WebhookId, from: Time, to: Time) -> Result<(u64, u64)> {
        let span = Span { from: Some(from.to_string()), to: Some(to.to_string()) };
        let (mut good, mut bad, mut seen, mut after) = (0, 0, 0, None);
        loop {
            let page = self.delivery_index(entity, webhook, &Filter::default(), &span, after.as_deref(), PAGE).await?;
            for item in &page.items {
                match text(item, "status").and_then(|status| status.parse().ok()) {
                    Some(DeliveryStatus::Delivered) => good += 1,
                    Some(DeliveryStatus::Failed | DeliveryStatus::Dead) => bad += 1,
                    // On its way for the first time: nothing to judge yet.
                    Some(DeliveryStatus::Pending) | None => {}
                }
            }
            seen += page.items.len();
            match page.next {
                Some(next) if seen < DELIVERIES_JUDGED => after = Some(next),
                _ => return Ok((good, bad)),
            }
        }
    }

    pub async fn slo(&self, entity: EntityId, id: Uuid, now: Time) -> Result<Option<Versioned<SloRecord>>> {
        self.get(&SloRecord::key_of(entity, id), now).await
    }

    /// All service levels of a tenant, by name.
    pub async fn slos(&self, entity: EntityId) -> Result<Vec<Versioned<SloRecord>>> {
        let items = self.partition(&format!("E#{entity}#SLOS"), "", true).await?;
        let found: Result<Vec<_>> = items.into_iter().map(|item| from_item::<SloRecord>(item, None)).collect();
        let mut found: Vec<Versioned<SloRecord>> = found?.into_iter().flatten().collect();
        found.sort_by(|a, b| a.value.name.cmp(&b.value.name));
        Ok(found)
    }

    /// Replaces what was read at `version`; false if it was changed in between. A plain put, half the price of a transaction.
    pub async fn put_slo(&self, slo: &SloRecord, version: u64) -> Result<bool> {
        let mut tx = self.tx();
        tx.replace("slo", slo, version);
        match tx.commit_alone().await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition { .. }) => Ok(false),
            Err(CommitError::Store(e)) => Err(e),
        }
    }
}

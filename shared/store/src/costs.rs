//! What was spent, on what, and by whom; and the sums.
//!
//! A sum is changed in the same transaction as what it counts, so it is exact at every moment and there is nothing to repair. One row holds
//! the sums of a day, campaign and agent, so one write (two units, as part of a transaction) serves the totals by day, by campaign and by
//! agent alike, and they cannot disagree: they are the same rows added up in different ways. The alternative, an aggregator behind the
//! table's stream, would write a mark for each record as well as the sums (four units) and be a moment late.
//!
//! Each row exists up to sixteen times, in as many partitions: whoever counts takes the one that the id of the counted thing falls on.

use std::collections::BTreeMap;

use axle_domain::cost::{CostCategory, CostUnit, Sums};
use axle_domain::{CampaignId, Date, EntityId, LeadId, Micros, Time, TraceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Placement, Record, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tally::{SHARDS, add_up};
use crate::tx::Tx;

/// Days that a record is kept.
pub const RECORD_DAYS: i64 = 400;
/// Days that sums are kept: three years.
pub const SUM_DAYS: i64 = 1_096;
/// Rows that are read at a time from each partition.
const PAGE: usize = 1_000;
const NAMESPACE: Uuid = Uuid::from_u128(0x2f61_7d0a_9c35_4b8e_8d1f_6a02_c4e7_5b93);
/// Stands for "no campaign" and "no agent" in a row's key.
const NONE: &str = "-";

/// Something that cost money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRecord {
    pub entity_id: EntityId,
    /// Follows from what cost it, so that it is counted once.
    pub id: Uuid,
    /// When it was spent: its day is the one that it is counted on.
    pub at: Time,
    pub category: CostCategory,
    /// In micro-units of the deployment's currency. Negative for what was given back.
    #[serde(with = "as_number")]
    pub micros: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// In a few words, such as `claude-haiku-4-5` or `sms by sns`.
    pub what: String,
}

mod as_number {
    use axle_domain::Micros;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(micros: &Micros, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(micros.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Micros, D::Error> {
        i64::deserialize(d).map(Micros)
    }
}

impl CostRecord {
    /// A cost of `subject`, which names what cost it within its category: the same one is the same record.
    pub fn new(
        entity_id: EntityId,
        category: CostCategory,
        subject: impl std::fmt::Display,
        at: Time,
        micros: Micros,
        what: impl Into<String>,
    ) -> Self {
        let id = Uuid::new_v5(&NAMESPACE, format!("{entity_id}/{category}/{subject}").as_bytes());
        let what = what.into().chars().take(100).collect();
        Self { entity_id, id, at, category, micros, agent_id: None, campaign_id: None, lead_id: None, trace_id: None, what }
    }

    #[must_use]
    pub fn agent(mut self, id: impl ToString) -> Self {
        self.agent_id = Some(id.to_string());
        self
    }

    #[must_use]
    pub fn campaign(mut self, id: Option<CampaignId>) -> Self {
        self.campaign_id = id;
        self
    }

    #[must_use]
    pub fn lead(mut self, id: Option<LeadId>) -> Self {
        self.lead_id = id;
        self
    }

    #[must_use]
    pub fn trace(mut self, id: TraceId) -> Self {
        self.trace_id = Some(id);
        self
    }

    pub fn key_of(entity: EntityId, id: Uuid) -> Key {
        Key::thing(entity, "COST", id.as_hyphenated())
    }
}

impl Record for CostRecord {
    const TYPE: &'static str = "cost";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        Placement { expires_at: Some(self.at.plus_days(RECORD_DAYS)), ..Placement::default() }
    }
}

/// Which row something is counted in.
#[derive(Clone, Debug)]
pub struct CostPlace<'a> {
    pub entity_id: EntityId,
    pub at: Time,
    /// The UUID of what is counted: it decides on the partition.
    pub subject: u128,
    pub campaign_id: Option<CampaignId>,
    pub agent_id: Option<&'a str>,
}

impl CostPlace<'_> {
    fn key(&self) -> Key {
        let campaign = self.campaign_id.map_or_else(|| NONE.to_owned(), |id| id.to_string());
        let row = format!("{}#{campaign}#{}", Date::of(self.at), self.agent_id.unwrap_or(NONE));
        Key::member(self.entity_id, &format!("COSTS#{:02}", self.subject % SHARDS), row)
    }
}

/// The sums of a day, campaign and agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostRow {
    pub day: Date,
    pub campaign_id: Option<CampaignId>,
    pub agent_id: Option<String>,
    pub sums: Sums,
}

impl CostRow {
    fn read(row: &str, numbers: &BTreeMap<String, i64>) -> Option<Self> {
        let mut parts = row.splitn(3, '#');
        let (day, campaign, agent) = (parts.next()?, parts.next()?, parts.next()?);
        let amounts = CostCategory::ALL.iter().filter_map(|c| Some((*c, Micros(*numbers.get(c.as_str())?))));
        let units = CostUnit::ALL.iter().filter_map(|unit| Some((*unit, *numbers.get(unit.as_str())?)));
        Some(Self {
            day: day.parse().ok()?,
            campaign_id: campaign.parse().ok(),
            agent_id: (agent != NONE).then(|| agent.to_owned()),
            sums: Sums { amounts: amounts.collect(), units: units.collect() },
        })
    }
}

impl Tx<'_> {
    /// Records what something cost and adds it to the sums. Two items, four write units; nothing for a cost of 0. A cost that was recorded
    /// before fails the transaction with the label `cost`.
    pub fn cost(&mut self, cost: &CostRecord) {
        if cost.micros == Micros::ZERO {
            return;
        }
        self.create("cost", cost);
        let subject = cost.id.as_u128();
        let agent_id = cost.agent_id.as_deref();
        let place = CostPlace { entity_id: cost.entity_id, at: cost.at, subject, campaign_id: cost.campaign_id, agent_id };
        self.spent(&place, cost.category, cost.micros);
    }

    /// Adds to the sums alone, for a thing that remembers its own cost and is changed by this transaction under a condition that holds
    /// only once. One item, two write units; what falls on the same row is added up.
    pub fn spent(&mut self, place: &CostPlace<'_>, category: CostCategory, amount: Micros) {
        self.add(place.key(), [(category.as_str(), amount.0)], Some(place.at.plus_days(SUM_DAYS)));
    }

    /// Counts one of what costs are divided by, under the same rule as [`spent`](Self::spent).
    pub fn cost_unit(&mut self, place: &CostPlace<'_>, unit: CostUnit) {
        self.add(place.key(), [(unit.as_str(), 1)], Some(place.at.plus_days(SUM_DAYS)));
    }
}

impl Table {
    /// Records a cost by itself; false if it was recorded before.
    pub async fn record_cost(&self, cost: &CostRecord) -> Result<bool> {
        let mut tx = self.tx();
        tx.cost(cost);
        if tx.is_empty() {
            return Ok(false);
        }
        tx.try_commit().await
    }

    /// The rows of the days from `from` to `to`, both included; those of different partitions stand side by side.
    pub async fn cost_rows(&self, entity: EntityId, from: Date, to: Date) -> Result<Vec<CostRow>> {
        let span = Span { from: Some(from.to_string()), to: Some(to.plus_days(1).to_string()) };
        let reads = (0..SHARDS).map(|shard| self.cost_rows_of(format!("E#{entity}#COSTS#{shard:02}"), span.clone()));
        Ok(futures_util::future::try_join_all(reads).await?.into_iter().flatten().collect())
    }

    async fn cost_rows_of(&self, partition: String, span: Span) -> Result<Vec<CostRow>> {
        let listing = Listing { index: None, partitions: vec![partition], ascending: true };
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(&listing, &span, after.as_deref(), &Filter::default(), PAGE).await?;
            rows.extend(page.items.iter().filter_map(|item| {
                let mut numbers = BTreeMap::new();
                add_up(item, &mut numbers);
                CostRow::read(text(item, "sk")?, &numbers)
            }));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(rows),
            }
        }
    }
}

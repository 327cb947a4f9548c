//! What a campaign may use up: money, and places of a day. Exact, and without an item that takes every write.
//!
//! An allowance lies in one partition: a `master` that holds what is not handed out, and 16 shards that hold what is. Whoever uses some up
//! takes it from one shard, by a condition in the very transaction that uses it; so nothing is ever used that was not there, and a
//! worker that dies leaves nothing taken. A shard that runs dry gets the next portion from the master; when that is empty too, it
//! gathers what is left in the other shards, to the last unit. Each of these transfers raises `moves` on the master, so that whoever
//! adds up the partition to find that nothing is left knows whether anything was on its way meanwhile.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::{CampaignId, EntityId, Micros, Time};

use crate::error::{Error, Result};
use crate::item::{Item, number, text};
use crate::key::Key;
use crate::table::{Table, Update};
use crate::tally::{SHARDS, add_up};
use crate::tx::{CommitError, Tx};

/// Attempts against others who move parts of the same allowance.
const RACES: u32 = 40;
/// The shards get a limit in so many portions.
const PORTIONS: i64 = 64;
/// Days that the places of a day outlive it.
const KEEP_DAYS: i64 = 3;
const MASTER: &str = "master";
/// What of a budget is taken for work that is being done, and may be given back in part.
const RESERVED: &str = "n_reserved";

/// What is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Money, in micro-units.
    Budget(CampaignId),
    /// Messages on a day.
    Day(CampaignId, String),
}

/// What money is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    AiInference,
    DataEnrichment,
    ChannelCosts,
}

impl Spending {
    const fn name(self) -> &'static str {
        match self {
            Self::AiInference => "n_ai_inference",
            Self::DataEnrichment => "n_data_enrichment",
            Self::ChannelCosts => "n_channel_costs",
        }
    }
}

/// What was spent so far, by category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub ai_inference: Micros,
    pub data_enrichment: Micros,
    pub channel_costs: Micros,
}

impl Spent {
    pub fn total(&self) -> Micros {
        Micros(self.ai_inference.0 + self.data_enrichment.0 + self.channel_costs.0)
    }
}

/// Whether there is something for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    Refilled,
    /// All shards and the master together have less than what is needed.
    Exhausted,
}

impl Allowance {
    fn collection(&self) -> String {
        match self {
            Self::Budget(campaign) => format!("CAMPAIGN#{campaign}#BUDGET"),
            Self::Day(campaign, day) => format!("CAMPAIGN#{campaign}#DAY#{day}"),
        }
    }

    fn master(&self, entity: EntityId) -> Key {
        Key::member(entity, &self.collection(), MASTER)
    }

    fn shard(&self, entity: EntityId, shard: u128) -> Key {
        Key::member(entity, &self.collection(), format!("{shard:02}"))
    }
}

fn of(subject: u128) -> u128 {
    subject % SHARDS
}

/// When the places of a day are of no use any more, in seconds. The day may be one to come.
fn expiry(day: &str, now: Time) -> i64 {
    let day = format!("{day}T12:00:00Z").parse::<Time>().unwrap_or(now);
    now.max(day).plus_days(KEEP_DAYS).secs()
}

fn signed(n: i64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

impl Tx<'_> {
    /// Sets an allowance up. Its limit is in its own unit.
    pub fn allow(&mut self, entity: EntityId, allowance: &Allowance, limit: i64) {
        self.update(
            "allowance",
            allowance.master(entity),
            Update::new("SET left_over = :limit, moves = :none")
                .when("attribute_not_exists(pk)")
                .number(":limit", limit)
                .number(":none", 0),
        );
    }

    /// Spends money on something, from the shard of `subject`. `limited`: only if it is there; then a failed condition labelled
    /// `budget` says that the shard is to be refilled.
    pub fn spend(&mut self, entity: EntityId, campaign: CampaignId, subject: u128, on: Spending, amount: Micros, limited: bool) {
        if amount.0 == 0 {
            return;
        }
        let key = Allowance::Budget(campaign).shard(entity, of(subject));
        let update = match limited {
            true => Update::new("ADD left_over :less, #on :amount").when("left_over >= :amount").number(":less", -amount.0),
            false => Update::new("ADD #on :amount"),
        };
        self.update("budget", key, update.name("#on", on.name()).number(":amount", amount.0));
    }

    /// Gives money back that was not spent after all.
    pub fn unspend(
        &mut self,
        entity: EntityId,
        campaign: CampaignId,
        subject: u128,
        on: Spending,
        amount: Micros,
        limited: bool,
    ) {
        if amount.0 == 0 {
            return;
        }
        let key = Allowance::Budget(campaign).shard(entity, of(subject));
        let update = match limited {
            true => Update::new("ADD left_over :amount, #on :less").number(":amount", amount.0),
            false => Update::new("ADD #on :less"),
        };
        self.update("budget", key, update.name("#on", on.name()).number(":less", -amount.0));
    }

    /// Takes the most that something can cost, as [`spend`](Self::spend) does, until [`settle`](Self::settle) says what it was.
    pub fn reserve(&mut self, entity: EntityId, campaign: CampaignId, subject: u128, on: Spending, most: Micros, limited: bool) {
        if most.0 == 0 {
            return;
        }
        let key = Allowance::Budget(campaign).shard(entity, of(subject));
        let update = match limited {
            true => Update::new("ADD left_over :less, #on :amount, #reserved :amount")
                .when("left_over >= :amount")
                .number(":less", -most.0),
            false => Update::new("ADD #on :amount, #reserved :amount"),
        };
        self.update("budget", key, update.name("#on", on.name()).name("#reserved", RESERVED).number(":amount", most.0));
    }

    /// Says what something cost for which `reserved` was taken; gives the rest back.
    #[allow(clippy::too_many_arguments)]
    pub fn settle(
        &mut self,
        entity: EntityId,
        campaign: CampaignId,
        subject: u128,
        on: Spending,
        reserved: Micros,
        actual: Micros,
        limited: bool,
    ) {
        if reserved.0 == 0 {
            return;
        }
        let rest = reserved.0 - actual.0;
        let key = Allowance::Budget(campaign).shard(entity, of(subject));
        let update = match limited {
            true => Update::new("ADD left_over :rest, #on :less, #reserved :all").number(":rest", rest),
            false => Update::new("ADD #on :less, #reserved :all"),
        };
        let update = update.name("#on", on.name()).name("#reserved", RESERVED).number(":less", -rest);
        self.update("budget", key, update.number(":all", -reserved.0));
    }

    /// Takes a place of a day; a failed condition labelled `day` says that the shard is to be refilled.
    pub fn take_place(&mut self, entity: EntityId, campaign: CampaignId, day: &str, subject: u128, now: Time) {
        let key = Allowance::Day(campaign, day.to_owned()).shard(entity, of(subject));
        let update = Update::new("ADD left_over :less SET expires_at = :expires").when("left_over >= :one");
        let update = update.number(":less", -1).number(":one", 1).number(":expires", expiry(day, now));
        self.update("day", key, update);
    }

    /// Gives a place of a day back.
    pub fn return_place(&mut self, entity: EntityId, campaign: CampaignId, day: &str, subject: u128, now: Time) {
        let key = Allowance::Day(campaign, day.to_owned()).shard(entity, of(subject));
        let update = Update::new("ADD left_over :one SET expires_at = :expires");
        self.update("day", key, update.number(":one", 1).number(":expires", expiry(day, now)));
    }
}

/// How an allowance is distributed.
struct Distribution {
    master: i64,
    moves: i64,
    shards: BTreeMap<u128, i64>,
}

fn left(item: &Item) -> i64 {
    number(item, "left_over").unwrap_or(0)
}

impl Table {
    /// Sets the places of a day up, if nobody has.
    pub async fn open_day(&self, entity: EntityId, campaign: CampaignId, day: &str, limit: u64, now: Time) -> Result<()> {
        let key = Allowance::Day(campaign, day.to_owned()).master(entity);
        let update = Update::new("SET left_over = :limit, moves = :none, expires_at = :expires").when("attribute_not_exists(pk)");
        let update = update.number(":limit", limit).number(":none", 0).number(":expires", expiry(day, now));
        self.update(&key, update).await.map(drop)
    }

    /// Gets the shard of `subject` at least `need`, if there is so much left anywhere. One to two strongly consistent reads of a
    /// partition of 17 small items, and a transaction of two to some 17.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if others move parts all the time; asking again helps.
    pub async fn refill(&self, entity: EntityId, allowance: &Allowance, subject: u128, need: i64, limit: i64) -> Result<Refill> {
        let own = of(subject);
        for attempt in 0..RACES {
            if attempt > 0 {
                tokio::time::sleep(crate::tx::backoff(attempt.min(3))).await;
            }
            let before = self.master(entity, allowance).await?;
            let seen = self.distribution(entity, allowance).await?;
            let here = seen.shards.get(&own).copied().unwrap_or(0);
            if here >= need {
                return Ok(Refill::Refilled);
            }
            if seen.master + seen.shards.values().sum::<i64>() < need {
                // What was under way from one item to another while they were read may have been missed.
                if before == Some(seen.moves) && self.master(entity, allowance).await? == before {
                    return Ok(Refill::Exhausted);
                }
                continue;
            }
            let mut tx = self.tx();
            let mut moved = 0;
            if seen.master > 0 {
                moved = seen.master.min((limit / PORTIONS).max(need - here));
            } else {
                let from_next = (1..SHARDS).map(|ahead| (own + ahead) % SHARDS);
                for donor in from_next {
                    let gift = seen.shards.get(&donor).copied().unwrap_or(0);
                    if gift > 0 && here + moved < need {
                        let update = Update::new("ADD left_over :less").when("left_over >= :gift");
                        tx.update("donor", allowance.shard(entity, donor), update.number(":less", -gift).number(":gift", gift));
                        moved += gift;
                    }
                }
            }
            let taken = if seen.master > 0 { moved } else { 0 };
            let update = Update::new("ADD left_over :less, moves :one").when("left_over >= :taken");
            let update = update.number(":less", -taken).number(":taken", taken).number(":one", 1);
            tx.update("master", allowance.master(entity), update);
            let mut update = Update::new("ADD left_over :moved");
            update.values.insert(":moved".to_owned(), signed(moved));
            tx.update("shard", allowance.shard(entity, own), update);
            match tx.commit().await {
                Ok(()) if here + moved >= need => return Ok(Refill::Refilled),
                // A part, or others were faster.
                Ok(()) | Err(CommitError::Condition { .. }) => {}
                Err(CommitError::Store(e)) => return Err(e),
            }
        }
        Err(Error::Unavailable("an allowance keeps being moved".to_owned()))
    }

    /// How often parts of it were moved; `None` if it is not set up.
    async fn master(&self, entity: EntityId, allowance: &Allowance) -> Result<Option<i64>> {
        let item = self.get_raw(&allowance.master(entity)).await?;
        Ok(item.and_then(|item| number(&item, "moves")))
    }

    async fn distribution(&self, entity: EntityId, allowance: &Allowance) -> Result<Distribution> {
        let mut found = Distribution { master: 0, moves: 0, shards: BTreeMap::new() };
        for item in self.partition(&allowance.master(entity).pk, "", true).await? {
            match text(&item, "sk") {
                Some(MASTER) => (found.master, found.moves) = (left(&item), number(&item, "moves").unwrap_or(0)),
                Some(shard) => {
                    if let Ok(shard) = shard.parse() {
                        found.shards.insert(shard, left(&item));
                    }
                }
                None => {}
            }
        }
        Ok(found)
    }

    /// What is left of an allowance, master and shards together.
    pub async fn left_of(&self, entity: EntityId, allowance: &Allowance) -> Result<i64> {
        let found = self.distribution(entity, allowance).await?;
        Ok(found.master + found.shards.values().sum::<i64>())
    }

    /// What of a campaign's budget is taken for work that is being done at the moment.
    pub async fn reserved_of(&self, entity: EntityId, campaign: CampaignId) -> Result<Micros> {
        let mut sums = BTreeMap::new();
        for item in self.partition(&Allowance::Budget(campaign).master(entity).pk, "", true).await? {
            add_up(&item, &mut sums);
        }
        Ok(Micros(sums.get("reserved").copied().unwrap_or(0)))
    }

    /// What a campaign has spent, reservations for messages on their way and work that is being done included. Some 1 read unit.
    pub async fn spent_by(&self, entity: EntityId, campaign: CampaignId) -> Result<Spent> {
        let mut sums = BTreeMap::new();
        for item in self.partition(&Allowance::Budget(campaign).master(entity).pk, "", true).await? {
            add_up(&item, &mut sums);
        }
        let of = |name: &str| Micros(sums.get(name).copied().unwrap_or(0));
        Ok(Spent { ai_inference: of("ai_inference"), data_enrichment: of("data_enrichment"), channel_costs: of("channel_costs") })
    }
}

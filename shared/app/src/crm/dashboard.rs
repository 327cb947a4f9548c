//! The dashboard: read from its numbers, which follow the table's stream.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axle_domain::EntityId;
use axle_domain::crm::dashboard::{Dashboard, boards_of};
use axle_store::TALLY_SHARDS;
use axle_store::crm::activities::ActivityRecord;
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::counted::{Countable, Counted, StreamChange, counted, told};
use axle_store::crm::deals::DealRecord;
use axle_store::crm::tasks::TaskRecord;
use axle_store::crm::timeline::TimelineRecord;
use axle_store::events::EventQuery;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Records that are counted side by side.
const SIDE_BY_SIDE: usize = 16;
/// Records that a repair reads at a time.
const PAGE: usize = 500;
/// What one page of a repair may take; it stops when it has less.
const PAGE_TIME: Duration = Duration::from_secs(10);

/// How the CRM stands: right to the last write within seconds, at a price that does not depend on the number of records.
pub async fn get(app: &App, ctx: &Ctx) -> Result<Dashboard> {
    let table = app.table().await;
    let boards = boards_of(ctx.now);
    let (boards, owners) = tokio::try_join!(table.boards(ctx.entity_id, &boards), table.owners(ctx.entity_id))?;
    Ok(Dashboard::of(ctx.now, &boards, &owners))
}

/// Counts what a batch of the table's stream says, and writes what it says of e-mails into the timelines of deals. Twice, late or in another order, it makes the same numbers.
///
/// # Errors
/// What could not be counted; the whole batch may be given again.
pub async fn count(app: &App, changes: Vec<StreamChange>) -> Result<usize> {
    let entries = changes.iter().filter_map(|change| told(change).transpose()).collect::<Result<Vec<_>, _>>()?;
    stream::iter(entries).map(|entry| write_down(app, entry)).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
    // Only the last state of each record matters.
    let mut last: HashMap<(EntityId, &'static str, uuid::Uuid), Counted> = HashMap::new();
    for change in changes {
        let Some((entity, change)) = counted(change)? else { continue };
        let slot = last.entry((entity, change.kind, change.id)).or_insert_with(|| change.clone());
        if slot.version <= change.version {
            *slot = change;
        }
    }
    let all: Vec<(EntityId, Counted)> = last.into_iter().map(|((entity, ..), change)| (entity, change)).collect();
    count_all(app, all, false).await
}

/// Puts an entry into the timeline of its deal, once; one of a deal that is gone is nobody's.
async fn write_down(app: &App, entry: TimelineRecord) -> Result<()> {
    let table = app.table().await;
    let deal = DealRecord::key_of(entry.entity_id, entry.deal_id);
    if table.get::<DealRecord>(&deal, app.now()).await?.is_some() {
        table.put_new(&entry).await?;
    }
    Ok(())
}

async fn count_all(app: &App, all: Vec<(EntityId, Counted)>, anew: bool) -> Result<usize> {
    let (table, now) = (app.table().await, app.now());
    let news =
        stream::iter(all).map(async |(entity, counted): (EntityId, Counted)| table.count(entity, &counted, anew, now).await);
    let news: Vec<bool> = news.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    Ok(news.into_iter().filter(|news| *news).count())
}

/// The kinds of records that a repair goes through, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Companies,
    Contacts,
    Deals,
    Activities,
    Tasks,
    Emails,
    /// Marks of records that are gone, then the sums.
    Sums,
}

impl Step {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Companies => Some(Self::Contacts),
            Self::Contacts => Some(Self::Deals),
            Self::Deals => Some(Self::Activities),
            Self::Activities => Some(Self::Tasks),
            Self::Tasks => Some(Self::Emails),
            Self::Emails => Some(Self::Sums),
            Self::Sums => None,
        }
    }
}

/// Where a repair is to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub step: Step,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Records whose contribution was missing or wrong.
    pub records: usize,
    /// Sums that were wrong nevertheless.
    pub sums: usize,
    /// Set when time ran out: call again with this as `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Progress>,
}

/// Makes a tenant's numbers what its records say, until `deadline` draws near. Changes may go on meanwhile.
pub async fn repair(app: &App, entity: EntityId, from: Option<Progress>, deadline: Instant) -> Result<Repaired> {
    let mut at = from.unwrap_or(Progress { step: Step::Companies, after: None });
    let mut done = Repaired::default();
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            return Ok(Repaired { unfinished: Some(at), ..done });
        }
        let after = at.after.as_deref();
        let next = match at.step {
            Step::Companies => Box::pin(page::<CompanyRecord>(app, entity, after, &mut done)).await?,
            Step::Contacts => Box::pin(page::<ContactRecord>(app, entity, after, &mut done)).await?,
            Step::Deals => Box::pin(page::<DealRecord>(app, entity, after, &mut done)).await?,
            Step::Activities => Box::pin(page::<ActivityRecord>(app, entity, after, &mut done)).await?,
            Step::Tasks => Box::pin(page::<TaskRecord>(app, entity, after, &mut done)).await?,
            Step::Emails => Box::pin(emails(app, entity, after, &mut done)).await?,
            Step::Sums => Box::pin(shard(app, entity, after, &mut done)).await?,
        };
        at = match (next, at.step.next()) {
            (Some(after), _) => Progress { step: at.step, after: Some(after) },
            (None, Some(step)) => Progress { step, after: None },
            (None, None) => return Ok(done),
        };
    }
}

/// Counts a page of records anew.
async fn page<T: Countable>(app: &App, entity: EntityId, after: Option<&str>, done: &mut Repaired) -> Result<Option<String>> {
    let (found, next) = app.table().await.countable::<T>(entity, after, PAGE, app.now()).await?;
    let all = found.iter().map(|record| (entity, Counted::of(record))).collect();
    done.records += count_all(app, all, true).await?;
    Ok(next)
}

/// Counts messages from the event log, as far back as it goes. Older ones stay counted as they are.
async fn emails(app: &App, entity: EntityId, after: Option<&str>, done: &mut Repaired) -> Result<Option<String>> {
    let query = EventQuery { prefixes: vec!["communication.".to_owned()], ..EventQuery::default() };
    let (events, next) = app.table().await.events(entity, &query, after, PAGE, app.now()).await?;
    // The same message can have been opened often.
    let distinct: HashMap<_, _> = events.iter().filter_map(Counted::of_event).map(|c| ((c.kind, c.id), c)).collect();
    done.records += count_all(app, distinct.into_values().map(|counted| (entity, counted)).collect(), true).await?;
    Ok(next)
}

/// Counts anew what is marked in one shard, also what is in no list any more or gone, and adds it up.
async fn shard(app: &App, entity: EntityId, after: Option<&str>, done: &mut Repaired) -> Result<Option<String>> {
    let table = app.table().await;
    let n: u128 = after.map_or(Ok(0), str::parse).map_err(|_| Error::invalid("/from/after", "is not a shard"))?;
    let marked = table.recounted(entity, n, app.now()).await?;
    done.records += count_all(app, marked.into_iter().map(|counted| (entity, counted)).collect(), true).await?;
    done.sums += table.settle(entity, n, &boards_of(app.now())).await?;
    Ok((n + 1 < TALLY_SHARDS).then(|| (n + 1).to_string()))
}

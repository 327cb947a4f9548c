//! What was spent.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use axle_domain::Date;
use axle_domain::agent::{AgentRole, built_in, built_in_id};
use axle_domain::cost::{Group, Grouping, Sums, add_up};
use axle_store::agents::AgentRecord;
use axle_store::campaigns::CampaignRecord;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Days that a breakdown covers at most.
pub const MAX_DAYS: i64 = 366;
/// Days that it covers by default, today included.
const DEFAULT_DAYS: i64 = 30;
/// Campaigns, or agents, whose names are looked up.
const NAMES: usize = 500;

/// Which costs to add up.
#[derive(Clone, Copy, Debug, Default)]
pub struct CostQuery {
    /// Both included.
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub grouping: Option<Grouping>,
}

/// A group with its name for people.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedGroup {
    pub label: String,
    pub group: Group,
}

/// Costs of some days.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    pub from: Date,
    pub to: Date,
    pub total: Sums,
    pub groups: Vec<NamedGroup>,
}

/// Adds up costs. Costs half a read unit for some 20 rows (a day, campaign and agent each, in up to 16 parts), and half of one for each
/// campaign or agent that is named.
///
/// # Errors
/// [`Error::Invalid`] if the days are in the wrong order or too many.
pub async fn costs(app: &App, ctx: &Ctx, query: CostQuery) -> Result<Costs> {
    let today = Date::of(ctx.now);
    let to = query.to.unwrap_or_else(|| query.from.map_or(today, |from| today.max(from)));
    let from = query.from.unwrap_or_else(|| to.plus_days(1 - DEFAULT_DAYS));
    if from > to {
        return Err(Error::invalid("?to", "must not be earlier than from"));
    }
    if from.plus_days(MAX_DAYS - 1) < to {
        let pointer = if query.to.is_some() { "?to" } else { "?from" };
        return Err(Error::invalid(pointer, format!("from and to must be {MAX_DAYS} days at most")));
    }
    let rows = app.table().await.cost_rows(ctx.entity_id, from, to).await?;
    let parts = rows.iter().map(|row| (row.day, row.campaign_id, row.agent_id.as_deref(), &row.sums));
    let (total, groups) = add_up(parts, query.grouping);
    let names = match query.grouping {
        Some(Grouping::Campaign) => campaign_names(app, ctx, &groups).await?,
        Some(Grouping::Agent) => agent_names(app, ctx, &groups).await?,
        Some(Grouping::Day) | None => HashMap::new(),
    };
    let named = groups.into_iter().map(|group| NamedGroup { label: label(&group, query.grouping, &names), group });
    Ok(Costs { from, to, total, groups: named.collect() })
}

fn label(group: &Group, grouping: Option<Grouping>, names: &HashMap<String, String>) -> String {
    let Some(key) = &group.key else {
        let what = if grouping == Some(Grouping::Agent) { "Without an agent" } else { "Without a campaign" };
        return what.to_owned();
    };
    names.get(key).unwrap_or(key).clone()
}

/// The names of the dearest campaigns. One that was deleted goes by its id.
async fn campaign_names(app: &App, ctx: &Ctx, groups: &[Group]) -> Result<HashMap<String, String>> {
    let keys: Vec<_> = ids(groups).into_iter().map(|id| CampaignRecord::key_of(ctx.entity_id, id)).collect();
    let found = app.table().await.get_many::<CampaignRecord>(&keys, ctx.now).await?;
    Ok(found.into_iter().map(|found| (found.value.id.to_string(), found.value.spec.name)).collect())
}

/// The same of agents. A built-in one is in the table only if somebody has changed it.
async fn agent_names(app: &App, ctx: &Ctx, groups: &[Group]) -> Result<HashMap<String, String>> {
    let keys: Vec<_> = ids(groups).into_iter().map(|id| AgentRecord::key_of(ctx.entity_id, id)).collect();
    let found = app.table().await.get_many::<AgentRecord>(&keys, ctx.now).await?;
    let squad = AgentRole::ALL.iter().map(|role| (built_in_id(ctx.entity_id, *role).to_string(), built_in(*role).spec.name));
    Ok(squad.chain(found.into_iter().map(|found| (found.value.id.to_string(), found.value.spec.name))).collect())
}

fn ids<T: FromStr + Ord>(groups: &[Group]) -> BTreeSet<T> {
    groups.iter().take(NAMES).filter_map(|group| group.key.as_ref()?.parse().ok()).collect()
}

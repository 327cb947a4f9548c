//! Enriching and scoring leads, as steps of agents.

use axle_domain::agent::EnrichParams;
use axle_domain::enrich::ProviderName;
use axle_domain::{AgentId, LeadId, Micros};
use axle_store::Tx;
use axle_store::agent_runs::StepPaidRecord;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::enrichment::{self, Enriched, Wanted};
use crate::outreach::scoring;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Done {
        result: Value,
        cost: Micros,
    },
    /// There was nothing to find, or nobody to ask.
    Skipped(String),
    /// It cannot be done as it is asked for.
    Refused(String),
}

fn refused(e: Error) -> Result<Found> {
    match e {
        Error::NotFound(_) => Ok(Found::Skipped("the lead is gone".to_owned())),
        Error::Invalid(faults) => Ok(Found::Refused(faults.first().map_or_else(String::new, |fault| fault.detail.clone()))),
        e => Err(e),
    }
}

/// On whose account an enrichment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    pub(super) agent: AgentId,
    /// What the step is known by, and which attempt at it this is.
    pub(super) step: Uuid,
    pub(super) attempt: u32,
}

/// The providers that are named, or the name that is none.
fn named(params: &EnrichParams) -> Result<Option<Vec<ProviderName>>, String> {
    let names = params.providers.as_ref().map(|names| names.iter().map(|name| name.parse().map_err(|_| name.clone())).collect());
    names.transpose()
}

/// The most that enriching somebody can cost.
pub(super) async fn price(app: &App, ctx: &Ctx, params: &EnrichParams) -> Result<Micros> {
    match named(params) {
        Ok(providers) => enrichment::price(app, ctx, providers.as_deref()).await,
        Err(_) => Ok(Micros::ZERO),
    }
}

/// Enriches a lead. What it costs is written down with what is found, for the agent; asked again within days, nobody is paid twice for
/// the same. What an attempt has paid that died before its step was written down is this one's cost too.
pub(super) async fn enrich(app: &App, ctx: &Ctx, lead: LeadId, params: &EnrichParams, payer: Payer) -> Result<Found> {
    let providers = match named(params) {
        Ok(providers) => providers,
        Err(name) => return Ok(Found::Refused(format!("no provider is called `{name}`"))),
    };
    let Payer { agent, step, attempt } = payer;
    let wanted = Wanted { providers, agent: Some(agent), ..Wanted::default() };
    let paid = |tx: &mut Tx<'_>, enriched: &Enriched| {
        if enriched.cost != Micros::ZERO {
            let (entity_id, cost, at) = (ctx.entity_id, enriched.cost, ctx.now);
            tx.create("paid", &StepPaidRecord { entity_id, step, attempt, cost, at });
        }
        Ok(())
    };
    let enriched = match enrichment::enrich(app, ctx, lead, &wanted, paid).await {
        Ok(enriched) => enriched,
        Err(e) => return refused(e),
    };
    let before = app.table().await.paid_before(ctx.entity_id, step, attempt, ctx.now).await?;
    let cost = Micros(enriched.cost.0 + before.0);
    if enriched.enrichment.sources.is_empty() && cost == Micros::ZERO {
        let why = enriched.unavailable.iter().map(|one| format!("{}: {}", one.provider, one.reason));
        let why: Vec<String> = why.collect();
        return Ok(Found::Skipped(if why.is_empty() { "nothing was found".to_owned() } else { why.join("; ") }));
    }
    let result = json!({
        "company": enriched.enrichment.company, "sources": enriched.enrichment.sources.len(),
        "unavailable": enriched.unavailable, "cost": cost,
    });
    Ok(Found::Done { result, cost })
}

/// Scores a lead.
pub(super) async fn score(app: &App, ctx: &Ctx, lead: LeadId) -> Result<Found> {
    let scored = match scoring::score(app, ctx, lead, None, |_, _| Ok(())).await {
        Ok(scored) => scored.score,
        Err(e) => return refused(e),
    };
    let result = json!({"score": scored.score, "tier": scored.tier, "model_version": scored.model_version});
    Ok(Found::Done { result, cost: Micros::ZERO })
}

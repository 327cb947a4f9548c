//! Enrichment: what can be learned of a lead from outside, provider by provider.

mod ask;
mod providers;

pub(crate) use providers::price;
pub use providers::{MAX_PROVIDERS, delete_provider, get_provider, providers, put_provider};

use std::time::Duration;

use axle_domain::enrich::{self, Enrichment, Found, ProviderName, Unavailable};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::lead::LeadStatus;
use axle_domain::{AgentId, CampaignId, LeadId, Micros, Time};
use axle_store::costs::CostRecord;
use axle_store::enrichment::{EnrichmentRecord, FindingsRecord};
use axle_store::leads::LeadRecord;
use axle_store::{CommitError, Tx, Versioned};
use serde_json::json;
use tokio::time::Instant;

use super::leads;
use crate::context::{App, Ctx};
use crate::error::Result;

/// Attempts against others who change the same lead at the same moment.
const RACES: usize = 8;
/// Time for all providers together: an HTTP function has 30 s, and has to write down what was found.
const TIME: Duration = Duration::from_secs(22);

/// What to enrich by.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These, in this order; otherwise all that are enabled, in the order of their positions.
    pub providers: Option<Vec<ProviderName>>,
    /// Ask again even if what was found before is fresh.
    pub refresh: bool,
    /// For whom the cost is.
    pub campaign: Option<CampaignId>,
    pub agent: Option<AgentId>,
}

/// What was learned of a lead, stored with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Enriched {
    pub lead_id: LeadId,
    pub enrichment: Enrichment,
    pub unavailable: Vec<Unavailable>,
    /// Of the calls that were made; what was found before costs nothing.
    pub cost: Micros,
    pub enriched_at: Time,
}

/// What came of asking all providers.
#[derive(Default)]
struct Asked {
    found: Vec<Found>,
    unavailable: Vec<Unavailable>,
    /// To be kept for the next time.
    fresh: Vec<FindingsRecord>,
    costs: Vec<CostRecord>,
}

impl Asked {
    fn cost(&self) -> Micros {
        Micros(self.costs.iter().map(|cost| cost.micros.0).sum())
    }

    /// What was paid is written down with what it was paid for, or without it.
    fn join(&self, tx: &mut Tx<'_>) {
        self.costs.iter().for_each(|cost| tx.cost(cost));
        self.fresh.iter().for_each(|findings| tx.put_findings(findings));
    }
}

/// Asks the providers in turn, merges what they know, and stores it with the lead, the costs and the event in one transaction. `join` adds
/// to that transaction (an idempotent answer, a campaign's own state); it is called again when the lead was changed meanwhile, the
/// providers are not.
///
/// # Errors
/// [`crate::Error::NotFound`] for the lead; [`crate::Error::Invalid`] for a provider that there is not. A provider that cannot be asked is no error: it
/// is `unavailable`, with the reason.
pub async fn enrich(
    app: &App,
    ctx: &Ctx,
    id: LeadId,
    wanted: &Wanted,
    join: impl Fn(&mut Tx<'_>, &Enriched) -> Result<()>,
) -> Result<Enriched> {
    let learned = plan(app, ctx, id, wanted.clone()).await?.ask(app, ctx, TIME).await?;
    let stored = learned.store(app, ctx, join).await;
    if stored.is_err() && !learned.asked.costs.is_empty() {
        // The lead is gone, or changes all the time: what was paid was paid all the same.
        let mut tx = app.table().await.tx();
        learned.pay(&mut tx);
        match tx.commit().await {
            // An answer that got lost: it is there.
            Ok(()) | Err(CommitError::Condition { label: "cost", .. }) => {}
            Err(e) => tracing::error!(error = %e, "the cost of an enrichment could not be written down"),
        }
    }
    stored.map(|()| learned.enriched)
}

/// Whom to ask about a lead, and what that can cost: for whoever has to reserve it first.
pub(crate) struct Plan {
    lead: Versioned<LeadRecord>,
    providers: Vec<providers::Provider>,
    wanted: Wanted,
}

/// Finds out whom to ask.
///
/// # Errors
/// As [`enrich`].
pub(crate) async fn plan(app: &App, ctx: &Ctx, id: LeadId, wanted: Wanted) -> Result<Plan> {
    let lead = leads::get(app, ctx, id).await?;
    let providers = providers::chosen(app, ctx, wanted.providers.as_deref()).await?;
    Ok(Plan { lead, providers, wanted })
}

/// The most that it costs to ask everybody about a lead.
pub(crate) async fn most(app: &App, ctx: &Ctx) -> Result<Micros> {
    Ok(providers::price_of(&providers::chosen(app, ctx, None).await?))
}

impl Plan {
    /// The most that it can cost.
    pub(crate) fn most(&self) -> Micros {
        providers::price_of(&self.providers)
    }

    /// Asks them, within `time`. Whoever drops the answer has to see to it that what was paid is written down: see [`Learned::pay`].
    pub(crate) async fn ask(self, app: &App, ctx: &Ctx, time: Duration) -> Result<Learned> {
        let Self { lead, providers, wanted } = self;
        let asked = ask::all(app, ctx, &lead.value, &providers, &wanted, Instant::now() + time).await?;
        let enriched = Enriched {
            lead_id: lead.value.id,
            enrichment: enrich::merge(&asked.found),
            unavailable: asked.unavailable.clone(),
            cost: asked.cost(),
            enriched_at: ctx.now,
        };
        Ok(Learned { lead, asked, enriched, campaign: wanted.campaign })
    }
}

/// What was learned, not written down yet.
pub(crate) struct Learned {
    lead: Versioned<LeadRecord>,
    asked: Asked,
    pub(crate) enriched: Enriched,
    campaign: Option<CampaignId>,
}

impl Learned {
    /// Stores it with the lead, the costs and the event in one transaction, to which `join` adds.
    pub(crate) async fn store(&self, app: &App, ctx: &Ctx, join: impl Fn(&mut Tx<'_>, &Enriched) -> Result<()>) -> Result<()> {
        store(app, ctx, self.lead.clone(), &self.asked, &self.enriched, self.campaign, join).await
    }

    /// What was paid, and what others may use of it, without the lead.
    pub(crate) fn pay(&self, tx: &mut Tx<'_>) {
        self.asked.join(tx);
    }
}

async fn store(
    app: &App,
    ctx: &Ctx,
    lead: Versioned<LeadRecord>,
    asked: &Asked,
    enriched: &Enriched,
    campaign: Option<CampaignId>,
    join: impl Fn(&mut Tx<'_>, &Enriched) -> Result<()>,
) -> Result<()> {
    let Versioned { value: mut lead, mut version } = lead;
    for _ in 0..RACES {
        // Read after the lead: who writes it writes the lead, whose version then is another.
        let key = EnrichmentRecord::key_of(ctx.entity_id, lead.id);
        let before = app.table().await.get::<EnrichmentRecord>(&key, ctx.now).await?;
        learn(&mut lead, enriched, ctx.now);
        let mut tx = app.table().await.tx();
        tx.replace("lead", &lead, version);
        if !enriched.enrichment.sources.is_empty() {
            let answered: Vec<&str> = asked.found.iter().map(|found| found.provider.as_str()).collect();
            let before = before.map(|found| found.value.enrichment).unwrap_or_default();
            let enrichment = enriched.enrichment.clone().keeping(before, &answered);
            tx.put_enrichment(&EnrichmentRecord { entity_id: ctx.entity_id, lead_id: lead.id, enrichment, enriched_at: ctx.now });
        }
        asked.join(&mut tx);
        tx.emit(&told(ctx, enriched, campaign), app.config().event_retention_days);
        join(&mut tx, enriched)?;
        match tx.commit().await {
            Ok(()) => return Ok(()),
            Err(CommitError::Condition { label: "lead", .. }) => {
                Versioned { value: lead, version } = leads::get(app, ctx, lead.id).await?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(leads::changed_meanwhile(None))
}

/// Fills what the lead lacks.
fn learn(lead: &mut LeadRecord, enriched: &Enriched, now: Time) {
    if enriched.enrichment.sources.is_empty() {
        return;
    }
    enrich::fill(&mut lead.profile, &enriched.enrichment);
    lead.q = lead.profile.search_text();
    lead.status = lead.status.advanced_to(LeadStatus::Enriched);
    lead.updated_at = Some(now);
}

fn told(ctx: &Ctx, enriched: &Enriched, campaign: Option<CampaignId>) -> Event {
    let data = json!({"sources": enriched.enrichment.sources.len(), "cost": enriched.cost});
    let subject = Subject::new("lead", enriched.lead_id);
    Event::new(EventType::LeadEnriched, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data)
        .campaign(campaign)
        .lead(enriched.lead_id)
        .trace(ctx.trace_id)
}

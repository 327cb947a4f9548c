//! Scoring: what a lead is worth, with the evidence.

use axle_domain::campaign::Icp;
use axle_domain::enrich;
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::lead::LeadStatus;
use axle_domain::score::{self, Engaged, Inputs, Model, Score, ScoringProfileInput, has_criteria};
use axle_domain::{CampaignId, LeadId, Time};
use axle_store::communications::CommunicationQuery;
use axle_store::enrichment::{EnrichmentRecord, ScoringProfileRecord};
use axle_store::leads::LeadRecord;
use axle_store::{CommitError, Tx, Versioned};
use serde_json::json;

use super::{campaigns, leads};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Attempts against others who change the same lead at the same moment.
const RACES: usize = 8;
/// The latest messages to a lead whose opens, clicks and replies count.
const MESSAGES: usize = 20;

/// A score that is stored with its lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub lead_id: LeadId,
    pub score: Score,
    pub scored_at: Time,
}

/// Scores a lead and stores score and tier with it, with its event. `join` adds to the same transaction (an idempotent answer, a
/// campaign's own state); it is called again when the lead was changed meanwhile.
///
/// # Errors
/// [`Error::NotFound`] for the lead; [`Error::Invalid`] for a campaign that there is not.
pub async fn score(
    app: &App,
    ctx: &Ctx,
    id: LeadId,
    campaign: Option<CampaignId>,
    join: impl Fn(&mut Tx<'_>, &Scored) -> Result<()>,
) -> Result<Scored> {
    let (profile, icp) = yardstick(app, ctx, campaign).await?;
    let model = model(&profile)?;
    for _ in 0..RACES {
        let Versioned { value: mut lead, version } = leads::get(app, ctx, id).await?;
        let scored = Scored { lead_id: id, score: judge(app, ctx, &model, &lead, icp.as_ref()).await?, scored_at: ctx.now };
        lead.score = u8::try_from(scored.score.score).ok();
        lead.tier = Some(scored.score.tier);
        lead.status = lead.status.advanced_to(LeadStatus::Scored);
        let mut tx = app.table().await.tx();
        tx.replace("lead", &lead, version);
        tx.emit(&told(ctx, &scored, campaign), app.config().event_retention_days);
        join(&mut tx, &scored)?;
        match tx.commit().await {
            Ok(()) => return Ok(scored),
            Err(CommitError::Condition { label: "lead", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(leads::changed_meanwhile(None))
}

/// What a lead is judged by: the campaign's ICP, else the tenant's default, else none.
async fn yardstick(app: &App, ctx: &Ctx, campaign: Option<CampaignId>) -> Result<(ScoringProfileInput, Option<Icp>)> {
    let profile = get_profile(app, ctx).await?.value.profile;
    let of_campaign = match campaign {
        None => None,
        Some(id) => match campaigns::get(app, ctx, id).await {
            Ok(campaign) => Some(campaign.value.spec.icp),
            Err(Error::NotFound(_)) => return Err(Error::invalid("/campaign_id", "no campaign has this id")),
            Err(e) => return Err(e),
        },
    };
    // A campaign that asks for nothing may still name whom never to write to.
    let excluded = of_campaign.as_ref().map(|icp| icp.exclude_domains.clone()).unwrap_or_default();
    let mut icp = of_campaign.filter(has_criteria).unwrap_or_else(|| profile.icp.clone());
    icp.exclude_domains.extend(excluded);
    let says_something = has_criteria(&icp) || !icp.exclude_domains.is_empty();
    Ok((profile, says_something.then_some(icp)))
}

fn model(profile: &ScoringProfileInput) -> Result<Model> {
    let version = profile.model_version.as_deref().unwrap_or(Model::latest_version());
    Model::of_version(version).map_err(|e| Error::Internal(e.to_string()))
}

/// Gathers what a score depends on, and scores. Changes nothing.
async fn judge(app: &App, ctx: &Ctx, model: &Model, lead: &LeadRecord, icp: Option<&Icp>) -> Result<Score> {
    let table = app.table().await;
    let known = table.get::<EnrichmentRecord>(&EnrichmentRecord::key_of(ctx.entity_id, lead.id), ctx.now).await?;
    let known = known.map(|found| found.value);
    let signals = known.as_ref().map(|k| enrich::signals(&k.enrichment, k.enriched_at)).unwrap_or_default();
    let technologies = known.iter().flat_map(|k| &k.enrichment.company.technologies);
    let technologies: Vec<String> = technologies.map(|technology| technology.name.clone()).collect();
    let inputs = Inputs {
        profile: &lead.profile,
        status: lead.status,
        known_at: lead.updated_at.unwrap_or(lead.created_at),
        description: known.as_ref().and_then(|k| k.enrichment.company.description.as_deref()),
        technologies: &technologies,
        enriched_at: known.as_ref().map(|k| k.enriched_at),
        signals: &signals,
        engaged: engaged(app, ctx, lead.id).await?,
        icp,
        now: ctx.now,
    };
    Ok(score::score(model, &inputs))
}

/// What the person did with the latest messages. What machines did does not count.
async fn engaged(app: &App, ctx: &Ctx, lead: LeadId) -> Result<Engaged> {
    let query = CommunicationQuery { lead_id: Some(lead), ..CommunicationQuery::default() };
    let (messages, _) = app.table().await.communications(ctx.entity_id, &query, None, MESSAGES, ctx.now).await?;
    let mut all = Engaged::default();
    for message in messages {
        let one = message.value.engagement;
        all.opens = all.opens.saturating_add(one.opens);
        all.opened_at = all.opened_at.max(one.opened_at);
        all.clicks = all.clicks.saturating_add(one.clicks);
        all.clicked_at = all.clicked_at.max(one.clicked_at);
        all.replies += u32::from(one.replied_at.is_some());
        all.replied_at = all.replied_at.max(one.replied_at);
    }
    Ok(all)
}

fn told(ctx: &Ctx, scored: &Scored, campaign: Option<CampaignId>) -> Event {
    let Score { score, tier, model_version, .. } = &scored.score;
    let data = json!({"score": score, "tier": tier, "model_version": model_version});
    let subject = Subject::new("lead", scored.lead_id);
    Event::new(EventType::LeadScored, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data)
        .campaign(campaign)
        .lead(scored.lead_id)
        .trace(ctx.trace_id)
}

/// The tenant's scoring profile; an empty one at version 0 as long as it has set none.
pub async fn get_profile(app: &App, ctx: &Ctx) -> Result<Versioned<ScoringProfileRecord>> {
    let key = ScoringProfileRecord::key_of(ctx.entity_id);
    let none = || {
        let value = ScoringProfileRecord {
            entity_id: ctx.entity_id,
            profile: ScoringProfileInput::default(),
            updated_at: Time::from_millis(0),
        };
        Versioned { value, version: 0 }
    };
    Ok(app.table().await.get(&key, ctx.now).await?.unwrap_or_else(none))
}

/// Sets the tenant's scoring profile. Leads keep their scores until they are scored again.
///
/// # Errors
/// [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn put_profile(
    app: &App,
    ctx: &Ctx,
    profile: ScoringProfileInput,
    if_match: Option<u64>,
) -> Result<Versioned<ScoringProfileRecord>> {
    let record = ScoringProfileRecord { entity_id: ctx.entity_id, profile, updated_at: ctx.now };
    for _ in 0..RACES {
        let version = get_profile(app, ctx).await?.version;
        leads::require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        match version {
            0 => tx.create("profile", &record),
            version => tx.replace("profile", &record, version),
        }
        if tx.try_commit().await? {
            return Ok(Versioned { value: record, version: version + 1 });
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(leads::changed_meanwhile(if_match))
}

//! Scores, and what they are made by.

use std::sync::Arc;

use axle_app::outreach::scoring::{self, Scored};
use axle_app::{Answer, App};
use axle_domain::campaign::Icp;
use axle_domain::lead::Tier;
use axle_domain::score::{Breakdown, Evidence, Recommendation, ScoringProfileInput};
use axle_domain::{CampaignId, Faults, Input, LeadId, Time};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, QueryReader, Reply};
use axle_store::Versioned;
use axle_store::enrichment::ScoringProfileRecord;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to judge a lead by.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScoreInput {
    /// Fit is judged against this campaign's ICP; without it against the scoring profile's.
    campaign_id: Option<CampaignId>,
}

impl Input for ScoreInput {
    fn note_faults(&self, _: &mut Faults) {}
}

/// A lead's score. The points of the evidence add up to the breakdown's parts, and those to the score.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScoreOut {
    lead_id: LeadId,
    #[schema(minimum = 0, maximum = 100)]
    score: u32,
    breakdown: Breakdown,
    tier: Tier,
    recommendation: Recommendation,
    evidence: Vec<Evidence>,
    /// The version of the weights. The same inputs under the same version give the same score.
    model_version: String,
    scored_at: Time,
}

impl From<Scored> for ScoreOut {
    fn from(scored: Scored) -> Self {
        let Scored { lead_id, score, scored_at } = scored;
        let axle_domain::score::Score { score, breakdown, tier, recommendation, evidence, model_version } = score;
        Self { lead_id, score, breakdown, tier, recommendation, evidence, model_version, scored_at }
    }
}

/// A tenant's scoring profile.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScoringProfileOut {
    icp: Icp,
    /// Null: the newest.
    model_version: Option<String>,
    /// Null while none has been set.
    updated_at: Option<Time>,
}

impl From<&Versioned<ScoringProfileRecord>> for ScoringProfileOut {
    fn from(found: &Versioned<ScoringProfileRecord>) -> Self {
        let ScoringProfileInput { icp, model_version } = found.value.profile.clone();
        Self { icp, model_version, updated_at: (found.version > 0).then_some(found.value.updated_at) }
    }
}

/// Score a lead
///
/// From 0 to 100: fit (50), intent (30) and engagement (20), with the evidence for every point. Fit is judged against the campaign's
/// ICP, else the scoring profile's, else by how much is known of the lead; of an ICP only what it asks for counts. Intent comes from
/// dated signals (funding, hiring, technology changes) that lose half their worth after 30 to 90 days; engagement from opens, clicks
/// and replies of people in the latest 20 messages. Unsubscribed, bounced and excluded leads are `disqualified`, with score 0. Score and
/// tier are stored with the lead; its status becomes `scored` if it was `new` or `enriched`.
#[utoipa::path(post, path = "/leads/{id}/score", tag = "Leads", operation_id = "scoreLead", request_body = ScoreInput,
    security(("api_key" = ["leads:write"])), params(("id" = LeadId, Path)),
    responses((status = 200, description = "The score.", body = ScoreOut)))]
pub(crate) async fn score(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<LeadId>,
    Body(input): Body<ScoreInput>,
) -> Result<Reply, ApiError> {
    let answer = |scored: &Scored| Answer::new(200, ScoreOut::from(scored.clone()));
    let scored = scoring::score(&app, &ctx, id, input.campaign_id, |tx, scored| {
        ctx.keep(tx, &answer(scored)?);
        Ok(())
    });
    Ok(Reply(answer(&scored.await?)?))
}

/// Get the scoring profile
#[utoipa::path(get, path = "/leads/scoring-profile", tag = "Leads", operation_id = "getScoringProfile",
    security(("api_key" = ["leads:read"])),
    responses((status = 200, description = "The profile; empty while none has been set.", body = ScoringProfileOut, headers(("ETag" = String)))))]
pub(crate) async fn get_profile(State(app): State<Arc<App>>, Caller(ctx): Caller, query: QueryReader) -> Result<Reply, ApiError> {
    query.finish()?;
    let profile = scoring::get_profile(&app, &ctx).await?;
    Ok(Reply::resource(ScoringProfileOut::from(&profile), profile.version)?)
}

/// Set the scoring profile
///
/// Whom you sell to where no campaign says otherwise. Leads keep their scores until they are scored again.
#[utoipa::path(put, path = "/leads/scoring-profile", tag = "Leads", operation_id = "putScoringProfile",
    security(("api_key" = ["leads:write"])), request_body = ScoringProfileInput,
    responses((status = 200, description = "The profile.", body = ScoringProfileOut, headers(("ETag" = String)))))]
pub(crate) async fn put_profile(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    IfMatch(version): IfMatch,
    Body(input): Body<ScoringProfileInput>,
) -> Result<Reply, ApiError> {
    let profile = scoring::put_profile(&app, &ctx, input, version).await?;
    Ok(Reply::resource(ScoringProfileOut::from(&profile), profile.version)?)
}

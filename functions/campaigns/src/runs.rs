//! What is done with a campaign: launched, paused, resumed, cancelled, copied.

use std::sync::Arc;

use axle_app::outreach::campaigns::{self, Command, Launched};
use axle_app::{Answer, App, Ctx};
use axle_domain::CampaignId;
use axle_domain::campaign::estimate::LaunchInput;
use axle_http::{ApiError, Body, Caller, Id, RawBody, Reply, no_fields};
use axum::extract::State;

use crate::model::CampaignOut;

/// Launch a campaign
///
/// To the leads attached to it, or without any to all that fit its ICP. Each that is left out counts under the first reason that is
/// true. A test cohort is a sample that is always the same of the same leads. With `dry_run` nothing happens, and the answer, with status
/// 200, says what would.
#[utoipa::path(post, path = "/campaigns/{id}/launch", tag = "Campaigns", operation_id = "launchCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)), request_body = LaunchInput,
    responses((status = 202, description = "It is running; its leads are let in one after another.", body = Launched),
              (status = 200, description = "What a launch would come to.", body = Launched)))]
pub(crate) async fn launch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    Body(input): Body<LaunchInput>,
) -> Result<Reply, ApiError> {
    Ok(Reply(campaigns::launch(&app, &ctx, id, input).await?))
}

async fn command(app: &App, ctx: &Ctx, id: CampaignId, command: Command) -> Result<Reply, ApiError> {
    let answer = campaigns::command(app, ctx, id, command, |campaign, overview| {
        Ok(Answer::new(200, CampaignOut::of(campaign, overview))?.with_etag(campaign.version))
    });
    Ok(Reply(answer.await?))
}

/// Pause a campaign
///
/// Nothing more is sent until it is resumed. What a provider has already goes out.
#[utoipa::path(post, path = "/campaigns/{id}/pause", tag = "Campaigns", operation_id = "pauseCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The paused campaign.", body = CampaignOut, headers(("ETag" = String)))))]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    command(&app, &ctx, id, Command::Pause).await
}

/// Resume a campaign
///
/// It goes on where it was. A campaign whose budget is spent pauses again.
#[utoipa::path(post, path = "/campaigns/{id}/resume", tag = "Campaigns", operation_id = "resumeCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The running campaign.", body = CampaignOut, headers(("ETag" = String)))))]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    command(&app, &ctx, id, Command::Resume).await
}

/// Cancel a campaign
///
/// For good: messages that wait are cancelled, and its leads are free for other campaigns.
#[utoipa::path(post, path = "/campaigns/{id}/cancel", tag = "Campaigns", operation_id = "cancelCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The cancelled campaign.", body = CampaignOut, headers(("ETag" = String)))))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    command(&app, &ctx, id, Command::Cancel).await
}

/// Copy a campaign
///
/// Its definition becomes a new draft. Leads, metrics and spending are not taken over.
#[utoipa::path(post, path = "/campaigns/{id}/clone", tag = "Campaigns", operation_id = "cloneCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)),
    responses((status = 201, description = "The draft.", body = CampaignOut, headers(("ETag" = String)))))]
pub(crate) async fn clone(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    let answer = campaigns::clone(&app, &ctx, id, |c| Ok(Answer::new(201, CampaignOut::draft(c))?.with_etag(c.version)));
    Ok(Reply(answer.await?))
}

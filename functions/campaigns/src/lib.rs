//! Campaign routes.

mod model;

use std::sync::Arc;

use axle_app::outreach::campaigns;
use axle_app::{Answer, App};
use axle_domain::CampaignId;
use axle_domain::campaign::{CampaignInput, CampaignStatus};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, page_answer};
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use model::{CampaignOut, CampaignPage, CampaignPatch};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, patch))
}

/// Create a campaign
///
/// A new campaign is a draft: nothing is sent before it is launched.
#[utoipa::path(post, path = "/campaigns", tag = "Campaigns", operation_id = "createCampaign", request_body = CampaignInput,
    security(("api_key" = ["campaigns:write"])),
    responses((status = 201, description = "The draft.", body = CampaignOut, headers(("ETag" = String)))))]
async fn create(State(app): State<Arc<App>>, Caller(ctx): Caller, Body(spec): Body<CampaignInput>) -> Result<Reply, ApiError> {
    let answer = campaigns::create(&app, &ctx, spec, |c| Ok(Answer::new(201, CampaignOut::from(c))?.with_etag(c.version)));
    Ok(Reply(answer.await?))
}

/// List campaigns
///
/// Newest first.
#[utoipa::path(get, path = "/campaigns", tag = "Campaigns", operation_id = "listCampaigns",
    security(("api_key" = ["campaigns:read"])),
    params(
        ("status" = Option<CampaignStatus>, Query, description = "Only campaigns in this state."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of campaigns.", body = CampaignPage)))]
async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (status, page) = (query.parsed("status"), query.page());
    query.finish()?;
    let found = campaigns::list(&app, &ctx, status, page).await?;
    Ok(page_answer("campaigns", found, |c| CampaignOut::from(&c))?)
}

/// Get a campaign
///
/// With its metrics and what it has spent.
#[utoipa::path(get, path = "/campaigns/{id}", tag = "Campaigns", operation_id = "getCampaign",
    security(("api_key" = ["campaigns:read"])), params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The campaign.", body = CampaignOut, headers(("ETag" = String)))))]
async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let campaign = campaigns::get(&app, &ctx, id).await?;
    Ok(Reply::resource(CampaignOut::from(&campaign), campaign.version)?)
}

/// Change a draft
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge, lists are replaced. Only drafts can be changed.
#[utoipa::path(patch, path = "/campaigns/{id}", tag = "Campaigns", operation_id = "patchCampaign",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)), request_body = CampaignPatch,
    responses((status = 200, description = "The changed draft.", body = CampaignOut, headers(("ETag" = String)))))]
async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    IfMatch(version): IfMatch,
    body: Patch<CampaignInput>,
) -> Result<Reply, ApiError> {
    let campaign = campaigns::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(CampaignOut::from(&campaign), campaign.version)?)
}

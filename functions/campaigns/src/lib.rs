//! Campaign routes.

mod leads;
mod model;
mod runs;

use std::sync::Arc;

use axle_app::outreach::campaigns;
use axle_app::{Answer, App, Paged};
use axle_domain::CampaignId;
use axle_domain::campaign::{CampaignInput, CampaignStatus};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, page_answer};
use axum::extract::State;
use futures_util::future::try_join_all;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use model::{CampaignOut, CampaignPage, CampaignPatch};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, patch))
        .routes(routes!(leads::attach, leads::list))
        .routes(routes!(runs::launch))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::clone))
}

/// Create a campaign
///
/// A new campaign is a draft: nothing is sent before it is launched.
#[utoipa::path(post, path = "/campaigns", tag = "Campaigns", operation_id = "createCampaign", request_body = CampaignInput,
    security(("api_key" = ["campaigns:write"])),
    responses((status = 201, description = "The draft.", body = CampaignOut, headers(("ETag" = String)))))]
async fn create(State(app): State<Arc<App>>, Caller(ctx): Caller, Body(spec): Body<CampaignInput>) -> Result<Reply, ApiError> {
    let answer = campaigns::create(&app, &ctx, spec, |c| Ok(Answer::new(201, CampaignOut::draft(c))?.with_etag(c.version)));
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
    let overviews = found.items.iter().map(|campaign| campaigns::overview(&app, &campaign.value));
    let overviews = try_join_all(overviews).await?;
    let items = found.items.into_iter().zip(overviews).collect();
    let page = Paged { items, next_cursor: found.next_cursor };
    Ok(page_answer("campaigns", page, |(campaign, overview)| CampaignOut::of(&campaign, &overview))?)
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
    let overview = campaigns::overview(&app, &campaign.value).await?;
    Ok(Reply::resource(CampaignOut::of(&campaign, &overview), campaign.version)?)
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
    Ok(Reply::resource(CampaignOut::draft(&campaign), campaign.version)?)
}

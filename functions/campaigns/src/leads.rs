//! A campaign's leads.

use std::sync::Arc;

use axle_app::App;
use axle_app::outreach::campaigns::{self, AttachInput, Attached};
use axle_domain::CampaignId;
use axle_domain::campaign::run::RunState;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply, page_answer};
use axum::extract::State;

use crate::model::{MemberOut, MemberPage};

/// Attach leads to a draft
///
/// From then on the campaign is for attached leads only; without any it is for all that fit its ICP. Leads that are attached already stay so.
#[utoipa::path(post, path = "/campaigns/{id}/leads", tag = "Campaigns", operation_id = "attachCampaignLeads",
    security(("api_key" = ["campaigns:write"])), params(("id" = CampaignId, Path)), request_body = AttachInput,
    responses((status = 200, description = "How many were attached.", body = Attached)))]
pub(crate) async fn attach(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    Body(input): Body<AttachInput>,
) -> Result<Reply, ApiError> {
    Ok(Reply(campaigns::attach(&app, &ctx, id, input).await?))
}

/// List a campaign's leads
///
/// Of a draft those attached to it; of a launched campaign those that it was launched for, with where each stands. Newest first.
#[utoipa::path(get, path = "/campaigns/{id}/leads", tag = "Campaigns", operation_id = "listCampaignLeads",
    security(("api_key" = ["campaigns:read"])),
    params(
        ("id" = CampaignId, Path),
        ("state" = Option<RunState>, Query, description = "Only leads that stand here."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of leads.", body = MemberPage)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CampaignId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let (state, page) = (query.parsed("state"), query.page());
    query.finish()?;
    let found = campaigns::members(&app, &ctx, id, state, page).await?;
    Ok(page_answer("leads", found, MemberOut::from)?)
}

//! Leads one by one.

use std::sync::Arc;

use axle_app::outreach::leads;
use axle_app::{Answer, App};
use axle_domain::lead::{LeadInput, LeadStatus, Tier};
use axle_domain::{CampaignId, LeadId};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, page_answer};
use axle_store::leads::LeadQuery;
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::{LeadOut, LeadPage, LeadPatch};

/// Create a lead
///
/// A lead needs an e-mail address, a LinkedIn URL or a phone; the first of these that it has identifies it.
#[utoipa::path(post, path = "/leads", tag = "Leads", operation_id = "createLead", request_body = LeadInput,
    security(("api_key" = ["leads:write"])),
    responses(
        (status = 201, description = "The lead.", body = LeadOut, headers(("ETag" = String))),
        (status = 409, description = "Another lead has this address; its id is named.", content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<LeadInput>,
) -> Result<Reply, ApiError> {
    let answer = leads::create(&app, &ctx, input, |lead| Ok(Answer::new(201, LeadOut::from(lead))?.with_etag(lead.version)));
    Ok(Reply(answer.await?))
}

/// List leads
///
/// Newest first. A page can be shorter than `limit` and still have a `next_cursor` when the filters match little.
#[utoipa::path(get, path = "/leads", tag = "Leads", operation_id = "listLeads", security(("api_key" = ["leads:read"])),
    params(
        ("status" = Option<LeadStatus>, Query, description = "Only leads in this state."),
        ("tier" = Option<Tier>, Query, description = "Only leads of this tier."),
        ("campaign_id" = Option<CampaignId>, Query, description = "Only leads of this campaign."),
        ("q" = Option<String>, Query, description = "Text anywhere in names, company, title, e-mail, domain or phone, in any case; blank finds all.",
            min_length = 0),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of leads.", body = LeadPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = LeadQuery {
        status: query.parsed("status"),
        tier: query.parsed("tier"),
        campaign_id: query.parsed("campaign_id"),
        q: query.free_text("q").map(|q| axle_domain::text::fold(&q)).filter(|q| !q.is_empty()),
    };
    let page = query.page();
    query.finish()?;
    let found = leads::list(&app, &ctx, wanted, page).await?;
    Ok(page_answer("leads", found, |lead| LeadOut::from(&lead))?)
}

/// Get a lead
#[utoipa::path(get, path = "/leads/{id}", tag = "Leads", operation_id = "getLead", security(("api_key" = ["leads:read"])),
    params(("id" = LeadId, Path)),
    responses((status = 200, description = "The lead.", body = LeadOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<LeadId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let lead = leads::get(&app, &ctx, id).await?;
    Ok(Reply::resource(LeadOut::from(&lead), lead.version)?)
}

/// Change a lead
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge. The id stays, also when the address changes.
#[utoipa::path(patch, path = "/leads/{id}", tag = "Leads", operation_id = "patchLead", security(("api_key" = ["leads:write"])),
    params(("id" = LeadId, Path)), request_body = LeadPatch,
    responses((status = 200, description = "The changed lead.", body = LeadOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<LeadId>,
    IfMatch(version): IfMatch,
    body: Patch<LeadInput>,
) -> Result<Reply, ApiError> {
    let lead = leads::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(LeadOut::from(&lead), lead.version)?)
}

/// Delete a lead
///
/// With its places in campaigns. Its address is free for a new lead.
#[utoipa::path(delete, path = "/leads/{id}", tag = "Leads", operation_id = "deleteLead", security(("api_key" = ["leads:write"])),
    params(("id" = LeadId, Path)), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<LeadId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    leads::delete(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

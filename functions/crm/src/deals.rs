//! Deals, which this surface calls leads.

use std::sync::Arc;

use axle_app::crm::{activities, deals, stages};
use axle_app::{Answer, App, Ctx, Error};
use axle_domain::crm::deal::{DealInput, StageInput};
use axle_domain::crm::stage::Stage;
use axle_domain::{CompanyId, ContactId, DealId};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, numbered_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::bulk::{BatchInput, BatchOut, each};
use crate::deals_model::{DealOut, DealPage, DealPatch, EntryOut, TimelinePage};

/// Create a lead
///
/// A deal with a company or a person. One that is made as won or lost has the consequences of that.
#[utoipa::path(post, path = "/api/crm/leads", tag = "CRM leads", operation_id = "createCrmLead", request_body = DealInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The lead.", body = DealOut, headers(("ETag" = String)),
        links(("getCrmLead" = (operation_id = "getCrmLead", parameters(("leadId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<DealInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply(make(&app, &ctx, input).await?))
}

async fn make(app: &App, ctx: &Ctx, input: DealInput) -> Result<Answer, Error> {
    deals::create(app, ctx, input, |made| Ok(Answer::new(201, DealOut::from(made))?.with_etag(made.version))).await
}

/// List leads
///
/// Newest first. `total` counts all pages.
#[utoipa::path(get, path = "/api/crm/leads", tag = "CRM leads", operation_id = "listCrmLeads", security(("api_key" = ["read:crm"])),
    params(
        ("companyId" = Option<CompanyId>, Query, description = "Only leads of this company."),
        ("contactId" = Option<ContactId>, Query, description = "Only leads of this person."),
        ("stage" = Option<Stage>, Query, description = "Only leads in this stage."),
        ("ownerUserId" = Option<String>, Query, description = "A user's id, `me` or `unassigned`."),
        ("q" = Option<String>, Query, description = "Text anywhere in title or source, in any case.", min_length = 0, max_length = 200),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of leads.", body = DealPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = deals::Wanted {
        company_id: query.id("companyId"),
        contact_id: query.id("contactId"),
        stage: query.parsed("stage"),
        owner: query.owner(&ctx),
        q: query.search(),
    };
    let page = query.page_number();
    query.finish()?;
    let found = deals::list(&app, &ctx, wanted, page).await?;
    Ok(numbered_answer("leads", found, |deal| DealOut::from(&deal))?)
}

/// Get a lead
#[utoipa::path(get, path = "/api/crm/leads/{leadId}", tag = "CRM leads", operation_id = "getCrmLead",
    security(("api_key" = ["read:crm"])), params(("leadId" = DealId, Path)),
    responses((status = 200, description = "The lead.", body = DealOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let deal = deals::show(&app, &ctx, id).await?;
    Ok(Reply::resource(DealOut::from(&deal), deal.version)?)
}

/// Change a lead
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge. A changed `stage` is a move with all that follows
/// from it, as by `PATCH .../stage`.
#[utoipa::path(patch, path = "/api/crm/leads/{leadId}", tag = "CRM leads", operation_id = "patchCrmLead",
    security(("api_key" = ["write:crm"])), params(("leadId" = DealId, Path)), request_body = DealPatch,
    responses((status = 200, description = "The changed lead.", body = DealOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<DealInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let deal = deals::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(DealOut::from(&deal), deal.version)?)
}

/// Delete a lead
///
/// With its timeline. A won one gives its company back; its activities stay with the company and the person.
#[utoipa::path(delete, path = "/api/crm/leads/{leadId}", tag = "CRM leads", operation_id = "deleteCrmLead",
    security(("api_key" = ["write:crm"])), params(("leadId" = DealId, Path)), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    deals::delete(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Move a lead to another stage
///
/// Every move is written to the timeline and told as `lead.stage_changed`. `won` makes the company active, makes an onboarding task
/// for the owner and is told as `lead.won`. `lost` needs a reason, makes a follow-up that falls due in 90 days and is told as
/// `lead.lost`. Leaving `won` gives the company the status that it had before, unless another won lead holds it or somebody changed
/// it since; leaving either cancels its task if that is still open. The stage that it is in changes nothing.
#[utoipa::path(patch, path = "/api/crm/leads/{leadId}/stage", tag = "CRM leads", operation_id = "moveCrmLead",
    security(("api_key" = ["write:crm"])), params(("leadId" = DealId, Path)), request_body = StageInput,
    responses((status = 200, description = "The lead.", body = DealOut, headers(("ETag" = String)))))]
pub(crate) async fn shift(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    Body(wish): Body<StageInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let deal = stages::shift(&app, &ctx, id, wish, version).await?;
    Ok(Reply::resource(DealOut::from(&deal), deal.version)?)
}

/// Get a lead's timeline
///
/// Activities, moves, tasks, e-mails and what agents did, the latest first. What is written meanwhile neither repeats nor displaces
/// entries of later pages.
#[utoipa::path(get, path = "/api/crm/leads/{leadId}/timeline", tag = "CRM leads", operation_id = "getCrmLeadTimeline",
    security(("api_key" = ["read:crm"])),
    params(
        ("leadId" = DealId, Path),
        ("limit" = Option<u8>, Query, description = "Entries a page; 20 by default.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page of the timeline.", body = TimelinePage)))]
pub(crate) async fn timeline(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = activities::timeline(&app, &ctx, id, page).await?;
    let entries = found.items.into_iter().map(EntryOut::from).collect();
    Ok(Reply::ok(TimelinePage { entries, next_cursor: found.next_cursor })?)
}

/// Create leads
///
/// Up to 100, one after another, each on its own: a faulty one does not stop the others.
#[utoipa::path(post, path = "/api/crm/leads/batch", tag = "CRM leads", operation_id = "createCrmLeads", request_body = BatchInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "What became of each.", body = BatchOut)))]
pub(crate) async fn batch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<BatchInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let app = &app;
    each(app, ctx, input.records, |ctx: Ctx, input: DealInput| async move { make(app, &ctx, input).await }).await
}

//! Companies one by one.

use std::sync::Arc;

use axle_app::crm::companies;
use axle_app::{Answer, App};
use axle_domain::CompanyId;
use axle_domain::crm::{CompanyInput, CompanySort, CompanyStatus};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, numbered_answer};
use axle_store::crm::companies::CompanyQuery;
use axum::extract::State;

use crate::companies_model::{CompanyOut, CompanyPage, CompanyPatch};

/// Create a company
///
/// The domain is brought into one form, and one company has it.
#[utoipa::path(post, path = "/api/crm/companies", tag = "CRM companies", operation_id = "createCompany", request_body = CompanyInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The company.", body = CompanyOut, headers(("ETag" = String)),
        links(("getCompany" = (operation_id = "getCompany", parameters(("companyId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<CompanyInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        companies::create(&app, &ctx, input, |made| Ok(Answer::new(201, CompanyOut::from(made))?.with_etag(made.version)));
    Ok(Reply(answer.await?))
}

/// List companies
///
/// Newest first, unless `sort` says otherwise. `total` counts all pages.
#[utoipa::path(get, path = "/api/crm/companies", tag = "CRM companies", operation_id = "listCompanies",
    security(("api_key" = ["read:crm"])),
    params(
        ("status" = Option<CompanyStatus>, Query, description = "Only companies in this state."),
        ("ownerUserId" = Option<String>, Query, description = "A user's id, `me` or `unassigned`."),
        ("q" = Option<String>, Query, description = "Text anywhere in the name, in any case.", min_length = 0, max_length = 200),
        ("sort" = inline(Option<CompanySort>), Query, description = "Order; newest first by default."),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of companies.", body = CompanyPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = CompanyQuery { status: query.parsed("status"), owner: query.owner(&ctx), q: query.search() };
    let (sort, page) = (query.parsed("sort").unwrap_or_default(), query.page_number());
    query.finish()?;
    let found = companies::list(&app, &ctx, &wanted, sort, page).await?;
    Ok(numbered_answer("companies", found, |company| CompanyOut::from(&company))?)
}

/// Get a company
///
/// One that was merged into another answers with `mergedInto`.
#[utoipa::path(get, path = "/api/crm/companies/{companyId}", tag = "CRM companies", operation_id = "getCompany",
    security(("api_key" = ["read:crm"])), params(("companyId" = CompanyId, Path)),
    responses((status = 200, description = "The company.", body = CompanyOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CompanyId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let company = companies::get(&app, &ctx, id).await?;
    Ok(Reply::resource(CompanyOut::from(&company), company.version)?)
}

/// Change a company
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge.
#[utoipa::path(patch, path = "/api/crm/companies/{companyId}", tag = "CRM companies", operation_id = "patchCompany",
    security(("api_key" = ["write:crm"])), params(("companyId" = CompanyId, Path)), request_body = CompanyPatch,
    responses((status = 200, description = "The changed company.", body = CompanyOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CompanyId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<CompanyInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let company = companies::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(CompanyOut::from(&company), company.version)?)
}

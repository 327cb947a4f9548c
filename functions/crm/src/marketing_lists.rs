//! Marketing lists.

use std::sync::Arc;

use axle_app::crm::marketing_lists::{self, Added, CountedList};
use axle_app::{Answer, App};
use axle_domain::crm::{AddToListInput, MarketingListInput};
use axle_domain::{CompanyId, MarketingListId, Time};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, PatchOf, QueryReader, Reply, numbered_answer};
use axle_store::crm::marketing_lists::MarketingListRecord;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::companies_model::{CompanyOut, CompanyPage};

/// A list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MarketingList)]
pub struct MarketingListOut {
    pub id: MarketingListId,
    pub name: String,
    pub description: Option<String>,
    pub company_count: u64,
    pub created_at: Time,
    pub updated_at: Time,
}

/// One page of lists.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarketingListPage {
    pub marketing_lists: Vec<MarketingListOut>,
    pub page: u32,
    pub page_size: u32,
    pub total: u64,
}

/// A merge patch of a list.
pub type MarketingListPatch = PatchOf<MarketingListInput>;

impl From<&CountedList> for MarketingListOut {
    fn from(list: &CountedList) -> Self {
        let MarketingListRecord { entity_id: _, id, name, description, q: _, created_at, updated_at } = list.list.value.clone();
        Self { id, name, description, company_count: list.companies, created_at, updated_at }
    }
}

/// What became of the companies.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedOut {
    pub added: usize,
    pub already_present: usize,
    /// Ids that name no company.
    pub not_found: Vec<CompanyId>,
}

impl From<Added> for AddedOut {
    fn from(Added { added, already_present, not_found }: Added) -> Self {
        Self { added, already_present, not_found }
    }
}

/// Create a marketing list
#[utoipa::path(post, path = "/api/crm/marketing-lists", tag = "CRM marketing lists", operation_id = "createMarketingList",
    request_body = MarketingListInput, security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The list.", body = MarketingListOut, headers(("ETag" = String)),
        links(("getMarketingList" = (operation_id = "getMarketingList", parameters(("listId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<MarketingListInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer = marketing_lists::create(&app, &ctx, input, |made| {
        Ok(Answer::new(201, MarketingListOut::from(made))?.with_etag(made.list.version))
    });
    Ok(Reply(answer.await?))
}

/// List marketing lists
///
/// Newest first.
#[utoipa::path(get, path = "/api/crm/marketing-lists", tag = "CRM marketing lists", operation_id = "listMarketingLists",
    security(("api_key" = ["read:crm"])),
    params(
        ("q" = Option<String>, Query, description = "Text anywhere in the name, in any case.", min_length = 0, max_length = 200),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of lists.", body = MarketingListPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (q, page) = (query.search(), query.page_number());
    query.finish()?;
    let found = marketing_lists::list(&app, &ctx, q.as_deref(), page).await?;
    Ok(numbered_answer("marketingLists", found, |list| MarketingListOut::from(&list))?)
}

/// Get a marketing list
#[utoipa::path(get, path = "/api/crm/marketing-lists/{listId}", tag = "CRM marketing lists", operation_id = "getMarketingList",
    security(("api_key" = ["read:crm"])), params(("listId" = MarketingListId, Path)),
    responses((status = 200, description = "The list.", body = MarketingListOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<MarketingListId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let found = marketing_lists::get(&app, &ctx, id).await?;
    Ok(Reply::resource(MarketingListOut::from(&found), found.list.version)?)
}

/// Change a marketing list
#[utoipa::path(patch, path = "/api/crm/marketing-lists/{listId}", tag = "CRM marketing lists", operation_id = "patchMarketingList",
    security(("api_key" = ["write:crm"])), params(("listId" = MarketingListId, Path)), request_body = MarketingListPatch,
    responses((status = 200, description = "The changed list.", body = MarketingListOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<MarketingListId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<MarketingListInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let changed = marketing_lists::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(MarketingListOut::from(&changed), changed.list.version)?)
}

/// Delete a marketing list
///
/// The companies stay.
#[utoipa::path(delete, path = "/api/crm/marketing-lists/{listId}", tag = "CRM marketing lists", operation_id = "deleteMarketingList",
    security(("api_key" = ["write:crm"])), params(("listId" = MarketingListId, Path)),
    responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<MarketingListId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    marketing_lists::delete(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the companies of a marketing list
///
/// Oldest companies first.
#[utoipa::path(get, path = "/api/crm/marketing-lists/{listId}/companies", tag = "CRM marketing lists",
    operation_id = "listMarketingListCompanies", security(("api_key" = ["read:crm"])),
    params(
        ("listId" = MarketingListId, Path),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of companies.", body = CompanyPage)))]
pub(crate) async fn companies(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<MarketingListId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let page = query.page_number();
    query.finish()?;
    let found = marketing_lists::companies(&app, &ctx, id, page).await?;
    Ok(numbered_answer("companies", found, |company| CompanyOut::from(&company))?)
}

/// Add companies to a marketing list
///
/// Those named, those that a filter finds, or both, up to 10,000; each is on the list once.
#[utoipa::path(post, path = "/api/crm/prospecting/add-to-marketing-list", tag = "CRM marketing lists",
    operation_id = "addToMarketingList", request_body = AddToListInput, security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "What became of them.", body = AddedOut)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<AddToListInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(AddedOut::from(marketing_lists::add(&app, &ctx, input).await?))?)
}

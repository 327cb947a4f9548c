//! Contacts one by one, and the contacts of a company.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::crm::erase::{self, ErasureStatus, Receipt};
use axle_app::crm::{contacts, memberships};
use axle_app::{Answer, App};
use axle_domain::crm::{ContactInput, NewContact};
use axle_domain::{CompanyId, ContactId};
use axle_http::{
    ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, RawBody, Reply, no_fields, not_supported, numbered_answer,
};
use axle_store::crm::contacts::ContactQuery;
use axum::extract::State;
use axum::response::Response;

use crate::contacts_model::{ContactOut, ContactPage, ContactPatch, MemberOut, MemberPage};

/// Create a contact
///
/// With a name, an e-mail address or a phone. `companyId` makes them a member of that company.
#[utoipa::path(post, path = "/api/crm/contacts", tag = "CRM contacts", operation_id = "createContact", request_body = NewContact,
    security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The contact.", body = ContactOut, headers(("ETag" = String)),
        links(("getContact" = (operation_id = "getContact", parameters(("contactId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<NewContact>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        contacts::create(&app, &ctx, input, |made| Ok(Answer::new(201, ContactOut::from(made))?.with_etag(made.version)));
    Ok(Reply(answer.await?))
}

/// List contacts
///
/// Newest first; with `companyId`, that company's, the latest members first.
#[utoipa::path(get, path = "/api/crm/contacts", tag = "CRM contacts", operation_id = "listContacts",
    security(("api_key" = ["read:crm"])),
    params(
        ("companyId" = Option<CompanyId>, Query, description = "Only contacts of this company."),
        ("ownerUserId" = Option<String>, Query, description = "A user's id, `me` or `unassigned`."),
        ("q" = Option<String>, Query, description = "Text anywhere in names, e-mail, phone or title, in any case.", min_length = 0, max_length = 200),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of contacts.", body = ContactPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let company = query.id::<CompanyId>("companyId");
    let wanted = ContactQuery { owner: query.owner(&ctx), q: query.search() };
    let page = query.page_number();
    query.finish()?;
    let found = match company {
        Some(company) => memberships::list_by_company(&app, &ctx, company, &wanted, page).await?,
        None => contacts::list(&app, &ctx, &wanted, page).await?,
    };
    Ok(numbered_answer("contacts", found, |contact| ContactOut::from(&contact))?)
}

/// List a company's contacts
///
/// Each with their membership. The latest members first.
#[utoipa::path(get, path = "/api/crm/companies/{companyId}/contacts", tag = "CRM contacts", operation_id = "listCompanyContacts",
    security(("api_key" = ["read:crm"])),
    params(
        ("companyId" = CompanyId, Path),
        ("ownerUserId" = Option<String>, Query, description = "A user's id, `me` or `unassigned`."),
        ("q" = Option<String>, Query, description = "Text anywhere in names, e-mail, phone or title, in any case.", min_length = 0, max_length = 200),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of contacts.", body = MemberPage)))]
pub(crate) async fn of_company(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CompanyId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let wanted = ContactQuery { owner: query.owner(&ctx), q: query.search() };
    let page = query.page_number();
    query.finish()?;
    let found = memberships::contacts_of(&app, &ctx, id, &wanted, page).await?;
    Ok(numbered_answer("contacts", found, |member| MemberOut::from(&member))?)
}

/// Get a contact
///
/// One who was merged into another answers with `mergedInto`.
#[utoipa::path(get, path = "/api/crm/contacts/{contactId}", tag = "CRM contacts", operation_id = "getContact",
    security(("api_key" = ["read:crm"])), params(("contactId" = ContactId, Path)),
    responses((status = 200, description = "The contact.", body = ContactOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ContactId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let contact = contacts::get(&app, &ctx, id).await?;
    Ok(Reply::resource(ContactOut::from(&contact), contact.version)?)
}

/// Change a contact
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge. Companies are changed by memberships.
#[utoipa::path(patch, path = "/api/crm/contacts/{contactId}", tag = "CRM contacts", operation_id = "patchContact",
    security(("api_key" = ["write:crm"])), params(("contactId" = ContactId, Path)), request_body = ContactPatch,
    responses((status = 200, description = "The changed contact.", body = ContactOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ContactId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<ContactInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let contact = contacts::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(ContactOut::from(&contact), contact.version)?)
}

/// How long one call works at an erasure: the gateway waits for 30 s.
const ERASE_TIME: Duration = Duration::from_secs(20);

/// Erase a contact
///
/// For good: the contact and those merged into them, their memberships, leads with one of their addresses, messages to them (what waits is
/// cancelled), and them in events, kept answers, webhook deliveries and files. Deals, activities and tasks stay without their name and
/// addresses. Their addresses stay on the suppression list as hashes, so that nobody writes to them again. Where there is much to look
/// through, or a message to them is being sent at this moment, the answer is 202: call again, without the same `Idempotency-Key`, to go
/// on. Called again later it answers the same receipt.
#[utoipa::path(post, path = "/api/crm/contacts/{contactId}/erase", tag = "CRM contacts", operation_id = "eraseContact",
    security(("api_key" = ["write:crm"])), params(("contactId" = ContactId, Path)),
    responses((status = 200, description = "It is done: the receipt.", body = Receipt),
        (status = 202, description = "It is not done yet: what was removed so far.", body = Receipt)))]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ContactId>,
    query: QueryReader,
    body: RawBody,
) -> Result<Reply, ApiError> {
    query.finish()?;
    no_fields(&body.json()?)?;
    let receipt = Box::pin(erase::erase(&app, &ctx, id, Instant::now() + ERASE_TIME)).await?;
    let status = if receipt.status == ErasureStatus::Completed { 200 } else { 202 };
    Ok(Reply(Answer::new(status, receipt)?))
}

/// Delete a contact (not supported)
///
/// Contacts are not deleted: their history belongs to others too. Merge one that is there twice; to remove a person for
/// good, ask for their erasure.
#[utoipa::path(delete, path = "/api/crm/contacts/{contactId}", tag = "CRM contacts", operation_id = "deleteContact",
    security(("api_key" = ["write:crm"])), params(("contactId" = ContactId, Path)),
    responses((status = 405, description = "Always.", content_type = "application/json")))]
pub(crate) async fn delete(Id(id): Id<ContactId>) -> Response {
    let why = format!("a contact cannot be deleted; to remove a person for good, POST /api/crm/contacts/{id}/erase");
    not_supported("GET, PATCH", why)
}

//! Contacts' places in companies.

use std::sync::Arc;

use axle_app::crm::{Numbered, memberships};
use axle_app::{Answer, App};
use axle_domain::crm::{MembershipInput, MembershipPatch};
use axle_domain::{CompanyMembershipId, ContactId};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, TwoIds, numbered_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::contacts_model::{MembershipOut, MembershipPage, MembershipSettingsPatch};

/// List a contact's memberships
///
/// Oldest first. A contact can be in 50 companies.
#[utoipa::path(get, path = "/api/crm/contacts/{contactId}/company-memberships", tag = "CRM contacts", operation_id = "listMemberships",
    security(("api_key" = ["read:crm"])),
    params(
        ("contactId" = ContactId, Path),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of memberships.", body = MembershipPage)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ContactId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let page = query.page_number();
    query.finish()?;
    let found = Numbered::cut(memberships::list(&app, &ctx, id).await?, page);
    Ok(numbered_answer("memberships", found, |place| MembershipOut::from(&place))?)
}

/// Put a contact into a company
///
/// The first membership is the primary one, unless `isPrimary` is false. Making another primary demotes the one that was.
#[utoipa::path(post, path = "/api/crm/contacts/{contactId}/company-memberships", tag = "CRM contacts",
    operation_id = "createMembership", request_body = MembershipInput,
    security(("api_key" = ["write:crm"])), params(("contactId" = ContactId, Path)),
    responses((status = 201, description = "The membership.", body = MembershipOut, headers(("ETag" = String)))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ContactId>,
    query: QueryReader,
    Body(input): Body<MembershipInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer = memberships::create(&app, &ctx, id, input, |made| {
        Ok(Answer::new(201, MembershipOut::from(made))?.with_etag(made.version))
    });
    Ok(Reply(answer.await?))
}

/// Change a membership
///
/// A JSON merge patch. Making it primary demotes the one that was.
#[utoipa::path(patch, path = "/api/crm/contacts/{contactId}/company-memberships/{membershipId}", tag = "CRM contacts",
    operation_id = "patchMembership", security(("api_key" = ["write:crm"])),
    params(("contactId" = ContactId, Path), ("membershipId" = CompanyMembershipId, Path)), request_body = MembershipSettingsPatch,
    responses((status = 200, description = "The changed membership.", body = MembershipOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    TwoIds(contact, id): TwoIds<ContactId, CompanyMembershipId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<MembershipPatch>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let place = memberships::patch(&app, &ctx, contact, id, &body.change, version).await?;
    Ok(Reply::resource(MembershipOut::from(&place), place.version)?)
}

/// Take a contact out of a company
#[utoipa::path(delete, path = "/api/crm/contacts/{contactId}/company-memberships/{membershipId}", tag = "CRM contacts",
    operation_id = "deleteMembership", security(("api_key" = ["write:crm"])),
    params(("contactId" = ContactId, Path), ("membershipId" = CompanyMembershipId, Path)),
    responses((status = 204, description = "Done.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    TwoIds(contact, id): TwoIds<ContactId, CompanyMembershipId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    memberships::delete(&app, &ctx, contact, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Sending identities.

use std::sync::Arc;

use axle_app::communications::{self, Verified};
use axle_app::{Answer, App};
use axle_domain::SendingIdentityId;
use axle_domain::communication::{IdentityInput, IdentitySettings};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, RawBody, Reply, no_fields, page_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::{IdentityOut, IdentityPage, IdentityPatch};

/// Create a sending identity
///
/// Its credentials are sealed at once and never shown.
#[utoipa::path(post, path = "/communications/identities", tag = "Sending identities", operation_id = "createIdentity", request_body = IdentityInput,
    security(("api_key" = ["communications:write"])),
    responses((status = 201, description = "The identity, unverified.", body = IdentityOut,
        links(("getIdentity" = (operation_id = "getIdentity", parameters(("id" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<IdentityInput>,
) -> Result<Reply, ApiError> {
    let answer = communications::create_identity(&app, &ctx, input, |identity| {
        Ok(Answer::new(201, IdentityOut::from(identity))?.with_etag(identity.version))
    });
    Ok(Reply(answer.await?))
}

/// List sending identities
///
/// Newest first. The deployment's own sender address, which sends for messages without an `identity_id`, is not among them.
#[utoipa::path(get, path = "/communications/identities", tag = "Sending identities", operation_id = "listIdentities",
    security(("api_key" = ["communications:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of identities.", body = IdentityPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = communications::identities(&app, &ctx, page).await?;
    Ok(page_answer("identities", found, |identity| IdentityOut::from(&identity))?)
}

/// Get a sending identity
#[utoipa::path(get, path = "/communications/identities/{id}", tag = "Sending identities", operation_id = "getIdentity",
    security(("api_key" = ["communications:read"])), params(("id" = SendingIdentityId, Path)),
    responses((status = 200, description = "The identity.", body = IdentityOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let identity = communications::get_identity(&app, &ctx, id).await?;
    Ok(Reply::resource(IdentityOut::from(&identity), identity.version)?)
}

/// Change a sending identity
///
/// A JSON merge patch; credentials are replaced as a whole. Another address or other credentials have to be verified anew, another warm-up
/// begins today.
#[utoipa::path(patch, path = "/communications/identities/{id}", tag = "Sending identities", operation_id = "patchIdentity",
    security(("api_key" = ["communications:write"])), params(("id" = SendingIdentityId, Path)), request_body = IdentityPatch,
    responses((status = 200, description = "The changed identity.", body = IdentityOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    IfMatch(version): IfMatch,
    body: Patch<IdentitySettings>,
) -> Result<Reply, ApiError> {
    let identity = communications::patch_identity(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(IdentityOut::from(&identity), identity.version)?)
}

/// Delete a sending identity
///
/// Messages that still wait to go out from it fail.
#[utoipa::path(delete, path = "/communications/identities/{id}", tag = "Sending identities", operation_id = "deleteIdentity",
    security(("api_key" = ["communications:write"])), params(("id" = SendingIdentityId, Path)),
    responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    communications::delete_identity(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Verify a sending identity
///
/// Asks its provider whether it can send. For `ses`, whose account all tenants share, a link is sent to the address that has to be
/// followed first; the identity sends nothing before that.
#[utoipa::path(post, path = "/communications/identities/{id}/verify", tag = "Sending identities", operation_id = "verifyIdentity",
    security(("api_key" = ["communications:write"])), params(("id" = SendingIdentityId, Path)),
    responses((status = 200, description = "What was found.", body = Verified)))]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    Ok(Reply::ok(communications::verify_identity(&app, &ctx, id).await?)?)
}

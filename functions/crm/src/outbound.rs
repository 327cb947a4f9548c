//! E-mail to the people of leads, and the connections that it goes out by.

use std::sync::Arc;

use axle_app::crm::{Numbered, outbound};
use axle_app::{Answer, App};
use axle_domain::SendingIdentityId;
use axle_domain::crm::outbound::{ConnectionInput, OutboundEmailInput};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, numbered_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::outbound_model::{ConnectionOut, ConnectionPage, ConnectionPatch, ConnectionSettings, QueuedEmailOut};

/// Send an e-mail to a lead
///
/// To the lead's contact, by the same outbox as `POST /communications`: limits, warm-up and sending windows of the connection hold. It
/// stands in the lead's timeline, as do its being sent, opened, clicked and answered. An address on the suppression list is refused
/// (409), and looked up again when the message is sent.
#[utoipa::path(post, path = "/api/crm/outbound-email", tag = "CRM e-mail", operation_id = "sendCrmEmail", request_body = OutboundEmailInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 202, description = "Queued.", body = QueuedEmailOut)))]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<OutboundEmailInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply(outbound::send(&app, &ctx, input, |queued| Answer::new(202, QueuedEmailOut::from(queued))).await?))
}

/// Connect an e-mail account
///
/// A sending identity, as by `POST /communications/identities`, and verified as one. Its credentials are sealed at once and never shown.
#[utoipa::path(post, path = "/api/crm/outbound-email-connections", tag = "CRM e-mail", operation_id = "createConnection",
    request_body = ConnectionInput, security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The connection, unverified.", body = ConnectionOut, headers(("ETag" = String)),
        links(("getConnection" = (operation_id = "getConnection", parameters(("connectionId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<ConnectionInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        outbound::connect(&app, &ctx, input, |made| Ok(Answer::new(201, ConnectionOut::from(made))?.with_etag(made.version)));
    Ok(Reply(answer.await?))
}

/// List e-mail connections
///
/// Newest first: every sending identity, without credentials. There can be 100.
#[utoipa::path(get, path = "/api/crm/outbound-email-connections", tag = "CRM e-mail", operation_id = "listConnections",
    security(("api_key" = ["read:crm"])),
    params(
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of connections.", body = ConnectionPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page_number();
    query.finish()?;
    let found = Numbered::cut(outbound::connections(&app, &ctx).await?, page);
    Ok(numbered_answer("connections", found, |connection| ConnectionOut::from(&connection))?)
}

/// Get an e-mail connection
#[utoipa::path(get, path = "/api/crm/outbound-email-connections/{connectionId}", tag = "CRM e-mail", operation_id = "getConnection",
    security(("api_key" = ["read:crm"])), params(("connectionId" = SendingIdentityId, Path)),
    responses((status = 200, description = "The connection.", body = ConnectionOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let connection = outbound::connection(&app, &ctx, id).await?;
    Ok(Reply::resource(ConnectionOut::from(&connection), connection.version)?)
}

/// Change an e-mail connection
///
/// A JSON merge patch; credentials are replaced as a whole. Another address or other credentials have to be verified anew, another
/// warm-up begins today.
#[utoipa::path(patch, path = "/api/crm/outbound-email-connections/{connectionId}", tag = "CRM e-mail", operation_id = "patchConnection",
    security(("api_key" = ["write:crm"])), params(("connectionId" = SendingIdentityId, Path)), request_body = ConnectionPatch,
    responses((status = 200, description = "The changed connection.", body = ConnectionOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<ConnectionSettings>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let connection = outbound::change_connection(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(ConnectionOut::from(&connection), connection.version)?)
}

/// Delete an e-mail connection
///
/// Messages that still wait to go out by it fail.
#[utoipa::path(delete, path = "/api/crm/outbound-email-connections/{connectionId}", tag = "CRM e-mail", operation_id = "deleteConnection",
    security(("api_key" = ["write:crm"])), params(("connectionId" = SendingIdentityId, Path)),
    responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<SendingIdentityId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    outbound::disconnect(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

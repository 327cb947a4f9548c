//! Endpoints.

use std::sync::Arc;

use axle_app::{Answer, App, webhooks};
use axle_domain::WebhookId;
use axle_domain::webhook::{WebhookInput, WebhookSettings};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, page_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::{TestInput, TestOut, WebhookOut, WebhookPage, WebhookPatch, WebhookWithSecretOut};

/// Create a webhook endpoint
///
/// Events are posted to it, signed as Standard Webhooks 1.0. The URL must be https on port 443 of a public host.
#[utoipa::path(post, path = "/webhooks", tag = "Webhooks", operation_id = "createWebhook", request_body = WebhookInput,
    security(("api_key" = ["webhooks:write"])),
    responses((status = 201, description = "The endpoint with its signing secret.", body = WebhookWithSecretOut, headers(("ETag" = String)))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<WebhookInput>,
) -> Result<Reply, ApiError> {
    let answer = webhooks::create(&app, &ctx, input, |webhook, secret| {
        let body = WebhookWithSecretOut { secret: Some(secret.to_owned()), webhook: WebhookOut::from(webhook) };
        Ok(Answer::new(201, body)?.with_etag(webhook.version).with_secrets(&["secret"]))
    });
    Ok(Reply(answer.await?))
}

/// List webhook endpoints
///
/// Newest first.
#[utoipa::path(get, path = "/webhooks", tag = "Webhooks", operation_id = "listWebhooks", security(("api_key" = ["webhooks:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of endpoints.", body = WebhookPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = webhooks::list(&app, &ctx, page).await?;
    Ok(page_answer("webhooks", found, |webhook| WebhookOut::from(&webhook))?)
}

/// Get a webhook endpoint
#[utoipa::path(get, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "getWebhook", security(("api_key" = ["webhooks:read"])),
    params(("id" = WebhookId, Path)),
    responses((status = 200, description = "The endpoint.", body = WebhookOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let webhook = webhooks::get(&app, &ctx, id).await?;
    Ok(Reply::resource(WebhookOut::from(&webhook), webhook.version)?)
}

/// Change a webhook endpoint
///
/// A JSON merge patch. Enabling an endpoint that was disabled for its failures gives it a new start.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "patchWebhook", security(("api_key" = ["webhooks:write"])),
    params(("id" = WebhookId, Path)), request_body = WebhookPatch,
    responses((status = 200, description = "The changed endpoint.", body = WebhookOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    IfMatch(version): IfMatch,
    body: Patch<WebhookSettings>,
) -> Result<Reply, ApiError> {
    let webhook = webhooks::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(WebhookOut::from(&webhook), webhook.version)?)
}

/// Delete a webhook endpoint
///
/// What is on its way to it is given up.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "Webhooks", operation_id = "deleteWebhook", security(("api_key" = ["webhooks:write"])),
    params(("id" = WebhookId, Path)), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    webhooks::delete(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test event
///
/// Sends a sample event now and waits for the answer, 15 seconds at most. It is signed like any other, is not recorded as a
/// delivery, and does not change the endpoint's state.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "Webhooks", operation_id = "testWebhook", request_body = TestInput,
    security(("api_key" = ["webhooks:write"])), params(("id" = WebhookId, Path)),
    responses((status = 200, description = "What came of it.", body = TestOut)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    Body(input): Body<TestInput>,
) -> Result<Reply, ApiError> {
    let outcome = webhooks::test(&app, &ctx, id, input.event_type.as_deref()).await?;
    Ok(Reply::ok(TestOut::from(outcome))?)
}

//! Signing secrets.

use std::sync::Arc;

use axle_app::{Answer, App, webhooks};
use axle_domain::WebhookId;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply};
use axum::extract::State;

use crate::model::{RotateSecretInput, SecretOut, WebhookOut, WebhookWithSecretOut};

/// Show the signing secret
#[utoipa::path(get, path = "/webhooks/{id}/secret", tag = "Webhooks", operation_id = "getWebhookSecret",
    security(("api_key" = ["webhooks:write"])), params(("id" = WebhookId, Path)),
    responses((status = 200, description = "The current secret.", body = SecretOut)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let secret = webhooks::secret(&app, &ctx, id).await?;
    Ok(Reply::ok(SecretOut { secret })?)
}

/// Rotate the signing secret
///
/// Both secrets sign during the overlap, so that the receiver can change over without missing anything.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "Webhooks", operation_id = "rotateWebhookSecret",
    security(("api_key" = ["webhooks:write"])), params(("id" = WebhookId, Path)), request_body = RotateSecretInput,
    responses((status = 200, description = "The endpoint with its new secret.", body = WebhookWithSecretOut)))]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    Body(input): Body<RotateSecretInput>,
) -> Result<Reply, ApiError> {
    let answer = webhooks::rotate_secret(&app, &ctx, id, input.overlap_seconds, |webhook, secret| {
        let body = WebhookWithSecretOut { secret: Some(secret.to_owned()), webhook: WebhookOut::from(webhook) };
        Ok(Answer::new(200, body)?.with_etag(webhook.version).with_secrets(&["secret"]))
    });
    Ok(Reply(answer.await?))
}

//! Mail that is posted by whoever runs a mailbox, and the secrets of messages.

use std::sync::Arc;

use axle_app::communications::{self, InboundAnswer, SignedHeaders};
use axle_app::{Answer, App, input};
use axle_domain::EntityId;
use axle_domain::mail::InboundPost;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, RawBody, Reply};
use axum::extract::State;

use crate::model::{InboundSecretOut, NewSecretInput, PostSecretOut};

/// Make the secret of inbound mail
///
/// Whoever posts your mail signs it with this, as a Standard Webhook. It takes the place of the one before, which stays good for
/// `overlap_seconds`. It is shown this once.
#[utoipa::path(post, path = "/communications/inbound/secret", tag = "Inbound mail", operation_id = "createInboundSecret",
    security(("api_key" = ["communications:write"])), request_body = NewSecretInput,
    responses((status = 201, description = "Where to post, and what to sign with.", body = InboundSecretOut)))]
pub(crate) async fn new_secret(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<NewSecretInput>,
) -> Result<Reply, ApiError> {
    let overlap = input.overlap_seconds.unwrap_or(0);
    let answer = communications::renew_inbound_secret(&app, &ctx, overlap, |url, secret| {
        let body = InboundSecretOut { url: url.to_owned(), secret: Some(secret.to_owned()) };
        Ok(Answer::new(201, body)?.with_secrets(&["secret"]))
    });
    Ok(Reply(answer.await?))
}

/// Hand in a mail
///
/// Signed as a Standard Webhook (`webhook-id`, `webhook-timestamp`, `webhook-signature`) with the secret of inbound mail; no other credential.
/// It is matched to the message that it answers by `in_reply_to` and `references`, else to the latest message that went to its sender.
/// A mail that was handed in before, by its `message_id`, changes nothing.
#[utoipa::path(post, path = "/communications/inbound/{entity_id}", tag = "Inbound mail", operation_id = "postInboundMail", security(()),
    params(("entity_id" = EntityId, Path),
        ("webhook-id" = String, Header, description = "Names this delivery."),
        ("webhook-timestamp" = String, Header, description = "Unix seconds, at most five minutes off."),
        ("webhook-signature" = String, Header, description = "`v1,` and the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`.")),
    request_body = InboundPost,
    responses((status = 202, description = "It was taken.", body = InboundAnswer),
        (status = 401, description = "The signature is missing, too old or not good.", body = Object, content_type = "application/problem+json")))]
pub(crate) async fn post(State(app): State<Arc<App>>, Id(entity): Id<EntityId>, raw: RawBody) -> Result<Reply, ApiError> {
    let header = |name: &str| raw.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let headers = SignedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let read = || input::read(raw.json()?);
    let answer = communications::post_inbound(&app, entity, &headers, &raw.bytes, read).await?;
    Ok(Reply(Answer::new(202, answer)?))
}

/// Show the secret of posted messages
///
/// Messages of the channel `webhook` are signed with it as Standard Webhooks: give it to whoever receives them.
#[utoipa::path(get, path = "/communications/webhook-secret", tag = "Communications", operation_id = "getPostSecret",
    security(("api_key" = ["communications:write"])),
    responses((status = 200, description = "The current secret.", body = PostSecretOut)))]
pub(crate) async fn show_post_secret(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(PostSecretOut { secret: Some(communications::post_secret(&app, &ctx).await?) })?)
}

/// Replace the secret of posted messages
///
/// Both sign for `overlap_seconds`, so that receivers can change over without missing anything.
#[utoipa::path(post, path = "/communications/webhook-secret", tag = "Communications", operation_id = "rotatePostSecret",
    security(("api_key" = ["communications:write"])), request_body = NewSecretInput,
    responses((status = 200, description = "The new secret.", body = PostSecretOut)))]
pub(crate) async fn rotate_post_secret(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<NewSecretInput>,
) -> Result<Reply, ApiError> {
    let overlap = input.overlap_seconds.unwrap_or(axle_domain::webhook::DEFAULT_OVERLAP_SECS);
    let answer = communications::renew_post_secret(&app, &ctx, overlap, |secret| {
        Ok(Answer::new(200, PostSecretOut { secret: Some(secret.to_owned()) })?.with_secrets(&["secret"]))
    });
    Ok(Reply(answer.await?))
}

//! Deliveries and replays.

use std::sync::Arc;

use axle_app::{Answer, App, webhooks};
use axle_domain::webhook::{DeliveryStatus, ReplayInput};
use axle_domain::{DeliveryId, WebhookId};
use axle_http::{ApiError, Body, Caller, Id, QueryReader, RawBody, Reply, no_fields, page_answer};
use axum::extract::State;

use crate::model::{DeliveryOut, DeliveryPage, ReplayOut};

/// List deliveries
///
/// Newest first, kept 30 days.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "Webhooks", operation_id = "listDeliveries",
    security(("api_key" = ["webhooks:read"])),
    params(
        ("id" = WebhookId, Path),
        ("status" = Option<DeliveryStatus>, Query, description = "Only deliveries in this state."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of deliveries.", body = DeliveryPage,
        links(("replayDelivery" = (operation_id = "replayDelivery", parameters(("id" = "$response.body#/deliveries/0/id"))))))))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let (status, page) = (query.parsed("status"), query.page());
    query.finish()?;
    let found = webhooks::deliveries(&app, &ctx, id, status, page).await?;
    Ok(page_answer("deliveries", found, |delivery| DeliveryOut::from(delivery.value))?)
}

/// Replay a delivery
///
/// Sends the event again with the same `webhook-id`, whatever became of the delivery.
#[utoipa::path(post, path = "/webhooks/deliveries/{id}/replay", tag = "Webhooks", operation_id = "replayDelivery",
    security(("api_key" = ["webhooks:write"])), params(("id" = DeliveryId, Path)),
    responses((status = 200, description = "It is on its way.", body = ReplayOut)))]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DeliveryId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    Ok(Reply(webhooks::replay(&app, &ctx, id, |replayed| Answer::new(200, ReplayOut { replayed })).await?))
}

/// Replay deliveries
///
/// Sends every event of a range of time again: all of them, or those that did not arrive.
#[utoipa::path(post, path = "/webhooks/{id}/replay", tag = "Webhooks", operation_id = "replayDeliveries", request_body = ReplayInput,
    security(("api_key" = ["webhooks:write"])), params(("id" = WebhookId, Path)),
    responses((status = 200, description = "They are on their way.", body = ReplayOut)))]
pub(crate) async fn replay_range(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<WebhookId>,
    Body(input): Body<ReplayInput>,
) -> Result<Reply, ApiError> {
    let replayed = webhooks::replay_range(&app, &ctx, id, &input).await?;
    Ok(Reply::ok(ReplayOut { replayed })?)
}

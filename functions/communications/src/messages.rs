//! Messages and the outbox.

use std::sync::Arc;

use axle_app::communications::{self, OutboxStatus};
use axle_app::{Answer, App};
use axle_domain::communication::{CommunicationInput, CommunicationStatus};
use axle_domain::{CampaignId, CommunicationId, LeadId};
use axle_http::{ApiError, Body, Caller, Id, QueryReader, RawBody, Reply, no_fields, page_answer};
use axle_store::communications::CommunicationQuery;
use axum::extract::State;

use crate::model::{CommunicationDetailOut, CommunicationOut, CommunicationPage, QueuedOut};

/// Send a message
///
/// Queues it; it goes out at `send_at` or at once, within the sending identity's window and daily limit. It is sent once: a message whose fate
/// is not known fails visibly instead of being sent again. Suppressed addresses are looked up when it is sent.
#[utoipa::path(post, path = "/communications", tag = "Communications", operation_id = "sendCommunication", request_body = CommunicationInput,
    security(("api_key" = ["communications:write"])),
    responses((status = 202, description = "It is queued.", body = QueuedOut,
        links(("getCommunication" = (operation_id = "getCommunication", parameters(("id" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<CommunicationInput>,
) -> Result<Reply, ApiError> {
    let answer = communications::queue(&app, &ctx, input, |record| Answer::new(202, QueuedOut::from(record)));
    Ok(Reply(answer.await?))
}

/// List messages
///
/// Newest first.
#[utoipa::path(get, path = "/communications", tag = "Communications", operation_id = "listCommunications",
    security(("api_key" = ["communications:read"])),
    params(
        ("status" = Option<CommunicationStatus>, Query, description = "Only messages in this state."),
        ("lead_id" = Option<LeadId>, Query, description = "Only messages to this lead."),
        ("campaign_id" = Option<CampaignId>, Query, description = "Only messages of this campaign."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of messages, without what they say.", body = CommunicationPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (status, lead_id, campaign_id) = (query.parsed("status"), query.parsed("lead_id"), query.parsed("campaign_id"));
    let page = query.page();
    query.finish()?;
    let found = communications::list(&app, &ctx, CommunicationQuery { status, lead_id, campaign_id }, page).await?;
    Ok(page_answer("communications", found, |message| CommunicationOut::from(message.value))?)
}

/// Get the outbox's state
///
/// Counts are exact: they change in the same write as the message that they count.
#[utoipa::path(get, path = "/communications/outbox", tag = "Communications", operation_id = "getOutbox",
    security(("api_key" = ["communications:read"])),
    responses((status = 200, description = "Counts, throughput and delay.", body = OutboxStatus)))]
pub(crate) async fn outbox(State(app): State<Arc<App>>, Caller(ctx): Caller, query: QueryReader) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(communications::outbox(&app, &ctx).await?)?)
}

/// Get a message
#[utoipa::path(get, path = "/communications/{id}", tag = "Communications", operation_id = "getCommunication",
    security(("api_key" = ["communications:read"])), params(("id" = CommunicationId, Path)),
    responses((status = 200, description = "The message.", body = CommunicationDetailOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CommunicationId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let (record, content, replies) = communications::get(&app, &ctx, id).await?;
    Ok(Reply::resource(CommunicationDetailOut::of(record.value, content, replies), record.version)?)
}

/// Cancel a message
///
/// Only while it is pending: what a worker has taken may be with the provider already.
#[utoipa::path(post, path = "/communications/{id}/cancel", tag = "Communications", operation_id = "cancelCommunication",
    security(("api_key" = ["communications:write"])), params(("id" = CommunicationId, Path)),
    responses((status = 200, description = "The cancelled message.", body = CommunicationOut)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CommunicationId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    let answer = communications::cancel(&app, &ctx, id, |record| Answer::new(200, CommunicationOut::from(record.clone())));
    Ok(Reply(answer.await?))
}

/// Send a failed message again
///
/// Also one that was suppressed. One whose outcome is unknown may arrive twice. A message of a campaign's sequence cannot be sent again (409)
/// unless its outcome is unknown: what it took of the budget was given back.
#[utoipa::path(post, path = "/communications/{id}/retry", tag = "Communications", operation_id = "retryCommunication",
    security(("api_key" = ["communications:write"])), params(("id" = CommunicationId, Path)),
    responses((status = 200, description = "The message, pending again.", body = CommunicationOut)))]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CommunicationId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    let answer = communications::retry(&app, &ctx, id, |record| Answer::new(200, CommunicationOut::from(record.clone())));
    Ok(Reply(answer.await?))
}

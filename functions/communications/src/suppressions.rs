//! Addresses that are not written to.

use std::sync::Arc;

use axle_app::{Answer, App, communications};
use axle_domain::communication::SuppressionInput;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply, page_answer};
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::{SuppressionOut, SuppressionPage};

/// Suppress an address
///
/// Nothing is sent to it any more; what waits already ends as `suppressed`. An address that is on the list stays as it is.
#[utoipa::path(post, path = "/communications/suppressions", tag = "Suppressions", operation_id = "createSuppression",
    request_body = SuppressionInput, security(("api_key" = ["communications:write"])),
    responses((status = 201, description = "It is on the list.", body = SuppressionOut)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<SuppressionInput>,
) -> Result<Reply, ApiError> {
    let answer = communications::suppress(&app, &ctx, input, |record| Answer::new(201, SuppressionOut::from(record)));
    Ok(Reply(answer.await?))
}

/// List suppressed addresses
///
/// Newest first. Hard bounces, complaints and unsubscribes put themselves on the list.
#[utoipa::path(get, path = "/communications/suppressions", tag = "Suppressions", operation_id = "listSuppressions",
    security(("api_key" = ["communications:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of the list.", body = SuppressionPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = communications::suppressions(&app, &ctx, page).await?;
    Ok(page_answer("suppressions", found, |record| SuppressionOut::from(&record))?)
}

/// Take an address off the list
#[utoipa::path(delete, path = "/communications/suppressions/{address}", tag = "Suppressions", operation_id = "deleteSuppression",
    security(("api_key" = ["communications:write"])),
    params(("address" = String, Path, description = "Percent-encoded.", example = "ada@example.com")),
    responses((status = 204, description = "It can be written to again.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(address): Id<String>,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    communications::unsuppress(&app, &ctx, &address).await?;
    Ok(StatusCode::NO_CONTENT)
}

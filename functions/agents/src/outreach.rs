//! Agents as the Outreach surface knows them.

use std::sync::Arc;

use axle_app::agents::{self, ExecuteInput};
use axle_app::{Answer, App};
use axle_domain::AgentId;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply, page_answer};
use axum::extract::State;

use crate::model::{AgentEntry, AgentPage, ExecutionOut};

/// List agents
///
/// With how they did. A new tenant has the built-in squad; agents of its own come first, the newest before the others.
#[utoipa::path(get, path = "/agents", tag = "Agents", operation_id = "listSquad", security(("api_key" = ["agents:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of agents.", body = AgentPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    Ok(page_answer("agents", agents::agents(&app, &ctx, page).await?, AgentEntry::from)?)
}

/// Execute an agent
///
/// Does its steps for what it is told, at once. Steps that wait or need an approval are left out, and said to be. What the others change is
/// written in one go with the answer, so that a repeated request under an `Idempotency-Key` does nothing twice.
#[utoipa::path(post, path = "/agents/{id}/execute", tag = "Agents", operation_id = "executeAgent", request_body = ExecuteInput,
    security(("api_key" = ["agents:trigger"])), params(("id" = AgentId, Path)),
    responses((status = 200, description = "What came of it.", body = ExecutionOut)))]
pub(crate) async fn execute(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    Body(wish): Body<ExecuteInput>,
) -> Result<Reply, ApiError> {
    let answer = agents::execute(&app, &ctx, id, wish, |executed| Answer::new(200, ExecutionOut::from(executed)));
    Ok(Reply(answer.await?))
}

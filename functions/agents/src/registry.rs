//! Agents as they are defined.

use std::sync::Arc;

use axle_app::{Answer, App, agents};
use axle_domain::AgentId;
use axle_domain::agent::{AgentInput, TemplateName};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, sliced_answer};
use axum::extract::State;

use crate::model::{AgentAnswer, AgentOut, AgentPatch, AgentSlice};

/// Create an agent
///
/// With a playbook of its own, or that of a template. A playbook is checked when it is saved, with a pointer for each fault.
#[utoipa::path(post, path = "/v1/agents", tag = "Agents", operation_id = "createAgent", request_body = AgentInput,
    security(("api_key" = ["agents:write"])),
    responses((status = 201, description = "The agent.", body = AgentAnswer, headers(("ETag" = String)),
        links(("getAgent" = (operation_id = "getAgent", parameters(("id" = "$response.body#/agent/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(spec): Body<AgentInput>,
) -> Result<Reply, ApiError> {
    let answer = agents::create(&app, &ctx, spec, |a| Ok(Answer::new(201, AgentAnswer::from(a))?.with_etag(a.version)));
    Ok(Reply(answer.await?))
}

/// List agents as they are defined
///
/// A tenant's own, the newest first, then the built-in ones.
#[utoipa::path(get, path = "/v1/agents", tag = "Agents", operation_id = "listAgents", security(("api_key" = ["agents:read"])),
    params(
        ("enabled" = Option<bool>, Query, description = "Only those that are enabled, or that are not."),
        ("playbook_template" = Option<TemplateName>, Query, description = "Only those of this template."),
        ("limit" = Option<u8>, Query, description = "Entries; 20 by default.", minimum = 1, maximum = 100),
        ("offset" = Option<u32>, Query, description = "Entries before the first.", minimum = 0, maximum = 1_000_000),
    ),
    responses((status = 200, description = "Some agents.", body = AgentSlice)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (enabled, template, slice) = (query.flag("enabled"), query.parsed("playbook_template"), query.slice());
    query.finish()?;
    let found = agents::list(&app, &ctx, enabled, template, slice).await?;
    Ok(sliced_answer("agents", found, |agent| AgentOut::from(&agent))?)
}

/// Get an agent
#[utoipa::path(get, path = "/v1/agents/{id}", tag = "Agents", operation_id = "getAgent",
    security(("api_key" = ["agents:read"])), params(("id" = AgentId, Path)),
    responses((status = 200, description = "The agent.", body = AgentAnswer, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let agent = agents::get(&app, &ctx, id).await?;
    Ok(Reply::resource(AgentAnswer::from(&agent), agent.version)?)
}

/// Change an agent
///
/// A JSON merge patch (RFC 7396): absent leaves, null clears, nested objects merge, lists are replaced. Built-in agents can be changed too.
/// What runs goes on as it was begun.
#[utoipa::path(patch, path = "/v1/agents/{id}", tag = "Agents", operation_id = "patchAgent",
    security(("api_key" = ["agents:write"])), params(("id" = AgentId, Path)), request_body = AgentPatch,
    responses((status = 200, description = "The changed agent.", body = AgentAnswer, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    IfMatch(version): IfMatch,
    body: Patch<AgentInput>,
) -> Result<Reply, ApiError> {
    let agent = agents::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(AgentAnswer::from(&agent), agent.version)?)
}

/// Delete an agent
///
/// With its runs; what they cost and what they did stays. A built-in agent can be disabled instead.
#[utoipa::path(delete, path = "/v1/agents/{id}", tag = "Agents", operation_id = "deleteAgent",
    security(("api_key" = ["agents:write"])), params(("id" = AgentId, Path)),
    responses((status = 200, description = "The agent as it was.", body = AgentAnswer)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let agent = agents::delete(&app, &ctx, id, version).await?;
    Ok(Reply::ok(AgentAnswer::from(&agent))?)
}

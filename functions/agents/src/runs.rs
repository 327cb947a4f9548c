//! Agents called, and how far they are.

use std::sync::Arc;

use axle_app::agents::{self, TriggerInput};
use axle_app::{Answer, App};
use axle_domain::agent::RunStatus;
use axle_domain::{AgentId, AgentJobId, RunId};
use axle_http::{ApiError, Body, Caller, Id, QueryReader, RawBody, Reply, no_fields, sliced_answer};
use axum::extract::State;

use crate::runs_model::{JobAnswer, RunAnswer, RunOut, RunSlice, TriggerAnswer};

/// Call an agent
///
/// For the contacts and leads named, 1,000 at most, or for whom the playbook's `targeting` finds. The work is done afterwards; the job
/// tells how far it is.
#[utoipa::path(post, path = "/v1/agents/{id}/trigger", tag = "Agent runs", operation_id = "triggerAgent", request_body = TriggerInput,
    security(("api_key" = ["agents:trigger"])), params(("id" = AgentId, Path)),
    responses((status = 200, description = "The job.", body = TriggerAnswer,
        links(("getAgentJob" = (operation_id = "getAgentJob", parameters(("jobId" = "$response.body#/job_id"))))))))]
pub(crate) async fn trigger(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    Body(wish): Body<TriggerInput>,
) -> Result<Reply, ApiError> {
    let answer = agents::trigger(&app, &ctx, id, wish, |job_id| Answer::new(200, TriggerAnswer { status: "success", job_id }));
    Ok(Reply(answer.await?))
}

/// Get a job
#[utoipa::path(get, path = "/v1/agents/jobs/{jobId}", tag = "Agent runs", operation_id = "getAgentJob",
    security(("api_key" = ["agents:read"])), params(("jobId" = AgentJobId, Path)),
    responses((status = 200, description = "The job.", body = JobAnswer)))]
pub(crate) async fn job(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentJobId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(JobAnswer::from(agents::get_job(&app, &ctx, id).await?))?)
}

/// List an agent's runs
///
/// Newest first. A status that has just changed may be found under its former one for a moment.
#[utoipa::path(get, path = "/v1/agents/{id}/runs", tag = "Agent runs", operation_id = "listAgentRuns",
    security(("api_key" = ["agents:read"])),
    params(
        ("id" = AgentId, Path),
        ("status" = Option<RunStatus>, Query, description = "Only runs that stand there."),
        ("limit" = Option<u8>, Query, description = "Entries; 20 by default.", minimum = 1, maximum = 100),
        ("offset" = Option<u32>, Query, description = "Entries before the first.", minimum = 0, maximum = 1_000_000),
    ),
    responses((status = 200, description = "Some runs.", body = RunSlice)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<AgentId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let (status, slice) = (query.parsed("status"), query.slice());
    query.finish()?;
    let found = agents::list_runs(&app, &ctx, id, status, slice).await?;
    Ok(sliced_answer("runs", found, |run| RunOut::new(&run, false))?)
}

/// Get a run
///
/// With everyone in it, who they are, and how far their actions are.
#[utoipa::path(get, path = "/v1/agents/runs/{runId}", tag = "Agent runs", operation_id = "getAgentRun",
    security(("api_key" = ["agents:read"])), params(("runId" = RunId, Path)),
    responses((status = 200, description = "The run.", body = RunAnswer)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<RunId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(RunAnswer::new(&agents::get_run(&app, &ctx, id).await?, true))?)
}

/// Cancel a run
///
/// Who is in the middle of a step comes to that step's end; nothing new is begun for anybody. Everyone is shown as they stood.
#[utoipa::path(post, path = "/v1/agents/runs/{runId}/cancel", tag = "Agent runs", operation_id = "cancelAgentRun",
    security(("api_key" = ["agents:trigger"])), params(("runId" = RunId, Path)),
    responses((status = 200, description = "The cancelled run.", body = RunAnswer)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<RunId>,
    body: RawBody,
) -> Result<Reply, ApiError> {
    no_fields(&body.json()?)?;
    let answer = agents::cancel(&app, &ctx, id, |run| Answer::new(200, RunAnswer::new(run, true)));
    Ok(Reply(answer.await?))
}

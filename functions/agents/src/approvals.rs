//! What people decide about agents' actions.

use std::sync::Arc;

use axle_app::agents::{self, ApproveInput, RejectInput};
use axle_app::{Answer, App};
use axle_domain::agent::ApprovalStatus;
use axle_domain::{ContactId, RunId};
use axle_http::{ApiError, Body, Caller, QueryReader, Reply, ThreeIds, sliced_answer};
use axum::extract::State;

use crate::runs_model::{ActionAnswer, ApprovalOut, ApprovalSlice};

/// List approvals
///
/// The oldest question first. Drafts of campaigns with `approval: manual` stand here too: with their `campaign_id`, the lead as the
/// contact, and the step, counted from 0, as the index.
#[utoipa::path(get, path = "/v1/approvals", tag = "Approvals", operation_id = "listApprovals", security(("api_key" = ["agents:read"])),
    params(
        ("status" = Option<ApprovalStatus>, Query, description = "`pending` by default."),
        ("limit" = Option<u8>, Query, description = "Entries; 20 by default.", minimum = 1, maximum = 100),
        ("offset" = Option<u32>, Query, description = "Entries before the first.", minimum = 0, maximum = 1_000_000),
    ),
    responses((status = 200, description = "Some approvals.", body = ApprovalSlice)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (status, slice) = (query.parsed("status").unwrap_or(ApprovalStatus::Pending), query.slice());
    query.finish()?;
    let found = agents::approvals(&app, &ctx, status, slice).await?;
    Ok(sliced_answer("approvals", found, ApprovalOut::from)?)
}

/// Approve an action
///
/// Once: a second decision, one about an action that has changed since it was shown, and one that comes too late are a 409 that says who
/// decided what when. `edits` change the action's params. A campaign's draft is approved the same way.
#[utoipa::path(post, path = "/v1/agents/runs/{runId}/contacts/{contactId}/actions/{actionIndex}/approve", tag = "Approvals",
    operation_id = "approveAction", request_body = ApproveInput, security(("api_key" = ["agents:approve"])),
    params(("runId" = RunId, Path), ("contactId" = ContactId, Path), ("actionIndex" = u8, Path, maximum = 19)),
    responses((status = 200, description = "The action.", body = ActionAnswer)))]
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    ThreeIds(run, contact, index): ThreeIds<RunId, ContactId, usize>,
    Body(wish): Body<ApproveInput>,
) -> Result<Reply, ApiError> {
    let answer = agents::approve(&app, &ctx, (run, contact, index), wish, |action| Answer::new(200, ActionAnswer::from(action)));
    Ok(Reply(answer.await?))
}

/// Reject an action
///
/// It is not done, and the person's run ends, unless the step's `on_error` is `skip`. With a campaign's draft the lead's way through the
/// campaign ends.
#[utoipa::path(post, path = "/v1/agents/runs/{runId}/contacts/{contactId}/actions/{actionIndex}/reject", tag = "Approvals",
    operation_id = "rejectAction", request_body = RejectInput, security(("api_key" = ["agents:approve"])),
    params(("runId" = RunId, Path), ("contactId" = ContactId, Path), ("actionIndex" = u8, Path, maximum = 19)),
    responses((status = 200, description = "The action.", body = ActionAnswer)))]
pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    ThreeIds(run, contact, index): ThreeIds<RunId, ContactId, usize>,
    Body(wish): Body<RejectInput>,
) -> Result<Reply, ApiError> {
    let answer = agents::reject(&app, &ctx, (run, contact, index), wish, |action| Answer::new(200, ActionAnswer::from(action)));
    Ok(Reply(answer.await?))
}

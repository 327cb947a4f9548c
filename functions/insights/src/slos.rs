//! Service levels.

use std::sync::Arc;

use axle_app::insights::slos;
use axle_app::{Answer, App};
use axle_domain::Time;
use axle_domain::slo::{Objective, SloInput, SloState};
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply};
use axle_store::slos::SloRecord;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A service level and how it stands.
#[derive(Serialize, ToSchema)]
pub struct SloOut {
    #[schema(example = "delivery")]
    pub name: String,
    pub objective: Objective,
    #[schema(example = 0.05)]
    pub threshold: f64,
    #[schema(example = 60)]
    pub window_minutes: u32,
    pub state: SloState,
    /// What was measured last; null when there was nothing to measure.
    #[schema(example = 0.012)]
    pub value: Option<f64>,
    /// Null until it is judged for the first time, within a minute.
    pub evaluated_at: Option<Time>,
    /// While a breach goes on, when it was noticed. It goes on while there is nothing to measure.
    pub breached_since: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<SloRecord> for SloOut {
    fn from(slo: SloRecord) -> Self {
        let SloRecord {
            entity_id: _,
            id: _,
            name,
            objective,
            threshold,
            window_minutes,
            status,
            value,
            evaluated_at,
            breached_since,
            check_at: _,
            created_at,
            updated_at,
        } = slo;
        Self {
            name,
            objective,
            threshold,
            window_minutes,
            state: status,
            value,
            evaluated_at,
            breached_since,
            created_at,
            updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct SloList {
    /// By name; 50 at most.
    pub slos: Vec<SloOut>,
}

/// Set a service level
///
/// Makes it or changes it. It is judged each minute (a window longer than an hour as often as it is hours long, in minutes). A breach is told
/// of once by `slo.violated` when it begins, and once by `slo.recovered` when it ends. Success rates are to reach the threshold, all else is
/// not to exceed it. Latencies and durations are judged in classes that are at most an eighth wide, latencies by tens of minutes.
#[utoipa::path(put, path = "/slos/{name}", tag = "Service levels", operation_id = "putSlo", request_body = SloInput,
    security(("api_key" = ["campaigns:write"])),
    params(("name" = String, Path, description = "Its name.", min_length = 1, max_length = 64, pattern = "^[a-z0-9][a-z0-9_.-]{0,63}$", example = "delivery")),
    responses((status = 200, description = "It was changed.", body = SloOut), (status = 201, description = "It is new.", body = SloOut)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(name): Id<String>,
    Body(input): Body<SloInput>,
) -> Result<Reply, ApiError> {
    let (slo, is_new) = slos::put(&app, &ctx, &name, &input).await?;
    Ok(Reply(Answer::new(if is_new { 201 } else { 200 }, SloOut::from(slo))?))
}

/// List service levels
///
/// With the current value and state of each.
#[utoipa::path(get, path = "/slos", tag = "Service levels", operation_id = "listSlos", security(("api_key" = ["traces:read"])),
    responses((status = 200, description = "All of them.", body = SloList)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, query: QueryReader) -> Result<Reply, ApiError> {
    query.finish()?;
    let slos = slos::list(&app, &ctx).await?.into_iter().map(SloOut::from).collect();
    Ok(Reply::ok(SloList { slos })?)
}

/// Delete a service level
///
/// A breach that goes on is not told to have ended.
#[utoipa::path(delete, path = "/slos/{name}", tag = "Service levels", operation_id = "deleteSlo", security(("api_key" = ["campaigns:write"])),
    params(("name" = String, Path, description = "Its name.", example = "delivery")), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(name): Id<String>,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    slos::delete(&app, &ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

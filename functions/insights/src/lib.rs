//! Insight routes: costs, traces, the event log, service levels.

mod economics;
mod events;
mod slos;
mod traces;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(economics::costs))
        .routes(routes!(events::list))
        .routes(routes!(slos::list))
        .routes(routes!(slos::put, slos::delete))
        .routes(routes!(traces::list))
        .routes(routes!(traces::get))
}

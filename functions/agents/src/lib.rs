//! Routes of agents: the registry, their runs, what they ask for, and executions on the spot.

mod approvals;
mod model;
mod outreach;
mod registry;
mod runs;
mod runs_model;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(outreach::list))
        .routes(routes!(outreach::execute))
        .routes(routes!(registry::create, registry::list))
        .routes(routes!(registry::get, registry::patch, registry::delete))
        .routes(routes!(runs::trigger))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::job))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(approvals::list))
}

//! CRM routes. The gate has checked `entityId` before any of them runs.

mod companies;
mod companies_model;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(companies::create, companies::list)).routes(routes!(companies::get, companies::patch))
}

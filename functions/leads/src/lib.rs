//! Lead routes: one by one, and by import.

mod enrichment;
mod import_request;
mod imports;
mod leads;
mod model;
mod scoring;

use std::sync::Arc;

use axle_app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(leads::create, leads::list))
        .routes(routes!(leads::get, leads::patch, leads::delete))
        .routes(routes!(enrichment::enrich))
        .routes(routes!(enrichment::list))
        .routes(routes!(enrichment::get, enrichment::put, enrichment::delete))
        .routes(routes!(scoring::score))
        .routes(routes!(scoring::get_profile, scoring::put_profile))
        .routes(routes!(imports::start))
        .routes(routes!(imports::create_upload))
        .routes(routes!(imports::get))
        .routes(routes!(imports::errors))
}

//! All routers of the product together: for the tests of the HTTP surface and for the OpenAPI document.

use std::sync::Arc;

use axle_app::App;
use axum::Router;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

/// Every group's routes, as the functions serve them.
pub fn groups() -> Vec<(&'static str, OpenApiRouter<Arc<App>>)> {
    vec![
        ("identity", identity::routes()),
        ("leads", leads::routes()),
        ("campaigns", campaigns::routes()),
        ("communications", communications::routes()),
        ("agents", agents::routes()),
        ("webhooks", webhooks::routes()),
        ("crm", crm::routes()),
        ("insights", insights::routes()),
        ("docs", docs::routes()),
    ]
}

/// One router of all groups, each behind its own gate as when deployed.
pub fn router(app: &Arc<App>) -> Router {
    let gates = groups().into_iter().map(|(_, routes)| axle_http::serve(Arc::clone(app), routes));
    gates.fold(Router::new(), |all, group| all.merge(group.reset_fallback())).fallback(async || axum::http::StatusCode::NOT_FOUND)
}

/// The OpenAPI document of the whole product.
pub fn document() -> Value {
    let parts = groups().into_iter().map(|(_, routes)| routes.into_openapi());
    axle_http::document(parts, env!("CARGO_PKG_VERSION"))
}

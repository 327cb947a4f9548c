//! The reference: the OpenAPI document and a page that shows it. Both are part of the binary: the document is generated from
//! the routes (`make openapi`) and a test fails when it is not theirs any more.

mod page;

use std::sync::Arc;

use axle_app::App;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The whole product's OpenAPI document.
pub const OPENAPI: &str = include_str!("../openapi.json");

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(openapi)).routes(routes!(reference))
}

/// The document only changes with a deployment.
const CACHE: &str = "public, max-age=300";

/// OpenAPI document
#[utoipa::path(get, path = "/openapi.json", tag = "Reference", operation_id = "getOpenApi", security(()), extensions(("x-stateless" = json!(true))),
    responses((status = 200, description = "This document.", body = serde_json::Value, content_type = "application/json")))]
async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, CACHE)], OPENAPI).into_response()
}

/// Reference page
///
/// Readable without JavaScript and without any other host.
#[utoipa::path(get, path = "/docs", tag = "Reference", operation_id = "getDocs", security(()), extensions(("x-stateless" = json!(true))),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
async fn reference() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, page::html()).into_response()
}

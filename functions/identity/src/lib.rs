//! Identity routes: who am I, API keys, the audit log.

mod entities;
mod keys;
mod model;

use std::sync::Arc;

use axle_app::App;
use axle_app::identity::{audit, entities as tenants};
use axle_http::{ApiError, Caller, QueryReader, Reply, page_answer};
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use model::{AuditOut, AuditPage, EntityOut, MeOut};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(audit_log))
        .routes(routes!(entities::create, entities::list))
        .routes(routes!(entities::add_member, entities::members))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::get, keys::patch, keys::delete))
        .routes(routes!(keys::rotate))
}

/// Who am I?
///
/// The credential, its tenant, and what it may do.
#[utoipa::path(get, path = "/me", tag = "Identity", operation_id = "getMe", security(("api_key" = [])),
    responses((status = 200, description = "The caller.", body = MeOut)))]
async fn me(State(app): State<Arc<App>>, Caller(ctx): Caller, query: QueryReader) -> Result<Reply, ApiError> {
    query.finish()?;
    let entity = tenants::current(&app, &ctx).await?;
    Ok(Reply::ok(MeOut {
        actor: ctx.actor,
        entity: EntityOut::from(entity),
        scopes: ctx.scopes.iter().map(String::from).collect(),
        plan: ctx.plan,
    })?)
}

/// Audit log
///
/// Who changed keys, members, webhooks and connections, newest first. Entries are never changed or removed.
#[utoipa::path(get, path = "/audit-log", tag = "Identity", operation_id = "listAuditLog", security(("api_key" = ["keys:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of the log.", body = AuditPage)))]
async fn audit_log(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = audit::list(&app, &ctx, page).await?;
    Ok(page_answer("entries", found, AuditOut::from)?)
}

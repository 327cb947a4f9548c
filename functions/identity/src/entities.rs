//! Tenants and their members.

use std::sync::Arc;

use axle_app::identity::entities;
use axle_app::{Answer, App};
use axle_domain::EntityId;
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply, page_answer};
use axum::extract::State;

use crate::model::{EntityInput, EntityOut, EntityPage, MemberInput, MemberOut, MemberPage};

/// Create an entity
///
/// A new tenant, with an owner tenant: the caller's. Its first API key is made by an operator.
#[utoipa::path(post, path = "/entities", tag = "Identity", operation_id = "createEntity", request_body = EntityInput,
    security(("api_key" = ["keys:write"])), responses((status = 201, description = "The entity.", body = EntityOut)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<EntityInput>,
) -> Result<Reply, ApiError> {
    let answer = entities::create(&app, &ctx, &input.name, |entity| Answer::new(201, EntityOut::from(entity.clone())));
    Ok(Reply(answer.await?))
}

/// List entities
///
/// The caller's own first, then those that it has made, newest first.
#[utoipa::path(get, path = "/entities", tag = "Identity", operation_id = "listEntities", security(("api_key" = ["keys:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of entities.", body = EntityPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    Ok(page_answer("entities", entities::list(&app, &ctx, page).await?, EntityOut::from)?)
}

/// Add a member
///
/// By phone. A phone that is not known yet becomes a user, who can sign in with it.
#[utoipa::path(post, path = "/entities/{id}/members", tag = "Identity", operation_id = "addMember", request_body = MemberInput,
    security(("api_key" = ["keys:write"])), params(("id" = EntityId, Path)),
    responses((status = 201, description = "The member.", body = MemberOut)))]
pub(crate) async fn add_member(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<EntityId>,
    Body(input): Body<MemberInput>,
) -> Result<Reply, ApiError> {
    let answer = entities::add_member(&app, &ctx, id, &input.phone, input.role, |m| Answer::new(201, MemberOut::from(m.clone())));
    Ok(Reply(answer.await?))
}

/// List members
///
/// Oldest first.
#[utoipa::path(get, path = "/entities/{id}/members", tag = "Identity", operation_id = "listMembers", security(("api_key" = ["keys:read"])),
    params(
        ("id" = EntityId, Path),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of members.", body = MemberPage)))]
pub(crate) async fn members(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<EntityId>,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    Ok(page_answer("members", entities::members(&app, &ctx, id, page).await?, MemberOut::from)?)
}

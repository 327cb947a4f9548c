//! API keys.

use std::sync::Arc;

use axle_app::identity::keys::{self, KeyChange, NewKey};
use axle_app::{Answer, App, Error};
use axle_domain::identity::{KeyId, ScopeSet};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, QueryReader, Reply, page_answer};
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{ApiKeyInput, ApiKeyOut, ApiKeyPage, ApiKeyPatch, NewApiKeyOut, RotateKeyInput};

const SECRETS: &[&str] = &["api_key"];

/// Create an API key
///
/// The answer shows the key; nothing else ever does. A key can have no scope, plan or limit beyond the caller's own.
#[utoipa::path(post, path = "/api-keys", tag = "API keys", operation_id = "createApiKey", request_body = ApiKeyInput,
    security(("api_key" = ["keys:write"])),
    responses((status = 201, description = "The key.", body = NewApiKeyOut, headers(("ETag" = String)))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<ApiKeyInput>,
) -> Result<Reply, ApiError> {
    let ApiKeyInput { name, scopes, plan, limits, expires_at } = input;
    let new = NewKey { name, scopes: scopes.into_iter().collect(), plan, limits, expires_at };
    let answer = keys::create(&app, &ctx, new, |key, token| {
        let body = NewApiKeyOut { api_key: Some(token.to_owned()), key: ApiKeyOut::from(key) };
        Ok(Answer::new(201, body)?.with_etag(1).with_secrets(SECRETS))
    });
    Ok(Reply(answer.await?))
}

/// List API keys
///
/// Newest first, expired ones too.
#[utoipa::path(get, path = "/api-keys", tag = "API keys", operation_id = "listApiKeys", security(("api_key" = ["keys:read"])),
    params(
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of keys.", body = ApiKeyPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let page = query.page();
    query.finish()?;
    let found = keys::list(&app, &ctx, page).await?;
    Ok(page_answer("api_keys", found, |key| ApiKeyOut::from(&key.value))?)
}

/// Get an API key
#[utoipa::path(get, path = "/api-keys/{id}", tag = "API keys", operation_id = "getApiKey", security(("api_key" = ["keys:read"])),
    params(("id" = KeyId, Path)),
    responses((status = 200, description = "The key.", body = ApiKeyOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<KeyId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let key = keys::get(&app, &ctx, &id).await?;
    Ok(Reply::resource(ApiKeyOut::from(&key.value), key.version)?)
}

/// Change an API key
///
/// A JSON merge patch. Takes effect everywhere within 60 seconds. Nobody can change a key that has more than their own.
#[utoipa::path(patch, path = "/api-keys/{id}", tag = "API keys", operation_id = "patchApiKey", security(("api_key" = ["keys:write"])),
    params(("id" = KeyId, Path)), request_body = ApiKeyPatch,
    responses((status = 200, description = "The changed key.", body = ApiKeyOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<KeyId>,
    IfMatch(version): IfMatch,
    body: Patch<ApiKeyInput>,
) -> Result<Reply, ApiError> {
    let change = read_change(&body.change, keys::get(&app, &ctx, &id).await?.value.limits)?;
    let key = keys::patch(&app, &ctx, &id, change, version).await?;
    Ok(Reply::resource(ApiKeyOut::from(&key.value), key.version)?)
}

/// Delete an API key
///
/// It stops working within 60 seconds.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "API keys", operation_id = "deleteApiKey", security(("api_key" = ["keys:write"])),
    params(("id" = KeyId, Path)), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<KeyId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    keys::delete(&app, &ctx, &id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate an API key
///
/// A new secret under the same id. The old one works on for the overlap, by default not at all.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", tag = "API keys", operation_id = "rotateApiKey", request_body = RotateKeyInput,
    security(("api_key" = ["keys:write"])), params(("id" = KeyId, Path)),
    responses((status = 200, description = "The key with its new secret.", body = NewApiKeyOut)))]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<KeyId>,
    Body(input): Body<RotateKeyInput>,
) -> Result<Reply, ApiError> {
    let answer = keys::rotate(&app, &ctx, &id, input.overlap_seconds, |key, token| {
        let body = NewApiKeyOut { api_key: Some(token.to_owned()), key: ApiKeyOut::from(&key.value) };
        Ok(Answer::new(200, body)?.with_etag(key.version).with_secrets(SECRETS))
    });
    Ok(Reply(answer.await?))
}

/// A patch, checked against its schema, as what it changes: a cleared plan or limit goes back to its default.
fn read_change(change: &Value, limits: axle_domain::rate::Limits) -> Result<KeyChange, ApiError> {
    let merged_limits = change.get("limits").map(|patch| match patch {
        Value::Null => Ok(axle_domain::rate::Limits::default()),
        patch => read("limits", &axle_domain::merge::merge_patch(serde_json::to_value(limits).unwrap_or_default(), patch)),
    });
    Ok(KeyChange {
        name: field(change, "name")?,
        scopes: field::<Vec<axle_domain::identity::Scope>>(change, "scopes")?.map(|s| s.into_iter().collect::<ScopeSet>()),
        plan: change.get("plan").map(|v| if v.is_null() { Ok(Default::default()) } else { read("plan", v) }).transpose()?,
        limits: merged_limits.transpose()?,
        expires_at: change.get("expires_at").map(|v| read("expires_at", v)).transpose()?,
    })
}

fn field<T: DeserializeOwned>(change: &Value, name: &str) -> Result<Option<T>, ApiError> {
    change.get(name).map(|v| read(name, v)).transpose()
}

fn read<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, ApiError> {
    serde_json::from_value(value.clone()).map_err(|e| ApiError(Error::invalid(format!("/{name}"), e.to_string())))
}

//! Answers as HTTP responses.

use axle_app::agents::Sliced;
use axle_app::crm::Numbered;
use axle_app::{Answer, Error, Paged, Result};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// An answer on its way out of a handler.
#[derive(Debug)]
pub struct Reply(pub Answer);

impl Reply {
    /// 200 with a body.
    pub fn ok(body: impl Serialize) -> Result<Self> {
        Ok(Self(Answer::new(200, body)?))
    }

    /// 200 with a resource and its entity tag.
    pub fn resource(body: impl Serialize, version: u64) -> Result<Self> {
        Ok(Self(Answer::new(200, body)?.with_etag(version)))
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let Answer { status, body, etag, .. } = &self.0;
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        if let Some(tag) = etag.and_then(|v| HeaderValue::from_str(&format!("\"{v}\"")).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.extensions_mut().insert(self.0);
        response
    }
}

/// `{"<plural>": [...], "next_cursor": ...}`
///
/// # Errors
/// [`Error::Internal`] if an item has no JSON form.
pub fn page_answer<T, U: Serialize>(plural: &str, page: Paged<T>, out: impl Fn(T) -> U) -> Result<Reply> {
    let items: Result<Vec<Value>, _> = page.items.into_iter().map(|item| serde_json::to_value(out(item))).collect();
    let items = items.map_err(|e| Error::Internal(e.to_string()))?;
    let mut body = Map::new();
    body.insert(plural.to_owned(), Value::Array(items));
    body.insert("next_cursor".to_owned(), page.next_cursor.map_or(Value::Null, Value::String));
    Reply::ok(body)
}

/// `{"<plural>": [...], "page", "pageSize", "total"}`
///
/// # Errors
/// [`Error::Internal`] if an item has no JSON form.
pub fn numbered_answer<T, U: Serialize>(plural: &str, found: Numbered<T>, out: impl Fn(T) -> U) -> Result<Reply> {
    let items: Result<Vec<Value>, _> = found.items.into_iter().map(|item| serde_json::to_value(out(item))).collect();
    let items = items.map_err(|e| Error::Internal(e.to_string()))?;
    let mut body = Map::new();
    body.insert(plural.to_owned(), Value::Array(items));
    body.insert("page".to_owned(), found.page.page.into());
    body.insert("pageSize".to_owned(), found.page.size.into());
    body.insert("total".to_owned(), found.total.into());
    Reply::ok(body)
}

/// `{"status": "success", "<plural>": [...], "total", "limit", "offset"}`
///
/// # Errors
/// [`Error::Internal`] if an item has no JSON form.
pub fn sliced_answer<T, U: Serialize>(plural: &str, found: Sliced<T>, out: impl Fn(T) -> U) -> Result<Reply> {
    let items: Result<Vec<Value>, _> = found.items.into_iter().map(|item| serde_json::to_value(out(item))).collect();
    let items = items.map_err(|e| Error::Internal(e.to_string()))?;
    let mut body = Map::new();
    body.insert("status".to_owned(), "success".into());
    body.insert(plural.to_owned(), Value::Array(items));
    body.insert("total".to_owned(), found.total.into());
    body.insert("limit".to_owned(), found.slice.limit.into());
    body.insert("offset".to_owned(), found.slice.offset.into());
    Reply::ok(body)
}

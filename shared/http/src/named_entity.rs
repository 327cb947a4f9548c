//! The CRM's rule that every call names its entity: `entityId` in the query or in the JSON body, and it is the credential's own.
//!
//! The gate asks for it before any handler runs, and takes it out of the request: handlers know the entity from their caller, and
//! neither a query nor a body has a field that only repeats it.

use axle_app::Error;
use axle_domain::EntityId;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

use crate::BODY_MAX;
use crate::body::too_large;
use crate::surface::Surface;

const NAME: &str = "entityId";

/// Lets the request through, without its `entityId`; other surfaces' requests as they are.
///
/// # Errors
/// [`Error::Malformed`] if it names no entity, one that is no UUID, or two; [`Error::Forbidden`] if it names another's.
pub(crate) async fn check(surface: Surface, own: EntityId, request: Request) -> Result<Request, Error> {
    if surface != Surface::Crm {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let (mut named, rest) = from_query(parts.uri.query().unwrap_or_default());
    if !named.is_empty() {
        parts.uri = with_query(&parts.uri, &rest)?;
    }
    let mut bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| too_large())?;
    if let Some((name, rest)) = from_body(&parts.headers, &bytes) {
        named.push(name);
        bytes = rest;
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    judge(&named, own)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn judge(named: &[String], own: EntityId) -> Result<(), Error> {
    let Some(first) = named.first() else {
        return Err(Error::Malformed(format!("{NAME} is required, in the query or in the JSON body")));
    };
    let ids: Result<Vec<EntityId>, _> = named.iter().map(|text| text.parse()).collect();
    let ids = ids.map_err(|_| Error::Malformed(format!("{NAME} must be a UUID")))?;
    if ids.iter().any(|id| Some(id) != ids.first()) {
        return Err(Error::Malformed(format!("{NAME} names different entities in one request")));
    }
    if ids.first() == Some(&own) { Ok(()) } else { Err(Error::Forbidden(format!("the credential is not of the entity {first}"))) }
}

/// Every value of `entityId` in a query, and the query without it.
fn from_query(query: &str) -> (Vec<String>, String) {
    let is_it = |pair: &&str| pair.split('=').next() == Some(NAME);
    let (named, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_it);
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&named.join("&")).unwrap_or_default();
    (pairs.into_iter().map(|(_, value)| value).collect(), rest.join("&"))
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri, Error> {
    let path = uri.path();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|e| Error::Malformed(e.to_string()))?);
    Uri::from_parts(parts).map_err(|e| Error::Malformed(e.to_string()))
}

/// The `entityId` of a JSON object, and the object without it. What is no JSON is left to the handler's own judgement.
fn from_body(headers: &HeaderMap, bytes: &Bytes) -> Option<(String, Bytes)> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().contains("json") {
        return None;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(bytes) else { return None };
    let named = match fields.remove(NAME)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some((named, Bytes::from(Value::Object(fields).to_string())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OWN: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    const OTHER: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a78";

    async fn status(uri: &str, body: &str) -> Result<(String, String), u16> {
        let request = Request::builder().uri(uri).header("content-type", "application/json").body(Body::from(body.to_owned()));
        match check(Surface::Crm, OWN.parse().unwrap(), request.unwrap()).await {
            Ok(request) => {
                let (parts, body) = request.into_parts();
                let bytes = axum::body::to_bytes(body, BODY_MAX).await.unwrap();
                Ok((parts.uri.to_string(), String::from_utf8(bytes.to_vec()).unwrap()))
            }
            Err(e) => Err(crate::error::status_of(&e).as_u16()),
        }
    }

    #[tokio::test]
    async fn named_once_or_twice_alike_and_taken_out() {
        let ok = |uri: &str, body: &str| Ok((uri.to_owned(), body.to_owned()));
        assert_eq!(status(&format!("/api/crm/x?a=%20b&entityId={OWN}&c=1"), "").await, ok("/api/crm/x?a=%20b&c=1", ""));
        assert_eq!(status(&format!("/api/crm/x?entityId={OWN}"), "{\"a\":1}").await, ok("/api/crm/x", "{\"a\":1}"));
        let body = format!("{{\"a\":1,\"entityId\":\"{OWN}\"}}");
        assert_eq!(status("/api/crm/x", &body).await, ok("/api/crm/x", "{\"a\":1}"));
        assert_eq!(status(&format!("/api/crm/x?entityId={OWN}"), &body).await, ok("/api/crm/x", "{\"a\":1}"));
    }

    #[tokio::test]
    async fn missing_malformed_disagreeing_and_foreign() {
        let body = |id: &str| format!("{{\"entityId\":{id}}}");
        for (uri, body, expected) in [
            ("/api/crm/x".to_owned(), String::new(), 400),
            ("/api/crm/x?entityId=".to_owned(), String::new(), 400),
            ("/api/crm/x?entityId=nonsense".to_owned(), String::new(), 400),
            (format!("/api/crm/x?entityId={OWN}&entityId={OTHER}"), String::new(), 400),
            (format!("/api/crm/x?entityId={OWN}"), body(&format!("\"{OTHER}\"")), 400),
            ("/api/crm/x".to_owned(), body("7"), 400),
            ("/api/crm/x".to_owned(), body("null"), 400),
            (format!("/api/crm/x?entityId={OTHER}"), String::new(), 403),
            ("/api/crm/x".to_owned(), body(&format!("\"{OTHER}\"")), 403),
        ] {
            assert_eq!(status(&uri, &body).await, Err(expected), "{uri} {body}");
        }
    }
}

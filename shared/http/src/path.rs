//! Ids in paths, and `If-Match`.

use std::str::FromStr;

use axle_app::Error;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;

use crate::error::ApiError;

/// The last id in the path. A malformed one names nothing, so it is 404 like an unknown one.
#[derive(Clone, Copy, Debug)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|e| ApiError(Error::Malformed(e.to_string())))?;
        let id = params.iter().last().and_then(|(_, value)| value.parse().ok());
        id.map(Id).ok_or(ApiError(Error::NotFound("resource")))
    }
}

/// The version that a change is based on, from `If-Match: "7"`; `*` and an absent header mean any.
#[derive(Clone, Copy, Debug)]
pub struct IfMatch(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
        // A tag that we never gave out matches nothing.
        Ok(Self(Some(version.unwrap_or(u64::MAX))))
    }
}

//! Ids in paths, and `If-Match`.

use std::str::FromStr;

use axle_app::Error;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;

use crate::error::ApiError;
use crate::surface::Surface;

/// The last id in the path. A malformed one names nothing, so it is 404 like an unknown one; on the CRM surface it is 400.
#[derive(Clone, Copy, Debug)]
pub struct Id<T>(pub T);

/// The last two ids in the path, in its order.
#[derive(Clone, Copy, Debug)]
pub struct TwoIds<A, B>(pub A, pub B);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = ids(parts, state).await?;
        ids.last().and_then(|id| id.1.parse().ok()).map(Id).ok_or_else(|| unreadable(parts, ids.last()))
    }
}

impl<S: Send + Sync, A: FromStr, B: FromStr> FromRequestParts<S> for TwoIds<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = ids(parts, state).await?;
        let [.., a, b] = ids.as_slice() else { return Err(unreadable(parts, None)) };
        let first = a.1.parse().map_err(|_| unreadable(parts, Some(a)))?;
        let second = b.1.parse().map_err(|_| unreadable(parts, Some(b)))?;
        Ok(Self(first, second))
    }
}

/// The last three ids in the path, in its order.
#[derive(Clone, Copy, Debug)]
pub struct ThreeIds<A, B, C>(pub A, pub B, pub C);

impl<S: Send + Sync, A: FromStr, B: FromStr, C: FromStr> FromRequestParts<S> for ThreeIds<A, B, C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = ids(parts, state).await?;
        let [.., a, b, c] = ids.as_slice() else { return Err(unreadable(parts, None)) };
        let first = a.1.parse().map_err(|_| unreadable(parts, Some(a)))?;
        let second = b.1.parse().map_err(|_| unreadable(parts, Some(b)))?;
        let third = c.1.parse().map_err(|_| unreadable(parts, Some(c)))?;
        Ok(Self(first, second, third))
    }
}

async fn ids<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, ApiError> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|e| ApiError(Error::Malformed(e.to_string())))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn unreadable(parts: &Parts, id: Option<&(String, String)>) -> ApiError {
    match (Surface::of(parts.uri.path()), id) {
        (Surface::Crm, Some((name, _))) => ApiError(Error::Malformed(format!("{name} in the path must be a UUID"))),
        _ => ApiError(Error::NotFound("resource")),
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

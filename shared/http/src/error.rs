//! From the one error of the use cases to HTTP. The body is written by the gate, which knows the surface and the request.

use std::sync::Arc;

use axle_app::Error;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error on its way out of a handler.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl ApiError {
    /// The status that an error is answered with, where it is one of many in an answer.
    pub fn status_of(error: &Error) -> StatusCode {
        status_of(error)
    }
}

impl<E: Into<Error>> From<E> for ApiError {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

/// Carried in the response's extensions to the gate.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Arc<Error>);

pub(crate) fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Malformed(_) => StatusCode::BAD_REQUEST,
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::MissingScope(_) | Error::Forbidden(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Conflict(_) | Error::StillRunning(_) => StatusCode::CONFLICT,
        Error::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
        Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds after which a dependency that is down is worth another try.
const UNAVAILABLE_RETRY: i64 = 5;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status_of(&self.0).into_response();
        let headers = response.headers_mut();
        match &self.0 {
            Error::Unauthenticated(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"axle\""));
            }
            Error::StillRunning(secs) | Error::RateLimited(secs) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*secs));
            }
            Error::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(UNAVAILABLE_RETRY));
            }
            _ => {}
        }
        response.extensions_mut().insert(Failure(Arc::new(self.0)));
        response
    }
}

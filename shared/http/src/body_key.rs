//! Operations whose body may name itself by `idempotency_key`, which means the same as the header `Idempotency-Key`.

use axle_app::Error;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use serde_json::Value;

use crate::BODY_MAX;
use crate::body::too_large;
use crate::gate::Call;

/// Patterns of these operations, all of them POSTs.
const KEYED: [&str; 1] = ["/communications"];
const FIELD: &str = "idempotency_key";

/// The body's key, the rest of the body in one form, and the request as it was. A body that is not an object with such a field is left to the
/// handler, which says what is wrong with it.
pub(crate) async fn find(call: &Call, request: Request) -> Result<((Option<String>, Option<String>), Request), Error> {
    if call.method != Method::POST || !KEYED.contains(&call.pattern.as_str()) {
        return Ok(((None, None), request));
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| too_large())?;
    let mut value = serde_json::from_slice::<Value>(&bytes).unwrap_or(Value::Null);
    let key = value.as_object_mut().and_then(|fields| fields.remove(FIELD));
    // With the key taken out, so that header and field can stand for each other.
    let rest = value.is_object().then(|| value.to_string());
    let key = key.and_then(|key| key.as_str().map(str::to_owned)).filter(|key| is_key(key));
    Ok(((key, rest), Request::from_parts(parts, Body::from(bytes))))
}

fn is_key(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The one key of a request that may have it in either place.
pub(crate) fn agree(header: Option<String>, field: Option<String>) -> Result<Option<String>, Error> {
    match (header, field) {
        (Some(header), Some(field)) if header != field => {
            Err(Error::invalid(format!("/{FIELD}"), "is not the same as the header Idempotency-Key"))
        }
        (header, field) => Ok(header.or(field)),
    }
}

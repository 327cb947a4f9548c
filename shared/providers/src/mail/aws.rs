//! What failed calls of AWS services mean for a message.

use std::error::Error;
use std::io;

use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use axle_domain::communication::Throttle;

use super::outcome::{Blame, SendError};

/// Error codes by which any AWS service says "not so fast".
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "Throttled",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "KMSThrottling",
    "KMSThrottlingException",
    "SlowDown",
];
/// Error codes that say that the deployment's own access or clock is wrong, whatever the message.
const NO_ACCESS: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "OptInRequired",
];

/// A call that failed in none of the ways its own documentation has a name for. `blame` is what to think of a refusal.
pub(super) fn failure<E>(error: &SdkError<E>, service: &str, blame: Blame) -> SendError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let said = error.message().unwrap_or(code);
    match error {
        SdkError::ConstructionFailure(_) => SendError::permanent(blame, format!("{service}: the request cannot be made")),
        // No answer in time, or one that cannot be read: it may have been a yes.
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => SendError::unknown(format!("{service} did not answer")),
        SdkError::DispatchFailure(_) if never_connected(error) => SendError::transient(format!("{service} cannot be reached")),
        SdkError::DispatchFailure(_) => SendError::unknown(format!("the connection to {service} broke off")),
        _ if THROTTLED.contains(&code) => SendError::throttled(throttle(said), format!("{service}: {said}")),
        _ if NO_ACCESS.contains(&code) => {
            // The tenant can do nothing about it; whoever runs the deployment can, and then it goes on.
            tracing::error!(service, code, "the deployment may not use the service");
            SendError::transient(format!("{service}: this deployment has no access to it"))
        }
        _ => match error.raw_response().map(|response| response.status().as_u16()) {
            Some(429 | 500..) | None => SendError::transient(format!("{service} is not available: {said}")),
            Some(_) => SendError::permanent(blame, format!("{service}: {said}")),
        },
    }
}

/// Which limit an answer speaks of. SES says "Daily message quota exceeded" and "Maximum sending rate exceeded" under the same codes.
pub(super) fn throttle(said: &str) -> Throttle {
    let said = said.to_ascii_lowercase();
    if said.contains("daily") || said.contains("quota") { Throttle::Day } else { Throttle::Rate }
}

/// Whether the request cannot have arrived, since there was no connection to send it over.
fn never_connected<E: Error + 'static>(error: &SdkError<E>) -> bool {
    // The only timeout of the connection layer is that for connecting.
    let SdkError::DispatchFailure(dispatch) = error else { return false };
    if dispatch.is_timeout() || dispatch.is_user() {
        return true;
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        let refused = [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable];
        if cause.downcast_ref::<io::Error>().is_some_and(|io| refused.contains(&io.kind())) {
            return true;
        }
        // Resolving and connecting are told by name only.
        let text = cause.to_string();
        if text.contains("dns error") || text.contains("tcp connect error") {
            return true;
        }
        next = cause.source();
    }
    false
}

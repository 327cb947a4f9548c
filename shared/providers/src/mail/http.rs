//! What the providers that are called by HTTP share.

use std::time::{Duration, SystemTime};

use axle_domain::webhook::parse_retry_after;

use super::outcome::SendError;
use crate::outbound::{BodyLimit, Client, Error, Request, Response};

/// As much of an answer as can matter.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// Makes the call. `service` is named in errors.
pub(super) async fn call(client: &Client, request: Request, service: &str) -> Result<Response, SendError> {
    let exchange = client.send(request.limit(BodyLimit::First(MAX_ANSWER))).await;
    exchange.outcome.map_err(|error| unanswered(&error, service))
}

/// No answer: what never left cannot have arrived, all else may have.
fn unanswered(error: &Error, service: &str) -> SendError {
    let reason = format!("{service}: {error}");
    match error {
        Error::Refused(_) | Error::Dns | Error::Connect(_) | Error::Tls(_) => SendError::transient(reason),
        Error::Timeout(_) | Error::TooLarge(_) | Error::Other(_) => SendError::unknown(reason),
    }
}

/// `Retry-After`, if it is there and says something.
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = jiff_now(now)?;
    parse_retry_after(answer.retry_after.as_deref()?, now)
}

fn jiff_now(since_epoch: Duration) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(since_epoch.as_millis()).ok()?).ok()
}

/// What the service said, shortened to a line.
pub(super) fn quoted(text: &str) -> String {
    axle_domain::mail::HeaderText::clean(text).as_str().chars().take(300).collect()
}

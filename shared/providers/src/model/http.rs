//! What the providers that are called by HTTP share.

use std::time::{Duration, SystemTime};

use axle_domain::Fault;
use axle_domain::mail::{HeaderText, Secret};
use axle_domain::webhook::parse_retry_after;
use serde_json::Value;

use super::ModelErrorKind;
use super::conversation::{Failure, Form};
use crate::outbound::{BodyLimit, Client, Error, Request, Response};

/// Longest answer that is read, in bytes: well above what `max_tokens` allow.
const MAX_BODY: usize = 1024 * 1024;
/// Characters of a provider's words that are passed on.
const MAX_REASON: usize = 300;

/// Posts JSON. `key` is kept out of everything that is said about a failure.
pub(super) async fn post(
    client: &Client,
    request: Request,
    body: Vec<u8>,
    provider: &'static str,
    key: Option<&Secret>,
    form: Form,
) -> Result<Value, Failure> {
    let request = request.body(body).header("content-type", "application/json").header("accept", "application/json");
    let answer = client.send(request.limit(BodyLimit::Whole(MAX_BODY))).await.outcome;
    let answer = answer.map_err(|error| unanswered(&error, provider))?;
    if !answer.is_success() {
        return Err(refused(&answer, provider, key, form));
    }
    serde_json::from_slice(&answer.body).map_err(|_| unreadable(provider))
}

/// An answer that is none of the documented ones.
pub(super) fn unreadable(provider: &'static str) -> Failure {
    Failure::Final(ModelErrorKind::Unavailable { provider, reason: "its answer cannot be read".to_owned() })
}

fn unanswered(error: &Error, provider: &'static str) -> Failure {
    let reason = error.to_string();
    match error {
        Error::Timeout(_) => Failure::Final(ModelErrorKind::Timeout { provider }),
        Error::Refused(_) => Failure::Final(ModelErrorKind::Unconfigured { provider, reason }),
        Error::TooLarge(_) => Failure::Final(ModelErrorKind::BadOutput { faults: vec![Fault::new("", reason)] }),
        // Nothing has left, so nothing was computed.
        Error::Dns | Error::Connect(_) => Failure::Again { kind: ModelErrorKind::Unavailable { provider, reason }, after: None },
        // What broke off may have been computed, and be charged.
        Error::Tls(_) | Error::Other(_) => Failure::Final(ModelErrorKind::Unavailable { provider, reason }),
    }
}

/// Answers other than 2xx, by their status; in this the three providers agree.
fn refused(answer: &Response, provider: &'static str, key: Option<&Secret>, form: Form) -> Failure {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = said(&body, key);
    let code = ["code", "type"].iter().find_map(|name| body.pointer(&format!("/error/{name}"))?.as_str()).unwrap_or_default();
    let unconfigured = |reason: String| Failure::Final(ModelErrorKind::Unconfigured { provider, reason });
    match answer.status {
        // An empty account does not fill up while one waits.
        429 if code == "insufficient_quota" => unconfigured("the account's quota is used up".to_owned()),
        429 => {
            let after = retry_after(answer);
            Failure::Again { kind: ModelErrorKind::Throttled { provider, retry_after: after }, after }
        }
        408 => Failure::Final(ModelErrorKind::Timeout { provider }),
        // What the provider says here may quote the key.
        401 | 403 => unconfigured(format!("access was denied (status {})", answer.status)),
        402 => unconfigured("the account's credit is used up".to_owned()),
        404 => unconfigured(format!("the model or address does not exist{}", after_colon(&said))),
        400 if ["content_filter", "content_policy_violation"].contains(&code) => Failure::Final(ModelErrorKind::Refused),
        // Whether it is the way of asking for a form that was not understood shows when another way is taken.
        400 | 422 | 501 if form != Form::Words && is_about_form(&said) => Failure::Form(ModelErrorKind::Unconfigured {
            provider,
            reason: format!("the request was not accepted{}", after_colon(&said)),
        }),
        400..500 => unconfigured(format!("the request was not accepted (status {}){}", answer.status, after_colon(&said))),
        500.. => {
            let kind = ModelErrorKind::Unavailable { provider, reason: format!("status {}", answer.status) };
            Failure::Again { kind, after: retry_after(answer) }
        }
        // Redirects are not followed.
        status => unconfigured(format!("the address answers with status {status}")),
    }
}

/// Whether a complaint is about tools or schemas.
fn is_about_form(said: &str) -> bool {
    let said = said.to_lowercase();
    ["response_format", "json_schema", "json_object", "schema", "grammar", "tool", "structured", "unsupported", "extra inputs"]
        .iter()
        .any(|word| said.contains(word))
}

/// What the provider said, in a line, without the key.
fn said(body: &Value, key: Option<&Secret>) -> String {
    let places = ["/error/message", "/message", "/Message", "/error", "/detail"];
    let text = places.iter().find_map(|place| body.pointer(place)?.as_str()).unwrap_or_default();
    let text = match key.map(Secret::reveal).filter(|key| !key.is_empty()) {
        Some(key) => text.replace(key, "[key]"),
        None => text.to_owned(),
    };
    HeaderText::clean(&text).as_str().chars().take(MAX_REASON).collect()
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
    parse_retry_after(answer.retry_after.as_deref()?, now)
}

/// A count of tokens at a place of the answer.
pub(super) fn tokens(answer: &Value, pointer: &str) -> Option<u64> {
    answer.pointer(pointer)?.as_u64()
}

//! The Gmail API: `users.messages.send`.

use std::time::Duration;

use axle_domain::mail::{Credentials, OAuthCredentials};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::Deserialize;
use serde_json::json;

use super::AccountKey;
use super::http::{quoted, retry_after};
use super::oauth::{Tokens, authorized};
use super::outcome::{Accepted, Blame, Provider, SendError};
use crate::outbound::{Request, Response};

pub(super) struct Gmail {
    pub(super) tokens: Tokens,
    /// Without a slash at the end.
    pub(super) api: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failed {
    error: Failure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure {
    message: String,
    errors: Vec<Reason>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reason {
    reason: String,
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

impl Gmail {
    pub(super) async fn send(
        &self,
        key: AccountKey,
        credentials: &OAuthCredentials,
        raw: &[u8],
        timeout: Duration,
    ) -> Result<Accepted, SendError> {
        let body = json!({ "raw": URL_SAFE.encode(raw) }).to_string();
        let request = Request::post(format!("{}/gmail/v1/users/me/messages/send", self.api), body)
            .header("content-type", "application/json")
            .timeout(timeout);
        let (answer, rotated) = authorized(&self.tokens, key, credentials, timeout, request).await?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        let id = serde_json::from_slice::<Sent>(&answer.body).ok().map(|sent| sent.id);
        let renewed = rotated.map(|refresh_token| Credentials::Gmail(OAuthCredentials { refresh_token, ..credentials.clone() }));
        Ok(Accepted { provider: Provider::Gmail, provider_message_id: id, message_id: None, renewed })
    }
}

/// Documented errors (Gmail API, "Resolve errors").
fn refused(answer: &Response) -> SendError {
    let failed: Failed = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reasons: Vec<&str> = failed.error.errors.iter().map(|error| error.reason.as_str()).collect();
    let text = format!("Gmail: {} {}", answer.status, quoted(&failed.error.message));
    let limited = ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "backendError"];
    match answer.status {
        // A gateway gave up waiting: what it waited for may have happened.
        504 => SendError::unknown(text),
        429 | 500.. => SendError::transient_after(retry_after(answer), text),
        403 if reasons.iter().any(|reason| limited.contains(reason)) => SendError::transient_after(retry_after(answer), text),
        400 if failed.error.message.contains("To header") => SendError::permanent(Blame::Recipient, text),
        400 if reasons.contains(&"failedPrecondition") => SendError::permanent(Blame::Identity, text),
        401 | 403 | 404 => SendError::permanent(Blame::Identity, text),
        _ => SendError::permanent(Blame::Message, text),
    }
}

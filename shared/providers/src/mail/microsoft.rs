//! Microsoft Graph: `user: sendMail` with the message in MIME.

use std::time::Duration;

use axle_domain::mail::{Credentials, OAuthCredentials};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::AccountKey;
use super::http::{quoted, retry_after};
use super::oauth::{Tokens, authorized};
use super::outcome::{Accepted, Blame, Provider, SendError};
use crate::outbound::{Request, Response};

/// What is asked for with a refresh token: to send, and to go on doing so.
pub(super) const SCOPE: &str = "https://graph.microsoft.com/Mail.Send offline_access";

pub(super) struct Outlook {
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
    code: String,
    message: String,
}

impl Outlook {
    pub(super) async fn send(
        &self,
        key: AccountKey,
        credentials: &OAuthCredentials,
        raw: &[u8],
        timeout: Duration,
    ) -> Result<Accepted, SendError> {
        let request = Request::post(format!("{}/v1.0/me/sendMail", self.api), STANDARD.encode(raw))
            .header("content-type", "text/plain")
            .timeout(timeout);
        let (answer, rotated) = authorized(&self.tokens, key, credentials, timeout, request).await?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        let renewed =
            rotated.map(|refresh_token| Credentials::Outlook(OAuthCredentials { refresh_token, ..credentials.clone() }));
        // 202 without a body: Graph gives sent messages no id.
        Ok(Accepted { provider: Provider::Outlook, provider_message_id: None, message_id: None, renewed })
    }
}

/// Documented errors (Microsoft Graph, "error responses"; Outlook's codes).
fn refused(answer: &Response) -> SendError {
    let failed: Failed = serde_json::from_slice(&answer.body).unwrap_or_default();
    let Failure { code, message } = &failed.error;
    let text = format!("Microsoft: {} {code} {}", answer.status, quoted(message));
    match (answer.status, code.as_str()) {
        (504, _) => SendError::unknown(text),
        (
            _,
            "ErrorExceededMessageLimit"
            | "ErrorMessageSubmissionBlocked"
            | "ErrorQuotaExceeded"
            | "ErrorServerBusy"
            | "ErrorMailboxMoveInProgress",
        )
        | (429 | 500.., _) => SendError::transient_after(retry_after(answer), text),
        (_, "ErrorInvalidRecipients" | "ErrorRecipientNotFound") => SendError::permanent(Blame::Recipient, text),
        (401 | 403 | 404, _) | (_, "ErrorSendAsDenied" | "ErrorAccessDenied" | "MailboxNotEnabledForRESTAPI") => {
            SendError::permanent(Blame::Identity, text)
        }
        _ => SendError::permanent(Blame::Message, text),
    }
}

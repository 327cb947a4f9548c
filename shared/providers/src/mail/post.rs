//! Messages to URLs, signed as Standard Webhooks.

use std::time::Duration;

use axle_domain::webhook;

use super::http::retry_after;
use super::message::OutgoingPost;
use super::outcome::{Accepted, Blame, Provider, SendError, SendErrorKind};
use crate::outbound::{Client, Error, Request};

const USER_AGENT: &str = concat!("Axle/", env!("CARGO_PKG_VERSION"));

pub(super) async fn send(client: &Client, message: &OutgoingPost, timeout: Duration) -> Result<Accepted, SendError> {
    let id = message.id.to_string();
    let mut request = Request::post(&message.url, message.body.clone())
        .header("content-type", "application/json")
        .header("user-agent", USER_AGENT)
        .header("webhook-id", &id)
        .header("webhook-timestamp", message.at.secs().to_string())
        .timeout(timeout);
    if !message.secrets.is_empty() {
        let signature = webhook::sign(&message.secrets, &id, message.at.secs(), message.body.as_bytes());
        request = request.header("webhook-signature", signature);
    }
    let answer = client.send(request).await.outcome.map_err(|error| match error {
        Error::Refused(_) => SendError::permanent(Blame::Recipient, error.to_string()),
        // Receivers know a message that they have by its id, so another attempt harms nobody.
        _ => SendError::transient(error.to_string()),
    })?;
    let text = format!("the receiver answered {}", answer.status);
    let kind = match answer.status {
        200..300 => {
            return Ok(Accepted { provider: Provider::Webhook, provider_message_id: None, message_id: None, renewed: None });
        }
        408 | 425 | 429 | 500.. => SendErrorKind::Transient { retry_after: retry_after(&answer) },
        404 | 410 => SendErrorKind::Permanent(Blame::Recipient),
        _ => SendErrorKind::Permanent(Blame::Message),
    };
    Err(SendError { kind, reason: text })
}

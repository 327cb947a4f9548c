//! What comes of sending.

use std::time::Duration;

use axle_domain::communication::Throttle;
use axle_domain::mail::{Credentials, MessageId};

/// Who took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Ses,
    Smtp,
    Gmail,
    Outlook,
    Sns,
    Webhook,
}

impl Provider {
    /// `ses`, `smtp`, `gmail`, `outlook`, `sns` or `webhook`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Smtp => "smtp",
            Self::Gmail => "gmail",
            Self::Outlook => "outlook",
            Self::Sns => "sns",
            Self::Webhook => "webhook",
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message that the provider has taken responsibility for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub provider: Provider,
    /// The provider's own id, where it gives one: what its bounces and complaints name.
    pub provider_message_id: Option<String>,
    /// The `Message-ID` that recipients see, where the provider has put its own in place of ours. Replies name this one.
    pub message_id: Option<MessageId>,
    /// Credentials to keep in place of those that were used: Microsoft hands out a new refresh token with each access token, and
    /// the old one ends 90 days after it was made.
    pub renewed: Option<Credentials>,
}

/// Whom a refusal for good is about, and so what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// There is no such address, or it takes no mail: a hard bounce.
    Recipient,
    /// This message is not accepted; others may be.
    Message,
    /// The sending identity cannot send: wrong credentials, revoked access, an unverified address, a forbidden host. Every
    /// message of it would fail.
    Identity,
}

/// What may be done about a message that did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// It will never go out like this.
    Permanent(Blame),
    /// It has not gone out, and may later. `retry_after`: the least wait, where the provider named one.
    Transient { retry_after: Option<Duration> },
    /// It has not gone out because of a limit that all messages of the account share. That is no failure of this one.
    Throttled(Throttle),
    /// It was handed over and no answer came: it may have gone out. Sending it again may send it twice.
    OutcomeUnknown,
}

/// Why a message did not (or perhaps did not) go out. The text may be shown to the tenant: it holds no credentials and nothing
/// about our own network. It may quote the provider, and so a recipient's address: it is not for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    pub kind: SendErrorKind,
    pub reason: String,
}

impl SendError {
    pub fn permanent(blame: Blame, reason: impl Into<String>) -> Self {
        Self { kind: SendErrorKind::Permanent(blame), reason: reason.into() }
    }

    pub fn transient(reason: impl Into<String>) -> Self {
        Self { kind: SendErrorKind::Transient { retry_after: None }, reason: reason.into() }
    }

    pub fn transient_after(retry_after: Option<Duration>, reason: impl Into<String>) -> Self {
        Self { kind: SendErrorKind::Transient { retry_after }, reason: reason.into() }
    }

    pub fn throttled(throttle: Throttle, reason: impl Into<String>) -> Self {
        Self { kind: SendErrorKind::Throttled(throttle), reason: reason.into() }
    }

    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { kind: SendErrorKind::OutcomeUnknown, reason: reason.into() }
    }
}

/// What asking a provider about a sending identity found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It can send.
    Verified,
    /// The provider waits for somebody: `detail` says for what.
    Pending { detail: String },
}

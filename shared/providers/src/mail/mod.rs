//! Sending, by every way there is: e-mail through SES, SMTP, Gmail and Microsoft, text messages through SNS, posts to URLs.
//!
//! Whatever the provider, a message is composed by one composer and its fate is told in the same three words: refused for good,
//! not now, or unknown. Nothing is tried twice here: when to try again is the outbox's decision, and a message is worth more than
//! a second attempt that may double it.

mod aws;
mod capture;
mod google;
mod http;
mod mailers;
mod message;
mod microsoft;
mod mime;
mod oauth;
mod outcome;
mod post;
mod ses;
mod smtp;
mod sns;
#[cfg(test)]
mod tests_support;

use std::time::Duration;

use async_trait::async_trait;
use axle_domain::SendingIdentityId;
use axle_domain::address::Email;
use axle_domain::mail::Credentials;

pub use capture::{Capture, Captured};
pub use mailers::{MailSettings, Mailers};
pub use message::{OutgoingEmail, OutgoingPost, OutgoingSms};
pub use mime::compose;
pub use outcome::{Accepted, Blame, Provider, SendError, SendErrorKind, Verification};
pub use ses::{COMMUNICATION_TAG, ENTITY_TAG};
pub use sns::MAX_SMS_BYTES;

/// What belongs to one account at one time: its id and the revision of its credentials.
type AccountKey = (Option<SendingIdentityId>, u64);

/// A sending identity as far as sending needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// None: the deployment's own SES, which tenants without an identity send with.
    pub identity: Option<SendingIdentityId>,
    /// Changes whenever the credentials do. Connections and access tokens are kept per identity and revision.
    pub revision: u64,
    pub credentials: Credentials,
}

impl Account {
    /// The deployment's own SES.
    pub fn default_ses() -> Self {
        Self { identity: None, revision: 0, credentials: Credentials::Ses }
    }

    fn key(&self) -> AccountKey {
        (self.identity, self.revision)
    }
}

/// Sends messages. `timeout` is for everything that a call does, and is to be shorter than the lease under which the message is
/// held.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Sends an e-mail by the account's own way.
    async fn email(&self, account: &Account, message: &OutgoingEmail, timeout: Duration) -> Result<Accepted, SendError>;

    /// Sends a text message.
    async fn sms(&self, message: &OutgoingSms, timeout: Duration) -> Result<Accepted, SendError>;

    /// Posts to a URL. Every answer but 2xx is an error.
    async fn post(&self, message: &OutgoingPost, timeout: Duration) -> Result<Accepted, SendError>;

    /// Asks the provider whether the account may send as `from`, without sending anything to anybody else.
    async fn verify(&self, account: &Account, from: &Email, timeout: Duration) -> Result<Verification, SendError>;
}

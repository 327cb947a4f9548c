//! What is sent, whichever way it goes.

use axle_domain::address::Phone;
use axle_domain::mail::{Header, HeaderText, ListUnsubscribe, Mailbox, MessageId};
use axle_domain::webhook::SigningSecret;
use axle_domain::{CommunicationId, EntityId, Time};

/// An e-mail. Everything in it that reaches a header is of a type that cannot hold a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingEmail {
    /// The tenant; SES reports it back with bounces as the tag `entity_id`.
    pub entity_id: EntityId,
    /// The message; SES reports it back with bounces as the tag `communication_id`.
    pub communication_id: CommunicationId,
    /// `Message-ID`; see [`MessageId::of`]. The same on every attempt, so that receivers recognise a message they have.
    pub message_id: MessageId,
    /// `Date`: when the message was queued to go out.
    pub date: Time,
    pub from: Mailbox,
    pub to: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub subject: HeaderText,
    /// The text part; made from `html` when absent.
    pub text: Option<String>,
    pub html: Option<String>,
    pub headers: Vec<Header>,
    pub in_reply_to: Option<MessageId>,
    /// Oldest first; `in_reply_to` is added at the end when it is missing there.
    pub references: Vec<MessageId>,
    /// Present on every marketing message; brings `List-Unsubscribe-Post` with it.
    pub list_unsubscribe: Option<ListUnsubscribe>,
}

/// A text message to a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingSms {
    pub to: Phone,
    pub text: String,
    /// Marketing goes at the lowest cost, everything else with the highest reliability.
    pub marketing: bool,
}

/// A message to a URL that the recipient chose, signed as a Standard Webhook.
#[derive(Clone, Debug)]
pub struct OutgoingPost {
    pub url: String,
    /// `webhook-id`: the same on every attempt.
    pub id: CommunicationId,
    /// When this attempt is made.
    pub at: Time,
    /// JSON.
    pub body: String,
    /// Each signs; none: the call goes unsigned.
    pub secrets: Vec<SigningSecret>,
}

//! What an answer to a message means: interest, an objection, a notice of absence.

mod classify;
mod cues;

pub use classify::classify;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a reply says, as far as the next step depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyClass {
    /// Wants to know more, to talk, or to buy.
    Interested,
    /// Not against it, but later.
    NotNow,
    /// Declines, or says what is in the way, without asking for no more mail.
    Objection,
    /// Names somebody else to ask.
    Referral,
    /// An automatic notice of absence.
    OutOfOffice,
    /// Wants no more mail.
    Unsubscribe,
    /// No person: a delivery report, a ticket system, an abandoned mailbox.
    NotAPerson,
}

crate::text::text_enum!(
    ReplyClass,
    Interested = "interested",
    NotNow = "not_now",
    Objection = "objection",
    Referral = "referral",
    OutOfOffice = "out_of_office",
    Unsubscribe = "unsubscribe",
    NotAPerson = "not_a_person"
);

/// What a reply was taken for, how surely, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Classification {
    pub class: ReplyClass,
    /// From 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f64,
    /// The words of the reply that decided, in the order in which they stand; empty when none did.
    pub evidence: Vec<String>,
}

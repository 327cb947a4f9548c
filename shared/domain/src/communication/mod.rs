//! Messages to people: what may be sent, from whom, when, and where a message stands.

mod health;
mod identity;
mod input;
mod plan;
mod retry;

pub use health::{DeliveryNumbers, latency_class};
pub use identity::{IdentityInput, IdentitySettings, IdentityStatus, Warmup};
pub use input::{CommunicationInput, Recipient, SuppressionInput, Track, check_header_text};
pub use plan::{allowance, day_of, next_allowed, next_allowed_by_all, start_of_day};
pub use retry::{MAX_ATTEMPTS, Throttle, retry_wait, throttle_wait};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a message stands.
///
/// `pending` -> `processing` -> `sent`, or back to `pending` after a passing failure, or `failed`. A message leaves `pending` for `cancelled`
/// by its tenant's wish only, and ends as `suppressed` when its recipient wants no more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommunicationStatus {
    /// Waits for its time, or for a worker.
    Pending,
    /// A worker hands it to the provider.
    Processing,
    /// The provider took it.
    Sent,
    /// Given up, or its outcome is not known; see `error`.
    Failed,
    /// By the tenant, before it was sent.
    Cancelled,
    /// The recipient wants no more messages, so it was not sent.
    Suppressed,
}

/// What kind of wish to be left alone a message must honour, and what it has to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Carries the means to unsubscribe.
    Marketing,
    /// Something that the recipient asked for, such as a receipt.
    #[default]
    Transactional,
}

/// How a message reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageChannel {
    Email,
    Sms,
    /// A POST of the message to a URL of the recipient's.
    Webhook,
}

/// Why an address is not written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionOrigin {
    /// The tenant put it on the list.
    Manual,
    /// The person asked for it.
    Unsubscribe,
    /// Mail to it came back for good.
    Bounce,
    /// The person reported a message as spam.
    Complaint,
    /// The person was erased; their address is kept as a hash alone.
    Erasure,
}

macro_rules! text_enum {
    ($type:ty, $($variant:ident = $text:literal),*) => {
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("must be one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

text_enum!(
    CommunicationStatus,
    Pending = "pending",
    Processing = "processing",
    Sent = "sent",
    Failed = "failed",
    Cancelled = "cancelled",
    Suppressed = "suppressed"
);
text_enum!(MessageChannel, Email = "email", Sms = "sms", Webhook = "webhook");
text_enum!(
    SuppressionOrigin,
    Manual = "manual",
    Unsubscribe = "unsubscribe",
    Bounce = "bounce",
    Complaint = "complaint",
    Erasure = "erasure"
);

impl CommunicationStatus {
    /// Whether a message may go from here to there.
    pub const fn may_become(self, next: Self) -> bool {
        use CommunicationStatus::{Cancelled, Failed, Pending, Processing, Sent, Suppressed};
        match self {
            Pending => matches!(next, Processing | Cancelled | Failed | Suppressed),
            Processing => matches!(next, Pending | Sent | Failed | Suppressed),
            // To pending by hand only: whoever retries a message of unknown outcome takes the risk that it arrives twice. To sent
            // when the provider tells that it had taken it.
            Failed => matches!(next, Pending | Sent),
            Suppressed => matches!(next, Pending),
            Sent | Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CommunicationStatus::{self, *};

    #[test]
    fn what_is_sent_or_cancelled_stays_so() {
        for end in [Sent, Cancelled] {
            assert!(CommunicationStatus::ALL.iter().all(|next| !end.may_become(*next)));
        }
        assert!(!Processing.may_become(Cancelled), "the provider may have it already");
        assert!(Failed.may_become(Pending) && Failed.may_become(Sent) && !Suppressed.may_become(Sent));
        assert!(CommunicationStatus::ALL.iter().all(|s| !s.may_become(*s)));
    }

    #[test]
    fn names_round_trip() {
        for status in CommunicationStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert!("Sent".parse::<CommunicationStatus>().is_err());
    }
}

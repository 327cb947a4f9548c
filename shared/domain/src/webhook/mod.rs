//! Rules of outgoing webhooks: who may be called, how a call is signed, and what follows from its answer.
//!
//! Everything here is pure: time, randomness and network answers are arguments. The wire format is Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

mod address;
mod endpoint_url;
mod input;
mod outcome;
mod pattern;
mod retry;
mod secret;
mod signature;
mod status;

pub use address::{NetworkPolicy, is_loopback, is_public};
pub use endpoint_url::{EndpointUrl, MAX_URL_LENGTH, UrlFault};
pub use input::{
    DEFAULT_OVERLAP_SECS, MAX_DESCRIPTION, MAX_EVENT_TYPES, MAX_OVERLAP_SECS, MAX_RATE, ReplayInput, ReplayOnly, WebhookInput,
    WebhookSettings, filter_of,
};
pub use outcome::{Attempt, Outcome, judge};
pub use pattern::{EventFilter, EventPattern, PatternFault};
pub use retry::{DISABLE_AFTER, MAX_RETRY_AFTER, RETRY_DELAYS, Schedule, parse_retry_after};
pub use secret::{MAX_SECRET_BYTES, MIN_SECRET_BYTES, NEW_SECRET_BYTES, SecretFault, SigningSecret};
pub use signature::{DEFAULT_TOLERANCE, VerifyError, sign, verify};
pub use status::{DeliveryStatus, EndpointStatus};

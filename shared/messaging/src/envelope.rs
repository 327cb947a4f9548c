//! How an event arrives from the bus.

use axle_domain::event::Event;
use serde::Deserialize;

/// EventBridge's envelope, as a rule with an SQS target hands it on. Only what a consumer needs of it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Envelope {
    /// The event itself; its own id, not the envelope's, is what consumers are idempotent on.
    pub detail: Event,
}

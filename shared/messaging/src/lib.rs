//! Between the table's stream, the event bus and the queues: what relays changes, and what runs batches of messages.
//!
//! Everything behind the stream is delivered at least once and in no promised order, so every consumer is idempotent on the
//! event's or the job's id.

mod bus;
mod envelope;
pub mod relay;
pub mod sqs;

pub use bus::{Bus, EventBridge, Publication};
pub use envelope::Envelope;
pub use relay::{Relay, Unsent};

//! The outside world behind narrow types: guarded HTTP calls, secrets, objects and queues.
//!
//! Everything that costs time to set up (TLS roots, AWS clients, secrets) is set up at its first use, because most
//! invocations need little of it and all of them would pay for it in cold start.

mod aws;
pub mod enrich;
mod lazy;
pub mod mail;
pub mod model;
pub mod objects;
pub mod outbound;
pub mod queue;
pub mod secrets;
pub mod vault;

pub use aws::AwsFailure;
pub use lazy::Lazy;

//! The use cases: what happens when. One module a context; each use case is one function that every surface calls.

pub mod agents;
mod answer;
mod cache;
pub mod communications;
mod context;
pub mod crm;
mod error;
pub mod identity;
pub mod input;
pub mod insights;
pub mod meetings;
pub mod outreach;
pub mod schedule;
mod shared_secrets;
pub mod webhooks;

pub use answer::{Answer, IdempotencyClaim, Part};
pub use context::{App, Clock, Config, Ctx, Parts, SourceIp};
pub use error::{Error, Result};

pub use axle_providers::objects::ObjectStore;
pub use axle_store::idempotency::{Claimed, IdempotencyKey};

/// How a page is asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    pub cursor: Option<String>,
    pub limit: usize,
}

/// One page of things, and the cursor of the next.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

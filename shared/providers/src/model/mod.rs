//! Language models: one trait, whoever runs them.
//!
//! A call is made with everything it takes, within a time limit, and answers with checked output and what it cost. Throttling is
//! waited for while there is time, and an answer that does not fit its schema is sent back to the model with what is wrong, at
//! most [`MAX_REPAIRS`](axle_domain::model::MAX_REPAIRS) times; everything that was used is counted, also when the call fails.

mod anthropic;
mod bedrock;
mod builtin;
mod conversation;
mod endpoint;
mod error;
mod http;
mod openai;
mod request;
mod router;
mod scripted;
mod shape;

use std::time::Duration;

use async_trait::async_trait;

pub use bedrock::BedrockAccess;
pub use error::{ModelError, ModelErrorKind};
pub use request::{ModelAnswer, ModelCredentials, ModelRequest};
pub use router::{ModelRouter, ModelSettings};
pub use scripted::ScriptedModels;

/// Answers tasks.
#[async_trait]
pub trait Models: Send + Sync {
    /// Answers within `timeout`, which is for everything: waits, further attempts, repairs.
    ///
    /// # Errors
    /// What went wrong and what was spent on it all the same; see [`ModelError`].
    async fn complete(&self, request: &ModelRequest, timeout: Duration) -> Result<ModelAnswer, ModelError>;
}

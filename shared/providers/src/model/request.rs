//! What is asked, and what comes back.

use axle_domain::Micros;
use axle_domain::mail::Secret;
use axle_domain::model::{ModelConfig, PriceTable, PromptSize, Usage};
use axle_domain::prompt::{Prompt, Task, prompt};
use serde_json::Value;

/// Access of a tenant's own to a provider, in place of the deployment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCredentials {
    /// Where the API is, without the operation's path (`https://api.openai.com/v1`); the deployment's setting unless said. A
    /// key of the deployment is never sent to an address from here.
    pub base_url: Option<String>,
    /// None: the endpoint asks for none.
    pub api_key: Option<Secret>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    pub config: ModelConfig,
    /// None: the deployment's own.
    pub credentials: Option<ModelCredentials>,
    /// Rules.
    pub system: String,
    /// The task in words.
    pub user: String,
    /// What the answer has to look like; `None`: any text.
    pub output_schema: Option<Value>,
    /// The task in types, which is all that the built-in model reads.
    pub builtin: Task,
}

impl ModelRequest {
    /// A request for a task, in the words of its template. `fence_key` is a secret of the deployment; see
    /// [`Fence`](axle_domain::prompt::Fence).
    pub fn new(config: ModelConfig, task: Task, fence_key: &[u8]) -> Self {
        let Prompt { system, user, output_schema } = prompt(&task, fence_key);
        Self { config, credentials: None, system, user, output_schema, builtin: task }
    }

    /// With a tenant's own access.
    pub fn with_credentials(mut self, credentials: Option<ModelCredentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The most that it can cost, repairs included: what to reserve before the call.
    pub fn upper_bound(&self, prices: &PriceTable) -> Micros {
        let schema = self.output_schema.as_ref().map(|schema| schema.to_string().len()).unwrap_or_default();
        let bytes = (self.system.len() + self.user.len() + schema) as u64;
        prices.upper_bound(&self.config, PromptSize { bytes, has_schema: self.output_schema.is_some() })
    }
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelAnswer {
    /// Fits the request's schema; without one, the text as a JSON string.
    pub output: Value,
    /// Of all calls together that it took.
    pub usage: Usage,
    /// Of that usage, by the price table.
    pub cost: Micros,
    /// As the provider names it, which may be more exact than what was asked for.
    pub model: String,
    /// Calls that were made, those that were throttled included.
    pub attempts: u32,
}

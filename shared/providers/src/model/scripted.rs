//! Models that say what a test tells them to, and remember what they were asked.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::model::{PriceTable, Usage, cost_of};
use serde_json::Value;

use super::{ModelAnswer, ModelError, ModelErrorKind, ModelRequest, Models};

type Answer = Box<dyn Fn(&ModelRequest) -> Result<Value, ModelErrorKind> + Send + Sync>;

#[derive(Default)]
struct State {
    asked: Vec<ModelRequest>,
    queued: VecDeque<Result<Value, ModelErrorKind>>,
    answer: Option<Answer>,
}

/// Answers from a queue, then by a function, then with the task's name as a text. Each call uses [`ScriptedModels::USAGE`] and
/// costs what the price table says of the request's model.
#[derive(Default)]
pub struct ScriptedModels {
    state: Mutex<State>,
    /// How long a call takes, so that tests can race what happens meanwhile.
    delay: Duration,
}

impl ScriptedModels {
    /// What each answered call uses.
    pub const USAGE: Usage = Usage { input_tokens: 1_000, output_tokens: 100 };

    pub fn new() -> Self {
        Self::default()
    }

    /// Takes this long for each call.
    pub fn taking(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// What the next call answers; several queue up.
    pub fn next(&self, answer: Result<Value, ModelErrorKind>) {
        self.state().queued.push_back(answer);
    }

    /// Decides about every call for which nothing is queued.
    pub fn answer(&self, answer: impl Fn(&ModelRequest) -> Result<Value, ModelErrorKind> + Send + Sync + 'static) {
        self.state().answer = Some(Box::new(answer));
    }

    /// All that was asked, in order.
    pub fn asked(&self) -> Vec<ModelRequest> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Models for ScriptedModels {
    async fn complete(&self, request: &ModelRequest, timeout: Duration) -> Result<ModelAnswer, ModelError> {
        tokio::time::sleep(self.delay.min(timeout)).await;
        if self.delay > timeout {
            return Err(ModelErrorKind::Timeout { provider: "the scripted model" }.free());
        }
        let mut state = self.state();
        state.asked.push(request.clone());
        let queued = state.queued.pop_front();
        let decided = queued.or_else(|| state.answer.as_ref().map(|answer| answer(request)));
        let output = decided.unwrap_or_else(|| Ok(request.builtin.name().into())).map_err(ModelErrorKind::free)?;
        Ok(ModelAnswer {
            output,
            usage: Self::USAGE,
            cost: cost_of(PriceTable::built_in(), &request.config, Self::USAGE),
            model: request.config.model.clone(),
            attempts: 1,
        })
    }
}

impl std::fmt::Debug for ScriptedModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModels").field("asked", &self.state().asked.len()).finish_non_exhaustive()
    }
}

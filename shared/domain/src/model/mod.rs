//! Language models as the rest sees them: which one, what it used, what that costs.

mod config;
mod price;

pub use config::{
    BUILTIN_MODEL, DEFAULT_OUTPUT_TOKENS, LlmConfig, MAX_MODEL_NAME, MAX_OUTPUT_TOKENS, ModelConfig, ModelProvider,
};
pub use price::{MAX_REPAIR_BYTES, MAX_REPAIRS, Price, PriceBasis, PriceFault, PriceTable, PromptSize, cost_of, most_bytes};

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a call consumed, as the provider counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens of prompts, also those of prompts that were sent again for a repair.
    pub input_tokens: u64,
    /// Tokens of answers, also of those that were of no use.
    pub output_tokens: u64,
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

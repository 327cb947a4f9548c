//! What work costs: the categories that costs are added up in, sums of them, and the prices of messages, which are data.

mod price;
mod sums;

pub use price::{dearest_message_price, message_price};
pub use sums::{Group, Grouping, Sums, add_up};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What all amounts are in.
pub const CURRENCY: &str = "USD";

/// What money was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostCategory {
    /// Tokens of language models.
    AiInference,
    /// Calls of enrichment providers.
    DataEnrichment,
    /// Messages handed to their providers.
    ChannelCosts,
    /// Other tenants' agents, hired on the marketplace.
    AgentTransactions,
}
crate::text::text_enum!(
    CostCategory,
    AiInference = "ai_inference",
    DataEnrichment = "data_enrichment",
    ChannelCosts = "channel_costs",
    AgentTransactions = "agent_transactions"
);

/// What costs are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostUnit {
    /// A message that its provider took.
    Sent,
    /// A reply by a person.
    Reply,
    /// A meeting that was booked.
    Meeting,
}
crate::text::text_enum!(CostUnit, Sent = "sent", Reply = "replies", Meeting = "meetings");

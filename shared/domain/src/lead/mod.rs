//! Leads (prospects): who might buy, as campaigns see them.

mod identity;
mod import;
mod profile;
mod progress;

pub use identity::{IdentityKey, lead_id};
pub use import::{ImportStatus, OnDuplicate};
pub use profile::{Company, CompanyInput, Consent, LeadInput, LeadProfile, check_custom, is_time_zone};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a lead stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeadStatus {
    #[default]
    New,
    Enriched,
    Scored,
    Contacted,
    Replied,
    Meeting,
    Converted,
    Unsubscribed,
    Bounced,
}

/// How good a lead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Hot,
    Warm,
    Cold,
    Disqualified,
}

crate::text::text_enum!(
    LeadStatus,
    New = "new",
    Enriched = "enriched",
    Scored = "scored",
    Contacted = "contacted",
    Replied = "replied",
    Meeting = "meeting",
    Converted = "converted",
    Unsubscribed = "unsubscribed",
    Bounced = "bounced"
);
crate::text::text_enum!(Tier, Hot = "hot", Warm = "warm", Cold = "cold", Disqualified = "disqualified");

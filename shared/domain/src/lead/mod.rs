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

impl LeadStatus {
    /// The state after what is known of a lead has grown (`Enriched`) or was judged (`Scored`): forward only, and never for a lead that
    /// somebody has written to.
    #[must_use]
    pub fn advanced_to(self, step: Self) -> Self {
        match (self, step) {
            (Self::New, Self::Enriched | Self::Scored) | (Self::Enriched, Self::Scored) => step,
            _ => self,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::LeadStatus as S;

    #[test]
    fn knowing_more_never_sets_a_lead_back() {
        for status in S::ALL.iter().copied() {
            let (enriched, scored) = (status.advanced_to(S::Enriched), status.advanced_to(S::Scored));
            match status {
                S::New => assert_eq!((enriched, scored), (S::Enriched, S::Scored)),
                S::Enriched => assert_eq!((enriched, scored), (S::Enriched, S::Scored)),
                other => assert_eq!((enriched, scored), (other, other)),
            }
        }
    }
}

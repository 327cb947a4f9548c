//! Leads (prospects): who might buy, as campaigns see them.

mod identity;
mod import;
mod profile;

pub use identity::{IdentityKey, lead_id};
pub use import::{ImportStatus, OnDuplicate};
pub use profile::{Company, CompanyInput, Consent, LeadInput, LeadProfile, is_time_zone};

use std::fmt;
use std::str::FromStr;

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

macro_rules! text_enum {
    ($type:ty, $($variant:ident = $text:literal),*) => {
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("must be one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

text_enum!(
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
text_enum!(Tier, Hot = "hot", Warm = "warm", Cold = "cold", Disqualified = "disqualified");

//! Campaigns: whom to reach, how, with what words, and who of the agents does it.

pub mod audience;
pub mod estimate;
pub mod metrics;
pub mod run;
mod spec;
mod template;
pub mod words;

pub use spec::{
    AgentsSpec, Approval, CampaignInput, Channel, CompanySize, Icp, Messaging, SendingWindow, SequenceStep, StopOn, Track,
    Variant, Weekday,
};
pub use template::check_template;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// Being written; nothing is sent. The only state in which a campaign can be patched.
    #[default]
    Draft,
    Running,
    Paused,
    Completed,
    Cancelled,
}

impl CampaignStatus {
    pub const ALL: &'static [Self] = &[Self::Draft, Self::Running, Self::Paused, Self::Completed, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for CampaignStatus {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == s);
        found.ok_or_else(|| "must be one of draft, running, paused, completed, cancelled".to_owned())
    }
}

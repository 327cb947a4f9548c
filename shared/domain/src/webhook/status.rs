//! Where an endpoint and a delivery stand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether an endpoint is sent anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    #[default]
    Enabled,
    /// By the tenant, or by us because its deliveries failed.
    Disabled,
}

/// Where one event's delivery to one endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for its first attempt.
    Pending,
    Delivered,
    /// The last attempt failed, another will follow.
    Failed,
    /// Given up.
    Dead,
}

impl DeliveryStatus {
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Delivered, Self::Failed, Self::Dead];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    /// Whether an attempt is still to come.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Failed)
    }
}

impl std::str::FromStr for DeliveryStatus {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == s);
        found.ok_or_else(|| "must be one of pending, delivered, failed, dead".to_owned())
    }
}

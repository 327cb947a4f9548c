//! The words of an import of leads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Waits for the worker.
    Queued,
    /// An uploaded file waits to be read through and counted, or is.
    Validating,
    /// Rows are becoming leads.
    Processing,
    /// Every row came to its end.
    Completed,
    /// The file cannot be imported; `error` says why.
    Failed,
}

impl ImportStatus {
    /// Nothing happens any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// A text is neither `skip` nor `update`.
#[derive(Debug, thiserror::Error)]
#[error("must be skip or update")]
pub struct NotAChoice;

/// What becomes of a row whose lead there is already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// The lead stays as it is.
    #[default]
    Skip,
    /// The row's values replace the lead's; a blank cell leaves the field.
    Update,
}

impl std::str::FromStr for OnDuplicate {
    type Err = NotAChoice;
    fn from_str(text: &str) -> Result<Self, NotAChoice> {
        match text {
            "skip" => Ok(Self::Skip),
            "update" => Ok(Self::Update),
            _ => Err(NotAChoice),
        }
    }
}

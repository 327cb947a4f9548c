//! Records that turned out to be the same.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{CompanyId, ContactId, Input};

/// Records that one call can merge into another.
pub const MAX_LOSERS: usize = 20;

/// Companies that are one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergeCompaniesInput {
    /// The one that stays. What it lacks is taken from the others, in their order.
    pub winner_id: CompanyId,
    #[schema(min_items = 1, max_items = 20)]
    pub loser_ids: Vec<CompanyId>,
}

/// Contacts who are one person.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergeContactsInput {
    /// The one that stays. What it lacks is taken from the others, in their order.
    pub winner_id: ContactId,
    #[schema(min_items = 1, max_items = 20)]
    pub loser_ids: Vec<ContactId>,
}

impl Input for MergeCompaniesInput {}
impl Input for MergeContactsInput {}

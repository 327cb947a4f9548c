//! Marketing lists: companies picked for one purpose.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CompanyStatus, TEXT_MAX};
use crate::{CompanyId, Faults, Input, MarketingListId};

/// Companies that one call can put on a list.
pub const MAX_ADDED: usize = 10_000;

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "Autumn fair", "description": "Met in Hanover"}))]
pub struct MarketingListInput {
    #[schema(min_length = 1, max_length = 300, example = "Autumn fair")]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
}

impl Input for MarketingListInput {
    fn note_faults(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, 1, TEXT_MAX);
        faults.text("/description", self.description.as_deref().unwrap_or_default(), 0, 2_000);
    }
}

/// Companies to be put on a list: those named, those that a filter finds, or both. With neither, none.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"listId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "filter": {"status": "prospect", "q": "gmbh"}}))]
pub struct AddToListInput {
    pub list_id: MarketingListId,
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub company_ids: Option<Vec<CompanyId>>,
    #[serde(default)]
    pub filter: Option<ListFilter>,
}

/// As in the list of companies; an empty one finds all.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ListFilter {
    pub status: Option<CompanyStatus>,
    /// A user's id, `me` or `unassigned`.
    #[schema(max_length = 36)]
    pub owner_user_id: Option<String>,
    #[schema(max_length = 200)]
    pub q: Option<String>,
}

impl Input for AddToListInput {}

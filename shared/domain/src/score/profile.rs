//! A tenant's own default of what a good lead is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Model;
use crate::campaign::Icp;
use crate::{Faults, Input};

/// The schema of a model's version.
#[derive(Debug)]
pub struct ModelVersion;

impl utoipa::PartialSchema for ModelVersion {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::text::one_of(Model::versions(), "A version of the scoring model.")
    }
}

impl utoipa::ToSchema for ModelVersion {}

/// Whom a tenant sells to when no campaign says otherwise, and by which weights leads are scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoringProfileInput {
    /// Leads are judged against this where no campaign's ICP is at hand. One without criteria counts as none.
    #[serde(default)]
    pub icp: Icp,
    /// Weights of this version, and no newer ones, are used. Without it the newest are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ModelVersion>)]
    pub model_version: Option<String>,
}

impl Input for ScoringProfileInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.icp.check(faults);
        if let Some(version) = &self.model_version {
            faults.take("/model_version", Model::of_version(version).map(drop));
        }
    }
}

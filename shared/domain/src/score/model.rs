//! The weights: data with a version. A version that was once used stays, so that an old score can be computed again.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::SignalKind;

/// Every version, oldest first. A change of a weight is a new file; a file that was released is never edited.
const MODELS: &[(&str, &str)] = &[("1", include_str!("models/1.json"))];

/// No model has this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scoring model has the version {0}")]
pub struct UnknownModel(pub String);

/// Weights, limits and words of a version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub version: String,
    pub(super) fit: FitWeights,
    pub(super) intent: IntentWeights,
    pub(super) engagement: EngagementWeights,
    pub(super) tiers: Tiers,
    /// Words for the same thing.
    pub(super) synonyms: Vec<Vec<String>>,
    /// Names and codes of countries. Codes are ordinary words too, so these count only where a country stands.
    pub(super) countries: Vec<Vec<String>>,
    /// Which words in a title speak for which seniority; the first that is found counts.
    pub(super) seniorities: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FitWeights {
    pub(super) max: u32,
    /// Relative weights of what an ICP can ask for.
    pub(super) icp: IcpWeights,
    /// Relative weights of what can be known of a lead.
    pub(super) known: KnownWeights,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IcpWeights {
    pub(super) industries: u32,
    pub(super) company_size: u32,
    pub(super) titles: u32,
    pub(super) seniorities: u32,
    pub(super) locations: u32,
    pub(super) technologies: u32,
    pub(super) keywords: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownWeights {
    pub(super) industry: u32,
    pub(super) size: u32,
    pub(super) title: u32,
    pub(super) seniority: u32,
    pub(super) location: u32,
    pub(super) domain: u32,
    pub(super) technologies: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntentWeights {
    pub(super) max: u32,
    pub(super) kinds: BTreeMap<SignalKind, Decaying>,
}

/// A signal's points on its day; half of them `half_life_days` later, and so on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decaying {
    pub(super) points: u32,
    pub(super) half_life_days: u32,
    /// The strongest so many count.
    pub(super) at_most: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngagementWeights {
    pub(super) max: u32,
    pub(super) reply: Counted,
    pub(super) click: Counted,
    pub(super) open: Counted,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    pub(super) points: u32,
    pub(super) at_most: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tiers {
    pub(super) hot: u32,
    pub(super) warm: u32,
}

impl Model {
    /// The version that scores by default.
    pub fn latest_version() -> &'static str {
        MODELS.last().map_or("", |(version, _)| version)
    }

    /// Every version that can be asked for, oldest first.
    pub fn versions() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|(version, _)| *version)
    }

    /// # Errors
    /// [`UnknownModel`]
    pub fn of_version(version: &str) -> Result<Self, UnknownModel> {
        let found = MODELS.iter().find(|(known, _)| *known == version);
        // The files are tested to be readable; one that is not is as good as none.
        found.and_then(|(_, text)| Self::read(text).ok()).ok_or_else(|| UnknownModel(version.to_owned()))
    }

    /// A model from its file.
    ///
    /// # Errors
    /// A text that is not a model.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

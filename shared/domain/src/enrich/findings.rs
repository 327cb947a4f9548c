//! What one provider found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Fact;
use crate::Time;

/// A product that a company was seen to use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Technology {
    #[schema(example = "Shopify")]
    pub name: String,
    #[schema(example = "ecommerce")]
    pub category: String,
}

/// An open position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Posting {
    pub title: String,
    pub department: Option<String>,
    pub location: Option<String>,
    pub url: Option<String>,
    /// Null where the source does not say.
    pub posted_at: Option<Time>,
}

/// Money that a company is said to have raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Funding {
    /// The sentence that says so.
    pub headline: String,
    #[schema(example = "Series B")]
    pub round: Option<String>,
    /// As written.
    #[schema(example = "$12 million")]
    pub amount: Option<String>,
    /// Null where the source does not say.
    pub announced_at: Option<Time>,
    pub url: String,
}

/// A technology that came, went, or took another's place since the site was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Migration {
    pub category: String,
    /// Null for one that was added.
    pub from: Option<String>,
    /// Null for one that was dropped.
    pub to: Option<String>,
    pub detected_at: Time,
}

/// Everything that one provider found at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// At most one a field and page.
    pub facts: Vec<Fact>,
    /// Sorted by name.
    pub technologies: Vec<Technology>,
    /// Where the technologies were seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub technologies_url: Option<String>,
    pub postings: Vec<Posting>,
    /// Where the postings stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postings_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funding: Option<Funding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.technologies.is_empty() && self.postings.is_empty() && self.funding.is_none()
    }
}

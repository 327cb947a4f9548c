//! What can be learned of a lead's company from outside, always with the place that says so.
//!
//! Providers hand over [`Findings`]; [`merge`] makes one [`Enrichment`] of them, field by field. Everything here is pure: pages come in
//! as bytes that somebody else has fetched.

mod fact;
mod findings;
mod merged;

pub use fact::{Fact, Field};
pub use findings::{Findings, Funding, Migration, Posting, Technology};
pub use merged::{EnrichedCompany, EnrichedPerson, Enrichment, Found, IntentSignals, Source, Unavailable, fill, merge, signals};

/// The name of the provider that reads the company's own site.
pub const WEBSITE: &str = "website";

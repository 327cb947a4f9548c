//! The quality of a lead: a number from 0 to 100 that can be taken apart into what it was made of.
//!
//! The score is the sum of fit (how well the lead matches whom the tenant sells to), intent (dated signs that the company is about
//! to buy, worth less the older they are) and engagement (what the person did with our messages). Every point is a piece of evidence:
//! whole numbers throughout, so that they add up exactly, and no floating point, so that every machine comes to the same score.

mod engagement;
mod fit;
mod intent;
mod model;
mod profile;
mod standing;
mod words;

pub use engagement::Engaged;
pub use intent::{Signal, SignalKind};
pub use model::{Model, UnknownModel};
pub use profile::ScoringProfileInput;
pub use standing::{Found, Standing, standing};
pub use words::headcount;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Time;
use crate::campaign::Icp;
use crate::lead::{LeadProfile, LeadStatus, Tier};

/// Everything that a score depends on.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub profile: &'a LeadProfile,
    pub status: LeadStatus,
    /// When the profile was last changed.
    pub known_at: Time,
    /// What the company's site and other sources say it does, for keywords.
    pub description: Option<&'a str>,
    /// Names of technologies that the company was seen to use, and when.
    pub technologies: &'a [String],
    pub enriched_at: Option<Time>,
    pub signals: &'a [Signal],
    pub engaged: Engaged,
    /// Whom the tenant sells to: the campaign's, or the tenant's own default.
    pub icp: Option<&'a Icp>,
    pub now: Time,
}

/// One reason for points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// What was judged, such as `fit.titles`; its first word is the part of the breakdown that it counts for.
    #[schema(example = "fit.titles")]
    pub factor: String,
    #[schema(minimum = 0, maximum = 100)]
    pub points: u32,
    /// What was found, in the source's words; null if nothing is known.
    #[schema(value_type = Value)]
    pub value: Value,
    /// When that was so; null if nothing is known.
    pub as_of: Option<Time>,
}

/// The parts of a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Breakdown {
    #[schema(minimum = 0, maximum = 100)]
    pub fit: u32,
    #[schema(minimum = 0, maximum = 100)]
    pub intent: u32,
    #[schema(minimum = 0, maximum = 100)]
    pub engagement: u32,
}

/// What to do about a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Somebody should answer the person.
    Answer,
    ContactNow,
    AddToCampaign,
    /// Too little is known to judge.
    Enrich,
    Nurture,
    DoNotContact,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recommendation {
    pub action: Action,
    /// One sentence.
    pub reason: String,
}

/// A lead's score with all that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub score: u32,
    pub breakdown: Breakdown,
    pub tier: Tier,
    pub recommendation: Recommendation,
    pub evidence: Vec<Evidence>,
    pub model_version: String,
}

/// Whether an ICP asks for anything at all: an empty one says nothing about who fits.
pub fn has_criteria(icp: &Icp) -> bool {
    let lists = [&icp.industries, &icp.titles, &icp.seniorities, &icp.locations, &icp.technologies, &icp.keywords];
    icp.company_size.is_some_and(|size| size.min.is_some() || size.max.is_some()) || lists.iter().any(|list| !list.is_empty())
}

/// Scores a lead. The same inputs give the same score.
pub fn score(model: &Model, inputs: &Inputs<'_>) -> Score {
    let refused = refusal(inputs);
    let mut evidence = Vec::new();
    if refused.is_none() {
        evidence.extend(fit::judge(model, inputs));
        evidence.extend(intent::judge(model, inputs));
        evidence.extend(engagement::judge(model, inputs));
    }
    let part = |name: &str| evidence.iter().filter(|e| e.factor.split('.').next() == Some(name)).map(|e| e.points).sum();
    let breakdown = Breakdown { fit: part("fit"), intent: part("intent"), engagement: part("engagement") };
    let score = breakdown.fit + breakdown.intent + breakdown.engagement;
    let tier = match score {
        _ if refused.is_some() => Tier::Disqualified,
        score if score >= model.tiers.hot => Tier::Hot,
        score if score >= model.tiers.warm => Tier::Warm,
        _ => Tier::Cold,
    };
    let recommendation = match refused {
        Some(reason) => Recommendation { action: Action::DoNotContact, reason },
        None => recommend(inputs, tier, &breakdown, &evidence),
    };
    Score { score, breakdown, tier, recommendation, evidence, model_version: model.version.clone() }
}

/// Why nobody should write to the lead, whatever else speaks for it.
fn refusal(inputs: &Inputs<'_>) -> Option<String> {
    match inputs.status {
        LeadStatus::Unsubscribed => return Some("The person asked for no more messages.".to_owned()),
        LeadStatus::Bounced => return Some("Messages to this address come back.".to_owned()),
        _ => {}
    }
    let profile = inputs.profile;
    let company = profile.company.domain.as_ref().map(|domain| domain.as_str());
    let domains = [company, profile.email.as_ref().map(|email| email.domain())];
    let excluded = |domain: &str| {
        let listed = inputs.icp.into_iter().flat_map(|icp| &icp.exclude_domains);
        let mut listed = listed.filter_map(|text| crate::address::Domain::parse(text).ok());
        listed.any(|no| domain == no.as_str() || domain.strip_suffix(no.as_str()).is_some_and(|rest| rest.ends_with('.')))
    };
    let domain = domains.into_iter().flatten().find(|domain| excluded(domain))?;
    Some(format!("The domain {domain} is excluded."))
}

fn recommend(inputs: &Inputs<'_>, tier: Tier, parts: &Breakdown, evidence: &[Evidence]) -> Recommendation {
    let say = |action, reason: String| Recommendation { action, reason };
    let open = evidence.iter().filter(|e| e.factor.starts_with("fit.")).filter(|e| e.value.is_null()).count();
    let judged = evidence.iter().filter(|e| e.factor.starts_with("fit.")).count();
    let best = evidence.iter().filter(|e| e.points > 0).max_by_key(|e| e.points).map_or("nothing yet", |e| e.factor.as_str());
    let sums = format!("fit {}, intent {}, engagement {}", parts.fit, parts.intent, parts.engagement);
    match tier {
        _ if inputs.engaged.replies > 0 => say(Action::Answer, format!("The person has replied; {sums}.")),
        Tier::Hot => say(Action::ContactNow, format!("Mostly for {best}; {sums}.")),
        Tier::Warm => say(Action::AddToCampaign, format!("Mostly for {best}; {sums}.")),
        _ if open * 2 > judged && inputs.enriched_at.is_none() => {
            say(Action::Enrich, format!("{open} of {judged} criteria cannot be judged for lack of data; {sums}."))
        }
        _ => say(Action::Nurture, format!("Too little speaks for it now; {sums}.")),
    }
}

/// Shares `max` out by weight, in whole points that add up to `max` exactly (unless there is no weight at all).
fn shares(max: u32, weights: &[u32]) -> Vec<u32> {
    let total: u32 = weights.iter().sum();
    let upto = |sum: u32| (max * sum).checked_div(total).unwrap_or(0);
    let mut sum = 0;
    let share = |weight: &u32| {
        let before = upto(sum);
        sum += weight;
        upto(sum) - before
    };
    weights.iter().map(share).collect()
}

#[cfg(test)]
mod tests;

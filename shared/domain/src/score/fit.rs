//! Fit: how well a lead matches whom the tenant sells to.

use serde_json::{Value, json};

use super::model::Model;
use super::words::{headcount, lies_in, same, seniority_of, speaks_of};
use super::{Evidence, Inputs, has_criteria, shares};
use crate::Time;
use crate::campaign::{CompanySize, Icp};
use crate::lead::LeadProfile;

/// One criterion: its name, its weight, what is known, and whether that is what is wanted.
struct Criterion {
    name: &'static str,
    weight: u32,
    value: Value,
    met: bool,
    as_of: Time,
}

pub(super) fn judge(model: &Model, inputs: &Inputs<'_>) -> Vec<Evidence> {
    let criteria = match inputs.icp.filter(|icp| has_criteria(icp)) {
        Some(icp) => against(model, inputs, icp),
        None => known(model, inputs),
    };
    let weights: Vec<u32> = criteria.iter().map(|c| c.weight).collect();
    let evidence = |(criterion, share): (Criterion, u32)| Evidence {
        factor: format!("fit.{}", criterion.name),
        points: if criterion.met { share } else { 0 },
        as_of: (!criterion.value.is_null()).then_some(criterion.as_of),
        value: criterion.value,
    };
    criteria.into_iter().zip(shares(model.fit.max, &weights)).map(evidence).collect()
}

/// The text, or null for none.
fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, Value::from)
}

fn seniority<'a>(model: &'a Model, profile: &'a LeadProfile) -> Option<&'a str> {
    profile.seniority.as_deref().or_else(|| seniority_of(model, profile.title.as_deref()?))
}

fn location(profile: &LeadProfile) -> Option<String> {
    let parts = [profile.company.location.as_deref(), profile.country.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether a text speaks of any of what is wanted.
pub(super) fn is_any(model: &Model, wanted: &[String], known: Option<&str>) -> bool {
    known.is_some_and(|known| wanted.iter().any(|wanted| speaks_of(model, known, wanted)))
}

/// Whether a lead is where it is wanted.
pub(super) fn is_located(model: &Model, wanted: &[String], profile: &LeadProfile) -> bool {
    location(profile).is_some_and(|known| wanted.iter().any(|wanted| lies_in(model, &known, wanted)))
}

/// Whether a lead has the seniority that is wanted, by its own word or by its title.
pub(super) fn is_senior(model: &Model, wanted: &[String], profile: &LeadProfile) -> bool {
    seniority(model, profile).is_some_and(|known| wanted.iter().any(|wanted| same(known, wanted)))
}

/// Whether a company's size is the wanted one. A range that the wanted one overlaps may be within it; one that does not cannot be.
pub(super) fn is_sized(wanted: CompanySize, known: Option<&str>) -> bool {
    let known = known.and_then(headcount);
    known.is_some_and(|(from, to)| wanted.max.is_none_or(|max| from <= max) && wanted.min.is_none_or(|min| to >= min))
}

/// Which of the technologies are wanted.
pub(super) fn wanted_of<'a>(wanted: &[String], technologies: &'a [String]) -> Vec<&'a String> {
    technologies.iter().filter(|name| wanted.iter().any(|wanted| same(name, wanted))).collect()
}

/// What a lead says of itself and its company, with what else is said of it, as one text to look for words in.
pub(super) fn said<'a>(profile: &'a LeadProfile, more: impl IntoIterator<Item = &'a str>) -> String {
    let company = &profile.company;
    let own = [company.industry.as_deref(), profile.title.as_deref(), company.name.as_deref()];
    more.into_iter().chain(own.into_iter().flatten()).collect::<Vec<_>>().join(" | ")
}

/// Which of the wanted words a text speaks of.
pub(super) fn spoken_of<'a>(model: &Model, wanted: &'a [String], text: &str) -> Vec<&'a String> {
    wanted.iter().filter(|wanted| speaks_of(model, text, wanted)).collect()
}

/// What the ICP asks for; what it does not ask for does not count.
fn against(model: &Model, inputs: &Inputs<'_>, icp: &Icp) -> Vec<Criterion> {
    let (profile, company, weights) = (inputs.profile, &inputs.profile.company, &model.fit.icp);
    let mut criteria = Vec::new();
    let mut list = |name, weight, wanted: &[String], known: Option<&str>| {
        if !wanted.is_empty() {
            criteria.push(Criterion {
                name,
                weight,
                value: text(known),
                met: is_any(model, wanted, known),
                as_of: inputs.known_at,
            });
        }
    };
    list("industries", weights.industries, &icp.industries, company.industry.as_deref());
    list("titles", weights.titles, &icp.titles, profile.title.as_deref());
    if !icp.locations.is_empty() {
        criteria.push(Criterion {
            name: "locations",
            weight: weights.locations,
            value: text(location(profile).as_deref()),
            met: is_located(model, &icp.locations, profile),
            as_of: inputs.known_at,
        });
    }
    if let Some(size) = icp.company_size.filter(|size| size.min.is_some() || size.max.is_some()) {
        criteria.push(Criterion {
            name: "company_size",
            weight: weights.company_size,
            value: text(company.size.as_deref()),
            met: is_sized(size, company.size.as_deref()),
            as_of: inputs.known_at,
        });
    }
    if !icp.seniorities.is_empty() {
        criteria.push(Criterion {
            name: "seniorities",
            weight: weights.seniorities,
            value: text(seniority(model, profile)),
            met: is_senior(model, &icp.seniorities, profile),
            as_of: inputs.known_at,
        });
    }
    let seen_at = inputs.enriched_at.unwrap_or(inputs.known_at);
    if !icp.technologies.is_empty() {
        let found = wanted_of(&icp.technologies, inputs.technologies);
        let value = if inputs.technologies.is_empty() { Value::Null } else { json!(found) };
        criteria.push(Criterion {
            name: "technologies",
            weight: weights.technologies,
            value,
            met: !found.is_empty(),
            as_of: seen_at,
        });
    }
    if !icp.keywords.is_empty() {
        let all = said(profile, inputs.description);
        let found = spoken_of(model, &icp.keywords, &all);
        let value = if all.is_empty() { Value::Null } else { json!(found) };
        let met = !found.is_empty();
        criteria.push(Criterion { name: "keywords", weight: weights.keywords, value, met, as_of: seen_at });
    }
    criteria
}

/// Without an ICP: the share of what is worth knowing that is known.
fn known(model: &Model, inputs: &Inputs<'_>) -> Vec<Criterion> {
    let (profile, company, weights) = (inputs.profile, &inputs.profile.company, &model.fit.known);
    let seen_at = inputs.enriched_at.unwrap_or(inputs.known_at);
    let technologies = if inputs.technologies.is_empty() { Value::Null } else { json!(inputs.technologies.len()) };
    let all = [
        ("known_industry", weights.industry, text(company.industry.as_deref()), inputs.known_at),
        ("known_size", weights.size, text(company.size.as_deref()), inputs.known_at),
        ("known_title", weights.title, text(profile.title.as_deref()), inputs.known_at),
        ("known_seniority", weights.seniority, text(seniority(model, profile)), inputs.known_at),
        ("known_location", weights.location, text(location(profile).as_deref()), inputs.known_at),
        ("known_domain", weights.domain, text(company.domain.as_ref().map(|d| d.as_str())), inputs.known_at),
        ("known_technologies", weights.technologies, technologies, seen_at),
    ];
    let criterion = |(name, weight, value, as_of): (&'static str, u32, Value, Time)| {
        let met = !value.is_null();
        Criterion { name, weight, value, met, as_of }
    };
    all.into_iter().map(criterion).collect()
}

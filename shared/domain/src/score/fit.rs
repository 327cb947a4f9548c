//! Fit: how well a lead matches whom the tenant sells to.

use serde_json::{Value, json};

use super::model::Model;
use super::words::{headcount, lies_in, same, seniority_of, speaks_of};
use super::{Evidence, Inputs, has_criteria, shares};
use crate::Time;
use crate::campaign::Icp;

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

fn seniority<'a>(model: &'a Model, inputs: &Inputs<'a>) -> Option<&'a str> {
    let profile = inputs.profile;
    profile.seniority.as_deref().or_else(|| seniority_of(model, profile.title.as_deref()?))
}

fn location(inputs: &Inputs<'_>) -> Option<String> {
    let parts = [inputs.profile.company.location.as_deref(), inputs.profile.country.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What the ICP asks for; what it does not ask for does not count.
fn against(model: &Model, inputs: &Inputs<'_>, icp: &Icp) -> Vec<Criterion> {
    let (profile, company, weights) = (inputs.profile, &inputs.profile.company, &model.fit.icp);
    let mut criteria = Vec::new();
    let any = |wanted: &[String], known: Option<&str>| {
        known.is_some_and(|known| wanted.iter().any(|wanted| speaks_of(model, known, wanted)))
    };
    let mut list = |name, weight, wanted: &[String], known: Option<&str>| {
        if !wanted.is_empty() {
            criteria.push(Criterion { name, weight, value: text(known), met: any(wanted, known), as_of: inputs.known_at });
        }
    };
    list("industries", weights.industries, &icp.industries, company.industry.as_deref());
    list("titles", weights.titles, &icp.titles, profile.title.as_deref());
    if !icp.locations.is_empty() {
        let known = location(inputs);
        let met = known.as_deref().is_some_and(|known| icp.locations.iter().any(|wanted| lies_in(model, known, wanted)));
        criteria.push(Criterion {
            name: "locations",
            weight: weights.locations,
            value: text(known.as_deref()),
            met,
            as_of: inputs.known_at,
        });
    }
    if let Some(size) = icp.company_size.filter(|size| size.min.is_some() || size.max.is_some()) {
        let known = company.size.as_deref();
        // A range that the wanted one overlaps may be within it; one that does not cannot be.
        let met = known
            .and_then(headcount)
            .is_some_and(|(from, to)| size.max.is_none_or(|max| from <= max) && size.min.is_none_or(|min| to >= min));
        criteria.push(Criterion {
            name: "company_size",
            weight: weights.company_size,
            value: text(known),
            met,
            as_of: inputs.known_at,
        });
    }
    if !icp.seniorities.is_empty() {
        let known = seniority(model, inputs);
        let met = known.is_some_and(|known| icp.seniorities.iter().any(|wanted| same(known, wanted)));
        criteria.push(Criterion {
            name: "seniorities",
            weight: weights.seniorities,
            value: text(known),
            met,
            as_of: inputs.known_at,
        });
    }
    let seen_at = inputs.enriched_at.unwrap_or(inputs.known_at);
    if !icp.technologies.is_empty() {
        let wanted = |name: &&String| icp.technologies.iter().any(|wanted| same(name, wanted));
        let found: Vec<&String> = inputs.technologies.iter().filter(wanted).collect();
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
        let texts = [inputs.description, company.industry.as_deref(), profile.title.as_deref(), company.name.as_deref()];
        let all = texts.into_iter().flatten().collect::<Vec<_>>().join(" | ");
        let found: Vec<&String> = icp.keywords.iter().filter(|wanted| speaks_of(model, &all, wanted)).collect();
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
        ("known_seniority", weights.seniority, text(seniority(model, inputs)), inputs.known_at),
        ("known_location", weights.location, text(location(inputs).as_deref()), inputs.known_at),
        ("known_domain", weights.domain, text(company.domain.as_ref().map(|d| d.as_str())), inputs.known_at),
        ("known_technologies", weights.technologies, technologies, seen_at),
    ];
    let criterion = |(name, weight, value, as_of): (&'static str, u32, Value, Time)| {
        let met = !value.is_null();
        Criterion { name, weight, value, met, as_of }
    };
    all.into_iter().map(criterion).collect()
}

//! Whether a lead fits an ICP: judged by what its fit is scored by, but wholly or not at all. It decides who is written to.

use serde_json::Value;

use super::fit::{is_any, is_located, is_senior, is_sized, said, spoken_of, wanted_of};
use super::model::Model;
use crate::campaign::{CompanySize, Icp};
use crate::lead::LeadProfile;

/// How a lead stands to an ICP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Fits,
    /// It fits as far as is known; whether it has the technologies or keywords that are asked for can be said once it is enriched.
    Open,
    Outside,
}

/// What enrichment has found of a lead's company.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub description: Option<&'a str>,
    pub technologies: &'a [String],
}

/// Judges a lead. What is asked for and not known does not fit, but for technologies and keywords: these are found by enrichment.
pub fn standing(model: &Model, icp: &Icp, profile: &LeadProfile, found: Option<Found<'_>>) -> Standing {
    let company = &profile.company;
    let fits = (icp.industries.is_empty() || is_any(model, &icp.industries, company.industry.as_deref()))
        && (icp.titles.is_empty() || is_any(model, &icp.titles, profile.title.as_deref()))
        && (icp.seniorities.is_empty() || is_senior(model, &icp.seniorities, profile))
        && (icp.locations.is_empty() || is_located(model, &icp.locations, profile))
        && icp.company_size.is_none_or(|size| size == CompanySize::default() || is_sized(size, company.size.as_deref()));
    if !fits {
        return Standing::Outside;
    }
    let judged = [technologies(model, icp, profile, found), keywords(model, icp, profile, found)];
    if judged.contains(&Standing::Outside) {
        return Standing::Outside;
    }
    if judged.contains(&Standing::Open) { Standing::Open } else { Standing::Fits }
}

/// By what was found, or by what the lead itself says: `Tech stack: Shopify`.
fn technologies(model: &Model, icp: &Icp, profile: &LeadProfile, found: Option<Found<'_>>) -> Standing {
    let known = found.map_or(&[][..], |found| found.technologies);
    let met = icp.technologies.is_empty()
        || !wanted_of(&icp.technologies, known).is_empty()
        || !spoken_of(model, &icp.technologies, &said(profile, custom(profile))).is_empty();
    judged(met, !known.is_empty())
}

fn keywords(model: &Model, icp: &Icp, profile: &LeadProfile, found: Option<Found<'_>>) -> Standing {
    let description = found.and_then(|found| found.description);
    let met = icp.keywords.is_empty()
        || !spoken_of(model, &icp.keywords, &said(profile, custom(profile).into_iter().chain(description))).is_empty();
    judged(met, description.is_some())
}

const fn judged(met: bool, known: bool) -> Standing {
    match (met, known) {
        (true, _) => Standing::Fits,
        (false, false) => Standing::Open,
        (false, true) => Standing::Outside,
    }
}

/// The texts in a lead's custom fields.
fn custom(profile: &LeadProfile) -> Vec<&str> {
    let mut texts = Vec::new();
    for value in profile.custom.values() {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(entries) => texts.extend(entries.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::Faults;
    use crate::lead::LeadInput;

    fn profile(more: Value) -> LeadProfile {
        let mut lead = json!({"email": "ada@mail.engines.example", "title": "Chief Technology Officer", "country": "Germany",
            "custom": {"Tech stack": "HubSpot; Shopify", "tools": ["Stripe"]},
            "company": {"industry": "Computer Software", "size": "51-200", "location": "Berlin"}});
        for (name, value) in more.as_object().unwrap() {
            lead[name] = value.clone();
        }
        let mut faults = Faults::new();
        let profile = serde_json::from_value::<LeadInput>(lead).unwrap().parse(&mut faults);
        faults.check().unwrap();
        profile
    }

    fn judge(icp: Value, profile: &LeadProfile, found: Option<Found<'_>>) -> Standing {
        let model = Model::of_version(Model::latest_version()).unwrap();
        standing(&model, &serde_json::from_value(icp).unwrap(), profile, found)
    }

    #[rstest]
    #[case(json!({}), Standing::Fits)]
    #[case(json!({"industries": ["software"]}), Standing::Fits)]
    #[case(json!({"industries": ["hardware", "Computer software"]}), Standing::Fits)]
    #[case(json!({"industries": ["soft"]}), Standing::Outside)]
    #[case(json!({"titles": ["CTO"], "seniorities": ["c_level"], "locations": ["berlin"]}), Standing::Fits)]
    #[case(json!({"locations": ["DE"]}), Standing::Fits)]
    #[case(json!({"locations": ["Spain"]}), Standing::Outside)]
    #[case(json!({"seniorities": ["manager"]}), Standing::Outside)]
    #[case(json!({"company_size": {"min": 200}}), Standing::Fits)]
    #[case(json!({"company_size": {"min": 201}}), Standing::Outside)]
    #[case(json!({"company_size": {"max": 50}}), Standing::Outside)]
    #[case(json!({"company_size": {}}), Standing::Fits)]
    #[case(json!({"technologies": ["shopify"]}), Standing::Fits)]
    #[case(json!({"technologies": ["Stripe"], "keywords": ["computer"]}), Standing::Fits)]
    #[case(json!({"technologies": ["Salesforce"]}), Standing::Open)]
    #[case(json!({"technologies": ["Salesforce"], "titles": ["Nurse"]}), Standing::Outside)]
    #[case(json!({"technologies": ["Shopify"], "keywords": ["analytics"]}), Standing::Open)]
    fn before_enrichment(#[case] icp: Value, #[case] expected: Standing) {
        assert_eq!(judge(icp, &profile(json!({})), None), expected);
    }

    #[rstest]
    #[case(json!({"technologies": ["Salesforce"]}), Standing::Fits)]
    #[case(json!({"technologies": ["Magento"]}), Standing::Outside)]
    #[case(json!({"technologies": ["Salesforce"], "keywords": ["analytics"]}), Standing::Fits)]
    #[case(json!({"technologies": ["Salesforce"], "keywords": ["fishing"]}), Standing::Outside)]
    fn after_enrichment(#[case] icp: Value, #[case] expected: Standing) {
        let technologies = ["Salesforce".to_owned()];
        let found = Found { description: Some("Analytics for everyone"), technologies: &technologies };
        assert_eq!(judge(icp, &profile(json!({})), Some(found)), expected);
    }

    #[test]
    fn what_is_asked_for_and_not_known_does_not_fit() {
        let unknown = profile(json!({"company": {}, "title": null}));
        assert_eq!(judge(json!({"titles": ["CTO"]}), &unknown, None), Standing::Outside);
        assert_eq!(judge(json!({"company_size": {"min": 1}}), &unknown, None), Standing::Outside);
        let nothing = Found { description: None, technologies: &[] };
        assert_eq!(judge(json!({"keywords": ["analytics"]}), &unknown, Some(nothing)), Standing::Open);
    }
}

//! One picture out of what several providers found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Fact, Field, Findings, Funding, Migration, Posting, Technology};
use crate::Time;
use crate::lead::LeadProfile;
use crate::score::{Signal, SignalKind};

/// What was learned of a company. What nobody says is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct EnrichedCompany {
    pub name: Option<String>,
    pub domain: Option<String>,
    pub website: Option<String>,
    pub description: Option<String>,
    pub industry: Option<String>,
    /// Employees, as a number or a range.
    pub size: Option<String>,
    pub location: Option<String>,
    /// The year.
    pub founded: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub linkedin_url: Option<String>,
    pub twitter_url: Option<String>,
    pub github_url: Option<String>,
    pub logo_url: Option<String>,
    pub technologies: Vec<Technology>,
}

/// What was learned of a person. What nobody says is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct EnrichedPerson {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub title: Option<String>,
    pub seniority: Option<String>,
    pub phone: Option<String>,
    pub linkedin_url: Option<String>,
    pub location: Option<String>,
}

/// Signs that a company is about to buy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct IntentSignals {
    pub hiring_activity: Vec<Posting>,
    /// Null if none is known.
    pub recent_funding: Option<Funding>,
    pub technology_migrations: Vec<Migration>,
}

/// Who says a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    #[schema(example = "website")]
    pub provider: String,
    /// The value's place in this answer.
    #[schema(example = "company.name")]
    pub field: String,
    pub url: Option<String>,
    pub fetched_at: Time,
    /// From 0 to 1.
    #[schema(minimum = 0, maximum = 1, example = 0.9)]
    pub confidence: f64,
}

/// A provider that gave nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unavailable {
    pub provider: String,
    pub reason: String,
}

/// What all providers together know of a lead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enrichment {
    pub company: EnrichedCompany,
    pub person: EnrichedPerson,
    pub intent_signals: IntentSignals,
    pub sources: Vec<Source>,
}

/// What one provider found, in the waterfall's order.
#[derive(Clone, Debug)]
pub struct Found {
    pub provider: String,
    pub fetched_at: Time,
    pub findings: Findings,
}

fn slot(enrichment: &mut Enrichment, field: Field) -> &mut Option<String> {
    let (company, person) = (&mut enrichment.company, &mut enrichment.person);
    match field {
        Field::CompanyName => &mut company.name,
        Field::CompanyDomain => &mut company.domain,
        Field::CompanyWebsite => &mut company.website,
        Field::CompanyDescription => &mut company.description,
        Field::CompanyIndustry => &mut company.industry,
        Field::CompanySize => &mut company.size,
        Field::CompanyLocation => &mut company.location,
        Field::CompanyFounded => &mut company.founded,
        Field::CompanyPhone => &mut company.phone,
        Field::CompanyEmail => &mut company.email,
        Field::CompanyLinkedin => &mut company.linkedin_url,
        Field::CompanyTwitter => &mut company.twitter_url,
        Field::CompanyGithub => &mut company.github_url,
        Field::CompanyLogo => &mut company.logo_url,
        Field::PersonFirstName => &mut person.first_name,
        Field::PersonLastName => &mut person.last_name,
        Field::PersonTitle => &mut person.title,
        Field::PersonSeniority => &mut person.seniority,
        Field::PersonPhone => &mut person.phone,
        Field::PersonLinkedin => &mut person.linkedin_url,
        Field::PersonLocation => &mut person.location,
    }
}

/// Merges field by field: the first provider that knows a field has the word on it; within one provider the value that can be relied
/// upon most. Every value names its source.
pub fn merge(found: &[Found]) -> Enrichment {
    let mut merged = Enrichment::default();
    for field in Field::ALL {
        let best = |found: &Found| -> Option<Fact> {
            let facts = found.findings.facts.iter().filter(|fact| fact.field == *field);
            // The first of several that are equally good.
            facts.rev().max_by_key(|fact| fact.confidence).cloned()
        };
        if let Some((from, fact)) = found.iter().find_map(|found| Some((found, best(found)?))) {
            merged.sources.push(source(from, field.as_str(), fact.url, fact.confidence));
            *slot(&mut merged, *field) = Some(fact.value);
        }
    }
    let mut list = |field: &str, from: &Found, url: Option<&String>, confidence: u8| {
        merged.sources.push(source(from, field, url.cloned(), confidence));
    };
    if let Some(from) = found.iter().find(|found| !found.findings.technologies.is_empty()) {
        merged.company.technologies.clone_from(&from.findings.technologies);
        list(TECHNOLOGIES, from, from.findings.technologies_url.as_ref(), 90);
    }
    if let Some(from) = found.iter().find(|found| !found.findings.postings.is_empty()) {
        merged.intent_signals.hiring_activity.clone_from(&from.findings.postings);
        list(HIRING, from, from.findings.postings_url.as_ref(), 90);
    }
    if let Some((from, funding)) = found.iter().find_map(|found| Some((found, found.findings.funding.as_ref()?))) {
        merged.intent_signals.recent_funding = Some(funding.clone());
        list(FUNDING, from, Some(&funding.url), 60);
    }
    if let Some(from) = found.iter().find(|found| !found.findings.migrations.is_empty()) {
        merged.intent_signals.technology_migrations.clone_from(&from.findings.migrations);
        list(MIGRATIONS, from, from.findings.technologies_url.as_ref(), 70);
    }
    merged
}

/// The lists and objects among the fields.
const HIRING: &str = "intent_signals.hiring_activity";
const FUNDING: &str = "intent_signals.recent_funding";
const MIGRATIONS: &str = "intent_signals.technology_migrations";
const TECHNOLOGIES: &str = "company.technologies";

impl Enrichment {
    /// Keeps of what was known before what nobody says now, unless who said it has just been asked and says it no more.
    #[must_use]
    pub fn keeping(mut self, mut before: Self, asked: &[&str]) -> Self {
        for source in std::mem::take(&mut before.sources) {
            let said_now = self.sources.iter().any(|now| now.field == source.field);
            if said_now || asked.contains(&source.provider.as_str()) {
                continue;
            }
            let (signals, old) = (&mut self.intent_signals, &mut before.intent_signals);
            match source.field.as_str() {
                TECHNOLOGIES => std::mem::swap(&mut self.company.technologies, &mut before.company.technologies),
                HIRING => std::mem::swap(&mut signals.hiring_activity, &mut old.hiring_activity),
                FUNDING => std::mem::swap(&mut signals.recent_funding, &mut old.recent_funding),
                MIGRATIONS => std::mem::swap(&mut signals.technology_migrations, &mut old.technology_migrations),
                field => match field.parse::<Field>() {
                    Ok(field) => *slot(&mut self, field) = slot(&mut before, field).take(),
                    Err(_) => continue,
                },
            }
            self.sources.push(source);
        }
        self
    }
}

fn source(from: &Found, field: &str, url: Option<String>, confidence: u8) -> Source {
    Source {
        provider: from.provider.clone(),
        field: field.to_owned(),
        url,
        fetched_at: from.fetched_at,
        confidence: f64::from(confidence) / 100.0,
    }
}

/// Fills what a lead's profile lacks. What the tenant has entered is never changed.
pub fn fill(profile: &mut LeadProfile, enrichment: &Enrichment) {
    let set = |known: &mut Option<String>, found: &Option<String>| {
        if known.is_none() {
            known.clone_from(found);
        }
    };
    let (company, person) = (&enrichment.company, &enrichment.person);
    set(&mut profile.company.name, &company.name);
    set(&mut profile.company.website, &company.website);
    set(&mut profile.company.industry, &company.industry);
    set(&mut profile.company.size, &company.size);
    set(&mut profile.company.location, &company.location);
    if profile.company.domain.is_none() {
        profile.company.domain = company.domain.as_deref().and_then(|text| crate::address::Domain::parse(text).ok());
    }
    set(&mut profile.first_name, &person.first_name);
    set(&mut profile.last_name, &person.last_name);
    set(&mut profile.title, &person.title);
    set(&mut profile.seniority, &person.seniority);
}

/// The dated signs among what was found, for scoring. What has no date of its own was so when it was seen.
pub fn signals(enrichment: &Enrichment, seen_at: Time) -> Vec<Signal> {
    let IntentSignals { hiring_activity, recent_funding, technology_migrations } = &enrichment.intent_signals;
    let hiring = hiring_activity.iter().map(|posting| Signal {
        kind: SignalKind::Hiring,
        at: posting.posted_at.unwrap_or(seen_at),
        what: posting.title.clone(),
    });
    let funding = recent_funding.iter().map(|funding| Signal {
        kind: SignalKind::Funding,
        at: funding.announced_at.unwrap_or(seen_at),
        what: funding.headline.clone(),
    });
    let migrations = technology_migrations.iter().map(|migration| {
        let what = match (&migration.from, &migration.to) {
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (None, Some(to)) => format!("began to use {to}"),
            (Some(from), None) => format!("dropped {from}"),
            (None, None) => migration.category.clone(),
        };
        Signal { kind: SignalKind::Migration, at: migration.detected_at, what }
    });
    hiring.chain(funding).chain(migrations).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const AT: Time = Time::from_secs(1_000);

    fn found(provider: &str, facts: &[(Field, &str, u8)]) -> Found {
        let facts = facts
            .iter()
            .map(|(field, value, confidence)| Fact::new(*field, value, Some("https://a.example/"), *confidence).unwrap());
        Found {
            provider: provider.to_owned(),
            fetched_at: AT,
            findings: Findings { facts: facts.collect(), ..Findings::default() },
        }
    }

    #[test]
    fn the_first_provider_has_the_word_and_every_value_its_source() {
        let site = found("website", &[(Field::CompanyName, "From a title", 40), (Field::CompanyName, "From JSON-LD", 90)]);
        let paid = found("paid", &[(Field::CompanyName, "Other", 100), (Field::CompanySize, "51-200", 70)]);
        let merged = merge(&[site, paid]);
        assert_eq!(merged.company.name.as_deref(), Some("From JSON-LD"));
        assert_eq!(merged.company.size.as_deref(), Some("51-200"));
        let sources: Vec<(&str, &str, f64)> =
            merged.sources.iter().map(|s| (s.provider.as_str(), s.field.as_str(), s.confidence)).collect();
        assert_eq!(sources, [("website", "company.name", 0.9), ("paid", "company.size", 0.7)]);
        assert_eq!(merge(&[]), Enrichment::default());
    }

    #[test]
    fn what_another_said_before_is_kept_and_what_one_no_longer_says_is_not() {
        let site = found("website", &[(Field::CompanyName, "Acme", 90), (Field::CompanyPhone, "+1 512 555 0142", 90)]);
        let paid = found("paid", &[(Field::CompanySize, "51-200", 70)]);
        let before = merge(&[site, paid]);
        // The site has a new name and no phone any more.
        let now = merge(&[found("website", &[(Field::CompanyName, "Acme Group", 90)])]).keeping(before.clone(), &["website"]);
        assert_eq!((now.company.name.as_deref(), now.company.phone.as_deref()), (Some("Acme Group"), None));
        assert_eq!(now.company.size.as_deref(), Some("51-200"));
        assert_eq!(now.sources.iter().map(|s| s.field.as_str()).collect::<Vec<_>>(), ["company.name", "company.size"]);
        assert_eq!(merge(&[]).keeping(before.clone(), &[]), before);
    }

    #[test]
    fn a_profile_is_filled_and_never_overwritten() {
        let merged = merge(&[found("x", &[(Field::CompanyName, "New", 90), (Field::CompanyIndustry, "software", 90)])]);
        let mut profile = LeadProfile::default();
        profile.company.name = Some("Entered".to_owned());
        fill(&mut profile, &merged);
        assert_eq!(profile.company.name.as_deref(), Some("Entered"));
        assert_eq!(profile.company.industry.as_deref(), Some("software"));
    }

    #[test]
    fn values_have_their_fields_form() {
        for (field, value, normal) in [
            (Field::CompanyFounded, "1998-04-01", Some("1998")),
            (Field::CompanyFounded, "long ago", None),
            (Field::CompanyEmail, "Info@Example.com", Some("info@example.com")),
            (Field::CompanyEmail, "info at example", None),
            (Field::CompanyPhone, "12", None),
            (Field::CompanyName, " a\n b\u{0}", Some("a b")),
            (Field::CompanyName, "", None),
            (Field::CompanyLogo, "javascript:alert(1)", None),
            (Field::PersonLinkedin, "https://evil.example/in/x", None),
        ] {
            assert_eq!(Fact::new(field, value, None, 50).map(|fact| fact.value).as_deref(), normal, "{value}");
        }
        let long = "word ".repeat(500);
        assert!(Fact::new(Field::CompanyName, &long, None, 50).is_none());
        assert!(Fact::new(Field::CompanyDescription, &long, None, 50).unwrap().value.chars().count() <= 1_000);
    }
}

//! What is known of a lead: the part that users write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::address::{Domain, Email, LinkedinUrl, Phone, parse_url};
use crate::text::fold;
use crate::{Faults, Input};

/// The company that a lead works for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Company {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    /// Employees, as a number or a range (`51-200`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// What users and imports say of a lead. Texts are trimmed; addresses are in normal form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeadProfile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seniority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin_url: Option<LinkedinUrl>,
    pub company: Company,
    /// ISO 3166 code or name, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How and when the person agreed to be written to, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
}

/// How and when a person agreed to be written to: a text, or a record of the tenant's own form. 5,000 bytes at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Consent {
    Text(String),
    #[schema(value_type = Object)]
    Record(BTreeMap<String, Value>),
}

/// The longest short text of a lead, in characters.
pub const TEXT_MAX: usize = 300;
/// Custom fields a lead can have.
pub const CUSTOM_MAX: usize = 100;
/// The longest custom value, in bytes of its JSON form.
pub const CUSTOM_VALUE_MAX: usize = 5_000;
/// All custom values of one lead together, in bytes: an item stays far from DynamoDB's 400 KB.
pub const CUSTOM_TOTAL_MAX: usize = 50_000;

/// A profile as it was given: any text anywhere. Of e-mail address, LinkedIn URL and phone at least one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct LeadInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com", max_length = 254)]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ada", max_length = 300)]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Lovelace", max_length = 300)]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Chief Technology Officer", max_length = 300)]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub seniority: Option<String>,
    /// With its country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+14155550123", max_length = 40)]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://www.linkedin.com/in/ada-lovelace", max_length = 500)]
    pub linkedin_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyInput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub country: Option<String>,
    /// IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/London", max_length = 60)]
    pub timezone: Option<String>,
    /// Up to 100 fields of your own; 5,000 bytes a value, 50,000 together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub custom: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub source: Option<String>,
    /// A text or an object that records how the person agreed to be written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompanyInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Example Ltd", max_length = 300)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "example.com", max_length = 300)]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://example.com", max_length = 2048)]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub industry: Option<String>,
    /// Employees, as a number or a range (`51-200`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub location: Option<String>,
}

impl LeadInput {
    /// The profile in normal form, with every fault noted. A lead needs an e-mail address, a LinkedIn URL or a phone.
    pub fn parse(self, faults: &mut Faults) -> LeadProfile {
        let mut text = |pointer: &str, value: Option<String>| faults.short(pointer, value, TEXT_MAX);
        let company = self.company.unwrap_or_default();
        let mut profile = LeadProfile {
            first_name: text("/first_name", self.first_name),
            last_name: text("/last_name", self.last_name),
            title: text("/title", self.title),
            seniority: text("/seniority", self.seniority),
            country: text("/country", self.country),
            source: text("/source", self.source),
            timezone: text("/timezone", self.timezone),
            company: Company {
                name: text("/company/name", company.name),
                industry: text("/company/industry", company.industry),
                size: text("/company/size", company.size),
                location: text("/company/location", company.location),
                ..Company::default()
            },
            consent: self.consent,
            ..LeadProfile::default()
        };
        let given = |value: Option<String>| value.filter(|v| !v.trim().is_empty());
        profile.email = given(self.email).and_then(|v| faults.take("/email", Email::parse(&v)));
        profile.phone = given(self.phone).and_then(|v| faults.take("/phone", Phone::parse(&v)));
        profile.linkedin_url = given(self.linkedin_url).and_then(|v| faults.take("/linkedin_url", LinkedinUrl::parse(&v)));
        profile.company.domain = given(company.domain).and_then(|v| faults.take("/company/domain", Domain::parse(&v)));
        profile.company.website = given(company.website).and_then(|v| faults.take("/company/website", parse_url(&v)));
        if profile.timezone.as_deref().is_some_and(|tz| !is_time_zone(tz)) {
            faults.add("/timezone", "is not an IANA time zone, such as Europe/London");
        }
        let consent_len = serde_json::to_string(&profile.consent).map_or(0, |json| json.len());
        if consent_len > CUSTOM_VALUE_MAX {
            faults.add("/consent", format!("must have at most {CUSTOM_VALUE_MAX} bytes, not {consent_len}"));
        }
        profile.custom = self.custom.unwrap_or_default();
        check_custom(&profile.custom, faults);
        if super::IdentityKey::of(&profile).is_none() && faults.iter().all(|fault| fault.pointer.is_empty()) {
            faults.add("/email", "a lead needs an e-mail address, a LinkedIn URL or a phone");
        }
        profile
    }
}

impl Input for LeadInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

/// The limits of fields of a tenant's own.
pub fn check_custom(custom: &BTreeMap<String, Value>, faults: &mut Faults) {
    faults.count("/custom", custom.len(), CUSTOM_MAX);
    let mut total = 0;
    for (name, value) in custom {
        let pointer = format!("/custom/{}", name.replace('~', "~0").replace('/', "~1"));
        let len = value.to_string().len();
        total += name.len() + len;
        if name.is_empty() || name.len() > 100 {
            faults.add(&pointer, "a field's name must have 1 to 100 bytes");
        }
        if len > CUSTOM_VALUE_MAX {
            faults.add(&pointer, format!("must have at most {CUSTOM_VALUE_MAX} bytes, not {len}"));
        }
    }
    if total > CUSTOM_TOTAL_MAX {
        faults.add("/custom", format!("must have at most {CUSTOM_TOTAL_MAX} bytes together, not {total}"));
    }
}

/// Whether there is an IANA time zone of this name.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok_and(|zone| zone.iana_name().is_some())
}

impl LeadProfile {
    /// The text that `q` searches: names, company, title and addresses, folded.
    pub fn search_text(&self) -> String {
        let parts = [
            self.first_name.as_deref(),
            self.last_name.as_deref(),
            self.email.as_ref().map(Email::as_str),
            self.company.name.as_deref(),
            self.company.domain.as_ref().map(Domain::as_str),
            self.title.as_deref(),
            self.phone.as_ref().map(Phone::as_str),
        ];
        let text: Vec<&str> = parts.into_iter().flatten().collect();
        fold(&text.join(" ")).chars().take(400).collect()
    }

    /// The form that users write, to be patched and parsed again.
    pub fn to_input(&self) -> LeadInput {
        let company = &self.company;
        LeadInput {
            email: self.email.clone().map(Into::into),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            title: self.title.clone(),
            seniority: self.seniority.clone(),
            phone: self.phone.clone().map(Into::into),
            linkedin_url: self.linkedin_url.clone().map(Into::into),
            company: (*company != Company::default()).then(|| CompanyInput {
                name: company.name.clone(),
                domain: company.domain.clone().map(Into::into),
                website: company.website.clone(),
                industry: company.industry.clone(),
                size: company.size.clone(),
                location: company.location.clone(),
            }),
            country: self.country.clone(),
            timezone: self.timezone.clone(),
            custom: (!self.custom.is_empty()).then(|| self.custom.clone()),
            source: self.source.clone(),
            consent: self.consent.clone(),
        }
    }

    /// Takes over every value that `newer` has; what it lacks stays. The same rule as an import's `on_duplicate=update`.
    pub fn update_from(&mut self, newer: Self) {
        fn set<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        let Self {
            email,
            first_name,
            last_name,
            title,
            seniority,
            phone,
            linkedin_url,
            company,
            country,
            timezone,
            custom,
            source,
            consent,
        } = newer;
        set(&mut self.email, email);
        set(&mut self.first_name, first_name);
        set(&mut self.last_name, last_name);
        set(&mut self.title, title);
        set(&mut self.seniority, seniority);
        set(&mut self.phone, phone);
        set(&mut self.linkedin_url, linkedin_url);
        set(&mut self.country, country);
        set(&mut self.timezone, timezone);
        set(&mut self.source, source);
        set(&mut self.consent, consent);
        let Company { name, domain, website, industry, size, location } = company;
        set(&mut self.company.name, name);
        set(&mut self.company.domain, domain);
        set(&mut self.company.website, website);
        set(&mut self.company.industry, industry);
        set(&mut self.company.size, size);
        set(&mut self.company.location, location);
        self.custom.extend(custom);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> (LeadProfile, Vec<String>) {
        let mut faults = Faults::new();
        let input: LeadInput = serde_json::from_value(value).unwrap_or_default();
        let profile = input.parse(&mut faults);
        (profile, faults.into_vec().into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn every_fault_is_listed() {
        let (_, faults) = parse(json!({
            "email": "nope", "phone": "12", "linkedin_url": "x", "timezone": "Mars",
            "company": {"domain": "no domain", "name": "x".repeat(301)},
        }));
        let all = ["/company/name", "/email", "/phone", "/linkedin_url", "/company/domain", "/timezone"];
        assert_eq!(faults, all);
    }

    #[test]
    fn needs_an_identity_and_trims() {
        assert_eq!(parse(json!({"first_name": "Ada"})).1, ["/email"]);
        let (profile, faults) = parse(json!({"email": " ADA@example.com ", "first_name": "  Ada ", "title": " "}));
        assert!(faults.is_empty());
        assert_eq!((profile.first_name.as_deref(), profile.title.as_deref()), (Some("Ada"), None));
        assert_eq!(profile.search_text(), "ada ada@example.com");
    }

    #[test]
    fn update_leaves_what_is_blank() {
        let (mut old, _) = parse(json!({"email": "a@example.com", "title": "CTO", "custom": {"a": 1, "b": 2}}));
        let (new, _) = parse(json!({"email": "a@example.com", "first_name": "Ada", "custom": {"b": 3}}));
        old.update_from(new);
        assert_eq!((old.title.as_deref(), old.first_name.as_deref()), (Some("CTO"), Some("Ada")));
        assert_eq!(json!(old.custom), json!({"a": 1, "b": 3}));
    }
}

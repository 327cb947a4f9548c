//! Who is written about, and who writes, as far as a model needs to know.

use serde::{Deserialize, Serialize};

use crate::lead::LeadProfile;

/// A person and their company. Addresses are left out on purpose: what a model does not see it cannot repeat, and nothing is ever
/// sent to an address that came from one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub title: Option<String>,
    pub seniority: Option<String>,
    pub company: Option<String>,
    /// Their company's domain or website.
    pub website: Option<String>,
    pub industry: Option<String>,
    /// Employees, as a number or a range.
    pub company_size: Option<String>,
    pub location: Option<String>,
}

impl Person {
    /// Its fields that have a value, with their names.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { first_name, last_name, title, seniority, company, website, industry, company_size, location } = self;
        let all = [
            ("first name", first_name),
            ("last name", last_name),
            ("job title", title),
            ("seniority", seniority),
            ("company", company),
            ("company website", website),
            ("industry", industry),
            ("company size", company_size),
            ("location", location),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?.trim()))).filter(|(_, value)| !value.is_empty())
    }
}

impl From<&LeadProfile> for Person {
    fn from(lead: &LeadProfile) -> Self {
        let company = &lead.company;
        Self {
            first_name: lead.first_name.clone(),
            last_name: lead.last_name.clone(),
            title: lead.title.clone(),
            seniority: lead.seniority.clone(),
            company: company.name.clone(),
            website: company.website.clone().or_else(|| company.domain.as_ref().map(ToString::to_string)),
            industry: company.industry.clone(),
            company_size: company.size.clone(),
            location: company.location.clone().or_else(|| lead.country.clone()),
        }
    }
}

/// Something known about the person or their company, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub text: String,
    /// Where it was found: a provider's name or a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Fact {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), source: None }
    }
}

/// On whose behalf a message is written; entered by the tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SenderProfile {
    pub name: Option<String>,
    pub company: Option<String>,
}

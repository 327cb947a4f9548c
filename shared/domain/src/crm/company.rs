//! Companies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TEXT_MAX;
use super::custom::without_nulls;
use super::tags::{Address, parse_address, parse_tags};
use crate::address::{Domain, Phone, parse_url};
use crate::lead::check_custom;
use crate::text::{fold, text_enum};
use crate::{Faults, Input, UserId};

/// What a company is to the tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompanyStatus {
    #[default]
    Prospect,
    /// A customer: a deal with it is won.
    Active,
    Inactive,
}

text_enum!(CompanyStatus, Prospect = "prospect", Active = "active", Inactive = "inactive");

/// The order of a list of companies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
pub enum CompanySort {
    /// By name, in any case.
    #[schema(rename = "name")]
    Name,
    /// Oldest first.
    #[schema(rename = "createdAt")]
    CreatedAt,
    /// Newest first.
    #[default]
    #[schema(rename = "-createdAt")]
    NewestFirst,
}

text_enum!(CompanySort, Name = "name", CreatedAt = "createdAt", NewestFirst = "-createdAt");

/// A company as users write it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CrmCompanyInput, example = json!({"name": "Analytical Engines Ltd", "domain": "engines.example", "industry": "Computing", "size": "51-200",
    "phone": "+442079460123", "address": {"city": "London", "country": "GB"}, "tags": ["key account"]}))]
pub struct CompanyInput {
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 300, example = "Analytical Engines Ltd")]
    pub name: String,
    /// Brought into one form: lower case, without scheme, path and `www.`. One company a domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "engines.example")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://www.engines.example/")]
    pub website: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub industry: Option<String>,
    /// Employees, as a number or a range (`51-200`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub size: Option<String>,
    /// With its country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "+442079460123")]
    pub phone: Option<String>,
    /// Up to 20 parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Address>)]
    pub address: Option<BTreeMap<String, String>>,
    /// `prospect` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<CompanyStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_user_id: Option<UserId>,
    /// Up to 50, of 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub tags: Option<Vec<String>>,
    /// Up to 100 fields of your own; those that have a definition are checked against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties)]
    pub custom: Option<BTreeMap<String, Value>>,
}

/// A company in normal form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompanyProfile {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub address: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
}

impl CompanyInput {
    /// The company in normal form, with its status and owner, and every fault noted.
    pub fn parse(self, faults: &mut Faults) -> (CompanyProfile, CompanyStatus, Option<UserId>) {
        let Self { name, domain, website, industry, size, phone, address, status, owner_user_id, tags, custom } = self;
        faults.text("/name", &name, 1, TEXT_MAX);
        let given = |value: Option<String>| value.filter(|v| !v.trim().is_empty());
        let profile = CompanyProfile {
            name: name.trim().to_owned(),
            domain: given(domain).and_then(|v| faults.take("/domain", Domain::parse(&v))),
            website: given(website).and_then(|v| faults.take("/website", parse_url(&v))),
            industry: faults.short("/industry", industry, TEXT_MAX),
            size: faults.short("/size", size, TEXT_MAX),
            phone: given(phone).and_then(|v| faults.take("/phone", Phone::parse(&v))),
            address: parse_address(address.unwrap_or_default(), faults),
            tags: parse_tags(tags.unwrap_or_default(), faults),
            custom: without_nulls(custom),
        };
        check_custom(&profile.custom, faults);
        (profile, status.unwrap_or_default(), owner_user_id)
    }
}

impl Input for CompanyInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

impl CompanyProfile {
    /// The text that `q` searches and that names are ordered by.
    pub fn search_text(&self) -> String {
        fold(&self.name).chars().take(400).collect()
    }

    /// The form that users write, to be patched and parsed again.
    pub fn to_input(&self, status: CompanyStatus, owner: Option<UserId>) -> CompanyInput {
        let Self { name, domain, website, industry, size, phone, address, tags, custom } = self.clone();
        CompanyInput {
            name,
            domain: domain.map(Into::into),
            website,
            industry,
            size,
            phone: phone.map(Into::into),
            address: (!address.is_empty()).then_some(address),
            status: Some(status),
            owner_user_id: owner,
            tags: (!tags.is_empty()).then_some(tags),
            custom: (!custom.is_empty()).then_some(custom),
        }
    }

    /// Takes over what it lacks from another company that turned out to be the same.
    pub fn fill_from(&mut self, other: Self) {
        let Self { name: _, domain, website, industry, size, phone, address, tags, custom } = other;
        self.domain = self.domain.take().or(domain);
        self.website = self.website.take().or(website);
        self.industry = self.industry.take().or(industry);
        self.size = self.size.take().or(size);
        self.phone = self.phone.take().or(phone);
        if self.address.is_empty() {
            self.address = address;
        }
        fill_collections(&mut self.tags, &mut self.custom, tags, custom);
    }
}

/// Adds tags and custom values that are not there, as far as the limits allow.
pub(super) fn fill_collections(
    tags: &mut Vec<String>,
    custom: &mut BTreeMap<String, Value>,
    more_tags: Vec<String>,
    more_custom: BTreeMap<String, Value>,
) {
    for tag in more_tags {
        if !tags.contains(&tag) && tags.len() < super::tags::MAX_TAGS {
            tags.push(tag);
        }
    }
    for (name, value) in more_custom {
        if custom.contains_key(&name) {
            continue;
        }
        custom.insert(name.clone(), value);
        let mut faults = Faults::new();
        check_custom(custom, &mut faults);
        if !faults.is_empty() {
            custom.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> (CompanyProfile, Vec<String>) {
        let input: CompanyInput = serde_json::from_value(value).unwrap();
        let mut faults = Faults::new();
        let (profile, ..) = input.parse(&mut faults);
        (profile, faults.into_vec().into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn normal_form() {
        let (profile, faults) =
            parse(json!({"name": " Acme ", "domain": "HTTPS://www.Acme.example/about", "phone": "+44 20 7946 0123",
            "address": {"city": " London ", "street": ""}, "tags": ["a", "a"], "industry": " "}));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(profile.name, "Acme");
        assert_eq!(profile.domain.as_ref().map(Domain::as_str), Some("acme.example"));
        assert_eq!(profile.phone.as_ref().map(Phone::as_str), Some("+442079460123"));
        assert_eq!(profile.address, BTreeMap::from([("city".to_owned(), "London".to_owned())]));
        assert_eq!((profile.tags.len(), &profile.industry), (1, &None));
    }

    #[test]
    fn every_fault_is_listed() {
        let (_, faults) = parse(json!({"name": " ", "domain": "a b", "phone": "1", "website": "ftp://x", "address": {"": "x"}}));
        assert_eq!(faults, ["/name", "/domain", "/website", "/phone", "/address/"]);
    }

    #[test]
    fn a_merge_fills_gaps_only() {
        let (mut winner, _) = parse(json!({"name": "A", "domain": "a.example", "tags": ["x"], "custom": {"tier": 1}}));
        let (loser, _) =
            parse(json!({"name": "B", "domain": "b.example", "size": "10", "tags": ["x", "y"], "custom": {"tier": 2, "n": 3}}));
        winner.fill_from(loser);
        assert_eq!((winner.name.as_str(), winner.size.as_deref()), ("A", Some("10")));
        assert_eq!(winner.domain.as_ref().map(Domain::as_str), Some("a.example"));
        assert_eq!(winner.tags, ["x", "y"]);
        assert_eq!(json!(winner.custom), json!({"tier": 1, "n": 3}));
    }
}

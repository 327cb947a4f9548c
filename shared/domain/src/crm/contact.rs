//! Contacts: people, whether or not it is known where they work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TEXT_MAX;
use super::company::fill_collections;
use super::custom::without_nulls;
use super::tags::parse_tags;
use crate::address::{Email, LinkedinUrl, Phone};
use crate::lead::check_custom;
use crate::text::fold;
use crate::{CompanyId, Faults, Input, UserId};

/// A contact as users write it. It needs a name, an e-mail address or a phone.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = CrmContactInput, example = json!({"firstName": "Ada", "lastName": "Lovelace", "email": "ada@engines.example", "title": "Analyst"}))]
pub struct ContactInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "Ada")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "Lovelace")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254, example = "ada@engines.example")]
    pub email: Option<String>,
    /// With its country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "+442079460123")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500, example = "https://www.linkedin.com/in/ada-lovelace")]
    pub linkedin_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_user_id: Option<UserId>,
    /// Up to 50, of 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub tags: Option<Vec<String>>,
    /// Up to 100 fields of your own; those that have a definition are checked against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties)]
    pub custom: Option<BTreeMap<String, Value>>,
}

/// A new contact, with the company to put them into.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = CrmNewContact, min_properties = 1, example = json!({"firstName": "Ada", "lastName": "Lovelace", "email": "ada@engines.example", "title": "Analyst"}))]
pub struct NewContact {
    #[schema(max_length = 300, example = "Ada")]
    pub first_name: Option<String>,
    #[schema(max_length = 300, example = "Lovelace")]
    pub last_name: Option<String>,
    #[schema(max_length = 254, example = "ada@engines.example")]
    pub email: Option<String>,
    /// With its country code.
    #[schema(max_length = 40, example = "+442079460123")]
    pub phone: Option<String>,
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 500, example = "https://www.linkedin.com/in/ada-lovelace")]
    pub linkedin_url: Option<String>,
    pub owner_user_id: Option<UserId>,
    /// Makes the contact a member of this company, their primary one.
    pub company_id: Option<CompanyId>,
    /// Up to 50, of 100 characters.
    #[schema(max_items = 50)]
    pub tags: Option<Vec<String>>,
    /// Up to 100 fields of your own; those that have a definition are checked against it.
    #[schema(value_type = Option<Object>, additional_properties)]
    pub custom: Option<BTreeMap<String, Value>>,
}

/// A contact in normal form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactProfile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin_url: Option<LinkedinUrl>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
}

impl NewContact {
    /// The contact itself, and the company to put them into.
    pub fn split(self) -> (ContactInput, Option<CompanyId>) {
        let Self { first_name, last_name, email, phone, title, linkedin_url, owner_user_id, company_id, tags, custom } = self;
        let input = ContactInput { first_name, last_name, email, phone, title, linkedin_url, owner_user_id, tags, custom };
        (input, company_id)
    }
}

impl ContactInput {
    /// The contact in normal form, with their owner, and every fault noted.
    pub fn parse(self, faults: &mut Faults) -> (ContactProfile, Option<UserId>) {
        let Self { first_name, last_name, email, phone, title, linkedin_url, owner_user_id, tags, custom } = self;
        let given = |value: Option<String>| value.filter(|v| !v.trim().is_empty());
        let profile = ContactProfile {
            first_name: faults.short("/firstName", first_name, TEXT_MAX),
            last_name: faults.short("/lastName", last_name, TEXT_MAX),
            email: given(email).and_then(|v| faults.take("/email", Email::parse(&v))),
            phone: given(phone).and_then(|v| faults.take("/phone", Phone::parse(&v))),
            title: faults.short("/title", title, TEXT_MAX),
            linkedin_url: given(linkedin_url).and_then(|v| faults.take("/linkedinUrl", LinkedinUrl::parse(&v))),
            tags: parse_tags(tags.unwrap_or_default(), faults),
            custom: without_nulls(custom),
        };
        check_custom(&profile.custom, faults);
        let known =
            profile.first_name.is_some() || profile.last_name.is_some() || profile.email.is_some() || profile.phone.is_some();
        if !known && faults.is_empty() {
            faults.add("", "a contact needs a name, an e-mail address or a phone");
        }
        (profile, owner_user_id)
    }
}

impl Input for ContactInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

impl Input for NewContact {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().split().0.parse(faults);
    }
}

impl ContactProfile {
    /// First and last name, or what else is known of the person.
    pub fn display_name(&self) -> String {
        let names: Vec<&str> = [self.first_name.as_deref(), self.last_name.as_deref()].into_iter().flatten().collect();
        if !names.is_empty() {
            return names.join(" ");
        }
        let address = self.email.as_ref().map(Email::as_str).or(self.phone.as_ref().map(Phone::as_str));
        address.unwrap_or_default().to_owned()
    }

    /// The text that `q` searches: names, addresses and title.
    pub fn search_text(&self) -> String {
        let parts = [
            self.first_name.as_deref(),
            self.last_name.as_deref(),
            self.email.as_ref().map(Email::as_str),
            self.phone.as_ref().map(Phone::as_str),
            self.title.as_deref(),
        ];
        let text: Vec<&str> = parts.into_iter().flatten().collect();
        fold(&text.join(" ")).chars().take(600).collect()
    }

    /// The form that users write, to be patched and parsed again.
    pub fn to_input(&self, owner: Option<UserId>) -> ContactInput {
        let Self { first_name, last_name, email, phone, title, linkedin_url, tags, custom } = self.clone();
        ContactInput {
            first_name,
            last_name,
            email: email.map(Into::into),
            phone: phone.map(Into::into),
            title,
            linkedin_url: linkedin_url.map(Into::into),
            owner_user_id: owner,
            tags: (!tags.is_empty()).then_some(tags),
            custom: (!custom.is_empty()).then_some(custom),
        }
    }

    /// Takes over what it lacks from another contact who turned out to be the same person.
    pub fn fill_from(&mut self, other: Self) {
        let Self { first_name, last_name, email, phone, title, linkedin_url, tags, custom } = other;
        self.first_name = self.first_name.take().or(first_name);
        self.last_name = self.last_name.take().or(last_name);
        self.email = self.email.take().or(email);
        self.phone = self.phone.take().or(phone);
        self.title = self.title.take().or(title);
        self.linkedin_url = self.linkedin_url.take().or(linkedin_url);
        fill_collections(&mut self.tags, &mut self.custom, tags, custom);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> (ContactProfile, Vec<String>) {
        let input: ContactInput = serde_json::from_value(value).unwrap();
        let mut faults = Faults::new();
        let (profile, _) = input.parse(&mut faults);
        (profile, faults.into_vec().into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn needs_a_name_or_an_address() {
        assert_eq!(parse(json!({"title": "CTO"})).1, [""]);
        for enough in [json!({"lastName": "L"}), json!({"email": "a@example.com"}), json!({"phone": "+442079460123"})] {
            assert!(parse(enough).1.is_empty());
        }
        assert_eq!(parse(json!({"email": "nope", "phone": "1", "linkedinUrl": "x"})).1, ["/email", "/phone", "/linkedinUrl"]);
    }

    #[test]
    fn is_found_by_any_of_its_texts() {
        let (profile, _) = parse(json!({"firstName": "Ådå", "email": "Ada@Example.com", "phone": "+44 20 7946 0123"}));
        assert_eq!(profile.search_text(), "ådå ada@example.com +442079460123");
        assert_eq!(profile.display_name(), "Ådå");
    }
}

//! Single values with their sources.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a value is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Field {
    #[serde(rename = "company.name")]
    CompanyName,
    #[serde(rename = "company.domain")]
    CompanyDomain,
    #[serde(rename = "company.website")]
    CompanyWebsite,
    #[serde(rename = "company.description")]
    CompanyDescription,
    #[serde(rename = "company.industry")]
    CompanyIndustry,
    #[serde(rename = "company.size")]
    CompanySize,
    #[serde(rename = "company.location")]
    CompanyLocation,
    #[serde(rename = "company.founded")]
    CompanyFounded,
    #[serde(rename = "company.phone")]
    CompanyPhone,
    #[serde(rename = "company.email")]
    CompanyEmail,
    #[serde(rename = "company.linkedin_url")]
    CompanyLinkedin,
    #[serde(rename = "company.twitter_url")]
    CompanyTwitter,
    #[serde(rename = "company.github_url")]
    CompanyGithub,
    #[serde(rename = "company.logo_url")]
    CompanyLogo,
    #[serde(rename = "person.first_name")]
    PersonFirstName,
    #[serde(rename = "person.last_name")]
    PersonLastName,
    #[serde(rename = "person.title")]
    PersonTitle,
    #[serde(rename = "person.seniority")]
    PersonSeniority,
    #[serde(rename = "person.phone")]
    PersonPhone,
    #[serde(rename = "person.linkedin_url")]
    PersonLinkedin,
    #[serde(rename = "person.location")]
    PersonLocation,
}

crate::text::text_enum!(
    Field,
    CompanyName = "company.name",
    CompanyDomain = "company.domain",
    CompanyWebsite = "company.website",
    CompanyDescription = "company.description",
    CompanyIndustry = "company.industry",
    CompanySize = "company.size",
    CompanyLocation = "company.location",
    CompanyFounded = "company.founded",
    CompanyPhone = "company.phone",
    CompanyEmail = "company.email",
    CompanyLinkedin = "company.linkedin_url",
    CompanyTwitter = "company.twitter_url",
    CompanyGithub = "company.github_url",
    CompanyLogo = "company.logo_url",
    PersonFirstName = "person.first_name",
    PersonLastName = "person.last_name",
    PersonTitle = "person.title",
    PersonSeniority = "person.seniority",
    PersonPhone = "person.phone",
    PersonLinkedin = "person.linkedin_url",
    PersonLocation = "person.location"
);

/// The longest value that is kept, in characters; descriptions are cut, other values that are longer are none.
const VALUE_MAX: usize = 300;
const DESCRIPTION_MAX: usize = 1_000;

/// One value, and how much it can be relied upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub field: Field,
    pub value: String,
    /// Where it stands, if it stands anywhere that can be linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Percent.
    pub confidence: u8,
}

impl Fact {
    /// A value in its field's normal form; `None` if it is no value of that field.
    pub fn new(field: Field, value: &str, url: Option<&str>, confidence: u8) -> Option<Self> {
        let value = normal(field, value)?;
        Some(Self { field, value, url: url.map(str::to_owned), confidence: confidence.min(100) })
    }
}

/// A text on one line without control characters.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first characters of a text, whole words if it is cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let head: String = text.chars().take(max - 1).collect();
    let whole = head.rsplit_once(' ').map_or(head.as_str(), |(whole, _)| whole);
    format!("{whole}…")
}

fn normal(field: Field, value: &str) -> Option<String> {
    use crate::address::{Domain, Email, LinkedinUrl, parse_url};
    let value = one_line(value);
    if value.is_empty() {
        return None;
    }
    let short = || (value.chars().count() <= VALUE_MAX).then(|| value.clone());
    match field {
        Field::CompanyDescription => Some(cut(&value, DESCRIPTION_MAX)),
        Field::CompanyDomain => Domain::parse(&value).ok().map(String::from),
        Field::CompanyEmail => Email::parse(&value).ok().map(String::from),
        Field::CompanyWebsite | Field::CompanyTwitter | Field::CompanyGithub | Field::CompanyLogo | Field::CompanyLinkedin => {
            parse_url(&value).ok()
        }
        Field::PersonLinkedin => LinkedinUrl::parse(&value).ok().map(String::from),
        Field::CompanyFounded => {
            let year: u32 = value.get(..4)?.parse().ok()?;
            (1000..=2100).contains(&year).then(|| year.to_string())
        }
        Field::CompanyPhone | Field::PersonPhone => {
            let digits = value.chars().filter(char::is_ascii_digit).count();
            (7..=15).contains(&digits).then(short).flatten()
        }
        _ => short(),
    }
}

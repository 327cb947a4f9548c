//! The fields of a lead that a column can fill.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A field of a lead as an import knows it. Named in `snake_case` in mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Field {
    Email,
    FirstName,
    LastName,
    /// Fills first and last name where those are missing.
    FullName,
    Title,
    Seniority,
    Phone,
    LinkedinUrl,
    CompanyName,
    CompanyDomain,
    CompanyWebsite,
    CompanyIndustry,
    CompanySize,
    CompanyLocation,
    Country,
    Timezone,
    Source,
    Consent,
}

/// A name that is no field. Holds the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a field of a lead")]
pub struct UnknownFieldName(pub String);

impl Field {
    /// Every field, in the order of the enum.
    pub const ALL: [Field; 18] = [
        Field::Email,
        Field::FirstName,
        Field::LastName,
        Field::FullName,
        Field::Title,
        Field::Seniority,
        Field::Phone,
        Field::LinkedinUrl,
        Field::CompanyName,
        Field::CompanyDomain,
        Field::CompanyWebsite,
        Field::CompanyIndustry,
        Field::CompanySize,
        Field::CompanyLocation,
        Field::Country,
        Field::Timezone,
        Field::Source,
        Field::Consent,
    ];

    /// By any of these a lead can be told from others; a row needs one.
    pub const IDENTIFYING: [Field; 3] = [Field::Email, Field::LinkedinUrl, Field::Phone];

    /// The name in mappings and in serialised form.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Email => "email",
            Field::FirstName => "first_name",
            Field::LastName => "last_name",
            Field::FullName => "full_name",
            Field::Title => "title",
            Field::Seniority => "seniority",
            Field::Phone => "phone",
            Field::LinkedinUrl => "linkedin_url",
            Field::CompanyName => "company_name",
            Field::CompanyDomain => "company_domain",
            Field::CompanyWebsite => "company_website",
            Field::CompanyIndustry => "company_industry",
            Field::CompanySize => "company_size",
            Field::CompanyLocation => "company_location",
            Field::Country => "country",
            Field::Timezone => "timezone",
            Field::Source => "source",
            Field::Consent => "consent",
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Field {
    type Err = UnknownFieldName;

    /// The exact name; a lead's own form is also taken (`company.name` for `company_name`).
    fn from_str(name: &str) -> Result<Field, UnknownFieldName> {
        let plain = name.trim().replace('.', "_");
        Field::ALL.into_iter().find(|field| field.as_str() == plain).ok_or_else(|| UnknownFieldName(name.to_owned()))
    }
}

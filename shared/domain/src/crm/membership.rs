//! A contact's place in a company.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TEXT_MAX;
use super::custom::is_date;
use crate::{CompanyId, Faults, Input, Time};

/// A contact's new place in a company.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"companyId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "role": "decision maker", "isPrimary": true}))]
pub struct MembershipInput {
    pub company_id: CompanyId,
    #[serde(default)]
    #[schema(max_length = 300, example = "decision maker")]
    pub role: Option<String>,
    #[serde(default)]
    #[schema(max_length = 300, example = "Chief Technology Officer")]
    pub title: Option<String>,
    /// Demotes the one that was primary. The first membership is primary unless this says no.
    #[serde(default)]
    pub is_primary: Option<bool>,
    /// A date or an RFC 3339 time.
    #[serde(default)]
    #[schema(example = "2024-03-01")]
    pub started_at: Option<String>,
    #[serde(default)]
    pub ended_at: Option<String>,
}

/// What can be changed of a place in a company.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = MembershipSettings)]
pub struct MembershipPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub title: Option<String>,
    /// Demotes the one that was primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// A date or an RFC 3339 time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-03-01")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// A place in a company in normal form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    pub role: Option<String>,
    pub title: Option<String>,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
}

impl MembershipInput {
    pub fn split(self) -> (CompanyId, MembershipPatch) {
        let Self { company_id, role, title, is_primary, started_at, ended_at } = self;
        (company_id, MembershipPatch { role, title, is_primary, started_at, ended_at })
    }
}

impl MembershipPatch {
    pub fn parse(self, faults: &mut Faults) -> Place {
        let place = Place {
            role: faults.short("/role", self.role, TEXT_MAX),
            title: faults.short("/title", self.title, TEXT_MAX),
            started_at: self.started_at.and_then(|text| faults.take("/startedAt", day_or_time(&text))),
            ended_at: self.ended_at.and_then(|text| faults.take("/endedAt", day_or_time(&text))),
        };
        if place.started_at.zip(place.ended_at).is_some_and(|(from, to)| to < from) {
            faults.add("/endedAt", "is before startedAt");
        }
        place
    }
}

/// A day counts from its beginning in UTC.
fn day_or_time(text: &str) -> Result<Time, &'static str> {
    let time = if is_date(text) { format!("{text}T00:00:00Z") } else { text.to_owned() };
    time.parse().map_err(|_| "must be a date or an RFC 3339 time, such as 2024-03-01 or 2024-03-01T09:00:00Z")
}

impl Input for MembershipInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().split().1.parse(faults);
    }
}

impl Input for MembershipPatch {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        assert_eq!(day_or_time("2024-03-01").map(|t| t.to_string()), Ok("2024-03-01T00:00:00.000Z".to_owned()));
        assert!(day_or_time("2024-03-01T09:00:00+01:00").is_ok() && day_or_time("March").is_err());
        let (mut faults, day) = (Faults::new(), |d: &str| Some(d.to_owned()));
        MembershipPatch { started_at: day("2024-03-01"), ended_at: day("2024-02-01"), ..Default::default() }.parse(&mut faults);
        assert_eq!(faults.into_vec()[0].pointer, "/endedAt");
    }
}

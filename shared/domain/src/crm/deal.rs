//! Deals: what the CRM calls leads, and the trade deals, to keep them apart from the leads of campaigns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TEXT_MAX;
use super::currency::Currency;
use super::custom::without_nulls;
use super::stage::Stage;
use crate::lead::check_custom;
use crate::text::fold;
use crate::{CompanyId, ContactId, Date, Faults, Input, UserId};

/// The largest value, in minor units: sums of many thousands of deals stay within 64 bits, in hundredths of a percent too.
pub const VALUE_MAX: i64 = 1_000_000_000_000_000;
/// Characters of the text that `q` searches.
const SEARCH_MAX: usize = 400;

/// A deal as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CrmLeadInput)]
pub struct DealInput {
    #[schema(required = true, min_length = 1, example = "Example Ltd, 50 seats", max_length = 300)]
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    /// What it is worth, in the currency's minor unit (cents).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_200_000, minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    pub value_minor: Option<i64>,
    /// ISO 4217; `USD` if there is a value and nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "EUR", max_length = 3)]
    pub currency: Option<String>,
    /// `new` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Required in the stage `lost`, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub lost_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date", example = "2026-12-31")]
    pub expected_close_date: Option<String>,
    /// The chance of winning, in percent; the stage's own by default: 10, 20, 40, 60, 80. It ends with the stage it was given in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    pub probability: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "fair", max_length = 300)]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_user_id: Option<UserId>,
    /// Values of the custom fields that are defined for leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub custom: Option<BTreeMap<String, Value>>,
}

/// A deal's contents in normal form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DealProfile {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_minor: Option<i64>,
    /// There is one wherever there is a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_close_date: Option<Date>,
    /// What somebody said; see [`Stage::probability`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
}

/// Where a deal belongs, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DealPlace {
    pub stage: Stage,
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    pub owner: Option<UserId>,
}

impl DealInput {
    /// The deal in normal form, with every fault noted.
    pub fn parse(self, faults: &mut Faults) -> (DealProfile, DealPlace) {
        let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let title = self.title.trim().to_owned();
        faults.text("/title", &title, 1, TEXT_MAX);
        let stage = self.stage.unwrap_or(Stage::New);
        let (lost_reason, source) = (given(self.lost_reason), given(self.source));
        for (pointer, text) in [("/lostReason", &lost_reason), ("/source", &source)] {
            if let Some(text) = text {
                faults.text(pointer, text, 1, TEXT_MAX);
            }
        }
        match (stage, &lost_reason) {
            (Stage::Lost, None) => faults.add("/lostReason", "is required in the stage lost"),
            (Stage::Lost, Some(_)) | (_, None) => {}
            (_, Some(_)) => faults.add("/lostReason", "belongs to the stage lost only"),
        }
        if self.value_minor.is_some_and(|value| !(0..=VALUE_MAX).contains(&value)) {
            faults.add("/valueMinor", format!("must be from 0 to {VALUE_MAX}"));
        }
        if self.probability.is_some_and(|p| p > 100) {
            faults.add("/probability", "must be from 0 to 100");
        }
        let currency = given(self.currency).and_then(|code| faults.take("/currency", code.parse()));
        let profile = DealProfile {
            title,
            value_minor: self.value_minor,
            currency: currency.or(self.value_minor.map(|_| Currency::DEFAULT)),
            lost_reason,
            expected_close_date: given(self.expected_close_date).and_then(|d| faults.take("/expectedCloseDate", d.parse())),
            probability: self.probability,
            source,
            custom: without_nulls(self.custom),
        };
        check_custom(&profile.custom, faults);
        let place = DealPlace { stage, company_id: self.company_id, contact_id: self.contact_id, owner: self.owner_user_id };
        (profile, place)
    }
}

impl Input for DealInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

impl DealProfile {
    /// The form that users write, to be patched and parsed again.
    pub fn to_input(&self, place: DealPlace) -> DealInput {
        let Self { title, value_minor, currency, lost_reason, expected_close_date, probability, source, custom } = self.clone();
        DealInput {
            title,
            company_id: place.company_id,
            contact_id: place.contact_id,
            value_minor,
            currency: currency.map(|c| c.to_string()),
            stage: Some(place.stage),
            lost_reason,
            expected_close_date: expected_close_date.map(|d| d.to_string()),
            probability,
            source,
            owner_user_id: place.owner,
            custom: (!custom.is_empty()).then_some(custom),
        }
    }

    /// The text that `q` searches.
    pub fn search_text(&self) -> String {
        let text = [Some(self.title.as_str()), self.source.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        fold(&text).chars().take(SEARCH_MAX).collect()
    }
}

/// A wish to move a deal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CrmStageInput)]
pub struct StageInput {
    pub stage: Stage,
    /// Required for a move to `lost`, and only there. The stage that a lead is in changes nothing, with a reason or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "No budget this year")]
    pub lost_reason: Option<String>,
    /// Kept in the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5000)]
    pub note: Option<String>,
}

impl Input for StageInput {
    fn note_faults(&self, faults: &mut Faults) {
        let reason = self.lost_reason.as_deref().map(str::trim).filter(|r| !r.is_empty());
        match (self.stage, reason) {
            (Stage::Lost, Some(reason)) => faults.text("/lostReason", reason, 1, TEXT_MAX),
            // Whether one is missing depends on where the deal is.
            (_, None) => {}
            (_, Some(_)) => faults.add("/lostReason", "belongs to lost only"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> (DealProfile, DealPlace, Vec<String>) {
        let mut faults = Faults::new();
        let input: DealInput = serde_json::from_value(value).unwrap();
        let (profile, place) = input.parse(&mut faults);
        (profile, place, faults.iter().map(|f| f.pointer.clone()).collect())
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let (profile, place, faults) = parse(json!({"title": "  Big one "}));
        assert!(faults.is_empty());
        assert_eq!((profile.title.as_str(), profile.currency, place.stage), ("Big one", None, Stage::New));
        let (profile, ..) = parse(json!({"title": "x", "valueMinor": 0}));
        assert_eq!(profile.currency, Some(Currency::DEFAULT));
    }

    #[test]
    fn faults_are_all_named() {
        for (input, wanted) in [
            (json!({}), vec!["/title"]),
            (json!({"title": " "}), vec!["/title"]),
            (json!({"title": "x", "currency": "EURO"}), vec!["/currency"]),
            (json!({"title": "x", "valueMinor": -1}), vec!["/valueMinor"]),
            (json!({"title": "x", "valueMinor": VALUE_MAX + 1}), vec!["/valueMinor"]),
            (json!({"title": "x", "probability": 101}), vec!["/probability"]),
            (json!({"title": "x", "stage": "lost"}), vec!["/lostReason"]),
            (json!({"title": "x", "stage": "lost", "lostReason": "  "}), vec!["/lostReason"]),
            (json!({"title": "x", "stage": "won", "lostReason": "y"}), vec!["/lostReason"]),
            (json!({"title": "x", "stage": "lost", "lostReason": "y"}), vec![]),
            (json!({"title": "", "expectedCloseDate": "soon"}), vec!["/title", "/expectedCloseDate"]),
            (json!({"title": "x", "custom": {"": 1}}), vec!["/custom/"]),
        ] {
            assert_eq!(parse(input.clone()).2, wanted, "{input}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same_again() {
        let id = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
        let full = json!({
            "title": "x", "companyId": id, "contactId": id, "valueMinor": 5, "currency": "EUR", "stage": "lost", "lostReason": "y",
            "expectedCloseDate": "2026-01-31", "probability": 3, "source": "fair", "ownerUserId": id, "custom": {"a": [1]},
        });
        let (profile, place, faults) = parse(full.clone());
        assert!(faults.is_empty());
        assert_eq!(serde_json::to_value(profile.to_input(place)).unwrap(), full);
    }

    #[test]
    fn only_losing_has_a_reason() {
        for (input, wanted) in [
            (json!({"stage": "won"}), vec![]),
            (json!({"stage": "lost"}), vec![]),
            (json!({"stage": "lost", "lostReason": "price"}), vec![]),
            (json!({"stage": "lost", "lostReason": "p".repeat(301)}), vec!["/lostReason"]),
            (json!({"stage": "new", "lostReason": "price"}), vec!["/lostReason"]),
        ] {
            let mut faults = Faults::new();
            serde_json::from_value::<StageInput>(input.clone()).unwrap().note_faults(&mut faults);
            assert_eq!(faults.iter().map(|f| f.pointer.as_str()).collect::<Vec<_>>(), wanted, "{input}");
        }
    }
}

//! Meetings with leads: booked by hand, or in a scheduling service that tells of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::communication::check_header_text;
use crate::mail::Hook;
use crate::{CampaignId, EntityId, Faults, Input, LeadId, MeetingId, Time};

/// Characters of a title.
pub const MEETING_TITLE_MAX: usize = 300;

/// Name space of the ids of meetings that services tell of (a UUIDv4 made for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x8c1f_0e57_3f64_4a0e_9a51_60d2_b7c4_19e8);

/// Where a meeting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeetingStatus {
    Booked,
    /// Another meeting has taken its place.
    Moved,
    Cancelled,
}

/// Who told of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeetingSource {
    Api,
    Calcom,
    Calendly,
}

impl From<Hook> for MeetingSource {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Calcom => Self::Calcom,
            Hook::Calendly => Self::Calendly,
        }
    }
}

/// The id of a meeting that a service tells of: always the same for the same booking, so that what is told twice is one meeting.
pub fn meeting_id(entity: EntityId, hook: Hook, external_id: &str) -> MeetingId {
    let name = format!("{entity}/{}/{external_id}", hook.as_str());
    MeetingId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// A meeting that was agreed.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetingInput {
    pub lead_id: LeadId,
    pub starts_at: Time,
    /// After `starts_at`.
    #[serde(default)]
    pub ends_at: Option<Time>,
    #[serde(default)]
    #[schema(min_length = 1, max_length = 300, example = "Demo")]
    pub title: Option<String>,
    /// The campaign that led to it.
    #[serde(default)]
    pub campaign_id: Option<CampaignId>,
}

impl Input for MeetingInput {
    fn note_faults(&self, faults: &mut Faults) {
        if self.ends_at.is_some_and(|ends_at| ends_at <= self.starts_at) {
            faults.add("/ends_at", "must be later than starts_at");
        }
        if let Some(title) = &self.title {
            faults.text("/title", title, 1, MEETING_TITLE_MAX);
            check_header_text("/title", title, faults);
        }
    }
}

/// The secret that a scheduling service signs its reports with.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HookSecretInput {
    /// Cal.com: the webhook's secret. Calendly: the signing key of the webhook subscription. Kept sealed and never shown.
    #[schema(min_length = 8, max_length = 200, pattern = "^[!-~]+$", example = "a-long-random-text")]
    pub secret: String,
}

impl Input for HookSecretInput {
    fn note_faults(&self, faults: &mut Faults) {
        faults.text("/secret", &self.secret, 8, 200);
        if !self.secret.bytes().all(|b| b.is_ascii_graphic()) {
            faults.add("/secret", "must have visible ASCII characters only");
        }
    }
}

/// Without the secret.
impl std::fmt::Debug for HookSecretInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookSecretInput(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!({}), &[])]
    #[case(json!({"ends_at": "2026-01-08T14:00:00.001Z", "title": "Demo"}), &[])]
    #[case(json!({"ends_at": "2026-01-08T14:00:00Z"}), &["/ends_at"])]
    #[case(json!({"ends_at": "2026-01-08T15:00:00+02:00", "title": " "}), &["/ends_at", "/title"])]
    #[case(json!({"title": "a\r\nb"}), &["/title"])]
    #[case(json!({"title": "x".repeat(301)}), &["/title"])]
    fn meetings(#[case] more: Value, #[case] expected: &[&str]) {
        let mut input = json!({"lead_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "starts_at": "2026-01-08T14:00:00Z"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input: MeetingInput = serde_json::from_value(input).unwrap();
        let mut faults = Faults::new();
        input.note_faults(&mut faults);
        assert_eq!(faults.into_vec().into_iter().map(|f| f.pointer).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_booking_one_id_in_each_tenant_and_service() {
        let (a, b) = (EntityId::new_at(Time::from_secs(1)), EntityId::new_at(Time::from_secs(2)));
        assert_eq!(meeting_id(a, Hook::Calcom, "x"), meeting_id(a, Hook::Calcom, "x"));
        assert_ne!(meeting_id(a, Hook::Calcom, "x"), meeting_id(a, Hook::Calendly, "x"));
        assert_ne!(meeting_id(a, Hook::Calcom, "x"), meeting_id(b, Hook::Calcom, "x"));
        assert_ne!(meeting_id(a, Hook::Calcom, "x"), meeting_id(a, Hook::Calcom, "y"));
    }

    #[test]
    fn secrets_are_visible_text_and_never_printed() {
        for (secret, good) in [("12345678", true), ("1234567", false), ("1234 5678", false), ("päßwörter", false)] {
            let input = HookSecretInput { secret: secret.to_owned() };
            let mut faults = Faults::new();
            input.note_faults(&mut faults);
            assert_eq!(faults.is_empty(), good, "{secret}");
            assert!(!format!("{input:?}").contains(secret));
        }
    }
}

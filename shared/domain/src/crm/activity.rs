//! Activities: what was done with a company, a person or a deal.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::words;
use crate::{CompanyId, ContactId, DealId, Due, Faults, Input, Time};

/// The longest subject and outcome, in characters.
const TEXT_MAX: usize = 500;
/// The longest body, in characters.
const BODY_MAX: usize = 20_000;
/// A week, in minutes.
const DURATION_MAX: u32 = 10_080;

words! {
    ActivityType {
        Call = "call",
        Email = "email",
        Meeting = "meeting",
        Note = "note",
        /// Something to be done: it becomes a task.
        Task = "task",
    }
}

/// An activity as it is written.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CrmActivityInput)]
pub struct ActivityInput {
    #[serde(rename = "type")]
    pub kind: ActivityType,
    #[schema(min_length = 1, max_length = 500, example = "Talked about the roll-out")]
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20000)]
    pub body: Option<String>,
    /// When it happened or will; now by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time", example = "2026-01-31T09:30:00Z")]
    pub occurred_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10080, example = 30)]
    pub duration_minutes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500, example = "Wants an offer")]
    pub outcome: Option<String>,
    /// Until when it is to be done, or answered, a date or a time. Only the type `task` makes a task of it; at a time you are reminded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "2026-02-15")]
    pub due_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<DealId>,
}

/// An activity's contents in normal form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivityProfile {
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Due>,
}

/// What an activity is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    pub deal_id: Option<DealId>,
}

impl ActivityInput {
    /// Contents, when it happened (if that is said) and what it is about, with every fault noted.
    pub fn parse(self, faults: &mut Faults) -> (ActivityProfile, Option<Time>, About) {
        let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let subject = self.subject.trim().to_owned();
        faults.text("/subject", &subject, 1, TEXT_MAX);
        let (body, outcome) = (given(self.body), given(self.outcome));
        faults.text("/body", body.as_deref().unwrap_or_default(), 0, BODY_MAX);
        faults.text("/outcome", outcome.as_deref().unwrap_or_default(), 0, TEXT_MAX);
        if self.duration_minutes.is_some_and(|m| m > DURATION_MAX) {
            faults.add("/durationMinutes", format!("must be at most {DURATION_MAX}"));
        }
        let due_at = given(self.due_at).and_then(|due| faults.take("/dueAt", due.parse()));
        let about = About { company_id: self.company_id, contact_id: self.contact_id, deal_id: self.lead_id };
        let at = given(self.occurred_at).and_then(|at| faults.take("/occurredAt", at.parse::<Time>()));
        if at.is_some_and(|at| !(0..=Time::MAX.millis()).contains(&at.millis())) {
            faults.add("/occurredAt", "must be from 1970 to 9999");
        }
        (ActivityProfile { subject, body, duration_minutes: self.duration_minutes, outcome, due_at }, at, about)
    }
}

impl Input for ActivityInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().parse(faults);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn faults_are_all_named() {
        for (input, wanted) in [
            (json!({"type": "call", "subject": "x"}), vec![]),
            (json!({"type": "call", "subject": " "}), vec!["/subject"]),
            (json!({"type": "task", "subject": "x", "dueAt": "2026-02-15"}), vec![]),
            (json!({"type": "task", "subject": "x", "dueAt": "2026-02-15T10:00:00+01:00"}), vec![]),
            (json!({"type": "task", "subject": "x", "dueAt": "soon"}), vec!["/dueAt"]),
            (json!({"type": "note", "subject": "x", "dueAt": "2026-02-15"}), vec![]),
            (json!({"type": "note", "subject": "x", "occurredAt": "1969-01-01T00:00:00Z"}), vec!["/occurredAt"]),
            (json!({"type": "note", "subject": "x", "occurredAt": "yesterday"}), vec!["/occurredAt"]),
            (json!({"type": "meeting", "subject": "x", "durationMinutes": 20000}), vec!["/durationMinutes"]),
        ] {
            let mut faults = Faults::new();
            serde_json::from_value::<ActivityInput>(input.clone()).unwrap().parse(&mut faults);
            assert_eq!(faults.iter().map(|f| f.pointer.as_str()).collect::<Vec<_>>(), wanted, "{input}");
        }
        let unknown = serde_json::from_value::<ActivityInput>(json!({"type": "fax", "subject": "x"}));
        assert!(unknown.is_err() && serde_json::from_value::<ActivityInput>(Value::Null).is_err());
    }
}

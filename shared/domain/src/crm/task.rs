//! Tasks: what somebody is to do, in the CRM and in the assistant alike.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::words;
use crate::{DealId, Due, Time};

/// Days in which a new customer is to be welcomed.
const ONBOARDING_DAYS: i64 = 7;
/// Days after which somebody asks again for a deal that was lost.
pub const FOLLOW_UP_DAYS: i64 = 90;

words! {
    TaskStatus {
        Open = "open",
        InProgress = "in_progress",
        Done = "done",
        Cancelled = "cancelled",
    }
}

words! {
    Priority {
        Low = "low",
        Medium = "medium",
        High = "high",
        Urgent = "urgent",
    }
}

impl TaskStatus {
    /// Still to be done.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::InProgress)
    }
}

/// What a task is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Related {
    /// `crm_lead`, `company`, `contact`, `lead`, ...
    #[schema(example = "crm_lead")]
    pub kind: String,
    pub id: String,
}

impl Related {
    pub fn deal(id: DealId) -> Self {
        Self { kind: "crm_lead".to_owned(), id: id.to_string() }
    }
}

/// The contents of a task that Axle makes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chore {
    pub title: String,
    pub description: Option<String>,
    pub due: Option<Due>,
    pub priority: Priority,
    pub remind_at: Option<Time>,
}

impl Chore {
    /// What follows from winning a deal.
    pub fn onboarding(title: &str, now: Time) -> Self {
        Self {
            title: titled("Onboard the customer: ", title),
            description: Some("The deal was won. Welcome the customer and hand over.".to_owned()),
            due: Some(Due::Day(crate::Date::of(now).plus_days(ONBOARDING_DAYS))),
            priority: Priority::High,
            remind_at: None,
        }
    }

    /// What follows from losing a deal: somebody asks again, and is reminded of it.
    pub fn follow_up(title: &str, reason: &str, now: Time) -> Self {
        let due = now.plus_days(FOLLOW_UP_DAYS);
        Self {
            title: titled("Follow up on the lost deal: ", title),
            description: Some(format!("It was lost: {reason}")),
            due: Some(Due::At(due)),
            priority: Priority::Medium,
            remind_at: Some(due),
        }
    }
}

/// The longest title of a task, in characters.
pub const TITLE_MAX: usize = 500;

fn titled(prefix: &str, title: &str) -> String {
    format!("{prefix}{title}").chars().take(TITLE_MAX).collect()
}

/// The first reminder after `fired`, of those that were asked for.
pub fn next_reminder(remind_at: &[Time], fired: Option<Time>) -> Option<Time> {
    remind_at.iter().copied().filter(|at| fired.is_none_or(|fired| *at > fired)).min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_follows_from_a_deal() {
        let now: Time = "2026-01-31T09:30:00Z".parse().unwrap();
        let welcome = Chore::onboarding("Example Ltd", now);
        assert_eq!((welcome.due.unwrap().to_string().as_str(), welcome.remind_at), ("2026-02-07", None));
        let again = Chore::follow_up("Example Ltd", "price", now);
        assert_eq!(again.due.unwrap().to_string(), "2026-05-01T09:30:00.000Z");
        assert_eq!(again.remind_at, again.due.map(Due::time));
        assert!(again.title.contains("Example Ltd") && again.description.unwrap().contains("price"));
        assert_eq!(Chore::onboarding(&"x".repeat(900), now).title.chars().count(), TITLE_MAX);
    }

    #[test]
    fn reminders_come_one_after_the_other() {
        let [a, b, c] = [10, 20, 30].map(Time::from_secs);
        for (fired, next) in [(None, Some(a)), (Some(a), Some(b)), (Some(b), Some(c)), (Some(c), None)] {
            assert_eq!(next_reminder(&[c, a, b, b], fired), next);
        }
        assert_eq!(next_reminder(&[], None), None);
    }

    #[test]
    fn open_is_what_is_to_be_done() {
        let open: Vec<&str> = TaskStatus::ALL.iter().filter(|s| s.is_open()).map(|s| s.as_str()).collect();
        assert_eq!(open, ["open", "in_progress"]);
        assert_eq!("urgent".parse(), Ok(Priority::Urgent));
    }
}

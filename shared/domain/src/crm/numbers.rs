//! What each record of the CRM adds to the numbers of the dashboard.
//!
//! A record's contribution follows from the record alone. When the record changes, the numbers change by the difference of its
//! contributions, so they never have to be counted anew. What depends on the time is kept by month, day and hour, and summed when
//! it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activity::ActivityType;
use super::currency::Currency;
use super::stage::Stage;
use super::task::TaskStatus;
use crate::{Date, Due, Time, UserId};

/// The board of everything that does not depend on the time.
pub const MAIN: &str = "CRM";
/// Begins the name of an owner's board.
pub const OWNER: &str = "OWNER#";

/// Deals won and lost in a month.
pub fn deals_board(month: &str) -> String {
    format!("CRM#DEALS#{month}")
}

/// Open tasks by the day of a month on which they are due.
pub fn tasks_board(month: &str) -> String {
    format!("CRM#TASKS#{month}")
}

/// Activities by the days of a month (`2026-01`) or by the hours of a day (`2026-01-31`).
pub fn activities_board(month_or_day: &str) -> String {
    format!("CRM#ACTIVITIES#{month_or_day}")
}

/// Numbers by board and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contribution(BTreeMap<String, BTreeMap<String, i64>>);

/// What a deal is counted by.
#[derive(Clone, Copy, Debug)]
pub struct DealFacts {
    pub stage: Stage,
    pub value_minor: i64,
    pub currency: Option<Currency>,
    /// Percent.
    pub probability: u8,
    pub owner: Option<UserId>,
    pub created_at: Time,
    /// When it was won or lost.
    pub closed_at: Option<Time>,
}

impl Contribution {
    pub fn add(&mut self, board: impl Into<String>, name: impl Into<String>, by: i64) {
        if by != 0 {
            *self.0.entry(board.into()).or_default().entry(name.into()).or_insert(0) += by;
        }
    }

    pub fn boards(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, i64>)> {
        self.0.iter().map(|(board, numbers)| (board.as_str(), numbers))
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(|numbers| numbers.values().all(|n| *n == 0))
    }

    /// Adds all of `other`, `times` times.
    pub fn merge(&mut self, other: &Self, times: i64) {
        for (board, numbers) in other.boards() {
            for (name, n) in numbers {
                self.add(board, name, n * times);
            }
        }
    }

    /// What has to be added to `from` to have `self`; without zeros.
    #[must_use]
    pub fn minus(&self, from: &Self) -> Self {
        let mut delta = self.clone();
        delta.merge(from, -1);
        delta.0.retain(|_, numbers| {
            numbers.retain(|_, n| *n != 0);
            !numbers.is_empty()
        });
        delta
    }

    pub fn of_company(status: &str) -> Self {
        let mut out = Self::default();
        out.add(MAIN, format!("company:{status}"), 1);
        out
    }

    pub fn of_contact() -> Self {
        let mut out = Self::default();
        out.add(MAIN, "contacts", 1);
        out
    }

    pub fn of_deal(deal: &DealFacts) -> Self {
        let DealFacts { stage, value_minor, currency, probability, owner, created_at, closed_at } = *deal;
        let mut out = Self::default();
        let mut main = |name: String, by: i64| out.add(MAIN, name, by);
        main(format!("stage:{stage}:n"), 1);
        main(format!("stage:{stage}:v"), value_minor);
        let in_currency = |name: &str| format!("currency:{}:{name}", currency.unwrap_or(Currency::DEFAULT));
        let closed = closed_at.unwrap_or(created_at);
        if stage.is_open() {
            let weighted = value_minor * i64::from(probability);
            main("weighted".to_owned(), weighted);
            main(in_currency("open"), value_minor);
            main(in_currency("weighted"), weighted);
        } else {
            if stage == Stage::Won {
                main(in_currency("won"), value_minor);
                main("won:secs".to_owned(), (closed.since(created_at) / 1000).max(0));
            }
            let board = deals_board(&Date::of(closed).month());
            out.add(&board, format!("{stage}:n"), 1);
            out.add(&board, format!("{stage}:v"), value_minor);
        }
        if let Some(owner) = owner
            && stage != Stage::Lost
        {
            let (board, kind) = (format!("{OWNER}{owner}"), if stage.is_open() { "open" } else { "won" });
            out.add(&board, format!("{kind}:n"), 1);
            out.add(&board, format!("{kind}:v"), value_minor);
        }
        out
    }

    pub fn of_activity(kind: ActivityType, at: Time) -> Self {
        let day = Date::of(at);
        let mut out = Self::default();
        out.add(activities_board(&day.month()), format!("{:02}:{kind}", day.day()), 1);
        out.add(activities_board(&day.to_string()), format!("{:02}:{kind}", hour_of(at)), 1);
        out
    }

    pub fn of_task(status: TaskStatus, due: Option<Due>, assignee: Option<UserId>) -> Self {
        let mut out = Self::default();
        if !status.is_open() {
            return out;
        }
        out.add(MAIN, "tasks:open", 1);
        if let Some(day) = due.map(Due::day) {
            out.add(MAIN, format!("tasks:{}", day.month()), 1);
            out.add(tasks_board(&day.month()), format!("{:02}", day.day()), 1);
        }
        if let Some(assignee) = assignee {
            out.add(format!("{OWNER}{assignee}"), "tasks:n", 1);
        }
        out
    }

    /// A message that was `sent`, `opened` or `replied` to.
    pub fn of_email(what: &str) -> Self {
        let mut out = Self::default();
        out.add(MAIN, format!("email:{what}"), 1);
        out
    }
}

/// 0 to 23, in UTC.
pub(super) fn hour_of(at: Time) -> i64 {
    at.since(Date::of(at).start()) / 3_600_000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn deal(stage: Stage, value_minor: i64) -> Contribution {
        let at = |text: &str| text.parse::<Time>().unwrap();
        Contribution::of_deal(&DealFacts {
            stage,
            value_minor,
            currency: None,
            probability: stage.default_probability(),
            owner: None,
            created_at: at("2026-01-30T00:00:00Z"),
            closed_at: Some(at("2026-02-01T00:00:00Z")),
        })
    }

    #[test]
    fn a_move_is_the_difference() {
        let (open, won) = (deal(Stage::Proposal, 1000), deal(Stage::Won, 1000));
        let delta = won.minus(&open);
        let mut numbers = open.clone();
        numbers.merge(&delta, 1);
        assert_eq!(numbers.minus(&won), Contribution::default());
        assert_eq!(delta.0[MAIN]["weighted"], -60_000);
        assert_eq!(delta.0[MAIN]["won:secs"], 2 * 86_400);
        assert_eq!(delta.0["CRM#DEALS#2026-02"], BTreeMap::from([("won:n".to_owned(), 1), ("won:v".to_owned(), 1000)]));
        assert!(open.minus(&open).is_empty() && !open.is_empty());
    }

    #[test]
    fn done_tasks_count_nowhere() {
        let due = Some("2026-01-31".parse().unwrap());
        assert!(Contribution::of_task(TaskStatus::Done, due, None).is_empty());
        let open = Contribution::of_task(TaskStatus::Open, due, None);
        assert_eq!(open.0[MAIN], BTreeMap::from([("tasks:2026-01".to_owned(), 1), ("tasks:open".to_owned(), 1)]));
        assert_eq!(open.0["CRM#TASKS#2026-01"], BTreeMap::from([("31".to_owned(), 1)]));
    }
}

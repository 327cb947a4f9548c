//! The dashboard, put together from its numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::activity::ActivityType;
use super::numbers::{MAIN, activities_board, deals_board, hour_of, tasks_board};
use super::stage::Stage;
use crate::{Date, Time, UserId};

/// Numbers by board and name.
pub type Boards = BTreeMap<String, BTreeMap<String, i64>>;

const SECS_A_DAY: f64 = 86_400.0;

/// The boards that the dashboard of an instant is read from: nine at most, however many records there are.
pub fn boards_of(now: Time) -> Vec<String> {
    let today = Date::of(now);
    let [week, month] = [7, 30].map(|days| today.plus_days(-days));
    let months: BTreeSet<String> = [today, week, month, Date::of(today.start().plus_days(-15))].map(Date::month).into();
    let days = [today, week, month].map(|day| activities_board(&day.to_string()));
    let mut boards = vec![MAIN.to_owned(), deals_board(&today.month()), tasks_board(&today.month())];
    boards.extend(months.iter().map(|month| activities_board(month)).chain(days));
    boards
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct CompaniesByStatus {
    pub prospect: i64,
    pub active: i64,
    pub inactive: i64,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompanyNumbers {
    pub by_status: CompaniesByStatus,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageNumbers {
    pub stage: Stage,
    pub count: i64,
    pub value_minor: i64,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    pub count: i64,
    pub value_minor: i64,
}

/// Values are sums over all currencies as they are; these are the same by currency.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrencyNumbers {
    #[schema(example = "EUR")]
    pub currency: String,
    pub open_value_minor: i64,
    pub weighted_value_minor: i64,
    pub won_value_minor: i64,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadNumbers {
    /// Every stage, in order.
    pub by_stage: Vec<StageNumbers>,
    pub open_value_minor: i64,
    /// Value times probability of the open leads, rounded.
    pub weighted_value_minor: i64,
    /// In the calendar month, in UTC.
    pub won_this_month: Closed,
    pub lost_this_month: Closed,
    /// Won of all that are won or lost, from 0 to 1; null while there are none.
    pub win_rate: Option<f64>,
    /// From creation to winning, of all that are won; null while there are none.
    pub average_days_to_win: Option<f64>,
    pub by_currency: Vec<CurrencyNumbers>,
}

#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ActivitiesByType {
    pub call: i64,
    pub email: i64,
    pub meeting: i64,
    pub note: i64,
    pub task: i64,
}

impl ActivitiesByType {
    fn of(&mut self, kind: ActivityType) -> &mut i64 {
        match kind {
            ActivityType::Call => &mut self.call,
            ActivityType::Email => &mut self.email,
            ActivityType::Meeting => &mut self.meeting,
            ActivityType::Note => &mut self.note,
            ActivityType::Task => &mut self.task,
        }
    }

    fn sum(&self) -> i64 {
        self.call + self.email + self.meeting + self.note + self.task
    }
}

/// By when they happened, to the hour; what is planned for later is not in it.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityNumbers {
    pub last7_days: i64,
    pub last30_days: i64,
    /// Of the last 30 days.
    pub by_type: ActivitiesByType,
}

/// Days are days in UTC.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskNumbers {
    pub open: i64,
    /// Open and due on an earlier day.
    pub overdue: i64,
    pub due_today: i64,
}

/// Messages, each once; what machines opened is left out.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct EmailNumbers {
    pub sent: i64,
    pub opened: i64,
    pub replied: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerNumbers {
    pub owner_user_id: UserId,
    pub open_leads: i64,
    pub open_value_minor: i64,
    pub won_leads: i64,
    pub won_value_minor: i64,
    pub open_tasks: i64,
}

/// How the CRM stands.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = CrmDashboard)]
pub struct Dashboard {
    pub companies: CompanyNumbers,
    pub contacts: i64,
    pub leads: LeadNumbers,
    pub activities: ActivityNumbers,
    pub tasks: TaskNumbers,
    pub emails: EmailNumbers,
    /// Those who have open or won leads or open tasks, by the value of their open leads; 100 at most.
    pub owners: Vec<OwnerNumbers>,
}

/// Owners that a dashboard shows.
const OWNERS_MAX: usize = 100;

impl Dashboard {
    /// The dashboard at `now`, from the boards that [`boards_of`] names and from owners' boards by owner.
    pub fn of(now: Time, boards: &Boards, owners: &BTreeMap<UserId, BTreeMap<String, i64>>) -> Self {
        let read = |board: &str, name: &str| boards.get(board).and_then(|numbers| numbers.get(name)).copied().unwrap_or(0);
        let main = |name: &str| read(MAIN, name);
        let email = |what: &str| main(&format!("email:{what}"));
        let company = |status: &str| main(&format!("company:{status}"));
        Self {
            companies: CompanyNumbers {
                by_status: CompaniesByStatus {
                    prospect: company("prospect"),
                    active: company("active"),
                    inactive: company("inactive"),
                },
            },
            contacts: main("contacts"),
            leads: leads(now, &read, boards.get(MAIN)),
            activities: activities(now, &read),
            tasks: tasks(now, &read, boards.get(MAIN)),
            emails: EmailNumbers { sent: email("sent"), opened: email("opened"), replied: email("replied") },
            owners: ranked(owners),
        }
    }
}

fn leads(now: Time, read: &impl Fn(&str, &str) -> i64, names: Option<&BTreeMap<String, i64>>) -> LeadNumbers {
    let main = |name: &str| read(MAIN, name);
    let by_stage: Vec<StageNumbers> = Stage::ALL
        .iter()
        .map(|stage| StageNumbers {
            stage: *stage,
            count: main(&format!("stage:{stage}:n")),
            value_minor: main(&format!("stage:{stage}:v")),
        })
        .collect();
    let open_value_minor = by_stage.iter().filter(|s| s.stage.is_open()).map(|s| s.value_minor).sum();
    let board = deals_board(&Date::of(now).month());
    let closed =
        |stage: Stage| Closed { count: read(&board, &format!("{stage}:n")), value_minor: read(&board, &format!("{stage}:v")) };
    let [won, lost] = [Stage::Won, Stage::Lost].map(|stage| main(&format!("stage:{stage}:n")));
    #[allow(clippy::cast_precision_loss)]
    let ratio = |part: i64, whole: i64| (whole > 0).then(|| part as f64 / whole as f64);
    LeadNumbers {
        open_value_minor,
        weighted_value_minor: percent(main("weighted")),
        won_this_month: closed(Stage::Won),
        lost_this_month: closed(Stage::Lost),
        win_rate: ratio(won, won + lost),
        average_days_to_win: ratio(main("won:secs"), won).map(|secs| secs / SECS_A_DAY),
        by_currency: currencies(names),
        by_stage,
    }
}

/// From hundredths, rounded half up.
fn percent(hundredths: i64) -> i64 {
    hundredths.saturating_add(50).div_euclid(100)
}

fn currencies(names: Option<&BTreeMap<String, i64>>) -> Vec<CurrencyNumbers> {
    let mut found: BTreeMap<&str, CurrencyNumbers> = BTreeMap::new();
    for (name, n) in names.into_iter().flatten().filter(|(_, n)| **n != 0) {
        let Some((currency, what)) = name.strip_prefix("currency:").and_then(|rest| rest.split_once(':')) else { continue };
        let numbers = found.entry(currency).or_insert_with(|| CurrencyNumbers {
            currency: currency.to_owned(),
            open_value_minor: 0,
            weighted_value_minor: 0,
            won_value_minor: 0,
        });
        match what {
            "open" => numbers.open_value_minor = *n,
            "weighted" => numbers.weighted_value_minor = percent(*n),
            _ => numbers.won_value_minor = *n,
        }
    }
    found.into_values().collect()
}

fn activities(now: Time, read: &impl Fn(&str, &str) -> i64) -> ActivityNumbers {
    let by_type = happened(now.plus_days(-30), now, read);
    let last7_days = happened(now.plus_days(-7), now, read).sum();
    ActivityNumbers { last7_days, last30_days: by_type.sum(), by_type }
}

/// Activities from the hour of `from` to the hour of `to`, both inclusive: whole days between, hours at the ends.
fn happened(from: Time, to: Time, read: &impl Fn(&str, &str) -> i64) -> ActivitiesByType {
    let (first, last) = (Date::of(from), Date::of(to));
    let mut out = ActivitiesByType::default();
    for kind in ActivityType::ALL {
        let mut add = |board: &str, unit: i64| *out.of(*kind) += read(board, &format!("{unit:02}:{kind}"));
        for hour in hour_of(from)..24 {
            add(&activities_board(&first.to_string()), hour);
        }
        let mut day = first.plus_days(1);
        while day < last {
            add(&activities_board(&day.month()), day.day().into());
            day = day.plus_days(1);
        }
        for hour in 0..=hour_of(to) {
            add(&activities_board(&last.to_string()), hour);
        }
    }
    out
}

fn tasks(now: Time, read: &impl Fn(&str, &str) -> i64, names: Option<&BTreeMap<String, i64>>) -> TaskNumbers {
    let today = Date::of(now);
    let month = today.month();
    let earlier_month = |name: &str| name.strip_prefix("tasks:").is_some_and(|m| m != "open" && m < month.as_str());
    let earlier_months: i64 = names.into_iter().flatten().filter(|(name, _)| earlier_month(name)).map(|(_, n)| n).sum();
    let on = |day: i8| read(&tasks_board(&month), &format!("{day:02}"));
    TaskNumbers {
        open: read(MAIN, "tasks:open"),
        overdue: earlier_months + (1..today.day()).map(on).sum::<i64>(),
        due_today: on(today.day()),
    }
}

fn ranked(owners: &BTreeMap<UserId, BTreeMap<String, i64>>) -> Vec<OwnerNumbers> {
    let of = |(owner, numbers): (&UserId, &BTreeMap<String, i64>)| {
        let read = |name: &str| numbers.get(name).copied().unwrap_or(0);
        OwnerNumbers {
            owner_user_id: *owner,
            open_leads: read("open:n"),
            open_value_minor: read("open:v"),
            won_leads: read("won:n"),
            won_value_minor: read("won:v"),
            open_tasks: read("tasks:n"),
        }
    };
    let busy = |o: &OwnerNumbers| o.open_leads != 0 || o.won_leads != 0 || o.open_tasks != 0;
    let mut all: Vec<OwnerNumbers> = owners.iter().map(of).filter(busy).collect();
    all.sort_by_key(|o| (-o.open_value_minor, o.owner_user_id));
    all.truncate(OWNERS_MAX);
    all
}

#[cfg(test)]
#[path = "dashboard_tests.rs"]
mod tests;

//! The dashboard against a plain count over the records.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::Due;
use crate::crm::numbers::{Contribution, DealFacts, OWNER};
use crate::crm::task::TaskStatus;

const HOUR: i64 = 3_600_000;

fn boards(all: &Contribution) -> (Boards, BTreeMap<UserId, BTreeMap<String, i64>>) {
    let (mut boards, mut owners) = (Boards::new(), BTreeMap::new());
    for (board, numbers) in all.boards() {
        match board.strip_prefix(OWNER) {
            Some(owner) => drop(owners.insert(owner.parse().unwrap(), numbers.clone())),
            None => drop(boards.insert(board.to_owned(), numbers.clone())),
        }
    }
    (boards, owners)
}

fn deal() -> impl Strategy<Value = DealFacts> {
    let parts = (0..Stage::ALL.len(), 0..1_000_000_i64, 0..=100_u8, 0..120_i64, 0..60_i64, proptest::option::of(0..3_u128));
    parts.prop_map(|(stage, value_minor, said, age, days, owner)| {
        let created_at = now().plus_days(-age);
        DealFacts {
            stage: Stage::ALL[stage],
            value_minor,
            currency: None,
            probability: Stage::ALL[stage].probability(Some(said)),
            owner: owner.map(|n| UserId::from_uuid(uuid::Uuid::from_u128(n))),
            created_at,
            closed_at: Some(created_at.plus_days(days.min(age))),
        }
    })
}

fn now() -> Time {
    "2026-03-05T13:45:00Z".parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn deals_are_counted_as_by_hand(deals in proptest::collection::vec(deal(), 0..40)) {
        let mut all = Contribution::default();
        deals.iter().for_each(|d| all.merge(&Contribution::of_deal(d), 1));
        let (boards, owners) = boards(&all);
        let shown = Dashboard::of(now(), &boards, &owners).leads;
        let open: Vec<_> = deals.iter().filter(|d| d.stage.is_open()).collect();
        let weighted: i64 = open.iter().map(|d| d.value_minor * i64::from(d.probability)).sum();
        prop_assert_eq!(shown.open_value_minor, open.iter().map(|d| d.value_minor).sum::<i64>());
        prop_assert_eq!(shown.weighted_value_minor, (weighted + 50) / 100);
        for stage in &shown.by_stage {
            let of: Vec<_> = deals.iter().filter(|d| d.stage == stage.stage).collect();
            prop_assert_eq!((stage.count, stage.value_minor), (of.len() as i64, of.iter().map(|d| d.value_minor).sum()));
        }
        let won: Vec<_> = deals.iter().filter(|d| d.stage == Stage::Won).collect();
        let lost = deals.iter().filter(|d| d.stage == Stage::Lost).count();
        let this_month = won.iter().filter(|d| d.closed_at.unwrap().to_string().starts_with("2026-03")).count();
        prop_assert_eq!(shown.won_this_month.count, this_month as i64);
        prop_assert_eq!(shown.win_rate, (won.len() + lost > 0).then(|| won.len() as f64 / (won.len() + lost) as f64));
        let days: f64 = won.iter().map(|d| d.closed_at.unwrap().since(d.created_at) as f64 / 86_400_000.0).sum();
        match shown.average_days_to_win {
            Some(average) => prop_assert!((average - days / won.len() as f64).abs() < 1e-6),
            None => prop_assert!(won.is_empty()),
        }
    }

    #[test]
    fn activities_are_counted_as_by_hand(at in proptest::collection::vec((-5_i64..40 * 24 * 60, 0..5_usize), 0..60)) {
        let at: Vec<_> = at.into_iter().map(|(minutes, kind)| (now().plus_secs(-minutes * 60), ActivityType::ALL[kind])).collect();
        let mut all = Contribution::default();
        at.iter().for_each(|(at, kind)| all.merge(&Contribution::of_activity(*kind, *at), 1));
        let shown = Dashboard::of(now(), &boards(&all).0, &BTreeMap::new()).activities;
        let hour = |t: Time| t.millis().div_euclid(HOUR);
        let within = |days: i64| at.iter().filter(|(at, _)| (hour(now().plus_days(-days))..=hour(now())).contains(&hour(*at))).count();
        prop_assert_eq!((shown.last7_days, shown.last30_days), (within(7) as i64, within(30) as i64));
        prop_assert_eq!(shown.by_type.sum(), shown.last30_days);
    }

    #[test]
    fn tasks_are_counted_as_by_hand(tasks in proptest::collection::vec((-80_i64..80, 0..4_usize, any::<bool>()), 0..60)) {
        let today = Date::of(now());
        let mut all = Contribution::default();
        let due = |days: i64, dated: bool| dated.then(|| Due::Day(today.plus_days(days)));
        for (days, status, dated) in &tasks {
            all.merge(&Contribution::of_task(TaskStatus::ALL[*status], due(*days, *dated), None), 1);
        }
        let shown = Dashboard::of(now(), &boards(&all).0, &BTreeMap::new()).tasks;
        let open: Vec<_> = tasks.iter().filter(|(_, status, _)| TaskStatus::ALL[*status].is_open()).collect();
        let count = |wanted: &dyn Fn(i64) -> bool| open.iter().filter(|(days, _, dated)| *dated && wanted(*days)).count() as i64;
        prop_assert_eq!(shown, TaskNumbers { open: open.len() as i64, overdue: count(&|d| d < 0), due_today: count(&|d| d == 0) });
    }
}

#[test]
fn what_is_read_is_what_is_needed() {
    for (now, months) in [("2026-03-01T00:30:00Z", 3), ("2026-03-31T23:59:00Z", 1), ("2026-01-15T12:00:00Z", 2)] {
        let now: Time = now.parse().unwrap();
        let read = boards_of(now);
        let named = read.iter().filter(|b| b.starts_with("CRM#ACTIVITIES#") && b.len() == "CRM#ACTIVITIES#2026-01".len()).count();
        assert_eq!(named, months, "{now}");
        // Every board that an activity of the last 30 days counts on as part of a whole day, or of a day at the ends, is read.
        for hours in 0..=30 * 24 {
            let at = now.plus_secs(-hours * 3600);
            let mut all = Contribution::default();
            all.merge(&Contribution::of_activity(ActivityType::Call, at), 1);
            let (mut boards, _) = boards(&all);
            boards.retain(|board, _| read.contains(board));
            assert_eq!(Dashboard::of(now, &boards, &BTreeMap::new()).activities.last30_days, 1, "{now} {at}");
        }
    }
}

#[test]
fn owners_are_ranked_and_idle_ones_left_out() {
    let user = |n: u128| UserId::from_uuid(uuid::Uuid::from_u128(n));
    let numbers = |pairs: &[(&str, i64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
    let mut owners = BTreeMap::from([
        (user(1), numbers(&[("open:n", 1), ("open:v", 5)])),
        (user(2), numbers(&[("open:n", 0), ("open:v", 0)])),
        (user(3), numbers(&[("tasks:n", 2)])),
        (user(4), numbers(&[("open:n", 1), ("open:v", 9)])),
    ]);
    let ids = |all: Vec<OwnerNumbers>| all.into_iter().map(|o| o.owner_user_id).collect::<Vec<_>>();
    assert_eq!(ids(ranked(&owners)), [user(4), user(1), user(3)]);
    owners.extend((100..300).map(|n| (user(n), numbers(&[("won:n", 1)]))));
    assert_eq!(ranked(&owners).len(), OWNERS_MAX);
}

#[test]
fn currencies_are_kept_apart() {
    let mut all = Contribution::default();
    for (currency, stage) in [("EUR", Stage::New), ("EUR", Stage::Won), ("INR", Stage::Proposal)] {
        all.merge(
            &Contribution::of_deal(&DealFacts {
                stage,
                value_minor: 100,
                currency: currency.parse().ok(),
                probability: stage.default_probability(),
                owner: None,
                created_at: now(),
                closed_at: None,
            }),
            1,
        );
    }
    let shown = Dashboard::of(now(), &boards(&all).0, &BTreeMap::new()).leads.by_currency;
    let plain: Vec<_> =
        shown.iter().map(|c| (c.currency.as_str(), c.open_value_minor, c.weighted_value_minor, c.won_value_minor)).collect();
    assert_eq!(plain, [("EUR", 100, 10, 100), ("INR", 100, 60, 0)]);
}

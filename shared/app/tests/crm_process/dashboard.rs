//! The dashboard's numbers against a count by hand, whatever the stream does, and after a repair.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use axle_app::crm::dashboard::{self, Progress, Repaired, Step};
use axle_app::crm::{activities, companies, deals};
use axle_domain::crm::CompanySort;
use axle_domain::crm::dashboard::Dashboard;
use axle_domain::crm::stage::Stage;
use axle_domain::{Date, Due};
use axle_store::crm::companies::CompanyQuery;
use axle_store::events::EventQuery;
use axle_testkit::TestTable;
use serde_json::{Value, json};

use crate::office::{ALL, Office};
use crate::workload::{Dice, Month};

async fn count(office: &Office, changes: Vec<Value>) -> usize {
    let changes = serde_json::from_value(Value::Array(changes)).unwrap();
    dashboard::count(office.app(), changes).await.unwrap()
}

async fn shown(office: &Office) -> Dashboard {
    dashboard::get(office.app(), &office.ctx()).await.unwrap()
}

async fn repair(office: &Office) -> Repaired {
    dashboard::repair(office.app(), office.entity, None, Instant::now() + Duration::from_secs(120)).await.unwrap()
}

/// Everything that the dashboard says, counted from what lists say.
async fn by_hand(office: &Office) -> Value {
    let (app, ctx, now) = (office.app(), office.ctx(), office.app().now());
    let companies = companies::list(app, &ctx, &CompanyQuery::default(), CompanySort::Name, ALL).await.unwrap().items;
    let deals: Vec<_> = deals::list(app, &ctx, deals::Wanted::default(), ALL).await.unwrap().items;
    let deals: Vec<_> = deals.into_iter().map(|d| d.value).collect();
    let activities = activities::list(app, &ctx, activities::Wanted::default(), ALL).await.unwrap().items;
    let (tasks, today) = (office.tasks().await, Date::of(now));
    let events = EventQuery { prefixes: vec!["communication.".to_owned()], ..EventQuery::default() };
    let events = app.table().await.events(office.entity, &events, None, 10_000, now).await.unwrap().0;

    let value = |stage: &dyn Fn(Stage) -> bool| {
        let of = deals.iter().filter(|d| stage(d.stage));
        of.map(|d| d.profile.value_minor.unwrap_or(0)).sum::<i64>()
    };
    let number = |stage: Stage| deals.iter().filter(|d| d.stage == stage).count();
    let by_stage: Vec<Value> = Stage::ALL
        .iter()
        .map(|stage| json!({"stage": stage, "count": number(*stage), "valueMinor": value(&|s| s == *stage)}))
        .collect();
    let weighted: i64 =
        deals.iter().filter(|d| d.stage.is_open()).map(|d| d.profile.value_minor.unwrap_or(0) * i64::from(d.probability())).sum();
    let month = |stage: Stage| {
        let of: Vec<_> =
            deals.iter().filter(|d| d.stage == stage && Date::of(d.closed_at.unwrap()).month() == today.month()).collect();
        json!({"count": of.len(), "valueMinor": of.iter().map(|d| d.profile.value_minor.unwrap_or(0)).sum::<i64>()})
    };
    let hours = |t: axle_domain::Time| t.secs().div_euclid(3600);
    let lately = |days: i64| {
        let window = hours(now.plus_days(-days))..=hours(now);
        activities.iter().filter(|a| window.contains(&hours(a.value.occurred_at))).count()
    };
    let open: Vec<_> = tasks.iter().filter(|t| t.status.is_open()).collect();
    let due = |judge: &dyn Fn(Date) -> bool| open.iter().filter(|t| t.due_date.map(Due::day).is_some_and(judge)).count();
    let messages = |kind: &str| {
        let of = events.iter().filter(|e| e.event_type.as_str() == kind && e.data["machine"] != json!(true));
        of.map(|e| e.subject.id.clone()).collect::<HashSet<_>>().len()
    };
    json!({
        "companies": companies.len(),
        "byStage": by_stage,
        "open": value(&Stage::is_open),
        "weighted": (weighted + 50).div_euclid(100),
        "wonThisMonth": month(Stage::Won),
        "lostThisMonth": month(Stage::Lost),
        "activities": [lately(7), lately(30)],
        "tasks": [open.len(), due(&|d| d < today), due(&|d| d == today)],
        "emails": [messages("communication.sent"), messages("communication.opened"), messages("communication.replied")],
        "owners": deals.iter().filter(|d| d.stage.is_open() && d.owner.is_some()).count(),
    })
}

/// The same of what the dashboard says.
fn the_same_of(shown: &Dashboard) -> Value {
    let status = &shown.companies.by_status;
    json!({
        "companies": status.prospect + status.active + status.inactive,
        "byStage": shown.leads.by_stage,
        "open": shown.leads.open_value_minor,
        "weighted": shown.leads.weighted_value_minor,
        "wonThisMonth": shown.leads.won_this_month,
        "lostThisMonth": shown.leads.lost_this_month,
        "activities": [shown.activities.last7_days, shown.activities.last30_days],
        "tasks": [shown.tasks.open, shown.tasks.overdue, shown.tasks.due_today],
        "emails": [shown.emails.sent, shown.emails.opened, shown.emails.replied],
        "owners": shown.owners.iter().map(|o| o.open_leads).sum::<i64>(),
    })
}

#[tokio::test]
async fn a_month_of_work_is_counted_as_by_hand_twice_late_and_out_of_order() {
    for seed in [1, 2] {
        let (office, mut dice, mut month) = (Office::new().await, Dice(seed), Month::default());
        let mut kept: Vec<Value> = Vec::new();
        for round in 0..3 {
            for _ in 0..30 {
                month.step(&office, &mut dice).await;
            }
            let mut changes = office.world.table.new_changes();
            // Some come again, much later, and all in any order, even of the same record.
            let again: Vec<Value> = (0..20).filter_map(|_| dice.pick(&kept).cloned()).collect();
            kept.extend(changes.iter().cloned());
            changes.extend(again);
            let twice = changes.iter().take(30).cloned().collect::<Vec<_>>();
            changes.extend(twice);
            dice.shuffle(&mut changes);
            while !changes.is_empty() {
                let size = changes.len().min(1 + dice.roll(25) as usize);
                count(&office, changes.drain(..size).collect()).await;
            }
            assert_eq!(the_same_of(&shown(&office).await), by_hand(&office).await, "seed {seed}, round {round}");
        }
        assert_eq!(count(&office, kept).await, 0, "nothing is news any more");
    }
}

/// Items of a type, for a test that spoils them.
async fn items(office: &Office, kind: &str) -> Vec<(AttributeValue, AttributeValue)> {
    let scan = office.world.table.client().scan().table_name(TestTable::NAME).filter_expression("#type = :type");
    let scan =
        scan.expression_attribute_names("#type", "type").expression_attribute_values(":type", AttributeValue::S(kind.to_owned()));
    scan.send()
        .await
        .unwrap()
        .items
        .unwrap()
        .into_iter()
        .map(|mut i| (i.remove("pk").unwrap(), i.remove("sk").unwrap()))
        .collect()
}

async fn delete(office: &Office, (pk, sk): (AttributeValue, AttributeValue)) {
    let client = office.world.table.client();
    client.delete_item().table_name(TestTable::NAME).key("pk", pk).key("sk", sk).send().await.unwrap();
}

#[tokio::test]
async fn a_repair_makes_the_numbers_what_the_records_say() {
    let (office, mut dice, mut month) = (Office::new().await, Dice(7), Month::default());
    for _ in 0..60 {
        month.step(&office, &mut dice).await;
    }
    count(&office, office.world.table.new_changes()).await;
    let right = shown(&office).await;
    assert_eq!(repair(&office).await, Repaired::default(), "there is nothing to repair");

    // Everything that was counted is lost.
    for kind in ["crm_mark", "tally"] {
        for key in items(&office, kind).await {
            let board = key.0.as_s().unwrap();
            if kind == "crm_mark" || board.contains("TALLY#CRM") || board.contains("CRM#OWNERS") {
                delete(&office, key).await;
            }
        }
    }
    assert_ne!(shown(&office).await, right);
    assert!(repair(&office).await.records > 0);
    assert_eq!(shown(&office).await, right);

    // Some marks are lost, and with them the knowledge that their records were counted.
    for key in items(&office, "crm_mark").await.into_iter().step_by(3) {
        delete(&office, key).await;
    }
    let repaired = repair(&office).await;
    assert!(repaired.records > 0 && repaired.sums > 0, "{repaired:?}");
    assert_eq!(shown(&office).await, right);

    // A deletion was never told.
    let deals = deals::list(office.app(), &office.ctx(), deals::Wanted::default(), ALL).await.unwrap().items;
    deals::delete(office.app(), &office.ctx(), deals[0].value.id, None).await.unwrap();
    office.world.table.new_changes();
    repair(&office).await;
    assert_eq!(the_same_of(&shown(&office).await), by_hand(&office).await);
}

#[tokio::test]
async fn a_repair_can_be_done_in_parts() {
    let office = Office::new().await;
    for _ in 0..3 {
        office.deal(json!({"title": "x", "valueMinor": 5})).await;
    }
    // No time at all: it stops before the first step and says where to go on.
    let stopped = dashboard::repair(office.app(), office.entity, None, Instant::now()).await.unwrap();
    let from = stopped.unfinished.unwrap();
    assert_eq!(from, Progress { step: Step::Companies, after: None });
    let deadline = Instant::now() + Duration::from_secs(60);
    let done = dashboard::repair(office.app(), office.entity, Some(from), deadline).await.unwrap();
    assert_eq!((done.records, done.unfinished), (3, None));
    assert_eq!(shown(&office).await.leads.open_value_minor, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repair_beside_the_counting_loses_nothing() {
    let office = std::sync::Arc::new(Office::new().await);
    for _ in 0..30 {
        office.deal(json!({"title": "x", "valueMinor": 10})).await;
    }
    let changes = office.world.table.new_changes();
    let counting = {
        let office = std::sync::Arc::clone(&office);
        tokio::spawn(async move {
            for some in changes.chunks(3) {
                count(&office, some.to_vec()).await;
            }
        })
    };
    repair(&office).await;
    counting.await.unwrap();
    let shown = shown(&office).await;
    assert_eq!((shown.leads.open_value_minor, shown.leads.by_stage[0].count), (300, 30));
}

#[tokio::test]
async fn reading_costs_the_same_with_many_records() {
    let office = Office::new().await;
    let mut costs = Vec::new();
    for _ in 0..2 {
        for _ in 0..40 {
            office.deal(json!({"title": "x", "valueMinor": 5, "ownerUserId": office.user})).await;
            office.note(json!({"type": "call", "subject": "x"})).await;
        }
        count(&office, office.world.table.new_changes()).await;
        office.world.meter.take();
        shown(&office).await;
        costs.push(office.world.meter.take_units());
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[1].0 <= 24.0 && costs[1].1 == 0.0, "{costs:?}");
}

#[tokio::test]
async fn nothing_is_divided_by_nothing() {
    let office = Office::new().await;
    let empty = shown(&office).await;
    assert_eq!((empty.leads.win_rate, empty.leads.average_days_to_win, empty.owners.len()), (None, None, 0));
    let id = office.deal(json!({"title": "x"})).await;
    office.world.clock.advance_secs(2 * 86_400);
    office.shift(id, "won").await;
    count(&office, office.world.table.new_changes()).await;
    let won = shown(&office).await.leads;
    assert_eq!((won.win_rate, won.average_days_to_win, won.won_this_month.count), (Some(1.0), Some(2.0), 1));
}

//! Reminders, given by the sweep of what is due.

use std::time::{Duration, Instant};

use axle_app::schedule;
use serde_json::json;

use crate::office::Office;

async fn sweep(office: &Office) -> u64 {
    schedule::sweep(office.app(), Instant::now() + Duration::from_secs(60)).await.unwrap().sent
}

fn reminders(told: &[(String, serde_json::Value)]) -> usize {
    told.iter().filter(|(kind, _)| kind == "reminder.triggered").count()
}

#[tokio::test]
async fn a_lost_deal_comes_back_to_mind_after_90_days_once() {
    let office = Office::new().await;
    let id = office.deal_with(office.company("prospect").await).await;
    office.shift(id, "lost").await;
    let due = office.task().await.due_date.unwrap().time();
    office.world.clock.advance_secs(90 * 86_400 - 1);
    assert_eq!(sweep(&office).await, 0);
    office.world.clock.advance_secs(1);
    // Sweeps may come side by side.
    let (a, b) = tokio::join!(sweep(&office), sweep(&office));
    assert_eq!(a + b, 1);
    assert_eq!(sweep(&office).await, 0);
    let told = office.told().await;
    assert_eq!(reminders(&told), 1);
    let (_, data) = told.into_iter().find(|(kind, _)| kind == "reminder.triggered").unwrap();
    assert_eq!(data, json!({"title": office.task().await.title, "due_at": due}));
}

#[tokio::test]
async fn a_task_that_is_due_at_a_time_reminds_and_one_of_a_day_does_not() {
    let office = Office::new().await;
    let at = office.app().now().plus_secs(3600);
    let day = axle_domain::Date::of(at);
    let timed = office.note(json!({"type": "task", "subject": "Call back", "dueAt": at})).await;
    office.note(json!({"type": "task", "subject": "Write", "dueAt": day})).await;
    assert_eq!(office.tasks().await.len(), 2);
    assert!(timed["task"].is_string());
    office.world.clock.advance_secs(3600);
    assert_eq!(sweep(&office).await, 1);
    assert_eq!(reminders(&office.told().await), 1);
}

//! Service levels are judged by what happened, and each breach is told of once.

use std::sync::Arc;

use axle_app::insights::slos;
use axle_app::{Answer, Ctx, Error, schedule};
use axle_domain::event::{EventType, sample::sample};
use axle_domain::slo::{Objective, SloInput, SloState};
use axle_domain::webhook::DeliveryStatus;
use axle_domain::{EntityId, WebhookId};
use axle_providers::mail::{Blame, SendError};
use axle_store::deliveries::DeliveryRecord;
use axle_store::slos::SloRecord;
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

use crate::stage::Stage;

fn promise(objective: Objective, threshold: f64, window_minutes: u32) -> SloInput {
    SloInput { objective, threshold, window_minutes }
}

async fn set(stage: &Stage, name: &str, input: &SloInput) -> SloRecord {
    slos::put(stage.app(), &stage.ctx(), name, input).await.unwrap().0
}

async fn sweep(stage: &Stage) {
    schedule::sweep(stage.app(), Instant::now() + Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn none_is_judged_when_there_is_no_time_left() {
    let stage = Stage::new().await;
    let slo = set(&stage, "runs", &promise(Objective::AgentSuccessRate, 0.9, 60)).await;
    let due = || vec![(stage.entity, slo.id)];
    let judged = slos::evaluate_all(stage.app(), due(), Instant::now()).await;
    assert!(judged.unfinished && judged.judged == 0 && judged.errors.is_empty(), "{judged:?}");
    let judged = slos::evaluate_all(stage.app(), due(), Instant::now() + Duration::from_secs(30)).await;
    assert!(!judged.unfinished && judged.judged == 1 && judged.errors.is_empty(), "{judged:?}");
}

async fn judged(stage: &Stage, name: &str) -> SloRecord {
    let all = slos::list(stage.app(), &stage.ctx()).await.unwrap();
    all.into_iter().find(|slo| slo.name == name).unwrap()
}

/// What was told of service levels so far.
async fn told(stage: &Stage) -> Vec<(EventType, String)> {
    let about = |event_type| matches!(event_type, EventType::SloViolated | EventType::SloRecovered);
    let events = stage.events().await.into_iter().filter(|event| about(event.event_type));
    events.map(|event| (event.event_type, event.subject.id)).collect()
}

async fn execute(stage: &Stage, succeeded: bool, duration_ms: u64) {
    let (table, now) = (stage.app().table().await, stage.world.clock.now());
    let mut tx = table.tx();
    tx.count_execution(stage.entity, axle_domain::id::v7_at(now, axle_domain::id::entropy()), now, succeeded, duration_ms);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_breach_is_told_of_once_when_it_begins_and_once_when_it_ends() {
    let stage = Stage::new().await;
    set(&stage, "agents", &promise(Objective::AgentSuccessRate, 0.9, 10)).await;
    sweep(&stage).await;
    let none = judged(&stage, "agents").await;
    assert_eq!((none.status, none.value), (SloState::NoData, None));
    assert_eq!(none.evaluated_at, Some(stage.world.clock.now()));
    execute(&stage, true, 100).await;
    execute(&stage, false, 100).await;
    // Judged a moment ago: not due.
    sweep(&stage).await;
    assert_eq!(judged(&stage, "agents").await.status, SloState::NoData);
    stage.world.clock.advance_secs(60);
    for _ in 0..3 {
        sweep(&stage).await;
    }
    let breached = judged(&stage, "agents").await;
    assert_eq!((breached.status, breached.value), (SloState::Breached, Some(0.5)));
    assert_eq!(breached.breached_since, Some(stage.world.clock.now()));
    stage.world.clock.advance_secs(60);
    sweep(&stage).await;
    let violated = (EventType::SloViolated, "agents".to_owned());
    assert_eq!(told(&stage).await, std::slice::from_ref(&violated));
    // All of it leaves the window: the breach goes on, for there is nothing that says otherwise.
    stage.world.clock.advance_secs(11 * 60);
    sweep(&stage).await;
    let silent = judged(&stage, "agents").await;
    assert_eq!((silent.status, silent.value, silent.breached_since), (SloState::NoData, None, breached.breached_since));
    execute(&stage, false, 100).await;
    stage.world.clock.advance_secs(60);
    sweep(&stage).await;
    assert_eq!(told(&stage).await, std::slice::from_ref(&violated));
    for _ in 0..9 {
        execute(&stage, true, 100).await;
    }
    stage.world.clock.advance_secs(60);
    sweep(&stage).await;
    let recovered = judged(&stage, "agents").await;
    assert_eq!((recovered.status, recovered.value, recovered.breached_since), (SloState::Ok, Some(0.9), None));
    assert_eq!(told(&stage).await, [violated, (EventType::SloRecovered, "agents".to_owned())]);
    let event = stage.events().await.into_iter().find(|event| event.event_type == EventType::SloViolated).unwrap();
    assert_eq!(event.data, json!({"name": "agents", "objective": "agent_success_rate", "threshold": 0.9, "value": 0.5}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_side_by_side_tell_of_a_breach_once() {
    let stage = Arc::new(Stage::new().await);
    for n in 0..5 {
        set(&stage, &format!("agents-{n}"), &promise(Objective::AgentDurationP95Ms, 1_000.0, 60)).await;
    }
    execute(&stage, true, 60_000).await;
    let sweeps = (0..8).map(|_| {
        let app = Arc::clone(stage.app());
        tokio::spawn(async move { schedule::sweep(&app, Instant::now() + Duration::from_secs(60)).await })
    });
    for sweep in sweeps.collect::<Vec<_>>() {
        sweep.await.unwrap().unwrap();
    }
    let mut told = told(&stage).await;
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let expected: Vec<_> = (0..5).map(|n| (EventType::SloViolated, format!("agents-{n}"))).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn each_objective_says_what_happened() {
    let stage = Stage::new().await;
    for objective in Objective::ALL {
        set(&stage, &objective.as_str().replace('_', "-"), &promise(*objective, 1.0, 30)).await;
    }
    // Messages: three go out at once, one fails.
    for n in 0..4 {
        if n == 3 {
            stage.world.sent.fail_next(SendError::permanent(Blame::Message, "no"));
        }
        stage.mail(&format!("ada{n}@example.com")).await;
        stage.settle().await;
    }
    // Deliveries: two of three arrive, one is on its way.
    let ctx = stage.ctx();
    let made = axle_app::webhooks::create(
        stage.app(),
        &ctx,
        serde_json::from_value(json!({"url": "http://127.0.0.1:9/hook"})).unwrap(),
        |made, _| Answer::new(201, json!({"id": made.value.id})),
    );
    let endpoint: WebhookId = made.await.unwrap().body["id"].as_str().unwrap().parse().unwrap();
    let table = stage.app().table().await;
    for status in [DeliveryStatus::Delivered, DeliveryStatus::Dead, DeliveryStatus::Delivered, DeliveryStatus::Pending] {
        let event = sample(EventType::LeadCreated, stage.entity, stage.world.clock.now());
        let delivery = DeliveryRecord { status, ..DeliveryRecord::new(&event, endpoint, stage.world.clock.now()) };
        table.put_new(&delivery).await.unwrap();
    }
    for n in 0..20 {
        execute(&stage, n > 4, if n < 19 { 7 } else { 100_000 }).await;
    }
    stage.world.clock.advance_secs(1);
    sweep(&stage).await;
    let value = async |name: &str| judged(&stage, name).await.value;
    assert_eq!(value("outbox-latency-p95-seconds").await, Some(1.0));
    assert_eq!(value("delivery-failure-rate").await, Some(0.25));
    assert_eq!(value("webhook-success-rate").await, Some(0.666_667));
    assert_eq!(value("agent-success-rate").await, Some(0.75));
    assert_eq!(value("agent-duration-p95-ms").await, Some(7.0));
    // An hour later none of it is in the window.
    stage.world.clock.advance_secs(3_600);
    sweep(&stage).await;
    for slo in slos::list(stage.app(), &stage.ctx()).await.unwrap() {
        assert_eq!((slo.status, slo.value), (SloState::NoData, None), "{}", slo.name);
    }
}

#[tokio::test]
async fn a_window_of_executions_is_exact_to_the_minute() {
    let stage = Stage::new().await;
    // The clock of the tests begins in the middle of a minute or not; so go to the beginning of one.
    stage.world.clock.advance_millis(60_000 - stage.world.clock.now().millis().rem_euclid(60_000));
    for _ in 0..25 {
        execute(&stage, true, 1).await;
        stage.world.clock.advance_secs(60);
    }
    let (table, now) = (stage.app().table().await, stage.world.clock.now().plus_secs(-60));
    for minutes in 1..=25_i64 {
        let numbers = table.execution_numbers(stage.entity, now, minutes).await.unwrap();
        assert_eq!((numbers.succeeded, numbers.durations.values().sum::<u64>()), (minutes as u64, minutes as u64));
    }
}

#[tokio::test]
async fn a_promise_that_changes_keeps_its_breach_and_one_of_another_tenant_is_another() {
    let stage = Stage::new().await;
    let first = set(&stage, "agents", &promise(Objective::AgentSuccessRate, 1.0, 10)).await;
    execute(&stage, false, 1).await;
    sweep(&stage).await;
    assert_eq!(judged(&stage, "agents").await.status, SloState::Breached);
    let (changed, is_new) =
        slos::put(stage.app(), &stage.ctx(), "agents", &promise(Objective::AgentSuccessRate, 0.0, 10)).await.unwrap();
    assert!(!is_new && changed.breached_since.is_some() && changed.created_at == first.created_at);
    sweep(&stage).await;
    assert_eq!(judged(&stage, "agents").await.status, SloState::Ok);
    let types: Vec<EventType> = told(&stage).await.into_iter().map(|(event_type, _)| event_type).collect();
    assert_eq!(types, [EventType::SloViolated, EventType::SloRecovered]);
    let stranger = Ctx { entity_id: EntityId::new_at(stage.world.clock.now()), ..stage.ctx() };
    assert!(slos::list(stage.app(), &stranger).await.unwrap().is_empty());
    assert!(matches!(slos::delete(stage.app(), &stranger, "agents").await, Err(Error::NotFound(_))));
    slos::delete(stage.app(), &stage.ctx(), "agents").await.unwrap();
    assert!(matches!(slos::delete(stage.app(), &stage.ctx(), "agents").await, Err(Error::NotFound(_))));
    assert!(!slos::evaluate(stage.app(), stage.entity, first.id).await.unwrap());
    assert!(!slos::evaluate(stage.app(), stage.entity, Uuid::from_u128(1)).await.unwrap());
}

#[tokio::test]
async fn there_are_fifty_at_most() {
    let stage = Stage::new().await;
    let input = promise(Objective::AgentSuccessRate, 1.0, 10);
    for n in 0..slos::MAX_SLOS {
        set(&stage, &format!("n{n}"), &input).await;
    }
    let more = slos::put(stage.app(), &stage.ctx(), "one-more", &input).await;
    assert!(matches!(more, Err(Error::Conflict(_))));
    set(&stage, "n0", &input).await;
    let bad = slos::put(stage.app(), &stage.ctx(), "No Name", &promise(Objective::AgentSuccessRate, 2.0, 0)).await;
    let Err(Error::Invalid(faults)) = bad else { panic!("{bad:?}") };
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["?name", "/threshold", "/window_minutes"]);
}

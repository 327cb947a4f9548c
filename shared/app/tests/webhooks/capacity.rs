//! Costs, rates, and who stands in whose way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axle_app::webhooks::{Deliverer, Dispatcher, Limits};
use axle_domain::event::EventType;
use axle_domain::webhook::DeliveryStatus;
use axle_store::deliveries::DeliverJob;
use serde_json::json;
use tokio::sync::Semaphore;
use wiremock::ResponseTemplate;

use crate::stage::{Stage, answering, received, receiver};

#[tokio::test]
async fn capacity_units_of_a_delivery() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    // The first delivery also notes that the endpoint answers.
    s.happen(EventType::LeadCreated).await;
    s.settle().await;

    s.happen(EventType::LeadCreated).await;
    let event = s.relayed().await.remove(0);
    s.world.meter.take();
    let dispatcher = Dispatcher::new(Arc::clone(s.app()));
    dispatcher.dispatch(&event).await.unwrap();
    assert_eq!(
        s.world.meter.take_units(),
        (1.0, 3.0),
        "endpoints of a small tenant; delivery, its listing entry, its place in the trace"
    );
    dispatcher.dispatch(&event).await.unwrap();
    let (read, _) = s.world.meter.take_units();
    assert_eq!(read, 0.0, "endpoints are read once a batch");

    s.relayed().await;
    s.deliver(&s.messages()).await;
    assert_eq!(s.deliveries(id, Some(DeliveryStatus::Delivered)).await.len(), 2);
    s.world.meter.take();

    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    let jobs = s.messages();
    s.world.meter.take();
    s.deliver(&jobs).await;
    assert_eq!(s.world.meter.take_units(), (3.0, 5.0));
    s.deliver(&jobs).await;
    assert_eq!(s.world.meter.take_units(), (1.0, 0.0), "a message too many");
}

#[tokio::test]
async fn a_batch_shares_the_endpoints_place() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    for _ in 0..10 {
        s.happen(EventType::LeadCreated).await;
    }
    s.dispatched().await;
    let jobs = s.messages();
    s.world.meter.take();
    s.deliver(&jobs).await;
    let (_, written) = s.world.meter.take_units();
    assert!((32.0..=34.0).contains(&written), "3 each, and 2 or a few more for the place: {written}");
}

#[tokio::test]
async fn dispatching_twice_makes_the_same_deliveries() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let ids = [s.endpoint(&server.uri()).await, s.endpoint(&server.uri()).await];
    s.happen(EventType::LeadCreated).await;
    let event = s.relayed().await.remove(0);
    for _ in 0..3 {
        assert_eq!(Dispatcher::new(Arc::clone(s.app())).dispatch(&event).await.unwrap(), 2);
    }
    let (a, b) = (Dispatcher::new(Arc::clone(s.app())), Dispatcher::new(Arc::clone(s.app())));
    tokio::try_join!(a.dispatch(&event), b.dispatch(&event)).unwrap();
    s.settle().await;
    assert_eq!(received(&server).await.len(), 2);
    for id in ids {
        assert_eq!(s.only(id).await.status, DeliveryStatus::Delivered);
    }
    // Also when it comes again after everything was done.
    Dispatcher::new(Arc::clone(s.app())).dispatch(&event).await.unwrap();
    s.settle().await;
    assert_eq!(received(&server).await.len(), 2);
}

#[tokio::test]
async fn an_endpoint_hears_of_what_happens_after_it_was_made() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    s.happen(EventType::LeadCreated).await;
    s.world.clock.advance_millis(1);
    s.endpoint(&server.uri()).await;
    assert_eq!(s.dispatched().await, 0);
    s.happen(EventType::LeadCreated).await;
    assert_eq!(s.dispatched().await, 1);
}

#[tokio::test]
async fn no_second_has_more_attempts_than_the_rate_limit() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let (id, _) = s.try_endpoint(json!({"url": server.uri(), "rate_limit_per_second": 3})).await.unwrap();
    for _ in 0..14 {
        s.happen(EventType::LeadCreated).await;
    }
    let mut seen = 0;
    let mut per_second = Vec::new();
    for _ in 0..12 {
        s.settle().await;
        let calls = received(&server).await.len();
        per_second.push(calls - seen);
        seen = calls;
        s.world.clock.advance_secs(1);
    }
    assert_eq!(seen, 14);
    assert!(per_second.iter().all(|calls| *calls <= 3), "{per_second:?}");
    assert_eq!(per_second[..4], [3, 3, 3, 3], "{per_second:?}");
    let deliveries = s.deliveries(id, None).await;
    assert!(deliveries.iter().all(|d| d.tries == 1 && d.status == DeliveryStatus::Delivered));
}

#[tokio::test]
async fn an_endpoint_that_hangs_has_one_worker_at_a_time() {
    let mut s = Stage::new().await;
    s.timeout = Duration::from_millis(150);
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(20))).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    assert_eq!(s.record(id).await.responsive, Some(false));
    for _ in 0..5 {
        s.happen(EventType::LeadCreated).await;
    }
    s.dispatched().await;
    let before = received(&server).await.len();
    let workers = s.messages().into_iter().map(async |job| s.deliver(&[job]).await);
    futures_util::future::join_all(workers).await;
    assert_eq!(received(&server).await.len() - before, 1);
    let waits = s.waits();
    assert_eq!(waits.iter().filter(|wait| **wait >= 9).count(), 4, "{waits:?}");
    // Put off is not tried.
    let untouched = s.deliveries(id, Some(DeliveryStatus::Pending)).await;
    assert!(untouched.len() == 4 && untouched.iter().all(|d| d.tries == 0));
}

/// Longer than the test may take: what hangs once hangs to the end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fleet like the deployed one, at its worst: 50 workers, each of which got no more than one message.
async fn run_fleet(s: &Arc<Stage>, mut jobs: Vec<DeliverJob>) {
    let workers = Arc::new(Semaphore::new(50));
    loop {
        for job in jobs {
            let worker = Arc::clone(&workers).acquire_owned().await.unwrap();
            let deliverer = Deliverer::new(Arc::clone(s.app()), Limits { timeout: PATIENCE });
            tokio::spawn(async move {
                deliverer.deliver(&job).await.unwrap();
                drop(worker);
            });
        }
        // Delayed messages come when the (real) time has come for them.
        tokio::time::sleep(Duration::from_millis(100)).await;
        s.world.clock.advance_millis(100);
        jobs = s.messages();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_endpoints_of_a_hundred_hang_and_nobody_else_waits() {
    let s = Arc::new(Stage::new().await);
    let well = receiver(200).await;
    let hung = answering(ResponseTemplate::new(200).set_delay(PATIENCE * 2)).await;
    for n in 0..100 {
        let (server, types) =
            if n % 10 == 0 { (&hung, vec!["task.created", "lead.created"]) } else { (&well, vec!["lead.created"]) };
        s.try_endpoint(json!({"url": format!("{}/{n}", server.uri()), "event_types": types})).await.unwrap();
    }
    // What hangs comes first, and there is more of it than there are workers.
    for _ in 0..8 {
        s.happen(EventType::TaskCreated).await;
    }
    assert_eq!(s.dispatched().await, 80);
    let mut jobs = s.messages();
    s.happen(EventType::LeadCreated).await;
    assert_eq!(s.dispatched().await, 100);
    jobs.extend(s.messages());

    let done = async {
        while received(&well).await.len() < 90 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = run_fleet(&s, jobs) => unreachable!("the fleet never ends"),
        () = done => {}
        () = tokio::time::sleep(PATIENCE / 3) => panic!("held up: {} of 90", received(&well).await.len()),
    }
    let paths: HashSet<String> = received(&well).await.iter().map(|request| request.url.path().to_owned()).collect();
    assert_eq!(paths.len(), 90);
    let stuck = received(&hung).await.len();
    assert!((10..=20).contains(&stuck), "each of the ten may occupy two workers: {stuck}");
}

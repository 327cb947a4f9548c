//! What service levels of the outbox are judged by.

use axle_app::communications::{feedback, health};
use axle_domain::communication::latency_class;
use axle_providers::mail::{Blame, SendError};
use serde_json::json;

use crate::stage::{Stage, bounce, mail};

#[tokio::test]
async fn failures_bounces_and_latencies_of_a_window() {
    let s = Stage::new().await;
    let nothing = health(s.app(), s.entity, 60).await.unwrap();
    assert_eq!((nothing.numbers.failure_rate(), nothing.numbers.latency_p95_seconds()), (None, None));
    s.world.sent.fail_next(SendError::permanent(Blame::Message, "no"));
    s.mail("a@example.com").await;
    s.settle().await;
    let mut first = None;
    for n in 0..9 {
        let id = s.mail(&format!("b{n}@example.com")).await;
        first.get_or_insert(id);
    }
    s.settle().await;
    let found = health(s.app(), s.entity, 60).await.unwrap();
    assert_eq!((found.numbers.sent, found.numbers.failed, found.numbers.failure_rate()), (9, 1, Some(0.1)));
    assert_eq!((found.numbers.latency_p95_seconds(), found.oldest_pending_age_seconds), (Some(1), 0));
    feedback(s.app(), &s.report(first.unwrap(), bounce("Permanent", "f-1")), 1).await.unwrap();
    assert_eq!(health(s.app(), s.entity, 60).await.unwrap().numbers.failure_rate(), Some(0.2));
    // What is due and waits.
    s.mail("late@example.com").await;
    s.world.clock.advance_secs(90);
    assert_eq!(health(s.app(), s.entity, 60).await.unwrap().oldest_pending_age_seconds, 90);
    s.settle().await;
    let found = health(s.app(), s.entity, 60).await.unwrap().numbers;
    assert_eq!(
        (found.sent, found.latencies.values().sum::<u64>(), found.latencies.get(&latency_class(90_000))),
        (10, 10, Some(&1))
    );
    // The window moves on.
    s.world.clock.advance_secs(2 * 3_600);
    assert_eq!(health(s.app(), s.entity, 60).await.unwrap().numbers, Default::default());
    assert_eq!(health(s.app(), s.entity, 24 * 60).await.unwrap().numbers.sent, 10);
}

#[tokio::test]
async fn waiting_that_was_asked_for_is_no_latency_and_waiting_for_a_provider_is() {
    let s = Stage::new().await;
    let mut later = mail("a@example.com");
    later["send_at"] = json!(s.app().now().plus_secs(7_200));
    s.queue(later).await;
    drop(s.jobs().await);
    s.later(7_200 + 31).await;
    let numbers = health(s.app(), s.entity, 10).await.unwrap().numbers;
    assert_eq!(
        (numbers.sent, numbers.latencies.get(&latency_class(31_000))),
        (1, Some(&1)),
        "the sweep's 31 s, not the two hours"
    );
    s.world.clock.advance_secs(3_600);
    s.world.sent.fail_next(SendError::transient("later"));
    s.world.sent.fail_next(SendError::transient("later"));
    s.mail("b@example.com").await;
    s.settle().await;
    s.later(70).await;
    s.later(200).await;
    let numbers = health(s.app(), s.entity, 10).await.unwrap().numbers;
    assert_eq!(
        (numbers.sent, numbers.failed, numbers.latencies.get(&latency_class(270_000))),
        (1, 0, Some(&1)),
        "270 s since it was due at first"
    );
}

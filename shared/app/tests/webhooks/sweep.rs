//! The scheduler's sweep.

use std::time::{Duration, Instant};

use axle_app::schedule::sweep;
use axle_app::webhooks;
use axle_domain::Time;
use axle_domain::event::EventType;
use axle_domain::webhook::{DeliveryStatus, ReplayInput, ReplayOnly};
use serde_json::json;

use crate::stage::{Stage, received, receiver};

#[tokio::test]
async fn lost_messages_are_made_up_for_once_however_often_it_sweeps() {
    let s = Stage::new().await;
    let server = receiver(500).await;
    let id = s.endpoint(&server.uri()).await;
    for _ in 0..3 {
        s.happen(EventType::LeadCreated).await;
    }
    s.settle().await;
    // The delayed messages are lost.
    s.world.clock.advance_secs(20);
    s.messages();
    assert_eq!(s.sweep().await, 0, "a delayed message may still be on its way");
    s.world.clock.advance_secs(30);
    assert_eq!((s.sweep().await, s.sweep().await), (3, 3));
    assert_eq!(s.messages().len(), 6);
    s.sweep().await;
    let jobs = s.messages();
    s.deliver(&[jobs.clone(), jobs].concat()).await;
    assert_eq!(received(&server).await.len(), 6);
    let deliveries = s.deliveries(id, None).await;
    assert!(deliveries.iter().all(|d| d.status == DeliveryStatus::Failed && d.attempts.len() == 2));
    assert_eq!(s.sweep().await, 0, "the next attempts are minutes away");
}

#[tokio::test]
async fn a_claim_that_ran_out_is_found() {
    let s = Stage::new().await;
    let server = receiver(500).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    s.world.clock.advance_secs(7);
    let jobs = s.messages();
    server.reset().await;
    let slow = wiremock::ResponseTemplate::new(200).set_delay(Duration::from_millis(400));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(slow).mount(&server).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), s.deliver(&jobs)).await.is_err());
    s.later(60).await;
    assert_eq!(s.sweep().await, 1);
    s.settle().await;
    assert_eq!(s.only(id).await.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn it_stops_in_time_and_says_so() {
    let s = Stage::new().await;
    let swept = sweep(s.app(), Instant::now() + Duration::from_secs(1)).await.unwrap();
    assert!(swept.unfinished && swept.sent == 0);
}

#[tokio::test]
async fn a_queue_that_fails_is_an_error() {
    let s = Stage::new().await;
    let server = receiver(500).await;
    s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    s.world.clock.advance_secs(60);
    s.messages();
    s.world.deliver_queue.fail_next(1);
    assert!(sweep(s.app(), Instant::now() + Duration::from_secs(30)).await.is_err());
    assert_eq!(s.sweep().await, 1);
}

#[tokio::test]
async fn what_waits_for_room_is_not_overdue() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let (id, _) = s.try_endpoint(json!({"url": server.uri(), "rate_limit_per_second": 1})).await.unwrap();
    for _ in 0..3 {
        s.happen(EventType::LeadCreated).await;
        s.settle().await;
        s.world.clock.advance_secs(1);
    }
    let all = ReplayInput { since: Time::from_secs(0), until: None, only: ReplayOnly::All };
    assert_eq!(webhooks::replay_range(s.app(), &s.ctx(), id, &all).await.unwrap(), 3);
    s.settle().await;
    assert_eq!(received(&server).await.len(), 4);
    let put_off = s.deliveries(id, Some(DeliveryStatus::Pending)).await;
    assert!(put_off.len() == 2 && put_off.iter().all(|delivery| delivery.next_attempt_at > Some(s.app().now())));
    for _ in 0..3 {
        s.later(1).await;
        assert_eq!(s.sweep().await, 0);
    }
    assert_eq!(received(&server).await.len(), 6);
}

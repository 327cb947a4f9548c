//! Replays.

use std::collections::HashSet;

use axle_app::{Answer, Error, webhooks};
use axle_domain::event::{EventType, sample::sample};
use axle_domain::webhook::{DeliveryStatus, ReplayInput, ReplayOnly};
use axle_domain::{DeliveryId, Time};
use axle_store::deliveries::DeliveryRecord;
use serde_json::json;

use crate::stage::{Stage, header, received, receiver, turn};

async fn replay(s: &Stage, id: DeliveryId) -> axle_app::Result<Answer> {
    webhooks::replay(s.app(), &s.ctx(), id, |replayed| Answer::new(200, json!({"replayed": replayed}))).await
}

#[tokio::test]
async fn one_delivery_again_under_the_same_id() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    let event = s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let delivery = s.only(id).await;
    s.world.clock.advance_secs(10);
    assert_eq!(replay(&s, delivery.id).await.unwrap().body, json!({"replayed": 1}));
    assert_eq!(s.only(id).await.status, DeliveryStatus::Pending);
    // At once, not with the next sweep.
    s.settle().await;
    let requests = received(&server).await;
    assert!(requests.iter().all(|r| header(r, "webhook-id") == event.id.to_string()));
    let delivery = s.only(id).await;
    assert_eq!((requests.len(), delivery.status, delivery.attempts.len(), delivery.tries), (2, DeliveryStatus::Delivered, 2, 1));
    assert_eq!(s.sweep().await, 0);
}

#[tokio::test]
async fn what_cannot_be_replayed() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let delivery = s.only(id).await.id;
    let unknown = DeliveryId::from_uuid(id.uuid());
    assert!(matches!(replay(&s, unknown).await, Err(Error::NotFound(_))));
    s.patch(id, json!({"status": "disabled"})).await;
    assert!(matches!(replay(&s, delivery).await, Err(Error::Conflict(_))));
    let range = ReplayInput { since: Time::from_secs(0), until: None, only: ReplayOnly::All };
    assert!(matches!(webhooks::replay_range(s.app(), &s.ctx(), id, &range).await, Err(Error::Conflict(_))));
    let backwards = ReplayInput { until: Some(Time::from_secs(0)), ..range };
    s.patch(id, json!({"status": "enabled"})).await;
    assert!(matches!(webhooks::replay_range(s.app(), &s.ctx(), id, &backwards).await, Err(Error::Invalid(_))));
    webhooks::delete(s.app(), &s.ctx(), id, None).await.unwrap();
    assert!(matches!(replay(&s, delivery).await, Err(Error::Conflict(_))));
    assert!(matches!(webhooks::replay_range(s.app(), &s.ctx(), id, &backwards).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_range_of_failed_ones_or_of_all() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    let start = s.app().now();
    // One delivered outside the range, three in it; then two that fail.
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    s.world.clock.advance_secs(10);
    let since = s.app().now();
    for _ in 0..3 {
        s.happen(EventType::LeadCreated).await;
    }
    s.settle().await;
    turn(&server, 500).await;
    for _ in 0..2 {
        s.happen(EventType::LeadCreated).await;
    }
    s.settle().await;
    turn(&server, 200).await;

    let range = |only| ReplayInput { since, until: None, only };
    let run = async |range: ReplayInput| webhooks::replay_range(s.app(), &s.ctx(), id, &range).await.unwrap();
    assert_eq!(run(range(ReplayOnly::Failed)).await, 2);
    assert_eq!(run(range(ReplayOnly::Failed)).await, 0, "they are not failed any more");
    s.settle().await;
    assert_eq!(received(&server).await.len(), 2);
    assert!(s.deliveries(id, None).await.iter().all(|d| d.status == DeliveryStatus::Delivered));

    assert_eq!(run(range(ReplayOnly::All)).await, 5);
    s.settle().await;
    assert_eq!(received(&server).await.len(), 7);
    assert_eq!(run(ReplayInput { since: start, until: Some(since), only: ReplayOnly::All }).await, 1);
}

#[tokio::test]
async fn hundreds_at_once() {
    let s = Stage::new().await;
    let id = s.endpoint("https://127.0.0.1/").await;
    let table = s.app().table().await;
    for _ in 0..105 {
        let event = sample(EventType::LeadCreated, s.entity, s.app().now());
        let delivery = DeliveryRecord::new(&event, id, s.app().now());
        table.put_new(&DeliveryRecord { status: DeliveryStatus::Dead, ..delivery }).await.unwrap();
    }
    s.dispatched().await;
    assert_eq!(s.messages().len(), 105);
    let range = ReplayInput { since: Time::from_secs(0), until: None, only: ReplayOnly::Failed };
    assert_eq!(webhooks::replay_range(s.app(), &s.ctx(), id, &range).await.unwrap(), 105);
    s.dispatched().await;
    let replayed: HashSet<DeliveryId> = s.messages().into_iter().map(|job| job.delivery_id).collect();
    assert_eq!(replayed.len(), 105);
}

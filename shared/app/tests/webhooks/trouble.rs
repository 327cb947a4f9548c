//! Endpoints that come to an end, and events about them.

use axle_app::webhooks;
use axle_domain::event::EventType;
use axle_domain::webhook::{DeliveryStatus, EndpointStatus};
use serde_json::{Value, json};

use crate::stage::{Stage, header, received, receiver, turn};

async fn bodies(server: &wiremock::MockServer) -> Vec<Value> {
    received(server).await.iter().map(|request| request.body_json().unwrap()).collect()
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_the_others_hear_of_it() {
    let s = Stage::new().await;
    let (gone, other) = (receiver(410).await, receiver(200).await);
    let id = s.endpoint(&format!("{}/services/T0K3N?key=s3cret", gone.uri())).await;
    s.try_endpoint(json!({"url": other.uri(), "event_types": ["webhook.disabled"]})).await.unwrap();
    let event = s.happen(EventType::LeadCreated).await;
    s.settle().await;

    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.tries), (DeliveryStatus::Dead, 1));
    let record = s.record(id).await;
    assert_eq!(record.status, EndpointStatus::Disabled);
    assert!(record.disabled_reason.unwrap().contains("410"));
    let [told] = &bodies(&other).await[..] else { panic!("one event") };
    // They need not know how it is called: its path and query may be secrets.
    assert_eq!((&told["type"], &told["data"]["url"]), (&json!("webhook.disabled"), &json!(gone.uri())));
    let [request] = &received(&other).await[..] else { panic!("one event") };
    let trace = header(request, "traceparent");
    assert!(trace.contains(&event.trace_id.unwrap().to_string()), "its trace goes on: {trace}");
    assert_eq!(received(&gone).await.len(), 1, "not told of itself, and not tried again");

    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    assert_eq!(s.deliveries(id, None).await.len(), 1, "a disabled endpoint gets no deliveries");
    let enabled = s.patch(id, json!({"status": "enabled"})).await;
    assert_eq!((enabled.disabled_reason, enabled.responsive), (None, None));
    turn(&gone, 200).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    assert_eq!(received(&gone).await.len(), 1);
}

#[tokio::test]
async fn no_endpoint_is_told_of_itself() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    s.emit(&s.about(id)).await;
    assert_eq!(s.dispatched().await, 0);
    let other = s.endpoint(&server.uri()).await;
    s.emit(&s.about(id)).await;
    s.settle().await;
    assert_eq!((s.deliveries(id, None).await.len(), s.deliveries(other, None).await.len()), (0, 1));
}

#[tokio::test]
async fn five_days_of_failure_disable_the_endpoint() {
    const DAY: i64 = 86_400;
    let s = Stage::new().await;
    let server = receiver(500).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    s.later(5 * DAY - 60).await;
    let event = s.happen(EventType::LeadCreated).await;
    s.settle().await;
    assert_eq!(s.record(id).await.status, EndpointStatus::Enabled);
    // Its second attempt is the one at which five days are full.
    s.later(60).await;
    let record = s.record(id).await;
    assert_eq!(record.status, EndpointStatus::Disabled);
    assert!(record.disabled_reason.unwrap().contains("5 days"));
    let deliveries = s.deliveries(id, None).await;
    let last = deliveries.iter().find(|d| d.event_id == event.id).unwrap();
    assert_eq!((last.status, last.tries, last.next_attempt_at), (DeliveryStatus::Dead, 2, None));
    // The others die when their time comes, without a call.
    let calls = received(&server).await.len();
    s.later(DAY).await;
    s.sweep().await;
    s.settle().await;
    assert!(s.deliveries(id, None).await.iter().all(|d| d.status == DeliveryStatus::Dead));
    assert_eq!(received(&server).await.len(), calls);
}

#[tokio::test]
async fn a_success_in_between_starts_the_five_days_anew() {
    let s = Stage::new().await;
    let server = receiver(500).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    turn(&server, 200).await;
    s.later(10).await;
    turn(&server, 500).await;
    s.later(5 * 86_400).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.failing_since), (EndpointStatus::Enabled, Some(s.app().now())));
}

#[tokio::test]
async fn deliveries_of_a_deleted_endpoint_die_quietly() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    let jobs = s.messages();
    webhooks::delete(s.app(), &s.ctx(), id, None).await.unwrap();
    s.deliver(&jobs).await;
    s.settle().await;
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn deliveries_of_a_disabled_endpoint_say_why_they_died() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    s.patch(id, json!({"status": "disabled"})).await;
    s.settle().await;
    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.tries), (DeliveryStatus::Dead, 0));
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("not sent: the endpoint is disabled"));
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_disabling_meets_a_new_url_and_yields() {
    let s = Stage::new().await;
    let (slow_gone, fresh) = (receiver(410).await, receiver(200).await);
    let id = s.endpoint(&slow_gone.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    let jobs = s.messages();
    slow_gone.reset().await;
    let late = wiremock::ResponseTemplate::new(410).set_delay(std::time::Duration::from_millis(300));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(late).mount(&slow_gone).await;
    let url = fresh.uri();
    let change = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        s.patch(id, json!({"url": url})).await
    };
    tokio::join!(s.deliver(&jobs), change);
    assert_eq!(s.record(id).await.status, EndpointStatus::Enabled);
    assert_eq!(s.only(id).await.status, DeliveryStatus::Dead);
}

//! Attempts that go well, or as badly as expected.

use std::time::Duration;

use axle_domain::event::EventType;
use axle_domain::webhook::DeliveryStatus;
use axle_store::deliveries::DeliverJob;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::stage::{Stage, answering, believes, header, received, receiver, turn};

#[tokio::test]
async fn an_event_reaches_those_who_want_it() {
    let s = Stage::new().await;
    let (leads, tasks) = (receiver(204).await, receiver(200).await);
    let (id, secret) =
        s.try_endpoint(json!({"url": format!("{}/hook?a=b", leads.uri()), "event_types": ["lead.*"]})).await.unwrap();
    s.try_endpoint(json!({"url": tasks.uri(), "event_types": ["task.created"]})).await.unwrap();
    let event = s.happen(EventType::LeadScored).await;
    s.settle().await;

    assert!(received(&tasks).await.is_empty());
    let [request] = &received(&leads).await[..] else { panic!("one request") };
    assert_eq!((request.method.as_str(), request.url.path(), request.url.query()), ("POST", "/hook", Some("a=b")));
    let now = s.app().now();
    let expected = json!({
        "id": event.id, "type": "lead.scored", "timestamp": event.occurred_at, "entity_id": s.entity, "data": event.data,
    });
    assert_eq!(request.body_json::<Value>().unwrap(), expected);
    assert!(request.body.starts_with(format!(r#"{{"id":"{}","type":"#, event.id).as_bytes()));
    assert_eq!(header(request, "content-type"), "application/json");
    assert_eq!(header(request, "webhook-id"), event.id.to_string());
    assert_eq!(header(request, "webhook-timestamp"), now.secs().to_string());
    assert!(header(request, "user-agent").starts_with("axle-webhooks/"));
    let traceparent = header(request, "traceparent");
    assert!(traceparent.starts_with(&format!("00-{}-", event.trace_id.unwrap())) && traceparent.len() == 55, "{traceparent}");
    assert!(believes(&secret, request, now));

    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.event_id, delivery.next_attempt_at), (DeliveryStatus::Delivered, event.id, None));
    assert_eq!((delivery.attempts.len(), delivery.attempts[0].status_code), (1, Some(204)));
    assert_eq!(delivery.attempts[0].error, None);
    let record = s.record(id).await;
    assert_eq!((record.failing_since, record.responsive), (None, Some(true)));
}

#[tokio::test]
async fn ten_attempts_on_the_schedule_and_then_none() {
    let s = Stage::new().await;
    let server = answering(ResponseTemplate::new(500).set_body_string("é".repeat(600))).await;
    let id = s.endpoint(&server.uri()).await;
    let event = s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let schedule = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (n, wait) in schedule.into_iter().enumerate() {
        let delivery = s.only(id).await;
        assert_eq!((delivery.status, delivery.attempts.len()), (DeliveryStatus::Failed, n + 1));
        let due_in = delivery.next_attempt_at.unwrap().since(s.app().now()) / 1000;
        assert!((wait * 9 / 10 - 1..=wait * 11 / 10).contains(&due_in), "{n}: {due_in}");
        // Within 15 minutes a delayed message does it, later on the scheduler.
        assert_eq!(s.waits().len(), usize::from(wait <= 900));
        s.later(wait * 8 / 10).await;
        assert_eq!((s.sweep().await, s.only(id).await.attempts.len()), (0, n + 1), "not early");
        s.later(wait * 3 / 10 + 40).await;
        s.sweep().await;
        s.settle().await;
    }
    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.tries, delivery.next_attempt_at), (DeliveryStatus::Dead, 10, None));
    let excerpts: Vec<usize> = delivery.attempts.iter().map(|a| a.response_excerpt.as_ref().unwrap().len()).collect();
    assert_eq!(excerpts, [[256; 9].as_slice(), &[1024]].concat());
    s.later(864_000).await;
    assert_eq!((s.sweep().await, received(&server).await.len()), (0, 10));

    let requests = received(&server).await;
    assert!(requests.iter().all(|r| header(r, "webhook-id") == event.id.to_string() && r.body == requests[0].body));
    let mut timestamps: Vec<&str> = requests.iter().map(|r| header(r, "webhook-timestamp")).collect();
    timestamps.dedup();
    assert_eq!(timestamps.len(), 10, "each attempt is signed anew");
}

#[tokio::test]
async fn success_after_failure_ends_the_trouble() {
    let s = Stage::new().await;
    let server = receiver(503).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    assert_eq!(s.record(id).await.failing_since, Some(s.app().now()));
    turn(&server, 200).await;
    s.later(7).await;
    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.attempts.len()), (DeliveryStatus::Delivered, 2));
    assert_eq!(s.record(id).await.failing_since, None);
    assert_eq!(s.deliveries(id, Some(DeliveryStatus::Delivered)).await.len(), 1);
    assert!(s.deliveries(id, Some(DeliveryStatus::Failed)).await.is_empty());
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let s = Stage::new().await;
    let server = answering(ResponseTemplate::new(429).insert_header("retry-after", "120")).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let due_in = s.only(id).await.next_attempt_at.unwrap().since(s.app().now());
    assert!((120_000..=132_000).contains(&due_in), "{due_in}");
}

#[tokio::test]
async fn redirects_are_failures() {
    let s = Stage::new().await;
    let target = receiver(200).await;
    let server = answering(ResponseTemplate::new(302).insert_header("location", target.uri().as_str())).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let attempt = s.only(id).await.attempts.remove(0);
    assert_eq!(attempt.error.as_deref(), Some("answered with status 302; redirects are not followed"));
    assert!(received(&target).await.is_empty());
}

#[tokio::test]
async fn silence_is_a_failure_and_shows_in_the_endpoint() {
    let mut s = Stage::new().await;
    s.timeout = Duration::from_millis(150);
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(20))).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let attempt = s.only(id).await.attempts.remove(0);
    assert_eq!((attempt.status_code, attempt.error.as_deref()), (None, Some("no answer within 150 ms")));
    assert!(attempt.duration_ms >= 150);
    assert_eq!(s.record(id).await.responsive, Some(false));
}

#[tokio::test]
async fn doubled_messages_make_one_attempt() {
    let s = Stage::new().await;
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_millis(50))).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    let job: DeliverJob = s.messages().remove(0);
    s.deliver(&vec![job.clone(); 4]).await;
    assert_eq!(received(&server).await.len(), 1);
    // Those that found it claimed look again when the claim has run out, and find it done.
    let waits = s.waits();
    assert!(waits.iter().all(|wait| (5..=20).contains(wait)), "{waits:?}");
    s.later(30).await;
    s.deliver(&[job]).await;
    assert_eq!((received(&server).await.len(), s.only(id).await.attempts.len()), (1, 1));
}

#[tokio::test]
async fn a_message_that_comes_too_early_waits() {
    let s = Stage::new().await;
    let server = receiver(500).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let job = s.only(id).await.job();
    s.deliver(std::slice::from_ref(&job)).await;
    assert_eq!((received(&server).await.len(), s.waits().len()), (1, 2));
    // Both messages come; the second finds the next attempt still ahead.
    s.later(7).await;
    assert_eq!(received(&server).await.len(), 2);
}

#[tokio::test]
async fn a_worker_that_died_is_made_up_for() {
    let s = Stage::new().await;
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_millis(300))).await;
    let id = s.endpoint(&server.uri()).await;
    s.happen(EventType::LeadCreated).await;
    s.dispatched().await;
    let jobs = s.messages();
    // Killed between the call and the record of it.
    let killed = tokio::time::timeout(Duration::from_millis(200), s.deliver(&jobs)).await;
    assert!(killed.is_err());
    let claimed = s.only(id).await;
    assert!(claimed.claimed_until.unwrap() > s.app().now());
    // The queue hands the message out again, perhaps while the claim still stands.
    s.deliver(&jobs).await;
    assert_eq!(received(&server).await.len(), 1);
    s.later(11).await;
    let delivery = s.only(id).await;
    assert_eq!((delivery.status, delivery.attempts.len(), received(&server).await.len()), (DeliveryStatus::Delivered, 1, 2));
}

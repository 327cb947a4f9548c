//! Endpoints as tenants handle them.

use axle_app::webhooks::{self, TestOutcome};
use axle_app::{Answer, Ctx, Error, PageRequest};
use axle_domain::event::EventType;
use axle_domain::webhook::EndpointStatus;
use axle_domain::{EntityId, TraceId, WebhookId};
use axle_store::webhooks::WebhookRecord;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::stage::{Stage, answering, believes, header, received, receiver};

fn pointers(error: &Error) -> Vec<&str> {
    let Error::Invalid(faults) = error else { panic!("{error:?}") };
    faults.iter().map(|fault| fault.pointer.as_str()).collect()
}

#[tokio::test]
async fn made_read_listed_and_deleted() {
    let s = Stage::new().await;
    let (first, secret) = s.try_endpoint(json!({"url": "https://example.com/a"})).await.unwrap();
    assert!(secret.starts_with("whsec_"));
    s.world.clock.advance_secs(1);
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let input = json!({"url": "https://example.com/b", "event_types": ["lead.*"], "secret": own, "rate_limit_per_second": 5});
    let (second, shown) = s.try_endpoint(input).await.unwrap();
    assert_eq!(shown, own);
    assert_eq!(webhooks::secret(s.app(), &s.ctx(), second).await.unwrap(), own);
    let stored = s.record(second).await;
    assert_eq!((stored.event_types, stored.rate_limit_per_second), (vec!["lead.*".to_owned()], Some(5)));
    assert!(stored.secret.starts_with("v1."), "sealed");

    let page = |cursor| PageRequest { cursor, limit: 1 };
    let newest = webhooks::list(s.app(), &s.ctx(), page(None)).await.unwrap();
    let oldest = webhooks::list(s.app(), &s.ctx(), page(newest.next_cursor)).await.unwrap();
    assert_eq!((newest.items[0].value.id, oldest.items[0].value.id, oldest.next_cursor), (second, first, None));

    s.world.clock.advance_secs(1);
    webhooks::delete(s.app(), &s.ctx(), first, None).await.unwrap();
    assert!(matches!(webhooks::get(s.app(), &s.ctx(), first).await, Err(Error::NotFound(_))));
    let actions = s.app().table().await.audit_log(s.entity, None, 10).await.unwrap().0;
    let actions: Vec<&str> = actions.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["webhook.deleted", "webhook.created", "webhook.created"]);
}

#[tokio::test]
async fn another_tenants_endpoint_is_not_there() {
    let s = Stage::new().await;
    let id = s.endpoint("https://example.com/a").await;
    let stranger = EntityId::new_at(s.app().now());
    let ctx = Ctx::system(stranger, "test", s.app().now(), TraceId::random());
    let page = PageRequest { cursor: None, limit: 10 };
    assert!(matches!(webhooks::get(s.app(), &ctx, id).await, Err(Error::NotFound(_))));
    assert!(matches!(webhooks::secret(s.app(), &ctx, id).await, Err(Error::NotFound(_))));
    assert!(matches!(webhooks::patch(s.app(), &ctx, id, &json!({}), None).await, Err(Error::NotFound(_))));
    assert!(matches!(webhooks::delete(s.app(), &ctx, id, None).await, Err(Error::NotFound(_))));
    assert!(matches!(webhooks::test(s.app(), &ctx, id, None).await, Err(Error::NotFound(_))));
    assert!(matches!(webhooks::deliveries(s.app(), &ctx, id, None, page).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn every_fault_at_once() {
    let s = Stage::new().await;
    let input =
        json!({"url": "ftp://example.com", "event_types": ["lead.exploded"], "secret": "short", "rate_limit_per_second": 0});
    let error = s.try_endpoint(input).await.unwrap_err();
    assert_eq!(pointers(&error), ["/secret", "/url", "/event_types/0", "/rate_limit_per_second"]);
}

#[tokio::test]
async fn patches() {
    let s = Stage::new().await;
    let input =
        json!({"url": "https://example.com/a", "description": "x", "rate_limit_per_second": 5, "event_types": ["lead.*"]});
    let id = s.try_endpoint(input).await.unwrap().0;
    let patched = s.patch(id, json!({"description": null, "event_types": null, "rate_limit_per_second": 9})).await;
    assert_eq!((patched.description, patched.event_types, patched.rate_limit_per_second), (None, vec!["*".to_owned()], Some(9)));
    assert_eq!(patched.url, "https://example.com/a");

    for (change, pointer) in [
        (json!({"url": null}), "/url"),
        (json!({"status": null}), "/status"),
        (json!({"url": "https://10.0.0.1/"}), "/url"),
        (json!({"event_types": []}), "/event_types"),
        (json!({"secret": "x"}), "/secret"),
        (json!({"status": "paused"}), "/status"),
    ] {
        let error = webhooks::patch(s.app(), &s.ctx(), id, &change, None).await.unwrap_err();
        assert_eq!(pointers(&error), [pointer], "{change}");
    }

    let version = webhooks::get(s.app(), &s.ctx(), id).await.unwrap().version;
    let off = json!({"status": "disabled"});
    let changed = webhooks::patch(s.app(), &s.ctx(), id, &off, Some(version)).await.unwrap();
    assert_eq!((changed.value.status, changed.version), (EndpointStatus::Disabled, version + 1));
    let stale = webhooks::patch(s.app(), &s.ctx(), id, &json!({"status": "enabled"}), Some(version)).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed(_))));
    assert!(matches!(webhooks::delete(s.app(), &s.ctx(), id, Some(version)).await, Err(Error::PreconditionFailed(_))));
    // What changes nothing is no change.
    assert_eq!(webhooks::patch(s.app(), &s.ctx(), id, &off, None).await.unwrap().version, version + 1);
}

async fn rotate(s: &Stage, id: WebhookId, overlap: Option<u32>) -> String {
    let answer = |_: &axle_store::Versioned<_>, secret: &str| Answer::new(200, secret);
    let answer = webhooks::rotate_secret(s.app(), &s.ctx(), id, overlap, answer).await.unwrap();
    answer.body.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn during_a_rotations_overlap_both_secrets_sign() {
    let s = Stage::new().await;
    let server = receiver(200).await;
    let (id, old) = s.try_endpoint(json!({"url": server.uri()})).await.unwrap();
    let new = rotate(&s, id, Some(60)).await;
    assert_ne!(old, new);
    assert_eq!(webhooks::secret(s.app(), &s.ctx(), id).await.unwrap(), new);

    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    s.world.clock.advance_secs(61);
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let requests = received(&server).await;
    let now = s.app().now();
    let verdicts: Vec<(bool, bool)> = requests.iter().map(|r| (believes(&new, r, now), believes(&old, r, now))).collect();
    assert_eq!(verdicts, [(true, true), (true, false)]);
    assert_eq!(header(&requests[0], "webhook-signature").split(' ').count(), 2);

    let at_once = rotate(&s, id, Some(0)).await;
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let requests = received(&server).await;
    assert!(believes(&at_once, &requests[2], now) && !believes(&new, &requests[2], now));
    let too_long = webhooks::rotate_secret(s.app(), &s.ctx(), id, Some(604_801), |_, _| Answer::new(200, ())).await;
    assert_eq!(pointers(&too_long.unwrap_err()), ["/overlap_seconds"]);
}

#[tokio::test]
async fn a_test_is_sent_at_once_and_leaves_nothing_behind() {
    let s = Stage::new().await;
    let server = answering(ResponseTemplate::new(418).set_body_string("x".repeat(3000))).await;
    let input = json!({"url": server.uri(), "event_types": ["task.completed", "lead.*"]});
    let (id, secret) = s.try_endpoint(input).await.unwrap();
    let outcome = webhooks::test(s.app(), &s.ctx(), id, None).await.unwrap();
    let TestOutcome { delivered, status_code, response_excerpt, error, .. } = outcome;
    assert_eq!((delivered, status_code, response_excerpt.unwrap().len()), (false, Some(418), 1024));
    assert_eq!(error.as_deref(), Some("answered with status 418"));
    let asked = webhooks::test(s.app(), &s.ctx(), id, Some("meeting.booked")).await.unwrap();
    assert!(!asked.delivered);

    let requests = received(&server).await;
    let types: Vec<Value> = requests.iter().map(|r| r.body_json::<Value>().unwrap()["type"].clone()).collect();
    assert_eq!(types, ["lead.created", "meeting.booked"]);
    assert!(requests.iter().all(|request| believes(&secret, request, s.app().now())));
    s.settle().await;
    assert!(s.deliveries(id, None).await.is_empty());
    assert!(s.record(id).await.failing_since.is_none());

    let unknown = webhooks::test(s.app(), &s.ctx(), id, Some("lead.exploded")).await.unwrap_err();
    assert_eq!(pointers(&unknown), ["/event_type"]);
}

#[tokio::test]
async fn there_is_a_limit_of_endpoints() {
    let s = Stage::new().await;
    let template = s.record(s.endpoint("https://127.0.0.1/").await).await;
    let table = s.app().table().await;
    for _ in 2..webhooks::MAX_ENDPOINTS {
        let id = WebhookId::new_at(s.app().now());
        table.put_new(&WebhookRecord { id, ..template.clone() }).await.unwrap();
    }
    s.endpoint("https://127.0.0.1/").await;
    let refused = s.try_endpoint(json!({"url": "https://127.0.0.1/"})).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

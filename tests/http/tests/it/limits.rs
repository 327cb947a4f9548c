//! Rate limits: exact under concurrency, and told in both header families.

use axle_domain::identity::{Plan, Scope};
use axle_domain::rate::Limits;
use serde_json::json;

use crate::support::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_against_sixty_give_sixty() {
    let api = Api::new().await;
    let limits = Limits { queries: Some(60), ..Limits::default() };
    let key = api.world.key(&api.me.entity_id.to_string(), &[Scope::All], Plan::Enterprise, limits).await;
    let calls = (0..1_000).map(|_| api.send_as(&key.api_key, "GET", "/me", None));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 60);
    assert_eq!(answers.iter().filter(|a| a.status == 429).count(), 940);
    let refused = answers.iter().find(|a| a.status == 429).unwrap();
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(refused.header("retry-after"), refused.header("x-ratelimit-retry-after"));
    // Other classes are untouched, and a new window starts anew.
    assert_eq!(api.send_as(&key.api_key, "POST", "/leads", Some(json!({"email": "a@example.com"}))).await.status, 201);
    api.world.clock.advance_secs(3_600);
    assert_eq!(api.send_as(&key.api_key, "GET", "/me", None).await.status, 200);
}

#[tokio::test]
async fn headers_tell_where_one_stands_and_refused_requests_count() {
    let api = Api::new().await;
    let key = api.world.key(&api.me.entity_id.to_string(), &[Scope::LeadsWrite], Plan::SelfService, Limits::default()).await;
    let first = api.send_as(&key.api_key, "POST", "/leads", Some(json!({}))).await;
    assert_eq!(first.status, 422);
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), (Some("1000"), Some("999")));
    assert_eq!(first.header("ratelimit-policy"), Some("\"leads\";q=1000;w=3600"));
    let reset: i64 = first.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let left = reset - api.world.clock.now().secs();
    assert_eq!(first.header("ratelimit"), Some(format!("\"leads\";r=999;t={left}").as_str()));
    let forbidden = api.send_as(&key.api_key, "GET", "/leads", None).await;
    assert_eq!((forbidden.status.as_u16(), forbidden.header("x-ratelimit-remaining")), (403, Some("9999")));
    assert_eq!(first.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn counting_costs_one_write_unit_a_refusal_too() {
    let api = Api::new().await;
    let limits = Limits { queries: Some(2), ..Limits::default() };
    let key = api.world.key(&api.me.entity_id.to_string(), &[Scope::LeadsRead], Plan::Enterprise, limits).await;
    api.send_as(&key.api_key, "GET", "/leads", None).await;
    api.world.meter.take();
    assert_eq!(api.send_as(&key.api_key, "GET", "/leads", None).await.status, 200);
    assert!(api.world.meter.take_units().1 <= 1.0);
    assert_eq!(api.send_as(&key.api_key, "GET", "/leads", None).await.status, 429);
    assert!(api.world.meter.take_units().1 <= 1.0);
}

//! Idempotent POSTs.

use serde_json::json;

use crate::support::{Api, id};

const KEY: &str = "idempotency-key";

#[tokio::test]
async fn the_same_request_again_is_the_same_answer() {
    let api = Api::new().await;
    let body = json!({"name": "x", "channels": ["email"]});
    let first = api.post_with("/campaigns", body.clone(), &[(KEY, "abc")]).await;
    let again = api.post_with("/campaigns", body.clone(), &[(KEY, "\"abc\"")]).await;
    assert_eq!((first.status, &first.text, first.header("etag")), (again.status, &again.text, again.header("etag")));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")));
    assert_eq!(api.get("/campaigns").await.json()["campaigns"].as_array().unwrap().len(), 1);
    let other = api.post_with("/campaigns", json!({"name": "y", "channels": ["email"]}), &[(KEY, "abc")]).await;
    assert_eq!(other.status, 422);
    // The same key on another path is another key, and after a day it is forgotten.
    assert_eq!(api.post_with("/leads", json!({"email": "a@example.com"}), &[(KEY, "abc")]).await.status, 201);
    api.world.clock.advance_secs(86_401);
    let later = api.post_with("/campaigns", body, &[(KEY, "abc")]).await;
    assert_ne!(id(&later), id(&first));
    for bad in ["", "with space", &"x".repeat(256)] {
        assert_eq!(api.post_with("/campaigns", json!({}), &[(KEY, bad)]).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_its_key() {
    let api = Api::new().await;
    assert_eq!(api.post_with("/leads", json!({"email": "nope"}), &[(KEY, "k")]).await.status, 422);
    assert_eq!(api.post_with("/leads", json!({"email": "a@example.com"}), &[(KEY, "k")]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_do_it_once() {
    let api = Api::new().await;
    let calls = (0..50).map(|_| api.post_with("/campaigns", json!({"name": "x", "channels": ["email"]}), &[(KEY, "race")]));
    let answers = futures_util::future::join_all(calls).await;
    assert!(
        answers.iter().all(|a| a.status == 201 || a.status == 409),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    assert!(answers.iter().filter(|a| a.status == 409).all(|a| a.header("retry-after").is_some()));
    assert_eq!(answers.iter().filter(|a| a.status == 201 && a.header("idempotent-replayed").is_none()).count(), 1);
    assert_eq!(api.get("/campaigns").await.json()["campaigns"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/events").await.json()["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_crashed_first_request_gives_way_when_its_lease_runs_out() {
    let api = Api::new().await;
    // The record of a request that never came back: the claim is taken and then nothing.
    let body = json!({"name": "x", "channels": ["email"]});
    let claimed = api.post_with("/campaigns", body.clone(), &[(KEY, "probe")]).await;
    assert_eq!(claimed.status, 201);
    crash(&api, "/campaigns", &body, "dead").await;
    let waiting = api.post_with("/campaigns", body.clone(), &[(KEY, "dead")]).await;
    assert_eq!(waiting.status, 409);
    let wait: i64 = waiting.header("retry-after").unwrap().parse().unwrap();
    api.world.clock.advance_secs(wait + 1);
    assert_eq!(api.post_with("/campaigns", body, &[(KEY, "dead")]).await.status, 201);
}

/// Claims a key as the gate does, and dies.
async fn crash(api: &Api, path: &str, body: &serde_json::Value, key: &str) {
    let mut request = axle_testkit::request("POST", path, Some(&api.me.api_key), None);
    request.headers_mut().insert(KEY, key.parse().unwrap());
    // A body that ends after it was read lets the handler start; dropping the future then is the crash.
    *request.body_mut() = axum::body::Body::from(body.to_string());
    api.world.meter.take();
    let mut call = Box::pin(axle_testkit::call(&api.router, request));
    for _ in 0..10_000 {
        let polled = futures_util::future::poll_immediate(&mut call).await;
        assert!(polled.is_none(), "the request ended before it could be dropped");
        if !api.world.meter.take().iter().all(|s| s.operation != "PutItem") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
    }
    panic!("the claim was never made");
}

#[tokio::test]
async fn a_replay_does_not_show_secrets_again() {
    let api = Api::new().await;
    let body = json!({"name": "k", "scopes": ["leads:read"]});
    let first = api.post_with("/api-keys", body.clone(), &[(KEY, "s")]).await.json();
    let again = api.post_with("/api-keys", body, &[(KEY, "s")]).await;
    assert_eq!(again.status, 201);
    assert!(first["api_key"].is_string() && again.json()["api_key"].is_null());
    assert_eq!(first["id"], again.json()["id"]);
    let upload = api.post_with("/leads/import/uploads", json!({}), &[(KEY, "u")]).await.json();
    let repeated = api.post_with("/leads/import/uploads", json!({}), &[(KEY, "u")]).await.json();
    assert!(upload["url"].is_string() && repeated["url"].is_null());
    assert_eq!((&upload["upload_id"], &upload["headers"]), (&repeated["upload_id"], &repeated["headers"]));
    for record in api.world.table.new_records() {
        assert!(!record.to_string().contains(first["api_key"].as_str().unwrap()));
        assert!(!record.to_string().contains(upload["url"].as_str().unwrap()));
    }
}

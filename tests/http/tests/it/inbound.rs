//! Inbound mail over HTTP: the secret, the signature, and what bodies are good for.

use axle_domain::webhook::{SigningSecret, sign};
use axle_testkit::{Answered, call, request};
use http::Request;
use serde_json::{Value, json};

use crate::support::{Api, id};

async fn secret(api: &Api) -> String {
    let made = api.post("/communications/inbound/secret", json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(body["url"], format!("https://axle.example.com/communications/inbound/{}", api.me.entity_id));
    body["secret"].as_str().unwrap().to_owned()
}

fn mail(more: Value) -> Value {
    let mut mail = json!({
        "from": "Ada <ada@example.com>", "to": ["sales@axle.example.com"], "subject": "Re: Hello", "text": "Fine.",
        "message_id": "<r1@example.com>", "received_at": "2026-11-24T08:00:00Z",
    });
    mail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mail
}

/// A request with a body of any kind, signed.
fn signed(api: &Api, secret: &str, body: &str) -> Request<axum::body::Body> {
    let mut req = request("POST", &format!("/communications/inbound/{}", api.me.entity_id), None, None);
    *req.body_mut() = axum::body::Body::from(body.to_owned());
    let at = api.world.clock.now().secs();
    let signature = sign(&[SigningSecret::parse(secret).unwrap()], "m1", at, body.as_bytes());
    for (name, value) in [("webhook-id", "m1"), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signature)] {
        req.headers_mut().insert(http::HeaderName::from_static(name), value.parse().unwrap());
    }
    req
}

async fn post(api: &Api, secret: &str, body: &Value) -> Answered {
    call(&api.router, signed(api, secret, &body.to_string())).await
}

#[tokio::test]
async fn a_signed_mail_is_matched_and_shown_with_its_message() {
    let api = Api::new().await;
    let secret = secret(&api).await;
    let message = json!({"channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "How are you?"});
    let queued = id(&api.post("/communications", message).await);
    let own = mail(json!({"in_reply_to": format!("<{queued}@axle.example.com>")}));
    let taken = post(&api, &secret, &own).await;
    assert_eq!((taken.status.as_u16(), taken.json()), (202, json!({"outcome": "reply", "communication_id": queued})));
    let shown = api.get(&format!("/communications/{queued}")).await.json();
    assert_eq!((&shown["engagement"]["replies"], &shown["replies"][0]["text"]), (&json!(1), &json!("Fine.")));
    let unknown = post(&api, &secret, &mail(json!({"from": "eve@example.com", "message_id": "<r2@example.com>"}))).await;
    assert_eq!(unknown.json(), json!({"outcome": "unmatched", "communication_id": null}));
}

#[tokio::test]
async fn without_a_good_signature_401_whatever_the_body() {
    let api = Api::new().await;
    let good = mail(json!({})).to_string();
    let path = format!("/communications/inbound/{}", api.me.entity_id);
    // No secret as yet, and another tenant: the same.
    let before = call(&api.router, request("POST", &path, None, Some(mail(json!({}))))).await;
    assert_eq!(before.status, 401);
    let secret = secret(&api).await;
    for (name, value) in [
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", ""),
        ("webhook-id", "m2"),
        ("webhook-timestamp", "1"),
        ("webhook-timestamp", "now"),
    ] {
        for body in [good.as_str(), "no json", ""] {
            let mut req = signed(&api, &secret, body);
            req.headers_mut().insert(http::HeaderName::from_static(name), value.parse().unwrap());
            let answer = call(&api.router, req).await;
            assert_eq!((answer.status.as_u16(), answer.json()["status"].clone()), (401, json!(401)), "{name}: {value}");
        }
    }
    let mut elsewhere = signed(&api, &secret, &good);
    *elsewhere.uri_mut() = "/communications/inbound/01939b1e-0d4c-7a11-9c55-0d1f6a2b3c4d".parse().unwrap();
    assert_eq!(call(&api.router, elsewhere).await.status, 401);
    // An API key is no signature.
    assert_eq!(api.post(&path, mail(json!({}))).await.status, 401);
    let malformed = call(&api.router, request("POST", "/communications/inbound/nonsense", None, Some(json!({})))).await;
    assert_eq!(malformed.status, 404);
}

#[tokio::test]
async fn bad_bodies_are_told_what_is_wrong() {
    let api = Api::new().await;
    let secret = secret(&api).await;
    assert_eq!(call(&api.router, signed(&api, &secret, "no json")).await.status, 400);
    let faulty =
        post(&api, &secret, &json!({"from": "x", "to": [], "subjekt": "s", "message_id": "m", "received_at": "today"})).await;
    assert_eq!(faulty.status, 422, "{}", faulty.text);
    for pointer in ["/subject", "/text", "/subjekt"] {
        assert!(faulty.pointers().contains(&pointer.to_owned()), "{pointer}: {}", faulty.text);
    }
    let mut text = signed(&api, &secret, "{}");
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(call(&api.router, text).await.status, 415);
}

#[tokio::test]
async fn secrets_are_shown_once_and_not_kept() {
    let api = Api::new().await;
    let first = api.post_with("/communications/inbound/secret", json!({}), &[("idempotency-key", "k")]).await;
    let again = api.post_with("/communications/inbound/secret", json!({}), &[("idempotency-key", "k")]).await;
    assert!(first.json()["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((again.status.as_u16(), &again.json()["secret"]), (201, &Value::Null));
    let long = api.post("/communications/inbound/secret", json!({"overlap_seconds": 604_801})).await;
    assert_eq!(long.pointers(), ["/overlap_seconds"]);
    // That of posted messages can be read again, and replaced.
    let shown = api.get("/communications/webhook-secret").await.json()["secret"].clone();
    assert_eq!(api.get("/communications/webhook-secret").await.json()["secret"], shown);
    let replaced = api.post("/communications/webhook-secret", json!({})).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(api.get("/communications/webhook-secret").await.json(), replaced.json());
    assert_ne!(replaced.json()["secret"], shown);
    let log = api.get("/audit-log").await.text;
    assert!(log.contains("inbound_secret.created") && log.contains("post_secret.rotated") && !log.contains("whsec_"), "{log}");
}

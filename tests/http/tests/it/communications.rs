//! Messages over HTTP: what is accepted, shown, and done once.

use axle_testkit::{call, request};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Api, id};

fn mail() -> Value {
    json!({"channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "How are you?"})
}

fn keyed(key: &str) -> Value {
    let mut message = mail();
    message["idempotency_key"] = json!(key);
    message
}

async fn pending(api: &Api) -> i64 {
    api.get("/communications/outbox").await.json()["counts"]["pending"].as_i64().unwrap()
}

#[tokio::test]
async fn a_message_is_accepted_and_shown() {
    let api = Api::new().await;
    let queued = api.post("/communications", mail()).await;
    assert_eq!(queued.status, 202, "{}", queued.text);
    let body = queued.json();
    assert_eq!((&body["status"], body.as_object().unwrap().len()), (&json!("pending"), 3));
    let shown = api.get(&format!("/communications/{}", body["id"].as_str().unwrap())).await;
    assert_eq!(shown.status, 200);
    let shown = shown.json();
    assert_eq!(
        (&shown["to"], &shown["text"], &shown["outcome_unknown"]),
        (&json!("ada@example.com"), &json!("How are you?"), &json!(false))
    );
    let outbox = api.get("/communications/outbox").await.json();
    assert_eq!(outbox["counts"], json!({"pending": 1, "processing": 0, "sent": 0, "failed": 0, "cancelled": 0, "suppressed": 0}));
    let cancelled = api.post(&format!("/communications/{}/cancel", body["id"].as_str().unwrap()), json!({})).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["status"]), (200, &json!("cancelled")));
    assert_eq!(api.get("/communications?status=cancelled").await.json()["communications"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/communications?status=gone").await.pointers(), ["?status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_requests_under_one_key_queue_one_message() {
    let api = Api::new().await;
    // Half of them name the key in the header, half in the body: it is the same key.
    let requests = (0..50).map(|n| {
        let mut req =
            request("POST", "/communications", Some(&api.me.api_key), Some(if n % 2 == 0 { keyed("k-1") } else { mail() }));
        if n % 2 == 1 {
            req.headers_mut().insert("idempotency-key", "k-1".parse().unwrap());
        }
        call(&api.router, req)
    });
    let answers = join_all(requests).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(!accepted.is_empty());
    assert!(accepted.iter().all(|answer| answer.json() == accepted[0].json()));
    assert!(answers.iter().all(|answer| answer.status == 202 || answer.status == 409), "the others are told to wait");
    assert_eq!(pending(&api).await, 1);
    let again = api.post("/communications", keyed("k-1")).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (accepted[0].json(), Some("true")));
}

#[tokio::test]
async fn the_bodys_key_has_the_headers_rules() {
    let api = Api::new().await;
    assert_eq!(api.post("/communications", keyed("a")).await.status, 202);
    let mut other = keyed("a");
    other["text"] = json!("another");
    assert_eq!(api.post("/communications", other).await.status, 422);
    let differ = api.post_with("/communications", keyed("b"), &[("idempotency-key", "c")]).await;
    assert_eq!((differ.status.as_u16(), differ.pointers()), (422, vec!["/idempotency_key".to_owned()]));
    assert_eq!(api.post("/communications", keyed("with blank")).await.pointers(), ["/idempotency_key"]);
    // A refused request gives its key back.
    let mut bad = keyed("d");
    bad["subject"] = json!("a\r\nBcc: b@example.com");
    assert_eq!(api.post("/communications", bad).await.pointers(), ["/subject"]);
    assert_eq!(api.post("/communications", keyed("d")).await.status, 202);
    assert_eq!(pending(&api).await, 2);
}

#[tokio::test]
async fn messages_of_a_lead_and_of_a_campaign() {
    let api = Api::new().await;
    let lead = id(&api.post("/leads", json!({"email": "ada@example.com", "first_name": "Ada"})).await);
    let campaign = id(&api.post("/campaigns", json!({"name": "x", "channels": ["email"]})).await);
    for n in 0..5 {
        let mut message = json!({"channel": "email", "lead_id": lead, "subject": format!("{n}"), "text": "t"});
        if n % 2 == 0 {
            message["campaign_id"] = json!(campaign);
        }
        assert_eq!(api.post("/communications", message).await.status, 202);
    }
    api.post("/communications", mail()).await;
    assert_eq!(api.pages("/communications?limit=2", "communications").await.len(), 6);
    let of_lead = api.pages(&format!("/communications?lead_id={lead}&limit=2"), "communications").await;
    assert_eq!(of_lead.len(), 5);
    let of_campaign =
        api.pages(&format!("/communications?campaign_id={campaign}&status=pending&limit=1"), "communications").await;
    assert_eq!(of_campaign.len(), 3);
    assert!(of_campaign.iter().all(|message| message["category"] == "marketing"));
    let unknown = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    for (field, pointer) in [("lead_id", "/lead_id"), ("contact_id", "/contact_id")] {
        let message = json!({"channel": "email", (field): unknown, "subject": "s", "text": "t"});
        assert_eq!(api.post("/communications", message).await.pointers(), [pointer]);
    }
    let path = format!("/api/crm/contacts?entityId={}", api.me.entity_id);
    let contact = id(&api.post(&path, json!({"firstName": "Ada", "email": "Ada@engines.example"})).await);
    let queued =
        api.post("/communications", json!({"channel": "email", "contact_id": contact, "subject": "s", "text": "t"})).await;
    assert_eq!(queued.status, 202, "{}", queued.text);
    let found = api.get(&format!("/communications/{}", id(&queued))).await;
    assert_eq!((&found.json()["to"], &found.json()["contact_id"]), (&json!("ada@engines.example"), &json!(contact)));
    let sms = json!({"channel": "sms", "contact_id": contact, "text": "t"});
    assert_eq!(api.post("/communications", sms).await.pointers(), ["/contact_id"]);
    let mut message = mail();
    message["campaign_id"] = json!(unknown);
    message["identity_id"] = json!(unknown);
    assert_eq!(api.post("/communications", message).await.pointers(), ["/identity_id", "/campaign_id"]);
}

#[tokio::test]
async fn credentials_are_never_answered() {
    let api = Api::new().await;
    let credentials = json!({"host": "127.0.0.1", "port": 2525, "username": "u", "password": "hunter2-secret", "tls": "none"});
    let body = json!({"kind": "smtp", "from": "a@example.com", "credentials": credentials, "daily_limit": 10});
    let made = api.post_with("/communications/identities", body, &[("idempotency-key", "i")]).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = format!("/communications/identities/{}", id(&made));
    for answer in [&made, &api.get(&path).await, &api.get("/communications/identities").await] {
        assert!(!answer.text.contains("hunter2") && !answer.text.contains("credentials"), "{}", answer.text);
    }
    let patched = api.patch(&path, json!({"daily_limit": null, "name": "Ada"})).await;
    assert_eq!(
        (patched.status.as_u16(), &patched.json()["daily_limit"], &patched.json()["name"]),
        (200, &Value::Null, &json!("Ada"))
    );
    assert_eq!(api.patch(&path, json!({"kind": "ses"})).await.pointers(), ["/kind"]);
    let verified = api.post(&format!("{path}/verify"), json!({})).await;
    assert_eq!((verified.status.as_u16(), &verified.json()["status"]), (200, &json!("verified")));
    assert_eq!(api.send("DELETE", &path, None).await.status, 204);
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test]
async fn the_suppression_list() {
    let api = Api::new().await;
    let made = api.post("/communications/suppressions", json!({"address": "Ada+x@Example.com", "reason": "asked"})).await;
    assert_eq!(
        (made.status.as_u16(), &made.json()["address"], &made.json()["origin"]),
        (201, &json!("ada+x@example.com"), &json!("manual"))
    );
    let again = api.post("/communications/suppressions", json!({"address": "ada+x@example.com", "reason": "other"})).await;
    assert_eq!((again.status.as_u16(), &again.json()["reason"]), (201, &json!("asked")));
    assert_eq!(api.get("/communications/suppressions").await.json()["suppressions"].as_array().unwrap().len(), 1);
    assert_eq!(api.post("/communications/suppressions", json!({"address": "nobody"})).await.pointers(), ["/address"]);
    assert_eq!(api.send("DELETE", "/communications/suppressions/ada%2Bx%40example.com", None).await.status, 204);
    assert_eq!(api.send("DELETE", "/communications/suppressions/ada%2Bx%40example.com", None).await.status, 404);
}

#[tokio::test]
async fn links_that_are_not_ours_lead_nowhere() {
    let api = Api::new().await;
    for (method, path, status) in [
        ("GET", "/communications/unsubscribe/nonsense", 404),
        ("POST", "/communications/unsubscribe/nonsense", 404),
        ("GET", "/communications/click/nonsense", 404),
        ("POST", "/communications/identities/confirm/nonsense", 404),
        ("GET", "/communications/open/nonsense", 200),
    ] {
        let answer = call(&api.router, request(method, path, None, None)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.header("location").is_none());
    }
}

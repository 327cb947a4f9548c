//! Leads over HTTP.

use serde_json::{Value, json};

use crate::support::{Api, id};

#[tokio::test]
async fn a_lead_is_created_read_changed_and_deleted() {
    let api = Api::new().await;
    let made = api.post("/leads", json!({"email": " Ada@Example.com", "first_name": "Ada", "company": {"name": "Analytical", "domain": "https://www.Engines.example/x"}, "custom": {"plan": "pro"}})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let lead = made.json();
    assert_eq!((lead["email"].as_str(), lead["status"].as_str()), (Some("ada@example.com"), Some("new")));
    assert_eq!(lead["company"]["domain"], "engines.example");
    let path = format!("/leads/{}", id(&made));
    assert_eq!(api.get(&path).await.json(), lead);

    let patched = api.patch(&path, json!({"first_name": null, "title": "Countess", "company": {"industry": "software"}, "custom": {"plan": null, "n": 1}})).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let patched = patched.json();
    assert_eq!((&patched["first_name"], &patched["title"]), (&json!(null), &json!("Countess")));
    assert_eq!((&patched["company"]["name"], &patched["company"]["industry"]), (&json!("Analytical"), &json!("software")));
    assert_eq!(patched["custom"], json!({"n": 1}));
    assert_eq!(patched["id"], lead["id"]);

    assert_eq!(api.send("DELETE", &path, None).await.status, 204);
    assert_eq!(api.get(&path).await.status, 404);
    assert_eq!(api.get("/leads").await.json()["leads"], json!([]));
    assert_eq!(api.post("/leads", json!({"email": "ada@example.com"})).await.status, 201);
}

#[tokio::test]
async fn one_address_one_lead_however_it_changes_hands() {
    let api = Api::new().await;
    let lead = |email: &str| json!({"email": email});
    let a = id(&api.post("/leads", lead("a@example.com")).await);
    let twice = api.post("/leads", lead("A@example.com")).await;
    assert_eq!(twice.status, 409);
    assert!(twice.text.contains(&a));

    // a gives up its address; b takes it; a cannot have it back until b is gone.
    assert_eq!(api.patch(&format!("/leads/{a}"), lead("a2@example.com")).await.status, 200);
    assert_eq!(api.post("/leads", lead("a2@example.com")).await.status, 409);
    let b = id(&api.post("/leads", lead("a@example.com")).await);
    assert_ne!(a, b);
    assert_eq!(api.post("/leads", lead("a@example.com")).await.status, 409);
    assert_eq!(api.patch(&format!("/leads/{a}"), lead("a@example.com")).await.status, 409);
    assert_eq!(api.send("DELETE", &format!("/leads/{b}"), None).await.status, 204);
    assert_eq!(api.patch(&format!("/leads/{a}"), lead("a@example.com")).await.status, 200);
    assert_eq!(api.post("/leads", lead("a2@example.com")).await.status, 201);
    assert_eq!(api.post("/leads", lead("a@example.com")).await.status, 409);
    // Gone is gone, under every address that it ever had.
    assert_eq!(api.send("DELETE", &format!("/leads/{a}"), None).await.status, 204);
    assert_eq!(api.get(&format!("/leads/{a}")).await.status, 404);
    assert_eq!(api.post("/leads", lead("a@example.com")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_make_one_lead() {
    let api = Api::new().await;
    let calls = (0..50).map(|_| api.post("/leads", json!({"email": "one@example.com"})));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 409).count(), 49);
    assert_eq!(api.get("/leads").await.json()["leads"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/events?type=lead.created").await.json()["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn listing_filters_and_pages() {
    let api = Api::new().await;
    for n in 0..25 {
        api.world.clock.advance_millis(2);
        let company = if n % 5 == 0 { "Ünlü Ltd" } else { "Other" };
        api.post("/leads", json!({"email": format!("p{n:02}@example.com"), "company": {"name": company}})).await;
    }
    let all = api.pages("/leads?limit=4", "leads").await;
    let emails: Vec<&str> = all.iter().map(|l| l["email"].as_str().unwrap()).collect();
    let mut expected: Vec<String> = (0..25).map(|n| format!("p{n:02}@example.com")).collect();
    expected.reverse();
    assert_eq!(emails, expected);
    assert_eq!(api.pages("/leads?q=ÜNLÜ&limit=2", "leads").await.len(), 5);
    assert_eq!(api.pages("/leads?q=p07", "leads").await.len(), 1);
    assert_eq!(api.pages("/leads?status=new", "leads").await.len(), 25);
    assert_eq!(api.pages("/leads?status=replied", "leads").await.len(), 0);
    assert_eq!(api.pages("/leads?tier=hot", "leads").await.len(), 0);
    assert_eq!(api.get("/leads?status=x&tier=y&limit=0").await.pointers(), ["?status", "?tier", "?limit"]);
}

#[tokio::test]
async fn bad_input_changes_nothing() {
    let api = Api::new().await;
    let answer = api.post("/leads", json!({"email": "x", "phone": "1", "company": {"domain": "a b"}, "timezone": "Mars"})).await;
    assert_eq!(answer.pointers(), ["/email", "/phone", "/company/domain", "/timezone"]);
    assert_eq!(api.post("/leads", json!({"first_name": "Ada"})).await.pointers(), ["/email"]);
    assert_eq!(api.post("/leads", json!([])).await.status, 422);
    let text = |content_type: &'static str, body: &'static str| {
        let mut req = axle_testkit::request("POST", "/leads", Some(&api.me.api_key), None);
        *req.body_mut() = axum::body::Body::from(body);
        req.headers_mut().insert("content-type", content_type.parse().unwrap());
        axle_testkit::call(&api.router, req)
    };
    assert_eq!(text("application/json", "{").await.status, 400);
    assert_eq!(text("text/plain", "hello").await.status, 415);
    let big = Value::from("x".repeat(5 * 1024 * 1024));
    assert_eq!(api.post("/leads", json!({"first_name": big})).await.status, 413);
    assert_eq!(api.get("/leads").await.json()["leads"], json!([]));
}

#[tokio::test]
async fn an_import_is_told_what_is_wrong_once() {
    let api = Api::new().await;
    for (body, pointers) in [
        (json!({"upload_id": "7"}), ["/upload_id"]),
        (json!({"csv": "email\na@example.com\n", "campaign_id": ""}), ["/campaign_id"]),
        (json!({}), ["/csv"]),
        (json!({"csv": "email\na@example.com\n", "upload_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"}), ["/upload_id"]),
    ] {
        assert_eq!(api.post("/leads/import", body).await.pointers(), pointers);
    }
}

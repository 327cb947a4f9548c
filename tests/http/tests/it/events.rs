//! The event log over HTTP.

use serde_json::json;

use crate::support::{Api, id};

#[tokio::test]
async fn filters_and_time_ranges() {
    let api = Api::new().await;
    let mut times = Vec::new();
    for n in 0..3 {
        api.world.clock.advance_secs(1);
        times.push(api.world.clock.now().to_string());
        api.post("/leads", json!({"email": format!("e{n}@example.com")})).await;
    }
    api.world.clock.advance_secs(1);
    let campaign = id(&api.post("/campaigns", json!({"name": "x", "channels": ["email"]})).await);
    let count = async |query: String| api.pages(&format!("/events?{query}"), "events").await.len();
    assert_eq!(count(String::new()).await, 4);
    assert_eq!(count("type=lead.created".to_owned()).await, 3);
    assert_eq!(count("type=lead.*&type=campaign.created".to_owned()).await, 4);
    assert_eq!(count("type=agent.*".to_owned()).await, 0);
    assert_eq!(count(format!("campaign_id={campaign}")).await, 1);
    assert_eq!(count(format!("from={}&to={}", times[1], times[2])).await, 1);
    assert_eq!(count(format!("from={}", times[1])).await, 3);
    assert_eq!(count(format!("to={}", times[1])).await, 1);
    let newest = api.get("/events?limit=1").await.json();
    assert_eq!(newest["events"][0]["type"], "campaign.created");
    let lead = newest["events"][0]["actor"].clone();
    assert_eq!(lead, json!({"kind": "api_key", "id": api.me.key_id}));
    let bad = api.get("/events?type=leads.*&from=yesterday&campaign_id=7&lead_id=x").await;
    assert_eq!((bad.status.as_u16(), bad.pointers().len()), (422, 4));
}

#[tokio::test]
async fn a_tenant_sees_its_own_events_only() {
    let api = Api::new().await;
    api.post("/leads", json!({"email": "e@example.com"})).await;
    let stranger = api.world.tenant(&[axle_domain::identity::Scope::All]).await;
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/events", None).await.json()["events"], json!([]));
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/leads", None).await.json()["leads"], json!([]));
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/campaigns", None).await.json()["campaigns"], json!([]));
    assert_eq!(api.send_as(&stranger.api_key, "POST", "/leads", Some(json!({"email": "e@example.com"}))).await.status, 201);
}

#[tokio::test]
async fn every_event_fits_its_schema() {
    let api = Api::new().await;
    api.post("/leads", json!({"email": "e@example.com", "source": "fair"})).await;
    api.post("/leads", json!({"phone": "+14155550123"})).await;
    api.post("/campaigns", json!({"name": "x", "channels": ["email", "sms"]})).await;
    for event in api.pages("/events", "events").await {
        let kind: axle_domain::event::EventType = event["type"].as_str().unwrap().parse().unwrap();
        let validator = jsonschema::validator_for(&kind.data_schema()).unwrap();
        assert!(validator.is_valid(&event["data"]), "{event}");
        assert_eq!(event["subject"]["kind"], kind.subject_kind());
    }
}

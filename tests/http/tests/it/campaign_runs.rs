//! Launching and steering campaigns over HTTP.

use serde_json::{Value, json};

use crate::coverage::some_lead;
use crate::support::{Api, id};

async fn draft(api: &Api) -> String {
    let step = json!({"step": 1, "channel": "email", "subject": "Hello", "body": "How are you?"});
    id(&api.post("/campaigns", json!({"name": "North", "channels": ["email"], "messaging": {"sequence": [step]}})).await)
}

#[tokio::test]
async fn from_leads_to_launch_and_through_every_state() {
    let api = Api::new().await;
    let (campaign, lead) = (draft(&api).await, some_lead(&api).await);
    let path = format!("/campaigns/{campaign}");
    let attached = api.post(&format!("{path}/leads"), json!({"lead_ids": [lead]})).await;
    assert_eq!((attached.status.as_u16(), attached.json()), (200, json!({"added": 1, "already_attached": 0})));
    let listed = api.get(&format!("{path}/leads")).await.json();
    assert_eq!((&listed["leads"][0]["lead_id"], &listed["leads"][0]["state"]), (&json!(lead), &json!("attached")));
    assert_eq!(api.get(&format!("{path}/leads?state=waiting")).await.json()["leads"], json!([]));
    assert_eq!(api.get(&format!("{path}/leads?state=lost")).await.status, 422);

    let dry = api.post(&format!("{path}/launch"), json!({"dry_run": true, "budget_limit": "12.50"})).await;
    assert_eq!((dry.status.as_u16(), &dry.json()["execution_id"]), (200, &Value::Null), "{}", dry.text);
    let launched = api.post_with(&format!("{path}/launch"), json!({"budget_limit": 12.5}), &[("idempotency-key", "l")]).await;
    assert_eq!(launched.status, 202, "{}", launched.text);
    let answer = launched.json();
    assert_eq!((&answer["status"], &answer["targets"]["eligible"]), (&json!("running"), &json!(1)));
    assert_eq!(
        answer["cost_estimate"]["breakdown"],
        json!({"ai_inference": "0", "data_enrichment": "0", "channel_costs": "0.0001"})
    );
    // The same request again is the same launch; another one is refused.
    let again = api.post_with(&format!("{path}/launch"), json!({"budget_limit": 12.5}), &[("idempotency-key", "l")]).await;
    assert_eq!((again.status.as_u16(), again.json()), (202, answer.clone()));
    assert_eq!(api.post(&format!("{path}/launch"), json!({})).await.status, 409);
    assert_eq!(api.patch(&path, json!({"name": "x"})).await.status, 409);
    let read = api.get(&path).await.json();
    assert_eq!((&read["execution_id"], &read["spend"]["budget"]), (&answer["execution_id"], &json!("12.5")));

    for (command, status, state) in [
        ("resume", 409, "running"),
        ("pause", 200, "paused"),
        ("pause", 409, "paused"),
        ("resume", 200, "running"),
        ("cancel", 200, "cancelled"),
        ("cancel", 409, "cancelled"),
    ] {
        let answer = api.post(&format!("{path}/{command}"), json!({})).await;
        assert_eq!(answer.status, status, "{command} {}", answer.text);
        assert_eq!(api.get(&path).await.json()["status"], state, "{command}");
    }
    let copy = api.post(&format!("{path}/clone"), json!({})).await;
    assert_eq!(
        (copy.status.as_u16(), &copy.json()["status"], &copy.json()["execution_id"]),
        (201, &json!("draft"), &Value::Null)
    );
    let events = api.get("/events?type=campaign.*").await.json();
    // The clock stands still, so their order says nothing.
    let mut told: Vec<&str> = events["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    told.sort_unstable();
    let expected = [
        "campaign.cancelled",
        "campaign.created",
        "campaign.created",
        "campaign.launched",
        "campaign.paused",
        "campaign.resumed",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn every_fault_of_a_launch_is_listed() {
    let api = Api::new().await;
    let path = format!("/campaigns/{}", draft(&api).await);
    let bad = json!({"test_cohort_size": 0, "budget_limit": "-1", "daily_send_limit": 0, "dryrun": true});
    let refused = api.post(&format!("{path}/launch"), bad).await;
    let mut pointers = refused.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/budget_limit", "/daily_send_limit", "/dryrun", "/test_cohort_size"], "{}", refused.text);
    assert_eq!(api.post(&format!("{path}/leads"), json!({"lead_ids": []})).await.pointers(), ["/lead_ids"]);
    let unknown = json!({"lead_ids": ["01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"]});
    assert_eq!(api.post(&format!("{path}/leads"), unknown).await.pointers(), ["/lead_ids/0"]);
    // Nobody to write to.
    assert_eq!(api.post(&format!("{path}/launch"), json!({})).await.status, 409);
}

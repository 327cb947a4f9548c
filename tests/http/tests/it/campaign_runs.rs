//! Launching and steering campaigns over HTTP.

use std::time::{Duration, Instant};

use axle_app::outreach::campaigns;
use serde_json::{Value, json};

use crate::coverage::some_lead;
use crate::support::{Api, id, jobs_of, queue_of};

/// Does what the `campaign-runner` would, until nothing is left to do.
async fn work(api: &Api) {
    let (app, deadline) = (&api.world.app, Instant::now() + Duration::from_secs(60));
    loop {
        let records = api.world.table.new_records();
        let jobs: Vec<Value> = records.iter().filter(|record| queue_of(record) == Some("campaign")).flat_map(jobs_of).collect();
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            if job["run_id"].is_string() {
                campaigns::advance(app, &serde_json::from_value(job).unwrap()).await.unwrap();
            } else {
                campaigns::work(app, serde_json::from_value(job).unwrap(), deadline).await.unwrap();
            }
        }
    }
}

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
    // What is a field is none in the query: a launch that was meant as a trial is none.
    let misplaced = api.post(&format!("{path}/launch?dry_run=true"), json!({})).await;
    assert_eq!((misplaced.status.as_u16(), misplaced.pointers()), (422, vec!["?dry_run".to_owned()]), "{}", misplaced.text);
    assert_eq!(api.get(&path).await.json()["status"], "draft");
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

#[tokio::test]
async fn a_draft_is_shown_among_the_approvals_and_decided_there() {
    let api = Api::new().await;
    let mut leads = Vec::new();
    for name in ["ada", "bob"] {
        leads.push(id(&api.post("/leads", json!({"email": format!("{name}@example.com"), "first_name": name})).await));
    }
    let step = json!({"step": 1, "channel": "email", "subject": "Hello {{ lead.first_name }}", "body": "How are you?"});
    let spec =
        json!({"name": "North", "channels": ["email"], "agents": {"approval": "manual"}, "messaging": {"sequence": [step]}});
    let path = format!("/campaigns/{}", id(&api.post("/campaigns", spec).await));
    api.post(&format!("{path}/leads"), json!({"lead_ids": leads})).await;
    assert_eq!(api.post(&format!("{path}/launch"), json!({})).await.status, 202);
    work(&api).await;

    let asked = api.get("/v1/approvals").await.json();
    assert_eq!(asked["total"], 2, "{asked}");
    let of = |lead: &str| asked["approvals"].as_array().unwrap().iter().find(|one| one["contact_id"] == lead).unwrap().clone();
    let action = |approval: &Value| {
        let [run, lead] = ["run_id", "contact_id"].map(|name| approval[name].as_str().unwrap().to_owned());
        format!("/v1/agents/runs/{run}/contacts/{lead}/actions/{}", approval["action_index"])
    };
    let (ada, bob) = (of(&leads[0]), of(&leads[1]));
    assert_eq!(format!("/campaigns/{}", ada["campaign_id"].as_str().unwrap()), path);
    assert_eq!((&ada["kind"], &ada["action"], &ada["action_index"]), (&json!("lead"), &json!("send_message"), &json!(0)));
    assert_eq!(
        (&ada["params"]["channel"], &ada["params"]["subject"], &ada["params"]["body"]),
        (&json!("email"), &json!("Hello ada"), &json!("How are you?"))
    );
    // Another tenant sees nothing of it, and can decide nothing.
    let stranger = api.world.tenant(&[axle_domain::identity::Scope::All]).await;
    let theirs = api.send_as(&stranger.api_key, "POST", &format!("{}/approve", action(&ada)), Some(json!({}))).await;
    assert_eq!(theirs.status, 404, "{}", theirs.text);
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/v1/approvals", None).await.json()["total"], 0);

    let changed = api.post(&format!("{}/approve", action(&ada)), json!({"edits": {"subject": ""}})).await;
    assert_eq!(changed.status, 422, "{}", changed.text);
    let wish = json!({"expected_hash": ada["hash"], "edits": {"subject": "Good morning, Ada"}});
    let approved = api.post(&format!("{}/approve", action(&ada)), wish.clone()).await;
    assert_eq!((approved.status.as_u16(), &approved.json()["action"]["status"]), (200, &json!("approved")), "{}", approved.text);
    assert_eq!(api.post(&format!("{}/approve", action(&ada)), wish).await.status, 409);
    let rejected = api.post(&format!("{}/reject", action(&bob)), json!({"reason": "a customer already"})).await;
    assert_eq!((rejected.status.as_u16(), &rejected.json()["action"]["status"]), (200, &json!("rejected")), "{}", rejected.text);
    assert_eq!(api.post(&format!("{}/approve", action(&bob)), json!({})).await.status, 409);
    work(&api).await;

    let messages = api.pages("/communications", "communications").await;
    let subjects: Vec<&Value> = messages.iter().map(|message| &message["subject"]).collect();
    assert_eq!(subjects, [&json!("Good morning, Ada")], "one was approved");
    let members = api.get(&format!("{path}/leads?state=stopped")).await.json();
    assert_eq!(
        (&members["leads"][0]["lead_id"], &members["leads"][0]["reason"]),
        (&json!(leads[1]), &json!("rejected")),
        "{members}"
    );
    assert_eq!(api.get("/v1/approvals").await.json()["total"], 0);
    assert_eq!(api.get("/v1/approvals?status=rejected").await.json()["approvals"][0]["contact_id"], json!(leads[1]));
}

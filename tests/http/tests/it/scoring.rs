//! Scores over HTTP: stored with the lead, found by tier, told once.

use axle_domain::communication::{Category, CommunicationStatus, MessageChannel, Track};
use axle_domain::{Actor, CommunicationId, LeadId, TraceId};
use axle_store::communications::{CommunicationEntry, CommunicationRecord, Engagement};
use serde_json::{Value, json};

use crate::support::{Api, each, id};

async fn lead(api: &Api, name: &str) -> String {
    let company =
        json!({"name": "Engines", "domain": "engines.example", "industry": "software", "size": "51-200", "location": "London"});
    let lead = json!({"email": format!("{name}@engines.example"), "title": "CTO", "country": "UK", "company": company});
    id(&api.post("/leads", lead).await)
}

async fn score(api: &Api, lead: &str, body: Value) -> Value {
    let answer = api.post(&format!("/leads/{lead}/score"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn sum(evidence: &Value, part: &str) -> u64 {
    let of_part = evidence.as_array().unwrap().iter().filter(|e| e["factor"].as_str().unwrap().starts_with(part));
    of_part.map(|e| e["points"].as_u64().unwrap()).sum()
}

fn adds_up(scored: &Value) {
    let parts = &scored["breakdown"];
    for part in ["fit", "intent", "engagement"] {
        assert_eq!(parts[part], sum(&scored["evidence"], part), "{scored}");
    }
    assert_eq!(scored["score"], sum(&scored["evidence"], ""), "{scored}");
}

#[tokio::test]
async fn a_score_is_kept_with_its_lead_and_told() {
    let api = Api::new().await;
    let ada = lead(&api, "ada").await;
    let other = id(&api.post("/leads", json!({"email": "x@y.example"})).await);
    let scored = score(&api, &ada, json!({})).await;
    adds_up(&scored);
    assert_eq!((&scored["lead_id"], &scored["tier"]), (&json!(ada), &json!("warm")));
    assert_eq!((&scored["score"], &scored["model_version"]), (&json!(47), &json!("1")));
    assert_eq!(score(&api, &ada, json!({})).await, scored, "the same inputs give the same score");
    let kept = api.get(&format!("/leads/{ada}")).await.json();
    assert_eq!((&kept["score"], &kept["tier"], &kept["status"]), (&json!(47), &json!("warm"), &json!("scored")));

    assert_eq!(score(&api, &other, json!({})).await["recommendation"]["action"], "enrich");
    for (tier, found) in [("warm", vec![ada.clone()]), ("cold", vec![other.clone()]), ("hot", vec![])] {
        assert_eq!(each(&json!(api.pages(&format!("/leads?tier={tier}"), "leads").await), "id"), found);
    }
    assert_eq!(api.pages("/leads?status=scored", "leads").await.len(), 2);
    let events = api.get(&format!("/events?type=lead.scored&lead_id={other}")).await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert_eq!(events["events"][0]["data"]["tier"], "cold");
    // A replay is not another score.
    let named = [("idempotency-key", "once")];
    let first = api.post_with(&format!("/leads/{ada}/score"), json!({}), &named).await;
    let again = api.post_with(&format!("/leads/{ada}/score"), json!({}), &named).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (first.json(), Some("true")));
    assert_eq!(api.get(&format!("/events?type=lead.scored&lead_id={ada}")).await.json()["events"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_campaign_judges_else_the_profile_else_what_is_known() {
    let api = Api::new().await;
    let ada = lead(&api, "ada").await;
    let fits = json!({"industries": ["software"], "titles": ["Chief Technology Officer"], "company_size": {"min": 100}});
    let campaign = |icp: Value| json!({"name": "x", "channels": ["email"], "icp": icp});
    let wanted = id(&api.post("/campaigns", campaign(fits)).await);
    let unwanted = id(&api.post("/campaigns", campaign(json!({"industries": ["fishing"]}))).await);
    let open = id(&api.post("/campaigns", campaign(json!({"exclude_domains": ["engines.example"]}))).await);
    let fit = async |body: Value| {
        let scored = score(&api, &ada, body).await;
        adds_up(&scored);
        scored["breakdown"]["fit"].as_u64().unwrap()
    };
    assert_eq!(fit(json!({})).await, 47);
    assert_eq!(fit(json!({"campaign_id": wanted})).await, 50);
    assert_eq!(fit(json!({"campaign_id": unwanted})).await, 0);
    assert_eq!(score(&api, &ada, json!({"campaign_id": open})).await["tier"], "disqualified");

    let empty = api.get("/leads/scoring-profile").await;
    assert_eq!((&empty.json()["updated_at"], empty.header("etag")), (&Value::Null, Some("\"0\"")));
    let profile = json!({"icp": {"titles": ["cto"], "industries": ["fishing"]}, "model_version": "1"});
    let put = api.send("PUT", "/leads/scoring-profile", Some(profile.clone())).await;
    assert_eq!((put.status.as_u16(), put.header("etag")), (200, Some("\"1\"")), "{}", put.text);
    assert_eq!(api.get("/leads/scoring-profile").await.json(), put.json());
    assert_eq!(fit(json!({})).await, 22);
    assert_eq!(fit(json!({"campaign_id": wanted})).await, 50);

    let stranger = api.world.tenant(&[axle_domain::identity::Scope::All]).await;
    let theirs = api.send_as(&stranger.api_key, "GET", "/leads/scoring-profile", None).await;
    assert_eq!(theirs.json()["icp"]["titles"], json!([]));
    let campaign = json!({"campaign_id": wanted});
    let own = api.send_as(&stranger.api_key, "POST", "/leads", Some(json!({"email": "a@b.example"}))).await;
    let refused = api.send_as(&stranger.api_key, "POST", &format!("/leads/{}/score", id(&own)), Some(campaign)).await;
    assert_eq!((refused.status.as_u16(), refused.pointers()), (422, vec!["/campaign_id".to_owned()]));
    let bad = json!({"model_version": "0", "icp": {"company_size": {"min": 2, "max": 1}}});
    assert_eq!(api.send("PUT", "/leads/scoring-profile", Some(bad)).await.status, 422);
    let mut stale = axle_testkit::request("PUT", "/leads/scoring-profile", Some(&api.me.api_key), Some(profile));
    stale.headers_mut().insert("if-match", "\"7\"".parse().unwrap());
    assert_eq!(axle_testkit::call(&api.router, stale).await.status, 412);
}

/// A sent message to a lead that came to this.
async fn message(api: &Api, lead: &str, engagement: Engagement) {
    let lead: LeadId = lead.parse().unwrap();
    let now = api.world.clock.now();
    let record = CommunicationRecord {
        entity_id: api.me.entity_id,
        id: CommunicationId::new_at(now),
        channel: MessageChannel::Email,
        category: Category::Marketing,
        status: CommunicationStatus::Sent,
        to: "ada@engines.example".to_owned(),
        to_name: None,
        lead_id: Some(lead),
        contact_id: None,
        deal_id: None,
        agent_id: None,
        campaign_id: None,
        identity_id: None,
        subject: None,
        track: Track::default(),
        scheduled_send_time: now,
        timezone: None,
        attempts: Vec::new(),
        tries: 1,
        due_at: None,
        due_since: None,
        claim: None,
        claimed_until: None,
        place: None,
        provider: None,
        provider_message_id: None,
        message_id: None,
        sent_at: Some(now),
        error: None,
        outcome_unknown: false,
        engagement,
        replies_kept: 0,
        actor: Actor::system("test"),
        trace_id: TraceId::random(),
        created_at: now,
        updated_at: now,
    };
    let mut tx = api.world.app.table().await.tx();
    tx.create("message", &record);
    tx.create("entry", &CommunicationEntry::of(&record).unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn people_count_and_machines_do_not() {
    let api = Api::new().await;
    let ada = lead(&api, "ada").await;
    let now = api.world.clock.now();
    let scanned = Engagement { machine_opens: 50, machine_clicks: 50, ..Engagement::default() };
    message(&api, &ada, scanned).await;
    assert_eq!(score(&api, &ada, json!({})).await["breakdown"]["engagement"], 0);
    api.world.clock.advance_millis(5);
    let read = Engagement { opens: 2, opened_at: Some(now), clicks: 1, clicked_at: Some(now), ..Engagement::default() };
    message(&api, &ada, read).await;
    let scored = score(&api, &ada, json!({})).await;
    adds_up(&scored);
    assert_eq!(scored["breakdown"]["engagement"], 5);
    api.world.clock.advance_millis(5);
    message(&api, &ada, Engagement { replied_at: Some(now), ..Engagement::default() }).await;
    let scored = score(&api, &ada, json!({})).await;
    adds_up(&scored);
    assert_eq!((&scored["breakdown"]["engagement"], &scored["recommendation"]["action"]), (&json!(17), &json!("answer")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lead_that_is_changed_while_it_is_scored_keeps_both() {
    let api = Api::new().await;
    let ada = lead(&api, "ada").await;
    let path = format!("/leads/{ada}");
    let scores = (0..4).map(|_| score(&api, &ada, json!({})));
    let patch = async |n: usize| api.patch(&path, json!({"custom": {format!("f{n}"): n}})).await.status;
    let (scores, patches) =
        tokio::join!(futures_util::future::join_all(scores), futures_util::future::join_all((0..4).map(patch)));
    assert!(patches.iter().all(|status| *status == 200), "{patches:?}");
    assert_eq!(scores.len(), 4);
    let kept = api.get(&path).await.json();
    assert_eq!((&kept["score"], &kept["status"]), (&json!(47), &json!("scored")));
    assert_eq!(kept["custom"].as_object().unwrap().len(), 4);
    assert_eq!(api.get("/events?type=lead.scored").await.json()["events"].as_array().unwrap().len(), 4);
}

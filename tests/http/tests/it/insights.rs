//! Costs, traces and service levels over HTTP.

use std::sync::Arc;

use axle_app::communications::send::{Limits, Outbox};
use axle_domain::identity::Scope;
use axle_store::communications::OutboxJob;
use serde_json::{Value, json};

use crate::support::{Api, id};

async fn sent(api: &Api, body: Value) -> String {
    let id = id(&api.post("/communications", body).await);
    let job = OutboxJob { entity_id: api.me.entity_id, communication_id: id.parse().unwrap() };
    Outbox::new(Arc::clone(&api.world.app), Limits::default()).send(&job).await.unwrap();
    id
}

fn mail(campaign: Option<&str>) -> Value {
    json!({"channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "How are you?", "campaign_id": campaign,
        "category": "transactional"})
}

#[tokio::test]
async fn costs_add_up_in_every_form() {
    let api = Api::new().await;
    let empty = api.get("/economics/costs").await.json();
    assert_eq!((&empty["total"], &empty["groups"], &empty["currency"]), (&json!("0"), &json!([]), &json!("USD")));
    assert!(empty.get("cost_per_sent").is_none());
    let campaign = id(&api.post("/campaigns", json!({"name": "=Spring, \"early\"", "channels": ["email"]})).await);
    let mut without = mail(None);
    without.as_object_mut().unwrap().remove("campaign_id");
    sent(&api, without).await;
    for _ in 0..2 {
        sent(&api, mail(Some(&campaign))).await;
    }
    let today = &api.world.clock.now().to_string()[..10];
    for group_by in ["day", "campaign", "agent"] {
        let costs = api.get(&format!("/economics/costs?from={today}&to={today}&group_by={group_by}")).await.json();
        assert_eq!((&costs["from"], &costs["to"]), (&json!(today), &json!(today)));
        assert_eq!((&costs["total"], &costs["sent"], &costs["cost_per_sent"]), (&json!("0.0003"), &json!(3), &json!("0.0001")));
        let categories =
            json!({"ai_inference": "0", "data_enrichment": "0", "channel_costs": "0.0003", "agent_transactions": "0"});
        assert_eq!(costs["categories"], categories);
        let groups: Vec<(Value, Value)> =
            costs["groups"].as_array().unwrap().iter().map(|group| (group["key"].clone(), group["total"].clone())).collect();
        let expected = match group_by {
            "day" => vec![(json!(today), json!("0.0003"))],
            "campaign" => vec![(json!(campaign), json!("0.0002")), (Value::Null, json!("0.0001"))],
            _ => vec![(Value::Null, json!("0.0003"))],
        };
        assert_eq!(groups, expected, "{group_by}");
    }
    let csv = api.get("/economics/costs?group_by=campaign&format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("key,label,currency,total,ai_inference,data_enrichment,channel_costs,agent_transactions,sent"));
    let row = format!("{campaign},\"'=Spring, \"\"early\"\"\",USD,0.0002,0,0,0.0002,0,2,0,0,0.0001,,");
    assert_eq!(lines[1], row);
    assert_eq!(lines[2], ",Without a campaign,USD,0.0001,0,0,0.0001,0,1,0,0,0.0001,,");
    assert_eq!(api.get("/economics/costs?format=csv").await.text.lines().count(), 2);
    let bad = api.get("/economics/costs?from=yesterday&to=2026-02-30&group_by=week&format=xml").await;
    assert_eq!((bad.status.as_u16(), bad.pointers().len()), (422, 4));
    let stranger = api.world.tenant(&[Scope::All]).await;
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/economics/costs", None).await.json()["total"], "0");
}

#[tokio::test]
async fn a_call_with_a_traceparent_is_found_under_it() {
    let api = Api::new().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let lead = id(&api.post("/leads", json!({"email": "ada@example.com"})).await);
    let body = json!({"channel": "email", "lead_id": lead, "subject": "Hello", "text": "Hi"});
    let queued = api.post_with("/communications", body, &[("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))]).await;
    assert_eq!(queued.status, 202, "{}", queued.text);
    let found = api.get(&format!("/traces/{trace}")).await.json();
    assert_eq!((&found["trace_id"], &found["lead_id"], &found["campaign_id"]), (&json!(trace), &json!(lead), &Value::Null));
    assert_eq!((&found["status"], &found["ended_at"], &found["duration_ms"]), (&json!("running"), &Value::Null, &Value::Null));
    let spans = found["spans"].as_array().unwrap();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["message.queue", "message.wait"]);
    assert_eq!(spans[1]["parent_id"], spans[0]["span_id"]);
    assert!(spans.iter().all(|span| span["span_id"].as_str().unwrap().len() == 16 && span["attributes"].is_object()));
    let listed = api.get(&format!("/traces?lead_id={lead}&status=running")).await.json();
    assert_eq!((&listed["traces"][0]["trace_id"], &listed["traces"][0]["span_count"]), (&json!(trace), &json!(2)));
    assert_eq!(api.get(&format!("/traces?lead_id={lead}&status=ok")).await.json()["traces"], json!([]));
    let bad = api.get("/traces?campaign_id=1&lead_id=2&status=lost&limit=0").await;
    assert_eq!((bad.status.as_u16(), bad.pointers().len()), (422, 4));
    let cursor = api.get("/traces?limit=1").await.json()["next_cursor"].clone();
    assert_eq!(cursor, Value::Null);
}

#[tokio::test]
async fn service_levels_are_set_listed_and_deleted() {
    let api = Api::new().await;
    let promise = json!({"objective": "outbox_latency_p95_seconds", "threshold": 60, "window_minutes": 15});
    let made = api.send("PUT", "/slos/outbox.latency", Some(promise.clone())).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!((&made.json()["state"], &made.json()["value"]), (&json!("no_data"), &Value::Null));
    assert_eq!(api.send("PUT", "/slos/outbox.latency", Some(promise.clone())).await.status, 200);
    api.send("PUT", "/slos/a", Some(promise.clone())).await;
    let listed = api.get("/slos").await.json();
    let names: Vec<&str> = listed["slos"].as_array().unwrap().iter().map(|slo| slo["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "outbox.latency"]);
    let unknown = api.send("PUT", "/slos/A%20b", Some(promise.clone())).await;
    assert_eq!((unknown.status.as_u16(), unknown.pointers()), (422, vec!["?name".to_owned()]));
    let share = json!({"objective": "agent_success_rate", "threshold": 1.5, "window_minutes": 60});
    let share = api.send("PUT", "/slos/a", Some(share)).await;
    assert_eq!((share.status.as_u16(), share.pointers()), (422, vec!["/threshold".to_owned()]));
    let long = json!({"objective": "agent_success_rate", "threshold": 1, "window_minutes": 1441});
    let long = api.send("PUT", "/slos/a", Some(long)).await;
    assert_eq!((long.status.as_u16(), long.pointers()), (422, vec!["/window_minutes".to_owned()]));
    let stranger = api.world.tenant(&[Scope::All]).await;
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/slos", None).await.json()["slos"], json!([]));
    assert_eq!(api.send_as(&stranger.api_key, "DELETE", "/slos/a", None).await.status, 404);
    assert_eq!(api.send_as(&stranger.api_key, "PUT", "/slos/a", Some(promise)).await.status, 201);
    assert_eq!(api.send("DELETE", "/slos/a", None).await.status, 204);
    assert_eq!(api.send("DELETE", "/slos/a", None).await.status, 404);
    assert_eq!(api.get("/slos").await.json()["slos"].as_array().unwrap().len(), 1);
    assert_eq!(api.send_as(&stranger.api_key, "GET", "/slos", None).await.json()["slos"].as_array().unwrap().len(), 1);
}

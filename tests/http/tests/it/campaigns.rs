//! Campaigns over HTTP.

use serde_json::json;

use crate::support::{Api, id};

#[tokio::test]
async fn a_campaign_is_created_read_listed_and_changed() {
    let api = Api::new().await;
    let spec = json!({"name": "North", "channels": ["email"], "icp": {"titles": ["CTO"]},
        "messaging": {"sequence": [{"step": 1, "channel": "email", "subject": "Hi {{ lead.first_name | default('there') }}", "body": "x"}]}});
    let made = api.post("/campaigns", spec).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let campaign = made.json();
    assert_eq!(campaign["status"], "draft");
    assert_eq!(campaign["agent_squad"].as_array().unwrap().len(), 7);
    assert_eq!(campaign["metrics"]["open_rate"], 0.0);
    assert_eq!(campaign["spend"]["current"], "0");
    assert_eq!(made.header("etag"), Some("\"1\""));

    let path = format!("/campaigns/{}", id(&made));
    let read = api.get(&path).await;
    assert_eq!((read.json(), read.header("etag")), (campaign.clone(), Some("\"1\"")));

    let changed =
        api.patch(&path, json!({"name": "South", "icp": {"industries": ["software"]}, "messaging": {"tone": "dry"}})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.json();
    assert_eq!((changed["name"].as_str(), &changed["icp"]["titles"]), (Some("South"), &json!(["CTO"])));
    assert_eq!(changed["messaging"]["sequence"].as_array().unwrap().len(), 1);
    let cleared = api.patch(&path, json!({"icp": null, "messaging": {"tone": null}})).await.json();
    assert_eq!((&cleared["icp"]["titles"], &cleared["messaging"]["tone"]), (&json!([]), &json!(null)));
    assert_eq!(api.patch(&path, json!({"name": null})).await.status, 422);

    let events = api.get("/events?type=campaign.*").await.json();
    assert_eq!(events["events"][0]["type"], "campaign.created");
    assert_eq!(events["events"][0]["campaign_id"], campaign["id"]);
    assert_eq!(events["events"][0]["data"]["name"], "North");
}

#[tokio::test]
async fn every_fault_is_listed_and_nothing_is_made() {
    let api = Api::new().await;
    let bad = api.post("/campaigns", json!({"nmae": "x", "channels": ["fax"], "icp": {"company_size": {"min": "ten"}}})).await;
    assert_eq!(bad.status, 422);
    let mut pointers = bad.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/channels/0", "/icp/company_size/min", "/name", "/nmae"]);
    let bad = api
        .post(
            "/campaigns",
            json!({"name": "x", "channels": ["email"], "agents": {"squad": ["plumber"]},
        "messaging": {"sequence": [{"step": 1, "channel": "email", "subject": "a", "body": "line\n{{ lead.frist_name }}"}]}}),
        )
        .await;
    let mut pointers = bad.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/agents/squad/0", "/messaging/sequence/0/body"]);
    assert!(bad.text.contains("line 2") && bad.text.contains("must be one of researcher"));
    assert_eq!(api.get("/campaigns").await.json()["campaigns"], json!([]));
    assert_eq!(api.get("/events").await.json()["events"], json!([]));
}

#[tokio::test]
async fn faults_of_changes_have_a_place_and_no_parsers_words() {
    let api = Api::new().await;
    let path = format!("/campaigns/{}", id(&api.post("/campaigns", json!({"name": "a", "channels": ["sms"]})).await));
    for (change, pointers) in [
        (json!({"channels": null, "name": null}), vec!["/channels", "/name"]),
        (json!({"name": "\u{2003}"}), vec!["/name"]),
        (
            json!({"messaging": {"sending_window": {"timezone": "contact", "days": ["mon", "mon"], "from": "09:00"}}}),
            vec!["/messaging/sending_window/days"],
        ),
        (
            json!({"messaging": {"sending_window": {"from": "09:00", "to": "10:00"}}}),
            vec!["/messaging/sending_window/days", "/messaging/sending_window/timezone"],
        ),
        (json!({"icp": {"company_size": {"min": 430.5}}}), vec!["/icp/company_size/min"]),
        (json!({"identity_id": "01939b1e0d4c7cc18a6f2f5d0b1c9a77"}), vec!["/identity_id"]),
    ] {
        let refused = api.patch(&path, change).await;
        let mut found = refused.pointers();
        found.sort();
        assert_eq!(found, pointers, "{}", refused.text);
        assert!(!refused.text.contains("missing field") && !refused.text.contains("invalid type"), "{}", refused.text);
    }
    let whole = api.patch(&path, serde_json::from_str(r#"{"icp": {"company_size": {"min": 430.0, "max": 5e2}}}"#).unwrap()).await;
    assert_eq!(whole.json()["icp"]["company_size"], json!({"min": 430, "max": 500}), "{}", whole.text);
}

#[tokio::test]
async fn if_match_guards_changes() {
    let api = Api::new().await;
    let path = format!("/campaigns/{}", id(&api.post("/campaigns", json!({"name": "a", "channels": ["sms"]})).await));
    let patch = |tag: &'static str| {
        let mut req = axle_testkit::request("PATCH", &path, Some(&api.me.api_key), Some(json!({"name": "b"})));
        req.headers_mut().insert("if-match", tag.parse().unwrap());
        axle_testkit::call(&api.router, req)
    };
    assert_eq!(patch("\"9\"").await.status, 412);
    assert_eq!(patch("\"1\"").await.status, 200);
    assert_eq!(patch("\"1\"").await.status, 412);
    assert_eq!(patch("*").await.status, 200);
}

#[tokio::test]
async fn pages_hold_every_campaign_once_also_while_others_are_made() {
    let api = Api::new().await;
    for n in 0..7 {
        api.world.clock.advance_millis(3);
        api.post("/campaigns", json!({"name": format!("c{n}"), "channels": ["email"]})).await;
    }
    let first = api.get("/campaigns?limit=3").await.json();
    api.world.clock.advance_millis(3);
    api.post("/campaigns", json!({"name": "late", "channels": ["email"]})).await;
    let second = api.get(&format!("/campaigns?limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    let names = |list: &[serde_json::Value]| list.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(first["campaigns"].as_array().unwrap()), ["c6", "c5", "c4"]);
    assert_eq!(names(second["campaigns"].as_array().unwrap()), ["c3", "c2", "c1"]);
    let all = api.pages("/campaigns?limit=3", "campaigns").await;
    assert_eq!(names(&all), ["late", "c6", "c5", "c4", "c3", "c2", "c1", "c0"]);
    for bad in ["?limit=0", "?limit=101", "?limit=x", "?status=gone"] {
        assert_eq!(api.get(&format!("/campaigns{bad}")).await.status, 422, "{bad}");
    }
    let foreign = first["next_cursor"].as_str().unwrap();
    assert_eq!(api.get(&format!("/leads?cursor={foreign}")).await.status, 400);
    assert_eq!(api.get("/campaigns?cursor=garbage").await.status, 400);
}

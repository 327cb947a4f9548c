//! Deals, activities, tasks and the dashboard over HTTP.

use serde_json::{Value, json};

use crate::support::{Crm, each};

/// What the table's stream would have counted by now.
async fn count(crm: &Crm) {
    let changes = serde_json::from_value(Value::Array(crm.api.world.table.new_changes())).unwrap();
    axle_app::crm::dashboard::count(&crm.api.world.app, changes).await.unwrap();
}

#[tokio::test]
async fn a_lead_is_created_read_changed_and_deleted() {
    let crm = Crm::new().await;
    let company = crm.id("/companies", json!({"name": "Acme"})).await;
    let contact = crm.id("/contacts", json!({"firstName": "Ada", "companyId": company})).await;
    let made = crm
        .made(
            "/leads",
            json!({"title": " Fifty seats ", "companyId": company, "contactId": contact, "valueMinor": 1_200_000, "currency": "eur",
                "expectedCloseDate": "2026-12-31", "source": "fair"}),
        )
        .await;
    assert_eq!((&made["title"], &made["stage"], &made["probability"]), (&json!("Fifty seats"), &json!("new"), &json!(10)));
    assert_eq!(
        (&made["currency"], &made["expectedCloseDate"], &made["lostReason"]),
        (&json!("EUR"), &json!("2026-12-31"), &json!(null))
    );
    let path = format!("/leads/{}", made["id"].as_str().unwrap());
    assert_eq!(crm.read(&path).await, made);
    let changed = crm.patch(&path, json!({"valueMinor": null, "currency": null, "source": null, "probability": 55})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.json();
    assert_eq!((&changed["valueMinor"], &changed["currency"], &changed["probability"]), (&json!(null), &json!(null), &json!(55)));
    let listed =
        crm.read(&format!("/leads?companyId={company}&contactId={contact}&q=FIFTY&stage=new&ownerUserId=unassigned")).await;
    assert_eq!((each(&listed["leads"], "id"), &listed["total"]), (vec![made["id"].as_str().unwrap().to_owned()], &json!(1)));
    assert_eq!(crm.delete(&path).await.status, 204);
    assert_eq!(crm.get(&path).await.status, 404);
    assert_eq!(crm.read("/leads").await["total"], 0);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once() {
    let crm = Crm::new().await;
    let nothing = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    for (body, pointers) in [
        (json!({}), vec!["/title"]),
        (json!({"title": "x", "stage": "closed", "colour": "red"}), vec!["/colour", "/stage"]),
        (
            json!({"title": " ", "currency": "EURO", "probability": 101, "valueMinor": 1.5}),
            vec!["/currency", "/probability", "/title", "/valueMinor"],
        ),
        (json!({"title": "x", "stage": "lost"}), vec!["/lostReason"]),
        (json!({"title": "x", "companyId": nothing, "contactId": nothing}), vec!["/companyId", "/contactId"]),
    ] {
        let answer = crm.post("/leads", body.clone()).await;
        assert_eq!(answer.status, 422, "{body} {}", answer.text);
        let mut found = answer.pointers();
        found.sort();
        assert_eq!(found, pointers, "{body}");
    }
    assert_eq!(crm.post("/leads", json!({"title": "x", "companyId": "7"})).await.status, 400);
    let id = crm.id("/leads", json!({"title": "x"})).await;
    for (path, body, pointers) in [
        ("stage", json!({"stage": "lost"}), vec!["/lostReason"]),
        ("stage", json!({"stage": "won", "lostReason": "x"}), vec!["/lostReason"]),
        ("stage", json!({}), vec!["/stage"]),
    ] {
        let answer = crm.patch(&format!("/leads/{id}/{path}"), body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (422, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{body}"
        );
    }
    assert_eq!(crm.get("/leads?stage=closed").await.status, 422);
    assert_eq!(crm.get(&format!("/leads/{id}/timeline?cursor=x")).await.status, 400);
}

#[tokio::test]
async fn custom_values_are_as_defined() {
    let crm = Crm::new().await;
    crm.made("/custom-fields", json!({"object": "lead", "name": "seats", "type": "number"})).await;
    let refused = crm.post("/leads", json!({"title": "x", "custom": {"seats": "many"}})).await;
    assert_eq!((refused.status.as_u16(), refused.pointers()), (422, vec!["/custom/seats".to_owned()]));
    let made = crm.made("/leads", json!({"title": "x", "custom": {"seats": 50}})).await;
    let path = format!("/leads/{}", made["id"].as_str().unwrap());
    assert_eq!(crm.patch(&path, json!({"custom": {"seats": "none"}})).await.status, 422);
    assert_eq!(crm.patch(&path, json!({"custom": {"seats": null, "free": [1]}})).await.json()["custom"], json!({"free": [1]}));
}

#[tokio::test]
async fn a_lead_on_its_way() {
    let crm = Crm::new().await;
    let company = crm.id("/companies", json!({"name": "Acme"})).await;
    let id = crm.id("/leads", json!({"title": "Fifty seats", "companyId": company, "valueMinor": 5000})).await;
    let call =
        crm.made(&format!("/leads/{id}/activities"), json!({"type": "call", "subject": "First call", "outcome": "keen"})).await;
    assert_eq!((&call["companyId"], &call["leadId"]), (&json!(company), &json!(id)));
    crm.api.world.clock.advance_millis(3);
    let won = crm.patch(&format!("/leads/{id}/stage"), json!({"stage": "won"})).await;
    assert_eq!((won.status.as_u16(), &won.json()["probability"]), (200, &json!(100)), "{}", won.text);
    let again = crm.patch(&format!("/leads/{id}/stage"), json!({"stage": "won"})).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, won.header("etag")));
    assert_eq!(crm.read(&format!("/companies/{company}")).await["status"], "active");
    let tasks = crm.read("/tasks?status=open").await;
    assert_eq!((&tasks["total"], &tasks["tasks"][0]["related"]), (&json!(1), &json!({"kind": "crm_lead", "id": id})));
    let timeline = crm.read(&format!("/leads/{id}/timeline")).await;
    let mut kinds = each(&timeline["entries"], "kind");
    assert_eq!(kinds.pop().as_deref(), Some("activity"), "the oldest");
    kinds.sort();
    assert_eq!((kinds, &timeline["nextCursor"]), (vec!["stage".to_owned(), "task".to_owned()], &json!(null)));
    let first = crm.read(&format!("/leads/{id}/timeline?limit=1")).await;
    let rest = crm.read(&format!("/leads/{id}/timeline?cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!(rest["entries"].as_array().unwrap().len(), 2);

    count(&crm).await;
    let dashboard = crm.read("/dashboard").await;
    assert_eq!(dashboard["companies"]["byStatus"], json!({"prospect": 0, "active": 1, "inactive": 0}));
    assert_eq!(dashboard["leads"]["wonThisMonth"], json!({"count": 1, "valueMinor": 5000}));
    assert_eq!(dashboard["leads"]["byStage"][5], json!({"stage": "won", "count": 1, "valueMinor": 5000}));
    assert_eq!((&dashboard["leads"]["winRate"], &dashboard["tasks"]["open"]), (&json!(1.0), &json!(1)));
    assert_eq!((&dashboard["activities"]["last7Days"], &dashboard["activities"]["byType"]["call"]), (&json!(1), &json!(1)));
    assert_eq!(dashboard["emails"], json!({"sent": 0, "opened": 0, "replied": 0}));
}

#[tokio::test]
async fn activities_of_what_is_not_there() {
    let crm = Crm::new().await;
    let nothing = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    let call = |field: &str| json!({"type": "call", "subject": "x", field: nothing});
    for field in ["companyId", "contactId", "leadId"] {
        let answer = crm.post("/activities", call(field)).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec![format!("/{field}")]), "{}", answer.text);
    }
    assert_eq!(crm.post(&format!("/leads/{nothing}/activities"), json!({"type": "call", "subject": "x"})).await.status, 404);
    let id = crm.id("/leads", json!({"title": "x"})).await;
    assert_eq!(crm.post(&format!("/leads/{id}/activities"), call("leadId")).await.pointers(), ["/leadId"]);
    let made = crm.made("/activities", json!({"type": "note", "subject": "x", "occurredAt": "2026-01-31T10:00:00+01:00"})).await;
    assert_eq!(made["occurredAt"], "2026-01-31T09:00:00.000Z");
    let found = crm.read("/activities?from=2026-01-31T09:00:00Z&to=2026-01-31T09:00:01Z&type=note").await;
    assert_eq!((each(&found["activities"], "id"), &found["total"]), (vec![made["id"].as_str().unwrap().to_owned()], &json!(1)));
    assert_eq!(crm.get("/activities?from=yesterday").await.status, 422);
}

#[tokio::test]
async fn the_stage_that_a_lead_is_in_changes_nothing() {
    let crm = Crm::new().await;
    let id = crm.id("/leads", json!({"title": "x"})).await;
    let path = format!("/leads/{id}/stage");
    let lost = crm.patch(&path, json!({"stage": "lost", "lostReason": "price"})).await;
    assert_eq!(lost.status, 200, "{}", lost.text);
    for again in [json!({"stage": "lost"}), json!({"stage": "lost", "lostReason": "another"})] {
        let answer = crm.patch(&path, again.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, lost.json()), "{again}");
    }
}

#[tokio::test]
async fn what_is_to_be_answered_by_a_day_is_no_task_unless_it_is_one() {
    let crm = Crm::new().await;
    for kind in ["call", "email", "meeting", "note"] {
        let made = crm.made("/activities", json!({"type": kind, "subject": "x", "dueAt": "2026-12-24"})).await;
        assert_eq!((&made["dueAt"], &made["type"]), (&json!("2026-12-24"), &json!(kind)));
    }
    assert_eq!(crm.read("/tasks").await["total"], 0);
}

/// Forgets the answer to the whole of a request, as if it had died at its end; what its parts came to stays.
async fn forget_the_whole(crm: &Crm, of: &str) {
    let items = crm.api.world.table.items();
    let whole = items.iter().find(|item| item["type"]["S"] == "idempotency" && item["answer"].to_string().contains(of)).unwrap();
    let (pk, sk) = (whole["pk"]["S"].as_str().unwrap(), whole["sk"]["S"].as_str().unwrap());
    let entity = crm.api.me.entity_id;
    let mut tx = crm.api.world.app.table().await.tx();
    tx.remove("claim", axle_store::Key::member(entity, pk.strip_prefix(&format!("E#{entity}#")).unwrap(), sk));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_comes_again_makes_nothing_twice() {
    let crm = Crm::new().await;
    for (path, good, corrected) in [
        ("companies", json!({"name": "A"}), json!({"name": "B"})),
        ("contacts", json!({"lastName": "A"}), json!({"lastName": "B"})),
        ("leads", json!({"title": "A"}), json!({"title": "B"})),
    ] {
        let (url, bad) = (format!("/api/crm/{path}/batch?entityId={}", crm.api.me.entity_id), json!({"nme": "x"}));
        let send = |records: Value| crm.api.post_with(&url, json!({"records": records}), &[("idempotency-key", "k")]);
        let first = send(json!([good, bad])).await;
        assert_eq!((first.status.as_u16(), &first.json()["results"][1]["status"]), (200, &json!(422)), "{}", first.text);
        assert_eq!(send(json!([good, bad])).await.header("idempotent-replayed"), Some("true"));
        forget_the_whole(&crm, "results").await;
        let again = send(json!([good, bad])).await;
        assert_eq!((again.header("idempotent-replayed"), again.json()), (None, first.json()));
        assert_eq!(crm.read(&format!("/{path}")).await["total"], 1, "{path}");
        // Another body asks for other things.
        forget_the_whole(&crm, "results").await;
        assert_eq!(send(json!([good, corrected])).await.json()["results"][1]["status"], 201);
        assert_eq!(crm.read(&format!("/{path}")).await["total"], 3, "{path}");
        forget_the_whole(&crm, "results").await;
    }
}

#[tokio::test]
async fn a_malformed_id_in_a_batch_is_400_as_it_is_alone() {
    let crm = Crm::new().await;
    let records = json!({"records": [{"title": "x", "companyId": "7"}, {"title": "x", "valueMinor": -1, "contactId": "7"}]});
    let results = crm.post("/leads/batch", records).await.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(400), &json!(400)), "{results}");
    assert!(results[0]["error"].as_str().unwrap().contains("/companyId"), "{results}");
}

#[tokio::test]
async fn a_batch_creates_what_it_can() {
    let crm = Crm::new().await;
    let company = crm.id("/companies", json!({"name": "Acme"})).await;
    let records = json!({"records": [{"title": "a", "companyId": company}, {"title": ""}, {"title": "b", "stage": "won", "companyId": company}, {"nme": 1}]});
    let answer = crm.post("/leads/batch", records).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = answer.json()["results"].clone();
    let statuses: Vec<u64> = results.as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 422, 201, 422]);
    assert_eq!((&results[1]["details"][0]["pointer"], &results[1]["id"]), (&json!("/title"), &json!(null)));
    assert_eq!(crm.read(&format!("/leads/{}", results[2]["id"].as_str().unwrap())).await["stage"], "won");
    assert_eq!(crm.read("/leads").await["total"], 2);
    assert_eq!(crm.read(&format!("/companies/{company}")).await["status"], "active");
    for records in [json!([]), Value::Array(vec![json!({"title": "x"}); 101])] {
        assert_eq!(crm.post("/leads/batch", json!({"records": records})).await.status, 422);
    }
}

#[tokio::test]
async fn deals_of_merged_companies_are_the_winners_and_their_wins_too() {
    let crm = Crm::new().await;
    let [winner, loser] = [crm.id("/companies", json!({"name": "A"})).await, crm.id("/companies", json!({"name": "B"})).await];
    let id = crm.id("/leads", json!({"title": "x", "companyId": loser, "stage": "won"})).await;
    crm.made("/activities", json!({"type": "call", "subject": "x", "companyId": loser})).await;
    assert_eq!(crm.post("/companies/merge", json!({"winnerId": winner, "loserIds": [loser]})).await.status, 200);
    for company in [&winner, &loser] {
        assert_eq!(each(&crm.read(&format!("/leads?companyId={company}")).await["leads"], "id"), [id.as_str()]);
        assert_eq!(crm.read(&format!("/activities?companyId={company}")).await["total"], 1);
    }
    assert_eq!(crm.read(&format!("/companies/{winner}")).await["status"], "active");
    assert_eq!(crm.read("/companies?status=active").await["total"], 1);
    assert_eq!(crm.patch(&format!("/leads/{id}/stage"), json!({"stage": "new"})).await.status, 200);
    assert_eq!(crm.read(&format!("/companies/{winner}")).await["status"], "prospect");
    assert_eq!(crm.read("/companies?status=prospect").await["total"], 1);
}

#[tokio::test]
async fn a_repeated_request_notes_one_activity_and_one_task() {
    let crm = Crm::new().await;
    let path = format!("/api/crm/activities?entityId={}", crm.api.me.entity_id);
    let body = json!({"type": "task", "subject": "Call back", "dueAt": "2026-12-24"});
    let first = crm.api.post_with(&path, body.clone(), &[("idempotency-key", "k1")]).await;
    let again = crm.api.post_with(&path, body, &[("idempotency-key", "k1")]).await;
    assert_eq!((first.status.as_u16(), first.json()), (201, again.json()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!((&crm.read("/tasks").await["total"], &crm.read("/activities").await["total"]), (&json!(1), &json!(1)));
    assert_eq!(crm.read("/tasks").await["tasks"][0]["dueDate"], "2026-12-24");
}

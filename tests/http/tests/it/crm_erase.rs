//! Erasure: nothing of a person is left anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::communications::send::{Limits, Outbox};
use axle_domain::CommunicationId;
use axle_domain::communication::CommunicationStatus;
use axle_domain::event::{EventType, sample::sample};
use axle_domain::text::fold;
use axle_store::communications::CommunicationRecord;
use axle_store::crm::search::Searching;
use axle_store::deliveries::{AttemptRecord, DeliveryRecord};
use axle_store::replies::ReplyRecord;
use axle_testkit::{FEW_ARE_MANY, World};
use serde_json::{Value, json};

use crate::coverage::named;
use crate::support::{Crm, id, jobs_of, queue_of};

const EMAIL: &str = "zebulon.quuxworth@engines.example";

/// Does the jobs that followed from what was written: imports, messages and runs of agents.
async fn work(crm: &Crm) {
    while work_once(crm).await {}
}

/// Does the jobs of what was written since the last look; whether there were any.
async fn work_once(crm: &Crm) -> bool {
    let world = &crm.api.world;
    let mut any = false;
    let deadline = Instant::now() + Duration::from_secs(60);
    for record in world.table.new_records() {
        for job in jobs_of(&record) {
            match queue_of(&record) {
                Some("import") => {
                    let job = serde_json::from_value(job).unwrap();
                    axle_app::outreach::imports::work(&world.app, job, deadline).await.outcome.unwrap();
                }
                Some("outbox") => {
                    let job = serde_json::from_value(job).unwrap();
                    Outbox::new(Arc::clone(&world.app), Limits::default()).send(&job).await.unwrap();
                }
                Some("agents") => {
                    let message = serde_json::from_value(job).unwrap();
                    axle_app::agents::work::work(&world.app, &message, deadline).await.unwrap();
                }
                _ => continue,
            }
            any = true;
        }
    }
    any
}

/// Where a person with this name and these digits in their number still is.
fn traces(crm: &Crm, words: &[&str], digits: &str) -> Vec<String> {
    let about = |text: &str| {
        let folded = fold(text);
        let plain: String = text.chars().filter(|c| !" -().+/".contains(*c)).collect();
        words.iter().any(|word| folded.contains(&fold(word))) || plain.contains(digits)
    };
    let objects = crm.api.world.objects.keys().into_iter().map(|key| {
        let body = crm.api.world.objects.get(&key).unwrap().1;
        format!("{key}: {}", String::from_utf8_lossy(&body))
    });
    crm.api.world.table.texts().into_iter().chain(objects).filter(|text| about(text)).collect()
}

async fn erase(crm: &Crm, contact: &str) -> (u16, Value) {
    let answer = crm.api.send("POST", &named(&format!("/api/crm/contacts/{contact}/erase"), crm.api.me.entity_id), None).await;
    (answer.status.as_u16(), answer.json())
}

async fn record(crm: &Crm, id: &str) -> axle_store::Versioned<CommunicationRecord> {
    let id: CommunicationId = id.parse().unwrap();
    let table = crm.api.world.app.table().await;
    table.communication(crm.api.me.entity_id, id, crm.api.world.app.now()).await.unwrap().unwrap()
}

/// A person with everything that this product can know of them; answers their contact's id, that of one merged into it, and a message.
async fn zebulon(crm: &Crm) -> [String; 3] {
    let (world, entity) = (&crm.api.world, crm.api.me.entity_id);
    let company = crm.id("/companies", json!({"name": "Engines"})).await;
    let person = json!({
        "firstName": "Zébulon", "lastName": "Quuxworth", "email": EMAIL, "phone": "+44 20 7946 0999", "title": "CTO of Quuxworth",
        "linkedinUrl": "https://www.linkedin.com/in/zeb-quuxworth", "companyId": company, "custom": {"note": "likes \"Zébulon\""},
    });
    let key = [("idempotency-key", "make-zebulon")];
    let contact = id(&crm.api.post_with(&named("/api/crm/contacts", entity), person, &key).await);
    let twin = json!({"firstName": "Zeb", "lastName": "Quuxworth", "email": "zeb@quuxworth.example"});
    let twin = crm.id("/contacts", twin).await;
    let merged = json!({"winnerId": contact, "loserIds": [twin]});
    let key = [("idempotency-key", "merge-zebulon")];
    assert_eq!(crm.api.post_with(&named("/api/crm/contacts/merge", entity), merged, &key).await.status, 200);

    let deal = json!({"title": "Rollout for ZÉBULON", "contactId": contact, "companyId": company, "source": "met Quuxworth"});
    let deal = crm.id("/leads", deal).await;
    crm.patch(&format!("/leads/{deal}/stage"), json!({"stage": "lost", "lostReason": "Quuxworth left", "note": "ask zébulon"}))
        .await;
    let call = json!({"type": "call", "subject": "Zébulon called", "body": "from (020) 7946-0999", "contactId": twin});
    crm.made("/activities", call).await;
    crm.made(&format!("/leads/{deal}/activities"), json!({"type": "task", "subject": "Call Quuxworth", "body": EMAIL})).await;

    let lead =
        json!({"email": EMAIL.to_uppercase(), "first_name": "Zébulon", "last_name": "Quuxworth", "phone": "+442079460999"});
    let lead = id(&crm.api.post("/leads", lead).await);
    let csv = format!(
        "email,first_name,phone\n{EMAIL},Zébulon,+442079460999\nada@example.com,Ada,\nnonsense,Zébulon,0044 20 7946 0999 x\n"
    );
    assert_eq!(crm.api.post("/leads/import", json!({"csv": csv, "dedupe": false})).await.status, 202);

    let mail = |to: Value| {
        let mut mail = json!({"channel": "email", "subject": "Dear Zébulon", "text": format!("Hello Quuxworth at {EMAIL}")});
        mail.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        mail
    };
    let tracked = json!({"contact_id": contact, "html": "<p>Hi Quuxworth", "track": {"opens": true}, "category": "marketing"});
    let message = id(&crm.api.post("/communications", mail(tracked)).await);
    id(&crm.api.post("/communications", mail(json!({"lead_id": lead}))).await);
    id(&crm.api.post("/communications", mail(json!({"to": "Zeb@Quuxworth.example"}))).await);
    work(crm).await;
    world.clock.advance_secs(60);
    let email = world.sent.emails().into_iter().find(|mail| mail.html.is_some()).unwrap().html.unwrap();
    let ticket = email.split("/communications/open/").nth(1).map(|rest| rest.split(['"', '?']).next().unwrap().to_owned());
    if let Some(ticket) = ticket {
        crm.api.get(&format!("/communications/open/{ticket}")).await;
    }
    let table = world.app.table().await;
    let sent: CommunicationId = message.parse().unwrap();
    let reply = ReplyRecord {
        entity_id: entity,
        communication_id: sent,
        id: sent.uuid(),
        from: EMAIL.to_owned(),
        from_name: Some("Zébulon Quuxworth".to_owned()),
        subject: "Re: Dear Zébulon".to_owned(),
        text: "Yours, Zébulon".to_owned(),
        automatic: false,
        classification: None,
        message_id: None,
        received_at: world.app.now(),
        created_at: world.app.now(),
    };
    let mut tx = table.tx();
    tx.create("reply", &reply);
    tx.commit().await.unwrap();
    let meeting = json!({"lead_id": lead, "title": "With Zébulon", "starts_at": world.clock.now().plus_days(3)});
    assert_eq!(crm.api.post("/meetings", meeting).await.status, 201);
    let later =
        json!({"channel": "sms", "to": "0044 20 7946 0999", "text": "Zébulon?", "send_at": world.clock.now().plus_days(3)});
    id(&crm.api.post("/communications", later).await);
    let known = json!({"address": "+44 20 7946 0999", "reason": "Quuxworth asked"});
    assert_eq!(crm.api.post("/communications/suppressions", known).await.status, 201);

    // An agent that writes to them at once, and one that asks first; for the lead that they are, and the contact.
    world.models.answer(|request| match request.builtin.name() {
        "draft_message" => Ok(json!({"subject": "Dear Zébulon", "body": format!("Hello Zébulon Quuxworth <{EMAIL}>")})),
        _ => Ok(json!({"note": "Zébulon Quuxworth"})),
    });
    let steps = json!([
        {"id": "ask", "action": "model", "params": {"prompt": "Who?", "output_schema": {"type": "object"}}},
        {"id": "tell", "action": "notify", "params": {"message": "{{ contact.name }} <{{ contact.email }}>"}},
        {"id": "draft", "action": "draft_message", "params": {"channel": "email", "instructions": "x"}},
        {"id": "call", "action": "create_task", "params": {"title": "Call {{ contact.name }}"}},
        {"id": "send", "action": "send_message", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}},
        {"id": "fail", "action": "notify", "params": {"message": "{{ contact.nothing }}"}},
    ]);
    let agent =
        json!({"name": "Outreach", "llm_config": {"provider": "openai", "model": "gpt-4o"}, "playbook": {"steps": steps}});
    let agent = crm.api.post("/v1/agents", agent).await.json()["agent"]["id"].as_str().unwrap().to_owned();
    let told = json!({"contact_ids": [lead, contact], "input": {"note": "for Zébulon, see zeb@quuxworth.example"}});
    assert_eq!(crm.api.post(&format!("/v1/agents/{agent}/trigger"), told.clone()).await.status, 200);
    work(crm).await;
    let asked = crm.api.get("/v1/approvals").await.json()["approvals"].as_array().unwrap().clone();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        let path = |name: &str| asked[name].as_str().unwrap().to_owned();
        let action = format!("/v1/agents/runs/{}/contacts/{}/actions/4", path("run_id"), path("contact_id"));
        assert_eq!(crm.api.post(&format!("{action}/approve"), json!({})).await.status, 200);
    }
    work(crm).await;
    // Another call of it is still waiting for a word.
    assert_eq!(crm.api.post(&format!("/v1/agents/{agent}/trigger"), told).await.status, 200);
    work(crm).await;
    let draft = json!({"input": {"lead_id": lead, "tone": "as to Quuxworth"}});
    let squad = crm.api.pages("/agents", "agents").await;
    let copywriter = squad.iter().find(|agent| agent["role"] == "copywriter").unwrap()["id"].as_str().unwrap().to_owned();
    let key = [("idempotency-key", "draft-for-zebulon")];
    assert_eq!(crm.api.post_with(&format!("/agents/{copywriter}/execute"), draft, &key).await.status, 200);

    let webhook = id(&crm.api.post("/webhooks", json!({"url": "http://127.0.0.1:9/hook"})).await).parse().unwrap();
    let mut delivery = DeliveryRecord::new(&sample(EventType::LeadCreated, entity, world.app.now()), webhook, world.app.now());
    let excerpt = Some(format!("{{\"got\":\"Quuxworth <{EMAIL}>\"}}"));
    let attempt =
        AttemptRecord { at: world.app.now(), status_code: Some(500), duration_ms: 3, error: None, response_excerpt: excerpt };
    delivery.note(attempt);
    world.app.table().await.put_new(&delivery).await.unwrap();
    for query in ["type=contacts&format=csv", "type=leads&format=ndjson"] {
        assert_eq!(crm.get(&format!("/export?{query}")).await.status, 200);
    }
    work(crm).await;
    [contact, twin, message]
}

const WORDS: [&str; 4] = ["zébulon", "quuxworth", "zeb@", "%40engines"];
const DIGITS: &str = "2079460999";

#[tokio::test]
async fn nothing_of_a_person_is_left() {
    // Two contacts are so many here that searches go through segments.
    let many = Searching { large: 1, rows: 1, ..FEW_ARE_MANY };
    let crm = Crm::of(World::searching(many).await).await;
    let other = json!({"firstName": "Ada", "email": "ada@engines.example", "phone": "+442079460998"});
    let other = crm.made("/contacts", other).await;
    let [contact, twin, message] = zebulon(&crm).await;
    crm.api.world.clock.advance_secs(120);
    let deadline = Instant::now() + Duration::from_secs(60);
    axle_app::crm::search::reindex(&crm.api.world.app, crm.api.me.entity_id, None, deadline).await.unwrap();
    let left = traces(&crm, &WORDS, DIGITS);
    assert!(left.len() > 30 && left.iter().any(|text| text.contains("crm_rows")), "there is something to erase");

    let (status, receipt) = erase(&crm, &twin).await;
    assert_eq!((status, &receipt["status"], &receipt["contactId"]), (200, &json!("completed"), &json!(contact)), "{receipt}");
    let left = traces(&crm, &WORDS, DIGITS);
    assert!(left.is_empty(), "{}", left.join("\n\n"));
    for place in [
        "contacts",
        "memberships",
        "leads",
        "agentRuns",
        "traces",
        "deals",
        "activities",
        "tasks",
        "messages",
        "events",
        "answers",
        "files",
        "searches",
    ] {
        assert!(receipt["removed"][place].as_u64() > Some(0), "{place}: {receipt}");
    }
    assert_eq!((&receipt["removed"]["contacts"], &receipt["removed"]["webhookDeliveries"]), (&json!(2), &json!(1)));
    assert_eq!(receipt["signature"].as_str().unwrap().len(), 64);

    // Nobody is asked about them any more, the runs have ended without them, and what they cost is still known.
    assert_eq!(crm.api.get("/v1/approvals").await.json()["total"], 0);
    let agents = crm.api.get("/v1/agents?limit=1").await.json()["agents"][0]["id"].as_str().unwrap().to_owned();
    let runs = crm.api.get(&format!("/v1/agents/{agents}/runs")).await.json()["runs"].as_array().unwrap().clone();
    let mut seen: Vec<_> = runs.iter().map(|run| (run["status"].as_str().unwrap(), run["cost"] != json!("0"))).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("cancelled", true), ("failed", true)]);
    for run in &runs {
        let run = crm.api.get(&format!("/v1/agents/runs/{}", run["id"].as_str().unwrap())).await.json();
        assert_eq!(run["run"]["contacts"], json!([]), "{run}");
    }
    // It can be asked for again, by either id.
    for id in [&contact, &twin] {
        assert_eq!(erase(&crm, id).await, (200, receipt.clone()));
        assert_eq!(crm.get(&format!("/contacts/{id}")).await.status, 404);
    }
    // What is about them stays without them, and what is somebody else's as it was.
    assert_eq!(crm.read(&format!("/contacts/{}", other["id"].as_str().unwrap())).await, other);
    let contacts = crm.read("/contacts").await;
    assert_eq!((contacts["total"].as_u64(), contacts["contacts"].as_array().unwrap().len()), (Some(1), 1));
    let deals = crm.read("/leads").await;
    assert_eq!((&deals["leads"][0]["title"], &deals["leads"][0]["contactId"]), (&json!("Rollout for [erased]"), &Value::Null));
    assert_eq!(crm.read("/activities").await["total"], 2);
    assert_eq!(
        crm.read(&format!("/leads/{}/timeline", deals["leads"][0]["id"].as_str().unwrap())).await["entries"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let sent = crm.api.get(&format!("/communications/{message}")).await;
    assert_eq!(
        (sent.status.as_u16(), sent.json()["status"].as_str(), sent.json()["to"].as_str()),
        (200, Some("sent"), Some("[erased]"))
    );
    let outbox = crm.api.get("/communications/outbox").await.json();
    assert_eq!((&outbox["counts"]["cancelled"], &outbox["counts"]["pending"]), (&json!(1), &json!(0)));
    // They are written to no more.
    let again = id(&crm.api.post("/communications", json!({"channel": "email", "to": EMAIL, "subject": "s", "text": "t"})).await);
    work(&crm).await;
    assert_eq!(record(&crm, &again).await.value.status, CommunicationStatus::Suppressed);
    // A replay of what made them does not bring them back.
    let key = [("idempotency-key", "make-zebulon")];
    let other_body = crm.api.post_with(&named("/api/crm/contacts", crm.api.me.entity_id), json!({"firstName": "x"}), &key).await;
    assert_eq!(other_body.status, 422, "{}", other_body.text);
}

#[tokio::test]
async fn a_message_on_its_way_is_waited_for() {
    let crm = Crm::new().await;
    let contact = crm.id("/contacts", json!({"lastName": "Quuxworth", "email": EMAIL})).await;
    let mail = json!({"channel": "email", "contact_id": contact, "subject": "Dear Quuxworth", "text": "t"});
    let message = id(&crm.api.post("/communications", mail).await);
    let table = crm.api.world.app.table().await;
    let set = async |status| {
        let found = record(&crm, &message).await;
        let mut tx = table.tx();
        tx.replace("message", &CommunicationRecord { status, ..found.value }, found.version);
        tx.commit().await.unwrap();
    };
    set(CommunicationStatus::Processing).await;
    let (status, receipt) = erase(&crm, &contact).await;
    assert_eq!((status, &receipt["status"], &receipt["signature"]), (202, &json!("running"), &Value::Null), "{receipt}");
    assert_eq!(crm.get(&format!("/contacts/{contact}")).await.status, 404);
    set(CommunicationStatus::Sent).await;
    let (status, receipt) = erase(&crm, &contact).await;
    assert_eq!((status, &receipt["removed"]["messages"]), (200, &json!(1)), "{receipt}");
    assert!(traces(&crm, &["quuxworth"], DIGITS).is_empty());
}

#[tokio::test]
async fn who_never_was_cannot_be_erased() {
    let crm = Crm::new().await;
    assert_eq!(erase(&crm, "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77").await.0, 404);
    let contact = crm.id("/contacts", json!({"lastName": "Ada"})).await;
    let path = format!("/contacts/{contact}/erase");
    assert_eq!(crm.post(&path, json!({"really": true})).await.pointers(), ["/really"]);
    let both = json!({"entityId": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"});
    assert_eq!(crm.post(&path, both).await.status, 400);
    assert_eq!(crm.get(&format!("/contacts/{contact}")).await.status, 200);
}

//! E-mail to leads, its connections, and what becomes of it in timelines; merged records under their winners' ids.

use std::sync::Arc;

use axle_app::communications::send::{Limits, Outbox};
use serde_json::{Value, json};

use crate::coverage::named;
use crate::support::{Crm, each, jobs_of, queue_of};

const NOTHING: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";

/// A lead with a contact, and a connection.
async fn lead(crm: &Crm) -> (String, String) {
    let contact = crm.id("/contacts", json!({"firstName": "Ada", "email": "ada@engines.example"})).await;
    let lead = crm.id("/leads", json!({"title": "Fifty seats", "contactId": contact})).await;
    let connection =
        json!({"channel": "smtp", "from": "me@example.com", "credentials": {"host": "127.0.0.1", "port": 2525, "tls": "none"}});
    (lead, crm.id("/outbound-email-connections", connection).await)
}

fn mail(lead: &str, connection: &str) -> Value {
    json!({"leadId": lead, "connectionId": connection, "channel": "smtp", "subject": "Our offer",
        "htmlBody": "<p>Dear Ada, see <a href=\"https://example.com/offer\">it</a>.</p>"})
}

/// Sends what waits, and lets the timelines follow; twice, as the stream may.
async fn settle(crm: &Crm) {
    let world = &crm.api.world;
    for record in world.table.new_records().iter().filter(|record| queue_of(record) == Some("outbox")) {
        for job in jobs_of(record) {
            let job = serde_json::from_value(job).unwrap();
            Outbox::new(Arc::clone(&world.app), Limits::default()).send(&job).await.unwrap();
        }
    }
    let changes = Value::Array(world.table.new_changes());
    for _ in 0..2 {
        axle_app::crm::dashboard::count(&world.app, serde_json::from_value(changes.clone()).unwrap()).await.unwrap();
    }
}

/// Follows a link as a person's browser does.
async fn visit(crm: &Crm, path: &str) {
    let mut request = axle_testkit::request("GET", path, None, None);
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    request.headers_mut().insert("user-agent", browser.parse().unwrap());
    axle_testkit::call(&crm.api.router, request).await;
}

async fn changes(crm: &Crm, lead: &str) -> Vec<String> {
    let timeline = crm.read(&format!("/leads/{lead}/timeline")).await;
    let emails = timeline["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "email");
    emails.map(|entry| entry["data"]["change"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_email_stands_in_the_timeline_with_what_becomes_of_it() {
    let crm = Crm::new().await;
    let (lead, connection) = lead(&crm).await;
    let path = named("/api/crm/outbound-email", crm.api.me.entity_id);
    let key = [("idempotency-key", "offer")];
    let queued = crm.api.post_with(&path, mail(&lead, &connection), &key).await;
    assert_eq!((queued.status.as_u16(), queued.json()["status"].as_str()), (202, Some("pending")), "{}", queued.text);
    assert!(queued.json()["scheduledSendTime"].is_string());
    let again = crm.api.post_with(&path, mail(&lead, &connection), &key).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (queued.json(), Some("true")));
    assert_eq!(changes(&crm, &lead).await, ["queued"]);
    crm.api.world.clock.advance_secs(1);
    settle(&crm).await;
    assert_eq!(changes(&crm, &lead).await, ["sent", "queued"]);
    let sent = crm.api.world.sent.emails();
    assert_eq!(
        (sent.len(), sent[0].to.address.as_str(), sent[0].from.address.as_str()),
        (1, "ada@engines.example", "me@example.com")
    );
    // A machine that opens it at once is nobody.
    let html = sent[0].html.clone().unwrap();
    let ticket = |kind: &str| {
        let rest = html.split(&format!("/communications/{kind}/")).nth(1).unwrap();
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    visit(&crm, &format!("/communications/open/{}", ticket("open"))).await;
    settle(&crm).await;
    assert_eq!(changes(&crm, &lead).await, ["sent", "queued"]);
    crm.api.world.clock.advance_secs(60);
    visit(&crm, &format!("/communications/open/{}", ticket("open"))).await;
    crm.api.world.clock.advance_secs(60);
    visit(&crm, &format!("/communications/click/{}", ticket("click"))).await;
    settle(&crm).await;
    assert_eq!(changes(&crm, &lead).await, ["clicked", "opened", "sent", "queued"]);
    // What comes of an e-mail whose lead is gone is in no timeline.
    assert_eq!(crm.delete(&format!("/leads/{lead}")).await.status, 204);
    crm.api.world.clock.advance_secs(60);
    visit(&crm, &format!("/communications/open/{}", ticket("open"))).await;
    settle(&crm).await;
    assert!(!crm.api.world.table.items().iter().any(|item| item["type"]["S"] == "timeline"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_reason() {
    let crm = Crm::new().await;
    let (lead, connection) = lead(&crm).await;
    let alone = crm.id("/leads", json!({"title": "Nobody yet"})).await;
    let silent = crm.id("/contacts", json!({"firstName": "Grace", "phone": "+442079460123"})).await;
    let silent = crm.id("/leads", json!({"title": "By phone only", "contactId": silent})).await;
    let stranger = crm.api.world.tenant(&[axle_domain::identity::Scope::All]).await;
    let theirs = json!({"channel": "ses", "from": "x@example.com"});
    let theirs = crm
        .api
        .send_as(&stranger.api_key, "POST", &named("/api/crm/outbound-email-connections", stranger.entity_id), Some(theirs))
        .await;
    let with = |field: &str, value: Value| {
        let mut mail = mail(&lead, &connection);
        mail[field] = value;
        mail
    };
    for (mail, pointers) in [
        (with("leadId", json!(NOTHING)), vec!["/leadId"]),
        (with("leadId", json!(alone)), vec!["/leadId"]),
        (with("leadId", json!(silent)), vec!["/leadId"]),
        (with("connectionId", json!(NOTHING)), vec!["/connectionId"]),
        (with("connectionId", theirs.json()["id"].clone()), vec!["/connectionId"]),
        (with("channel", json!("gmail")), vec!["/channel"]),
        (with("channel", json!("fax")), vec!["/channel"]),
        (with("subject", json!("a\r\nBcc: x@example.com")), vec!["/subject"]),
        (with("htmlBody", json!(" ")), vec!["/htmlBody"]),
        (with("htmlbody", json!("x")), vec!["/htmlbody"]),
        (json!({}), vec!["/channel", "/connectionId", "/htmlBody", "/leadId", "/subject"]),
    ] {
        let answer = crm.post("/outbound-email", mail.clone()).await;
        let mut found = answer.pointers();
        found.sort();
        assert_eq!((answer.status.as_u16(), found), (422, pointers.into_iter().map(str::to_owned).collect()), "{mail}");
    }
    assert_eq!(crm.post("/outbound-email", with("leadId", json!("nonsense"))).await.status, 400);
    crm.api.post("/communications/suppressions", json!({"address": "Ada@engines.example"})).await;
    let refused = crm.post("/outbound-email", mail(&lead, &connection)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"].as_str().unwrap().contains("suppression")), (409, true));
    assert_eq!(changes(&crm, &lead).await, Vec::<String>::new());
}

#[tokio::test]
async fn connections_are_sending_identities_without_secrets() {
    let crm = Crm::new().await;
    let gmail = json!({"channel": "gmail", "from": "Me@example.com", "name": "Me", "dailyLimit": 50,
        "credentials": {"clientId": "cid", "clientSecret": "hush-hush", "refreshToken": "hush-too"},
        "warmup": {"start": 5, "step": 5, "max": 50}});
    let made = crm.made("/outbound-email-connections", gmail).await;
    assert_eq!(
        (&made["channel"], &made["from"], &made["dailyLimit"], &made["status"]),
        (&json!("gmail"), &json!("me@example.com"), &json!(50), &json!("unverified"))
    );
    let path = format!("/outbound-email-connections/{}", made["id"].as_str().unwrap());
    let patched = crm
        .patch(
            &path,
            json!({"dailyLimit": null, "credentials": {"clientId": "c", "clientSecret": "hush-3", "refreshToken": "r"}}),
        )
        .await;
    assert_eq!((patched.status.as_u16(), &patched.json()["dailyLimit"]), (200, &Value::Null), "{}", patched.text);
    let list = crm.read("/outbound-email-connections?pageSize=1").await;
    assert_eq!((list["total"].as_u64(), &list["connections"][0]), (Some(1), &crm.read(&path).await));
    assert!(!list.to_string().contains("hush") && !made.to_string().contains("hush"));
    // The same identity on the other surface.
    let identity = crm.api.get(&format!("/communications/identities/{}", made["id"].as_str().unwrap())).await.json();
    assert_eq!((&identity["kind"], &identity["from"]), (&json!("gmail"), &json!("me@example.com")));
    for (body, pointer) in [
        (json!({"channel": "gmail", "from": "me@example.com", "credentials": {"clientId": "x"}}), "/credentials"),
        (json!({"channel": "smtp", "from": "nobody", "credentials": {"host": "h", "port": 25, "tls": "none"}}), "/from"),
        (json!({"channel": "ses", "from": "me@example.com", "dailyLimit": 0}), "/dailyLimit"),
        (json!({"channel": "ses", "from": "me@example.com", "daily_limit": 1}), "/daily_limit"),
    ] {
        let answer = crm.post("/outbound-email-connections", body.clone()).await;
        assert!(
            answer.status == 422 && answer.pointers().iter().any(|found| found.starts_with(pointer)),
            "{body} {}",
            answer.text
        );
    }
    let bad = crm.patch(&path, json!({"warmup": {"start": 9, "max": 2}})).await;
    assert_eq!(bad.pointers(), ["/warmup/max"], "{}", bad.text);
    assert_eq!(crm.delete(&path).await.status, 204);
    assert_eq!(crm.get(&path).await.status, 404);
}

#[tokio::test]
async fn what_belonged_to_a_loser_is_shown_under_the_winner() {
    let crm = Crm::new().await;
    let [a, b] = [crm.id("/companies", json!({"name": "A"})).await, crm.id("/companies", json!({"name": "B"})).await];
    let [ada, twin] =
        [crm.id("/contacts", json!({"lastName": "Ada"})).await, crm.id("/contacts", json!({"lastName": "Twin"})).await];
    let lead = crm.id("/leads", json!({"title": "x", "companyId": b, "contactId": twin})).await;
    crm.made("/activities", json!({"type": "call", "subject": "y", "companyId": b, "contactId": twin})).await;
    crm.made(&format!("/leads/{lead}/activities"), json!({"type": "note", "subject": "z"})).await;
    for (kind, winner, loser) in [("companies", &a, &b), ("contacts", &ada, &twin)] {
        let merged = crm.post(&format!("/{kind}/merge"), json!({"winnerId": winner, "loserIds": [loser]})).await;
        assert_eq!(merged.status, 200, "{}", merged.text);
    }
    let is_winners =
        |record: &Value| (record["companyId"].as_str(), record["contactId"].as_str()) == (Some(a.as_str()), Some(ada.as_str()));
    assert!(is_winners(&crm.read(&format!("/leads/{lead}")).await));
    for query in [
        String::new(),
        format!("?companyId={a}"),
        format!("?companyId={b}"),
        format!("?contactId={ada}"),
        format!("?contactId={twin}"),
    ] {
        let (leads, activities) = (crm.read(&format!("/leads{query}")).await, crm.read(&format!("/activities{query}")).await);
        assert_eq!((leads["total"].as_u64(), activities["total"].as_u64()), (Some(1), Some(2)), "{query}");
        assert!(is_winners(&leads["leads"][0]) && activities["activities"].as_array().unwrap().iter().all(is_winners), "{query}");
    }
    let moved = crm.patch(&format!("/leads/{lead}/stage"), json!({"stage": "won"})).await.json();
    assert!(is_winners(&moved) && is_winners(&crm.patch(&format!("/leads/{lead}"), json!({"title": "w"})).await.json()));
    assert_eq!(crm.read(&format!("/companies/{a}")).await["status"], "active");
    let mut kinds = each(&crm.read(&format!("/leads/{lead}/timeline")).await["entries"], "kind");
    kinds.sort();
    assert_eq!(kinds, ["activity", "stage", "task"]);
    let export = crm.read("/export?type=leads&format=ndjson").await;
    let key =
        crm.api.world.objects.keys().into_iter().find(|key| export["url"].as_str().unwrap().contains(key.as_str())).unwrap();
    let line: Value = serde_json::from_slice(&crm.api.world.objects.get(&key).unwrap().1).unwrap();
    assert!(is_winners(&line) && line["title"] == "w", "{line}");
    let csv = crm.read("/export?type=leads&format=csv").await;
    assert_eq!(csv["rows"], 1);
}

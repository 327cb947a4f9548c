//! Meetings over HTTP.

use axle_testkit::{Answered, call, request};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Api, id};

const SECRET: &str = "a-long-random-text";

fn sign(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn booking(trigger: &str) -> String {
    let attendees = json!([{"email": "ada@example.com", "name": "Ada"}]);
    let payload = json!({"uid": "u1", "title": "Demo", "startTime": "2027-01-08T14:00:00Z", "attendees": attendees});
    json!({"triggerEvent": trigger, "payload": payload}).to_string()
}

async fn report(api: &Api, provider: &str, signature: &str, body: &str) -> Answered {
    let path = format!("/meetings/hooks/{provider}/{}", api.me.entity_id);
    let mut req = request("POST", &path, None, None);
    *req.body_mut() = axum::body::Body::from(body.to_owned());
    req.headers_mut().insert("x-cal-signature-256", signature.parse().unwrap());
    call(&api.router, req).await
}

#[tokio::test]
async fn a_meeting_is_booked_for_a_lead() {
    let api = Api::new().await;
    let lead = id(&api.post("/leads", json!({"email": "ada@example.com"})).await);
    let body =
        json!({"lead_id": lead, "starts_at": "2027-01-08T15:00:00+01:00", "ends_at": "2027-01-08T14:30:00Z", "title": "Demo"});
    let made = api.post_with("/meetings", body.clone(), &[("idempotency-key", "k")]).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let meeting = made.json();
    assert_eq!((&meeting["status"], &meeting["source"], &meeting["lead_id"]), (&json!("booked"), &json!("api"), &json!(lead)));
    assert_eq!(meeting["starts_at"], "2027-01-08T14:00:00.000Z");
    let again = api.post_with("/meetings", body, &[("idempotency-key", "k")]).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (meeting, Some("true")));
    assert_eq!(api.get(&format!("/leads/{lead}")).await.json()["status"], "meeting");
    let events = api.get("/events?type=meeting.booked").await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_meetings_are_told_what_is_wrong() {
    let api = Api::new().await;
    let lead = id(&api.post("/leads", json!({"email": "ada@example.com"})).await);
    let stranger = api.world.tenant(&[axle_domain::identity::Scope::All]).await;
    let body = json!({"lead_id": lead, "starts_at": "2027-01-08T14:00:00Z"});
    let theirs = api.send_as(&stranger.api_key, "POST", "/meetings", Some(body)).await;
    assert_eq!((theirs.status.as_u16(), theirs.pointers()), (422, vec!["/lead_id".to_owned()]));
    for (change, pointer) in [
        (json!({"starts_at": "tomorrow"}), "/starts_at"),
        (json!({"ends_at": "2027-01-08T14:00:00Z"}), "/ends_at"),
        (json!({"title": ""}), "/title"),
        (json!({"place": "here"}), "/place"),
        (json!({"campaign_id": lead}), "/campaign_id"),
    ] {
        let mut body = json!({"lead_id": lead, "starts_at": "2027-01-08T14:00:00Z"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(api.post("/meetings", body).await.pointers(), [pointer]);
    }
    assert_eq!(api.get(&format!("/leads/{lead}")).await.json()["status"], "new");
}

#[tokio::test]
async fn services_report_with_their_own_signature() {
    let api = Api::new().await;
    let (created, off) = (booking("BOOKING_CREATED"), booking("BOOKING_CANCELLED"));
    assert_eq!(report(&api, "calcom", &sign(&created), &created).await.status, 401, "no secret as yet");
    let set = api.send("PUT", "/meetings/hooks/calcom", Some(json!({"secret": SECRET}))).await;
    let url = format!("https://axle.example.com/meetings/hooks/calcom/{}", api.me.entity_id);
    assert_eq!((set.status.as_u16(), set.json()), (200, json!({"url": url})));
    let booked = report(&api, "calcom", &sign(&created), &created).await;
    assert_eq!((booked.status.as_u16(), &booked.json()["outcome"]), (200, &json!("booked")));
    assert_eq!(report(&api, "calcom", &sign(&created), &created).await.json()["outcome"], "unchanged");
    assert_eq!(report(&api, "calcom", &sign(&off), &off).await.json()["outcome"], "cancelled");
    for (provider, signature, body, status) in [
        ("calcom", "", created.as_str(), 401),
        ("calcom", &sign(&off), &created, 401),
        ("calendly", &sign(&created), &created, 401),
        ("zoom", &sign(&created), &created, 404),
        ("calcom", &sign("no json"), "no json", 400),
        ("calcom", &sign(""), "", 400),
    ] {
        assert_eq!(report(&api, provider, signature, body).await.status, status, "{provider} {body}");
    }
}

#[tokio::test]
async fn the_secret_of_a_service_is_never_shown() {
    let api = Api::new().await;
    for bad in [json!({"secret": "short"}), json!({"secret": "with a blank in it"}), json!({}), json!({"secret": null})] {
        assert_eq!(api.send("PUT", "/meetings/hooks/calendly", Some(bad)).await.pointers(), ["/secret"]);
    }
    assert_eq!(api.send("PUT", "/meetings/hooks/zoom", Some(json!({"secret": SECRET}))).await.status, 404);
    let set = api.send("PUT", "/meetings/hooks/calendly", Some(json!({"secret": SECRET}))).await;
    let log = api.get("/audit-log").await.text;
    assert!(log.contains("meeting_hook.secret_set"), "{log}");
    for text in [set.text, log] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let records: Vec<Value> = api.world.table.new_records();
    assert!(records.iter().all(|record| !record.to_string().contains(SECRET)));
}

//! Meetings: booked by hand, and told of by scheduling services.

use std::sync::Arc;

use axle_app::meetings::{self, HookAnswer, HookOutcome};
use axle_app::{Answer, Ctx, Error};
use axle_domain::event::Event;
use axle_domain::lead::LeadStatus;
use axle_domain::mail::Hook;
use axle_domain::meeting::MeetingStatus;
use axle_domain::{EntityId, LeadId, TraceId};
use axle_store::meetings::MeetingRecord;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::stage::Stage;

const SECRET: &str = "a-long-random-text";

async fn connect(s: &Stage, entity: EntityId, hook: Hook) -> String {
    let ctx = Ctx::system(entity, "test", s.app().now(), TraceId::random());
    let input = serde_json::from_value(json!({"secret": SECRET})).unwrap();
    let answer = meetings::set_hook_secret(s.app(), &ctx, hook, input, |url| Answer::new(200, json!({"url": url})));
    answer.await.unwrap().body["url"].as_str().unwrap().to_owned()
}

fn hex(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn calcom(s: &Stage, body: &Value) -> HookAnswer {
    let body = body.to_string();
    meetings::report(s.app(), s.entity, Hook::Calcom, &hex(&[body.as_bytes()]), body.as_bytes()).await.unwrap()
}

/// What Cal.com tells of a booking.
fn booking(trigger: &str, uid: &str, day: u8, more: Value) -> Value {
    let mut payload = json!({
        "uid": uid, "title": "Demo", "startTime": format!("2027-01-{day:02}T14:00:00Z"), "endTime": format!("2027-01-{day:02}T14:30:00Z"),
        "attendees": [{"email": "Ada@example.com", "name": "Ada"}],
    });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"triggerEvent": trigger, "payload": payload})
}

async fn meeting(s: &Stage, answer: &HookAnswer) -> MeetingRecord {
    s.app().table().await.meeting(s.entity, answer.meeting_id.unwrap(), s.app().now()).await.unwrap().unwrap().value
}

async fn about_meetings(s: &Stage) -> Vec<Event> {
    s.events().await.into_iter().filter(|event| event.subject.kind == "meeting").collect()
}

async fn types(s: &Stage) -> Vec<String> {
    about_meetings(s).await.iter().map(|event| event.event_type.to_string()).collect()
}

async fn book(s: &Stage, lead: LeadId, more: Value) -> axle_app::Result<Answer> {
    let mut input = json!({"lead_id": lead, "starts_at": "2027-01-08T14:00:00Z", "title": "Demo"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let input = serde_json::from_value(input).unwrap();
    meetings::create(s.app(), &s.ctx(), input, |meeting| Answer::new(201, json!({"id": meeting.id}))).await
}

#[tokio::test]
async fn a_meeting_booked_by_hand_moves_the_lead_on() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    book(&s, lead, json!({})).await.unwrap();
    assert_eq!(s.lead_status(lead).await, LeadStatus::Meeting);
    let [event] = &about_meetings(&s).await[..] else { panic!("one event") };
    assert_eq!((event.event_type.as_str(), event.lead_id), ("meeting.booked", Some(lead)));
    let meeting = &event.subject.id;
    assert_eq!(
        event.data,
        json!({"starts_at": "2027-01-08T14:00:00.000Z", "title": "Demo", "lead_id": lead, "meeting_id": meeting})
    );
    let nothing = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    let faulty = json!({"lead_id": nothing, "campaign_id": nothing, "ends_at": "2027-01-08T13:00:00Z"});
    let Err(Error::Invalid(faults)) = book(&s, lead, faulty).await else { panic!("it is not valid") };
    let mut pointers: Vec<_> = faults.into_iter().map(|fault| fault.pointer).collect();
    pointers.sort();
    assert_eq!(pointers, ["/campaign_id", "/ends_at", "/lead_id"]);
}

#[tokio::test]
async fn a_booking_finds_its_lead_and_counts_once() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let url = connect(&s, s.entity, Hook::Calcom).await;
    assert_eq!(url, format!("https://axle.example.com/meetings/hooks/calcom/{}", s.entity));
    let told = booking("BOOKING_CREATED", "u1", 8, json!({}));
    let answer = calcom(&s, &told).await;
    assert_eq!(answer.outcome, HookOutcome::Booked);
    let again = calcom(&s, &told).await;
    assert_eq!(again, HookAnswer { outcome: HookOutcome::Unchanged, ..answer.clone() });
    let record = meeting(&s, &answer).await;
    assert_eq!((record.lead_id, record.status, record.title.as_deref()), (Some(lead), MeetingStatus::Booked, Some("Demo")));
    assert_eq!((s.lead_status(lead).await, types(&s).await), (LeadStatus::Meeting, vec!["meeting.booked".to_owned()]));
    // Somebody whom nobody knows: a meeting all the same.
    let stranger = json!({"attendees": [{"email": "eve@example.net", "name": "Eve"}]});
    let answer = calcom(&s, &booking("BOOKING_CREATED", "u2", 9, stranger)).await;
    assert_eq!((answer.outcome, meeting(&s, &answer).await.lead_id), (HookOutcome::Booked, None));
    let about_no_booking = json!({"triggerEvent": "MEETING_ENDED"});
    assert_eq!(calcom(&s, &about_no_booking).await, HookAnswer { outcome: HookOutcome::Ignored, meeting_id: None });
}

#[tokio::test]
async fn bookings_are_moved_and_called_off() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    connect(&s, s.entity, Hook::Calcom).await;
    let first = calcom(&s, &booking("BOOKING_CREATED", "u1", 8, json!({}))).await;
    let moved = booking("BOOKING_RESCHEDULED", "u2", 9, json!({"rescheduleUid": "u1"}));
    let second = calcom(&s, &moved).await;
    assert_eq!(second.outcome, HookOutcome::Rescheduled);
    assert_eq!(calcom(&s, &moved).await.outcome, HookOutcome::Unchanged);
    assert_eq!(meeting(&s, &first).await.status, MeetingStatus::Moved);
    assert_eq!(meeting(&s, &second).await.lead_id, Some(lead));
    // Under the same id.
    let same = booking("BOOKING_RESCHEDULED", "u2", 10, json!({}));
    assert_eq!(calcom(&s, &same).await.outcome, HookOutcome::Rescheduled);
    assert_eq!(calcom(&s, &same).await.outcome, HookOutcome::Unchanged);
    let off = booking("BOOKING_CANCELLED", "u2", 10, json!({}));
    assert_eq!(calcom(&s, &off).await.outcome, HookOutcome::Cancelled);
    assert_eq!(calcom(&s, &off).await.outcome, HookOutcome::Unchanged);
    assert_eq!(types(&s).await, ["meeting.booked", "meeting.rescheduled", "meeting.rescheduled", "meeting.cancelled"]);
    let events = about_meetings(&s).await;
    assert_eq!(events[1].data["from"], json!(first.meeting_id));
    assert!(events.iter().all(|event| event.lead_id == Some(lead) && event.trace_id == events[0].trace_id));
    assert_eq!(s.lead_status(lead).await, LeadStatus::Meeting, "it was agreed; nothing goes back");
}

#[tokio::test]
async fn reports_in_the_wrong_order() {
    let s = Stage::new().await;
    connect(&s, s.entity, Hook::Calcom).await;
    // A cancellation before its booking: nothing was booked, and nothing is.
    assert_eq!(calcom(&s, &booking("BOOKING_CANCELLED", "u1", 8, json!({}))).await.outcome, HookOutcome::Cancelled);
    assert_eq!(calcom(&s, &booking("BOOKING_CREATED", "u1", 8, json!({}))).await.outcome, HookOutcome::Unchanged);
    assert!(types(&s).await.is_empty());
    // A move of a booking that was never told of is its booking.
    let moved = booking("BOOKING_RESCHEDULED", "u3", 9, json!({"rescheduleUid": "u2"}));
    assert_eq!(calcom(&s, &moved).await.outcome, HookOutcome::Booked);
    assert_eq!(types(&s).await, ["meeting.booked"]);
}

#[tokio::test]
async fn the_campaign_that_wrote_last_has_led_to_it() {
    let s = Stage::new().await;
    let input = serde_json::from_value(json!({"name": "x", "channels": ["email"]})).unwrap();
    let ctx = s.ctx();
    let made = axle_app::outreach::campaigns::create(s.app(), &ctx, input, |campaign| {
        Answer::new(201, json!({"id": campaign.value.id}))
    });
    let campaign = made.await.unwrap().body["id"].clone();
    let lead = s.lead("ada@example.com").await;
    s.queue(json!({"channel": "email", "lead_id": lead, "campaign_id": campaign, "subject": "s", "text": "t"})).await;
    s.settle().await;
    connect(&s, s.entity, Hook::Calcom).await;
    let answer = calcom(&s, &booking("BOOKING_CREATED", "u1", 8, json!({}))).await;
    assert_eq!(json!(meeting(&s, &answer).await.campaign_id), campaign);
    assert_eq!(json!(about_meetings(&s).await[0].campaign_id), campaign);
}

#[tokio::test]
async fn only_the_services_signature_counts() {
    let s = Stage::new().await;
    let body = booking("BOOKING_CREATED", "u1", 8, json!({})).to_string();
    let body = body.as_bytes();
    let refused = |answer: axle_app::Result<HookAnswer>| matches!(answer, Err(Error::Unauthenticated(_)));
    let good = hex(&[body]);
    assert!(refused(meetings::report(s.app(), s.entity, Hook::Calcom, &good, body).await), "no secret as yet");
    connect(&s, s.entity, Hook::Calcom).await;
    let stranger = EntityId::new_at(s.app().now());
    assert!(refused(meetings::report(s.app(), stranger, Hook::Calcom, &good, body).await));
    assert!(refused(meetings::report(s.app(), s.entity, Hook::Calendly, &good, body).await));
    for signature in ["", "nonsense", &good[1..], &good.replace('0', "1")] {
        assert!(refused(meetings::report(s.app(), s.entity, Hook::Calcom, signature, body).await), "{signature}");
    }
    for hostile in [&b"{}"[..], b"no json", b"[]", br#"{"triggerEvent": "BOOKING_CREATED", "payload": {"uid": ""}}"#] {
        let answer = meetings::report(s.app(), s.entity, Hook::Calcom, &hex(&[hostile]), hostile).await;
        assert!(matches!(answer, Err(Error::Malformed(_))), "{answer:?}");
    }
    assert!(types(&s).await.is_empty());
    // Calendly signs the time as well.
    connect(&s, s.entity, Hook::Calendly).await;
    let body = include_bytes!("../../../../events/samples/calendly-invitee-created.json");
    let at = s.app().now().secs().to_string();
    let signature = format!("t={at},v1={}", hex(&[at.as_bytes(), b".", body]));
    let answer = meetings::report(s.app(), s.entity, Hook::Calendly, &signature, body).await.unwrap();
    assert_eq!(answer.outcome, HookOutcome::Booked);
    s.world.clock.advance_secs(200);
    assert!(refused(meetings::report(s.app(), s.entity, Hook::Calendly, &signature, body).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_booking_told_of_many_times_at_once() {
    let s = Arc::new(Stage::new().await);
    let lead = s.lead("ada@example.com").await;
    connect(&s, s.entity, Hook::Calcom).await;
    let reports = (0..16).map(|_| {
        let s = Arc::clone(&s);
        tokio::spawn(async move { calcom(&s, &booking("BOOKING_CREATED", "u1", 8, json!({}))).await.outcome })
    });
    let outcomes: Vec<HookOutcome> = futures_util::future::join_all(reports).await.into_iter().map(|o| o.unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == HookOutcome::Booked).count(), 1);
    assert_eq!((types(&s).await, s.lead_status(lead).await), (vec!["meeting.booked".to_owned()], LeadStatus::Meeting));
}

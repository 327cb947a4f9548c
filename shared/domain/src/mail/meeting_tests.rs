#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const CALCOM: &str = include_str!("../../../../events/samples/calcom-booking-created.json");
const CALENDLY: &str = include_str!("../../../../events/samples/calendly-invitee-created.json");

// Signatures by another implementation (Python `hmac`): secret "s3cret", body {"a":1}, t 1700000000.
const BODY: &[u8] = br#"{"a":1}"#;
const NOW: Time = Time::from_secs(1_700_000_000);
const CALCOM_TAG: &str = "5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d";
const CALENDLY_TAG: &str = "1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940";

#[test]
fn calcom_signs_the_body() {
    let check = |secret, tag: &str, body| Hook::Calcom.verify(secret, tag, body, NOW);
    assert!(check("s3cret", CALCOM_TAG, BODY) && check("s3cret", &CALCOM_TAG.to_uppercase(), BODY));
    for (secret, tag, body) in [
        ("other", CALCOM_TAG, BODY),
        ("s3cret", CALCOM_TAG, b"{}".as_slice()),
        ("s3cret", &CALCOM_TAG[..62], BODY),
        ("s3cret", &CALCOM_TAG[1..], BODY),
        ("s3cret", "no-secret-provided", BODY),
        ("s3cret", "", BODY),
        ("", CALCOM_TAG, BODY),
    ] {
        assert!(!check(secret, tag, body), "{secret} {tag}");
    }
}

#[rstest]
#[case("t=1700000000,v1=TAG", 0, true)]
#[case("v1=TAG, t=1700000000", 0, true)]
#[case("t=1700000000,v1=TAG", 180, true)]
#[case("t=1700000000,v1=TAG", 181, false)]
#[case("t=1700000000,v1=TAG", -180, true)]
#[case("t=1700000000,v1=TAG", -181, false)]
#[case("t=1700000001,v1=TAG", 0, false)]
#[case("t=,v1=TAG", 0, false)]
#[case("v1=TAG", 0, false)]
#[case("t=1700000000", 0, false)]
#[case("TAG", 0, false)]
#[case("t=9223372036854775807,v1=TAG", 0, false)]
fn calendly_signs_time_and_body(#[case] header: &str, #[case] late: i64, #[case] expected: bool) {
    let header = header.replace("TAG", CALENDLY_TAG);
    assert_eq!(Hook::Calendly.verify("s3cret", &header, BODY, NOW.plus_secs(late)), expected, "{header}");
    assert!(!Hook::Calendly.verify("other", &header, BODY, NOW));
}

#[test]
fn a_booking_of_calcom() {
    let notice = Hook::Calcom.parse(CALCOM.as_bytes()).unwrap().unwrap();
    let expected = MeetingNotice {
        external_id: "bFJeNb2uX8ANpT3JL5EfXw".into(),
        change: MeetingChange::Booked,
        attendees: vec![Mailbox::new(Email::parse("bob@example.net").unwrap(), Some("Bob Stone"))],
        title: Some("30min between Anna and Bob Stone".into()),
        starts_at: "2026-01-08T14:00:00Z".parse().unwrap(),
        ends_at: Some("2026-01-08T14:30:00Z".parse().unwrap()),
    };
    assert_eq!(notice, expected);
}

#[rstest]
#[case("BOOKING_CANCELLED", json!({}), Some(MeetingChange::Cancelled))]
#[case("BOOKING_REJECTED", json!({}), Some(MeetingChange::Cancelled))]
#[case("BOOKING_RESCHEDULED", json!({ "rescheduleUid": "old" }), Some(MeetingChange::Moved { from: Some("old".into()) }))]
#[case("BOOKING_RESCHEDULED", json!({}), Some(MeetingChange::Moved { from: None }))]
#[case("BOOKING_REQUESTED", json!({}), None)]
#[case("MEETING_ENDED", json!({}), None)]
fn changes_at_calcom(#[case] event: &str, #[case] changes: Value, #[case] expected: Option<MeetingChange>) {
    let mut body: Value = serde_json::from_str(CALCOM).unwrap();
    body["triggerEvent"] = event.into();
    body["payload"].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let notice = Hook::Calcom.parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(notice.map(|notice| notice.change), expected);
}

#[test]
fn a_ping_is_no_booking() {
    let ping = br#"{"triggerEvent":"PING","createdAt":"2026-01-05T10:00:00.000Z","payload":{"type":"Test","title":"Test trigger event"}}"#;
    assert_eq!(Hook::Calcom.parse(ping), Ok(None));
}

#[test]
fn a_booking_of_calendly() {
    let notice = Hook::Calendly.parse(CALENDLY.as_bytes()).unwrap().unwrap();
    assert_eq!(notice.external_id, "https://api.calendly.com/scheduled_events/GBGBDCAADAEDCRZ2/invitees/AAAAAAAAAAAAAAAA");
    let people: Vec<&str> = notice.attendees.iter().map(|person| person.address.as_str()).collect();
    assert_eq!((people, notice.change), (vec!["bob@example.net", "carol@example.net"], MeetingChange::Booked));
    assert_eq!(
        (notice.title.as_deref(), notice.starts_at.to_string()),
        (Some("30 Minute Meeting"), "2026-01-08T14:00:00.000Z".into())
    );
}

#[rstest]
#[case("invitee.canceled", json!({}), Some(MeetingChange::Cancelled))]
#[case("invitee.canceled", json!({ "rescheduled": true }), None)]
#[case("invitee.created", json!({ "old_invitee": "old" }), Some(MeetingChange::Moved { from: Some("old".into()) }))]
#[case("invitee_no_show.created", json!({}), None)]
fn changes_at_calendly(#[case] event: &str, #[case] changes: Value, #[case] expected: Option<MeetingChange>) {
    let mut body: Value = serde_json::from_str(CALENDLY).unwrap();
    body["event"] = event.into();
    body["payload"].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let notice = Hook::Calendly.parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(notice.map(|notice| notice.change), expected);
}

#[rstest]
#[case("", MeetingFault::Form)]
#[case("[]", MeetingFault::Form)]
#[case(r#"{"triggerEvent":"BOOKING_CREATED","event":"invitee.created"}"#, MeetingFault::Form)]
fn what_is_no_report(#[case] body: &str, #[case] expected: MeetingFault) {
    for hook in [Hook::Calcom, Hook::Calendly] {
        assert_eq!(hook.parse(body.as_bytes()), Err(expected), "{body}");
    }
}

#[test]
fn a_meeting_needs_somebody() {
    let body = CALCOM.replace("bob@example.net", "somewhere");
    assert_eq!(Hook::Calcom.parse(body.as_bytes()), Err(MeetingFault::Attendees));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(header in "\\PC*", secret in "\\PC*") {
        for hook in [Hook::Calcom, Hook::Calendly] {
            prop_assert!(!hook.verify(&secret, &header, BODY, NOW));
        }
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used)]
use rstest::rstest;
use serde_json::json;

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../events/samples/", $name))
    };
}

const SES_ID: &str = "0100019b8d1c2f3a-61b59c11-9236-11e6-8f96-7be8aexample-000000";

#[test]
fn a_hard_bounce_names_message_tenant_and_address() {
    let report = Feedback::parse(sample!("ses-bounce.json")).unwrap();
    assert_eq!(report.ses_message_id, SES_ID);
    assert_eq!(report.entity_id.unwrap().to_string(), "01939b1e-0d4c-7a11-9c55-0d1f6a2b3c4d");
    assert_eq!(report.communication_id.unwrap().to_string(), "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77");
    assert_eq!(report.at.to_string(), "2026-01-05T10:00:07.669Z");
    let FeedbackKind::Bounce { hard: true, recipients, .. } = &report.kind else { panic!("{report:?}") };
    let expected = Bounced {
        address: "bob@example.net".into(),
        status: Some("5.1.1".into()),
        diagnostic: Some("smtp; 550 5.1.1 user unknown".into()),
    };
    assert_eq!(recipients, &[expected]);
    assert_eq!(Feedback::parse(sample!("sns-ses-bounce.json")).unwrap(), report, "in the envelope of SNS");
}

#[test]
fn a_full_mailbox_is_no_hard_bounce() {
    let report = Feedback::parse(sample!("ses-bounce-transient.json")).unwrap();
    assert_eq!((report.entity_id, report.communication_id), (None, None), "notifications of an identity have no tags");
    let FeedbackKind::Bounce { hard: false, recipients, .. } = report.kind else { panic!("{report:?}") };
    assert_eq!(recipients[0].diagnostic.as_deref(), Some("MailboxFull"));
}

#[test]
fn complaints_and_deliveries() {
    let report = Feedback::parse(sample!("ses-complaint.json")).unwrap();
    let FeedbackKind::Complaint { recipients, complaint_type, .. } = report.kind else { panic!("{report:?}") };
    assert_eq!((recipients, complaint_type.as_deref()), (vec!["bob@example.net".to_owned()], Some("abuse")));
    let report = Feedback::parse(sample!("ses-delivery.json")).unwrap();
    assert_eq!(report.kind, FeedbackKind::Delivery { recipients: vec!["bob@example.net".into()] });
    assert_eq!(report.at.to_string(), "2026-01-05T10:00:04.230Z");
}

#[test]
fn a_received_mail_is_in_the_report() {
    let report = Feedback::parse(sample!("ses-received.json")).unwrap();
    let FeedbackKind::Receipt(receipt) = report.kind else { panic!("{report:?}") };
    assert_eq!((receipt.recipients, receipt.refused, receipt.authentic), (vec!["reply@in.example.com".to_owned()], false, true));
    let ReceivedMail::Inline(raw) = receipt.mail else { panic!("{:?}", receipt.mail) };
    assert!(raw.starts_with(b"Return-Path: <bob@example.net>\r\n"));
}

#[rstest]
#[case(json!({ "type": "SNS", "encoding": "BASE64" }), Some("SGk="), ReceivedMail::Inline(b"Hi".to_vec()))]
#[case(json!({ "type": "SNS", "encoding": "BASE64" }), Some("no base64"), ReceivedMail::Absent)]
#[case(json!({ "type": "SNS", "encoding": "UTF8" }), Some("Hi"), ReceivedMail::Inline(b"Hi".to_vec()))]
#[case(json!({ "type": "S3", "bucketName": "b", "objectKey": "k" }), None, ReceivedMail::Stored { bucket: "b".into(), key: "k".into() })]
#[case(json!({ "type": "Stop" }), None, ReceivedMail::Absent)]
fn where_a_received_mail_is(#[case] action: Value, #[case] content: Option<&str>, #[case] expected: ReceivedMail) {
    let mut report: Value = serde_json::from_str(sample!("ses-received.json")).unwrap();
    report["receipt"]["action"] = action;
    report["content"] = content.into();
    let FeedbackKind::Receipt(receipt) = Feedback::parse(&report.to_string()).unwrap().kind else { panic!() };
    assert_eq!(receipt.mail, expected);
}

#[rstest]
#[case("spamVerdict", "FAIL", true, true)]
#[case("virusVerdict", "FAIL", true, true)]
#[case("virusVerdict", "PROCESSING_FAILED", false, true)]
#[case("dmarcVerdict", "FAIL", false, false)]
#[case("dmarcVerdict", "GRAY", false, true)]
fn verdicts(#[case] verdict: &str, #[case] status: &str, #[case] refused: bool, #[case] authentic: bool) {
    let mut report: Value = serde_json::from_str(sample!("ses-received.json")).unwrap();
    report["receipt"][verdict]["status"] = status.into();
    let FeedbackKind::Receipt(receipt) = Feedback::parse(&report.to_string()).unwrap().kind else { panic!() };
    assert_eq!((receipt.refused, receipt.authentic), (refused, authentic));
}

#[rstest]
#[case("", FeedbackFault::Form)]
#[case("{", FeedbackFault::Form)]
#[case("[]", FeedbackFault::NotSes)]
#[case(r#"{"Records":[]}"#, FeedbackFault::NotSes)]
#[case(r#"{"Type":"SubscriptionConfirmation","Message":"x"}"#, FeedbackFault::NotSes)]
#[case(r#"{"Type":"Notification","Message":"Successfully validated SNS topic"}"#, FeedbackFault::Form)]
fn what_is_no_report(#[case] body: &str, #[case] expected: FeedbackFault) {
    assert_eq!(Feedback::parse(body), Err(expected));
}

#[test]
fn other_events_keep_their_name() {
    let mut report: Value = serde_json::from_str(sample!("ses-delivery.json")).unwrap();
    report["eventType"] = "Send".into();
    report["send"] = report.as_object_mut().unwrap().remove("delivery").unwrap();
    assert_eq!(Feedback::parse(&report.to_string()).unwrap().kind, FeedbackKind::Other("Send".into()));
}

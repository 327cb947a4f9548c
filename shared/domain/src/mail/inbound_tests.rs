#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::super::{Feedback, FeedbackKind, ReceivedMail};
use super::*;

const AT: Time = Time::from_secs(1_767_616_200);

fn parse(raw: &str) -> InboundMail {
    InboundMail::parse(raw.replace('\n', "\r\n").as_bytes(), AT).unwrap()
}

#[test]
fn the_sample_reply() {
    let report = Feedback::parse(include_str!("../../../../events/samples/ses-received.json")).unwrap();
    let FeedbackKind::Receipt(receipt) = report.kind else { panic!() };
    let ReceivedMail::Inline(raw) = receipt.mail else { panic!() };
    let mail = InboundMail::parse(&raw, report.at).unwrap();
    assert_eq!(mail.from, Mailbox::new(Email::parse("bob@example.net").unwrap(), Some("Bob Stöne")));
    assert_eq!(mail.to, [Email::parse("anna@example.com").unwrap()]);
    assert_eq!((mail.subject.as_str(), mail.automatic), ("Re: Your idea — yes", false));
    assert_eq!(mail.latest_text(), "Schön, let us talk on Thursday.");
    assert!(mail.text.contains("> Hello Bob") && mail.html.as_ref().unwrap().contains("<blockquote>"));
    let ids: Vec<&str> = mail.replies_to().map(MessageId::as_str).collect();
    let ses = "0100019b8d1c2f3a-61b59c11-9236-11e6-8f96-7be8aexample-000000@email.amazonses.com";
    assert_eq!(ids, [ses, "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a70@example.com"]);
    let sent = MessageId::of_ses("0100019b8d1c2f3a-61b59c11-9236-11e6-8f96-7be8aexample-000000", "us-east-1").unwrap();
    assert!(mail.replies_to().any(|id| *id == sent), "found by the id that SES gave the message");
}

#[test]
fn html_alone_is_shown_as_text() {
    let mail = parse("From: a@x.example\nContent-Type: text/html\n\n<p>Hi</p><p>there</p>");
    assert_eq!((mail.text.as_str(), mail.html.is_some(), mail.message_id), ("Hi\n\nthere", true, None));
}

#[rstest]
#[case("Auto-Submitted: auto-replied", true)]
#[case("Auto-Submitted: no", false)]
#[case("Precedence: bulk", true)]
#[case("X-Autoreply: yes", true)]
#[case("Return-Path: <>", true)]
#[case("List-Id: <news.x.example>", true)]
#[case("Content-Type: multipart/report; report-type=delivery-status; boundary=b", true)]
#[case("Subject: Automatic reply: Your idea", true)]
#[case("Subject: Re: out of office is what I am not", false)]
#[case("X-Mailer: Thunderbird", false)]
fn programs_do_not_reply(#[case] header: &str, #[case] expected: bool) {
    assert_eq!(parse(&format!("From: a@x.example\n{header}\n\nHi")).automatic, expected, "{header}");
}

#[test]
fn robots_are_known_by_their_addresses() {
    assert!(parse("From: Mail Delivery <MAILER-DAEMON@x.example>\n\nUndeliverable").automatic);
    assert!(!parse("From: postmaster.smith@x.example\n\nHi").automatic);
}

#[rstest]
#[case("Yes\n\nOn Mon, Anna <a@x.example> wrote:\n> Hi", "Yes")]
#[case("Ja\n\nAm Mo., 5. Jan. 2026 um 11:00 Uhr schrieb Anna <a@x.example>:\n> Hi\n", "Ja")]
#[case("Ja\n\nAm 05.01.26, 11:00 schrieb:\n> Hi\n", "Ja")]
#[case("Yes\n-----Original Message-----\nFrom: x", "Yes")]
#[case("Yes\n________________________________\nFrom: x", "Yes")]
#[case("> Hi\n> there\nYes", "> Hi\n> there\nYes")]
#[case("5 > 3\nYes", "5 > 3\nYes")]
#[case("She wrote:\nnothing", "She wrote:\nnothing")]
#[case("", "")]
fn quotations_are_left_out(#[case] text: &str, #[case] expected: &str) {
    let mail = InboundMail { text: text.into(), ..parse("From: a@x.example\n\nHi") };
    assert_eq!(mail.latest_text(), expected);
}

#[rstest]
#[case(b"", InboundFault::Form)]
#[case(b"Subject: x\r\n\r\ny", InboundFault::From)]
#[case(b"From: nobody\r\n\r\ny", InboundFault::From)]
fn what_is_no_mail(#[case] raw: &[u8], #[case] expected: InboundFault) {
    assert_eq!(InboundMail::parse(raw, AT), Err(expected));
}

fn post(changes: Value) -> (Option<InboundMail>, Vec<String>) {
    let mut post = json!({
        "from": "Bob Stone <bob@example.net>", "to": "anna@example.com", "subject": "Re: Your\r\nidea", "text": "Yes",
        "message_id": "<r1@example.net>", "received_at": "2026-01-05T12:30:00Z",
    });
    post.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let mut faults = Faults::new();
    let mail = serde_json::from_value::<InboundPost>(post).unwrap().into_mail(&mut faults);
    (mail, faults.iter().map(|fault| fault.pointer.clone()).collect())
}

#[test]
fn posts() {
    let (mail, faults) = post(json!({ "in_reply_to": "<m1@example.com>", "references": "<m0@example.com> <m1@example.com>" }));
    let mail = mail.unwrap();
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(mail.from, Mailbox::new(Email::parse("bob@example.net").unwrap(), Some("Bob Stone")));
    assert_eq!(mail.subject, "Re: Your idea");
    assert_eq!(mail.replies_to().map(MessageId::as_str).collect::<Vec<_>>(), ["m1@example.com", "m0@example.com"]);
    let (mail, _) = post(
        json!({ "to": ["a@x.example", "B <b@x.example>"], "references": ["<m0@example.com>"], "text": "", "html": "<p>Yes</p>" }),
    );
    let mail = mail.unwrap();
    assert_eq!((mail.to.len(), mail.references.len(), mail.text.as_str()), (2, 1, "Yes"));
}

#[rstest]
#[case(json!({ "from": "nobody" }), &["/from"])]
#[case(json!({ "to": [] }), &["/to"])]
#[case(json!({ "to": ["a@x.example", "b"], "message_id": "x y" }), &["/to", "/message_id"])]
#[case(json!({ "in_reply_to": "x" }), &["/in_reply_to"])]
fn faults_of_posts(#[case] changes: Value, #[case] expected: &[&str]) {
    assert_eq!(post(changes).1, expected);
}

proptest! {
    #[test]
    fn no_mail_makes_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..400), head in "[A-Za-z-]{1,12}: [ -~]{0,40}") {
        let _ = InboundMail::parse(&raw, AT);
        let mut mail = format!("From: a@x.example\r\n{head}\r\n\r\n").into_bytes();
        mail.extend(raw);
        if let Ok(mail) = InboundMail::parse(&mail, AT) {
            prop_assert!(mail.text.len() <= MAX_INBOUND_BODY && mail.text.starts_with(mail.latest_text()));
        }
    }
}

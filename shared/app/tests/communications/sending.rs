//! The way of one message.

use std::time::{Duration, Instant};

use axle_app::{Error, communications, schedule};
use axle_domain::communication::CommunicationStatus::{Cancelled, Failed, Pending, Sent, Suppressed};
use axle_domain::communication::Throttle;
use axle_domain::event::EventType;
use axle_providers::mail::{Blame, SendError};
use serde_json::{Value, json};

use crate::stage::{Stage, mail};

fn answer(record: &axle_store::communications::CommunicationRecord) -> axle_app::Result<axle_app::Answer> {
    axle_app::Answer::new(200, json!({"status": record.status}))
}

#[tokio::test]
async fn a_message_goes_out_once_and_is_told_of() {
    let s = Stage::new().await;
    let id = s.mail("Ada@Example.com").await;
    assert_eq!(s.status(id).await, Pending);
    let jobs = s.jobs().await;
    assert_eq!(jobs.len(), 1);
    s.send(&jobs).await;
    // The queue delivers at least once.
    s.send(&jobs).await;
    s.settle().await;
    assert_eq!(s.recipients(), ["ada@example.com"]);
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.attempts.len()), (Sent, 1, 1));
    assert_eq!(record.provider.as_deref(), Some("ses"));
    assert_eq!(record.provider_message_id.as_deref(), Some("captured-1"));
    assert_eq!((record.due_at, record.claim.clone(), record.sent_at), (None, None, Some(s.app().now())));
    let [event] = &s.events().await[..] else { panic!("one event") };
    assert_eq!(event.event_type, EventType::CommunicationSent);
    let told = json!({"channel": "email", "provider": "ses", "provider_message_id": "captured-1", "communication_id": id});
    assert_eq!(event.data, told);
    assert_eq!(event.subject.id, id.to_string());
    let email = &s.world.sent.emails()[0];
    assert_eq!(
        (email.from.address.as_str(), email.subject.as_str(), email.text.as_deref()),
        ("sales@axle.example.com", "Hello", Some("How are you?"))
    );
    assert!(email.list_unsubscribe.is_none(), "a transactional message has no way out");
    assert!(email.message_id.as_str().starts_with(&id.to_string()));
}

#[tokio::test]
async fn sms_and_webhooks_go_their_ways() {
    let s = Stage::new().await;
    let sms = s.queue(json!({"channel": "sms", "to": "+1 (415) 555-0123", "text": "hi", "category": "marketing"})).await;
    let post = s.queue(json!({"channel": "webhook", "to": "http://127.0.0.1:9/in", "subject": "s", "text": "hi"})).await;
    s.settle().await;
    assert_eq!((s.status(sms).await, s.status(post).await), (Sent, Sent));
    let sent = s.world.sent.sms_messages();
    assert_eq!((sent[0].to.as_str(), sent[0].text.as_str(), sent[0].marketing), ("+14155550123", "hi", true));
    let posts = s.world.sent.posts();
    let body: Value = serde_json::from_str(&posts[0].body).unwrap();
    assert_eq!((posts[0].url.as_str(), &body["text"], &body["id"]), ("http://127.0.0.1:9/in", &json!("hi"), &json!(post)));
}

#[tokio::test]
async fn marketing_carries_the_way_out() {
    let s = Stage::new().await;
    let mut message = mail("ada@example.com");
    message["category"] = json!("marketing");
    message["html"] = json!("<p>Hello <a href=\"https://example.com/offer?a=1\">offer</a></p>");
    message["track"] = json!({"opens": true, "clicks": true});
    let id = s.queue(message).await;
    s.settle().await;
    let email = &s.world.sent.emails()[0];
    let out = email.list_unsubscribe.as_ref().unwrap();
    assert!(out.url().starts_with("https://axle.example.com/communications/unsubscribe/"), "{}", out.url());
    assert!(out.mailto().unwrap().starts_with("mailto:sales@axle.example.com?subject="));
    let (text, html) = (email.text.as_deref().unwrap(), email.html.as_deref().unwrap());
    assert!(text.contains(out.url()) && html.contains("/communications/unsubscribe/"));
    assert!(html.contains("/communications/open/") && html.contains("/communications/click/") && !html.contains("offer?a=1"));
    assert!(!html.contains("ada@example.com"), "no personal data in links");
    let (_, content, _) = communications::get(s.app(), &s.ctx(), id).await.unwrap();
    assert_eq!(content.links, ["https://example.com/offer?a=1"]);
}

#[tokio::test]
async fn passing_failures_are_tried_again_and_lasting_ones_are_not() {
    let s = Stage::new().await;
    for _ in 0..2 {
        s.world.sent.fail_next(SendError::transient("busy"));
    }
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.error.as_deref()), (Pending, 1, Some("busy")));
    assert_eq!(s.counts().await, [("pending", 1)].into());
    s.later(40).await;
    assert_eq!(s.record(id).await.tries, 2);
    s.later(10).await;
    assert_eq!(s.record(id).await.tries, 2, "not before its time");
    s.later(200).await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.error), (Sent, 3, None));
    let outcomes: Vec<&str> = record.attempts.iter().map(|a| a.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retry", "retry", "sent"]);
    assert_eq!(s.told().await, ["communication.sent"]);

    s.world.sent.fail_next(SendError::permanent(Blame::Message, "too large"));
    let id = s.mail("bob@example.com").await;
    s.settle().await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.error.as_deref(), record.outcome_unknown), (Failed, Some("too large"), false));
    assert_eq!(s.events().await.last().unwrap().data, json!({"reason": "too large", "attempts": 1, "communication_id": id}));
    assert_eq!(s.counts().await, [("sent", 1), ("failed", 1)].into());
}

#[tokio::test]
async fn a_limit_of_the_account_uses_up_no_attempts() {
    let s = Stage::new().await;
    s.world.sent.answer(|_| Some(SendError::throttled(Throttle::Rate, "Maximum sending rate exceeded")));
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    for _ in 0..20 {
        s.later(900).await;
    }
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.error.as_deref()), (Pending, 0, Some("Maximum sending rate exceeded")));
    assert_eq!(s.counts().await, [("pending", 1)].into());
    s.world.sent.answer(|_| Some(SendError::throttled(Throttle::Day, "Daily message quota exceeded")));
    s.later(900).await;
    s.later(800).await;
    assert!(s.record(id).await.scheduled_send_time > s.app().now(), "a quota of the day is waited for longer");
    s.world.sent.answer(|_| None);
    s.later(4 * 3_600).await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.error), (Sent, 1, None));

    // After days of it, it counts as any failure does.
    s.world.sent.answer(|_| Some(SendError::throttled(Throttle::Day, "Daily message quota exceeded")));
    let id = s.mail("bob@example.com").await;
    s.settle().await;
    for _ in 0..4 {
        s.later(86_400).await;
    }
    assert_eq!(s.record(id).await.tries, 1);
}

#[tokio::test]
async fn what_cannot_be_sent_on_keeps_no_later_page_waiting() {
    let s = Stage::new().await;
    let at = s.app().now().plus_secs(3_600);
    for i in 0..502 {
        let mut message = mail(&format!("p{i}@example.com"));
        message["send_at"] = json!(at);
        s.queue(message).await;
    }
    s.world.clock.advance_secs(3_700);
    s.world.outbox_queue.fail_next(500);
    assert!(schedule::sweep(s.app(), Instant::now() + Duration::from_secs(30)).await.is_err());
    assert_eq!(s.world.outbox_queue.take().len(), 2);
    assert_eq!(s.sweep().await, 502);
}

#[tokio::test]
async fn after_six_attempts_a_message_is_given_up() {
    let s = Stage::new().await;
    s.world.sent.answer(|_| Some(SendError::transient("busy")));
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    for _ in 0..6 {
        s.later(43_200).await;
    }
    let record = s.record(id).await;
    assert_eq!((record.status, record.tries, record.due_at), (Failed, 6, None));
    assert_eq!(s.counts().await, [("failed", 1)].into());
}

#[tokio::test]
async fn a_hard_refusal_of_the_recipient_puts_it_on_the_list() {
    let s = Stage::new().await;
    s.world.sent.fail_next(SendError::permanent(Blame::Recipient, "no such user"));
    let first = s.mail("gone@example.com").await;
    s.settle().await;
    let second = s.mail("gone@example.com").await;
    s.settle().await;
    assert_eq!((s.status(first).await, s.status(second).await), (Failed, Suppressed));
    assert!(s.recipients().is_empty());
}

#[tokio::test]
async fn what_is_scheduled_waits_and_can_be_cancelled() {
    let s = Stage::new().await;
    let at = |secs: i64| json!(s.app().now().plus_secs(secs));
    let mut soon = mail("soon@example.com");
    soon["send_at"] = at(300);
    let mut late = mail("late@example.com");
    late["send_at"] = at(86_400);
    let mut never = mail("never@example.com");
    never["send_at"] = at(86_400);
    let mut too_late = mail("x@example.com");
    too_late["send_at"] = at(400 * 86_400);
    let Err(Error::Invalid(faults)) = s.try_queue(too_late).await else { panic!("refused") };
    assert_eq!(faults[0].pointer, "/send_at");
    let (soon, late, never) = (s.queue(soon).await, s.queue(late).await, s.queue(never).await);
    s.settle().await;
    assert!(s.recipients().is_empty());
    communications::cancel(s.app(), &s.ctx(), never, answer).await.unwrap();
    assert!(matches!(communications::cancel(s.app(), &s.ctx(), never, answer).await, Err(Error::Conflict(_))));
    s.later(299).await;
    assert!(s.recipients().is_empty());
    s.later(1).await;
    assert_eq!(s.recipients(), ["soon@example.com"]);
    s.later(86_400).await;
    assert_eq!(s.recipients(), ["soon@example.com", "late@example.com"]);
    assert_eq!((s.status(soon).await, s.status(late).await, s.status(never).await), (Sent, Sent, Cancelled));
    assert_eq!(s.told().await, ["communication.cancelled", "communication.sent", "communication.sent"]);
    assert_eq!(s.counts().await, [("sent", 2), ("cancelled", 1)].into());
    assert!(matches!(communications::retry(s.app(), &s.ctx(), soon, answer).await, Err(Error::Conflict(_))), "sent stays sent");
}

#[tokio::test]
async fn failed_messages_can_be_tried_again_by_hand() {
    let s = Stage::new().await;
    s.world.sent.fail_next(SendError::permanent(Blame::Message, "no"));
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    communications::retry(s.app(), &s.ctx(), id, answer).await.unwrap();
    assert_eq!(s.counts().await, [("pending", 1)].into());
    s.settle().await;
    assert_eq!((s.status(id).await, s.recipients().len()), (Sent, 1));
    assert_eq!(s.counts().await, [("sent", 1)].into());
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let mut s = Stage::new().await;
    let id = s.mail("ada@example.com").await;
    s.entity = axle_domain::EntityId::new_at(s.app().now());
    let stranger = s;
    assert!(matches!(communications::get(stranger.app(), &stranger.ctx(), id).await, Err(Error::NotFound(_))));
    assert!(matches!(communications::cancel(stranger.app(), &stranger.ctx(), id, answer).await, Err(Error::NotFound(_))));
    assert!(stranger.counts().await.is_empty());
}

#[tokio::test]
async fn credentials_are_sealed_and_ses_needs_a_proof() {
    let s = Stage::new().await;
    let smtp = s
        .identity(json!({"kind": "smtp", "from": "Ada@Example.com", "name": "Ada", "credentials":
        {"host": "127.0.0.1", "port": 2525, "username": "u", "password": "hunter2-secret", "tls": "none"}}))
        .await;
    let stored = communications::get_identity(s.app(), &s.ctx(), smtp).await.unwrap().value;
    assert!(!serde_json::to_string(&stored).unwrap().contains("hunter2"));
    let mut message = mail("bob@example.com");
    message["identity_id"] = json!(smtp);
    s.queue(message.clone()).await;
    s.settle().await;
    let email = &s.world.sent.emails()[0];
    assert_eq!((email.from.address.as_str(), email.from.name.as_ref().unwrap().as_str()), ("ada@example.com", "Ada"));

    let ses = s.identity(json!({"kind": "ses", "from": "boss@victim.example"})).await;
    message["identity_id"] = json!(ses);
    let refused = s.queue(message.clone()).await;
    s.settle().await;
    assert_eq!(s.record(refused).await.error.as_deref(), Some("the sending identity is not verified"));
    let verified = communications::verify_identity(s.app(), &s.ctx(), ses).await.unwrap();
    assert_ne!(verified.status, axle_domain::communication::IdentityStatus::Verified);
    let asked = s.world.sent.emails().pop().unwrap();
    assert_eq!(asked.to.address.as_str(), "boss@victim.example");
    let text = asked.text.unwrap();
    let ticket = text.split("/confirm/").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(matches!(communications::confirm_identity(s.app(), &ticket[1..]).await, Err(Error::NotFound(_))));
    // The link is for the address that it was sent to: another one of the same account is not proven by it.
    for from in ["ceo@other.example", "boss@victim.example"] {
        communications::patch_identity(s.app(), &s.ctx(), ses, &json!({"from": from}), None).await.unwrap();
        if from != "boss@victim.example" {
            assert!(matches!(communications::confirm_identity(s.app(), ticket).await, Err(Error::NotFound(_))));
            let identity = communications::get_identity(s.app(), &s.ctx(), ses).await.unwrap().value;
            assert_eq!((identity.confirmed_at, identity.verified_at), (None, None));
        }
    }
    communications::confirm_identity(s.app(), ticket).await.unwrap();
    let again = s.queue(message).await;
    s.settle().await;
    assert_eq!(s.status(again).await, Sent);
}

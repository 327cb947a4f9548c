//! Mail that comes in: posted with a signature, or received by SES.

use std::sync::Arc;

use axle_app::communications::{
    self, INBOUND_PREFIX, InboundAnswer, InboundOutcome, Noted, SignedHeaders, post_inbound, receive_mail, renew_inbound_secret,
};
use axle_app::{Answer, Ctx, Error};
use axle_domain::lead::LeadStatus;
use axle_domain::mail::Feedback;
use axle_domain::webhook::{SigningSecret, sign};
use axle_domain::{CommunicationId, EntityId, TraceId};
use axle_providers::objects::ObjectStore;
use axle_store::communications::CommunicationRecord;
use serde_json::{Value, json};

use crate::stage::Stage;

async fn secret_of(s: &Stage, entity: EntityId, overlap: u32) -> String {
    let ctx = Ctx::system(entity, "test", s.app().now(), TraceId::random());
    let answer =
        renew_inbound_secret(s.app(), &ctx, overlap, |url, secret| Answer::new(201, json!({"url": url, "secret": secret})));
    let body = answer.await.unwrap().body;
    assert_eq!(body["url"], format!("https://axle.example.com/communications/inbound/{entity}"));
    body["secret"].as_str().unwrap().to_owned()
}

fn signed(s: &Stage, secret: &str, body: &[u8]) -> SignedHeaders {
    let at = s.app().now().secs();
    let secret = [SigningSecret::parse(secret).unwrap()];
    SignedHeaders { id: "msg_1".to_owned(), timestamp: at.to_string(), signature: sign(&secret, "msg_1", at, body) }
}

async fn post_as(s: &Stage, entity: EntityId, secret: &str, mail: &Value) -> axle_app::Result<InboundAnswer> {
    let body = mail.to_string();
    let read = || axle_app::input::read(serde_json::from_str(&body).unwrap());
    post_inbound(s.app(), entity, &signed(s, secret, body.as_bytes()), body.as_bytes(), read).await
}

fn reply(from: &str, more: Value) -> Value {
    let mut mail = json!({
        "from": format!("Ada <{from}>"), "to": "sales@axle.example.com", "subject": "Re: Hello",
        "text": "Fine, thanks.\n\nOn Tue, 24 Nov 2026, Axle <sales@axle.example.com> wrote:\n> How are you?",
        "message_id": "<r1@example.com>", "received_at": "2026-11-24T09:00:00Z",
    });
    mail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mail
}

fn answered(outcome: InboundOutcome, id: CommunicationId) -> InboundAnswer {
    InboundAnswer { outcome, communication_id: Some(id) }
}

const UNMATCHED: InboundAnswer = InboundAnswer { outcome: InboundOutcome::Unmatched, communication_id: None };

#[tokio::test]
async fn a_reply_finds_its_message_and_moves_the_lead_on() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let lead = s.lead("ada@example.com").await;
    let first = s.sent_to(lead).await;
    s.sent_to(lead).await;
    // Not the latest one: the ids say which. SES has put its own in the place of ours.
    let mail = reply("ada@example.com", json!({"in_reply_to": "<captured-1@email.amazonses.com>"}));
    let answer = post_as(&s, s.entity, &secret, &mail).await.unwrap();
    assert_eq!(answer, answered(InboundOutcome::Reply, first));
    // What is handed in again changes nothing.
    assert_eq!(post_as(&s, s.entity, &secret, &mail).await.unwrap(), answer);
    let record = s.record(first).await;
    assert_eq!((record.engagement.replies, record.engagement.replied_at.is_some()), (1, true));
    assert_eq!(s.lead_status(lead).await, LeadStatus::Replied);
    let told = s.told().await;
    assert_eq!(told.iter().filter(|name| *name == "communication.replied").count(), 1, "{told:?}");
    let event = s.events().await.pop().unwrap();
    assert_eq!((event.lead_id, event.subject.id), (Some(lead), first.to_string()));
    assert_eq!(event.data, json!({"lead_id": lead, "communication_id": first}));
    let (_, _, replies) = communications::get(s.app(), &s.ctx(), first).await.unwrap();
    let [kept] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!(
        (kept.from.as_str(), kept.from_name.as_deref(), kept.text.as_str()),
        ("ada@example.com", Some("Ada"), "Fine, thanks.")
    );
    assert_eq!(
        (kept.automatic, kept.classification.as_deref(), kept.received_at),
        (false, None, s.app().now()),
        "not in the future"
    );
}

#[tokio::test]
async fn references_our_own_ids_and_at_last_the_senders_address_lead_to_the_message() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let ada = s.mail("ada@example.com").await;
    s.settle().await;
    s.world.clock.advance_secs(1);
    let later = s.mail("ada@example.com").await;
    s.settle().await;
    let cases = [
        (json!({"references": ["<x@y>", "<captured-1@email.amazonses.com>"]}), answered(InboundOutcome::Reply, ada)),
        (json!({"in_reply_to": format!("<{ada}@axle.example.com>")}), answered(InboundOutcome::Reply, ada)),
        (json!({"in_reply_to": "<unknown@example.com>"}), answered(InboundOutcome::Reply, later)),
        (json!({}), answered(InboundOutcome::Reply, later)),
        // From somebody else, but to a message that is named: a colleague answers.
        (
            json!({"from": "boss@example.com", "in_reply_to": "<captured-2@email.amazonses.com>"}),
            answered(InboundOutcome::Reply, later),
        ),
        (json!({"from": "boss@example.com"}), UNMATCHED),
        // Our own follow-up, seen in the mailbox.
        (
            json!({"from": "sales@axle.example.com", "to": "ada@example.com", "in_reply_to": "<captured-1@email.amazonses.com>"}),
            UNMATCHED,
        ),
    ];
    for (n, (more, expected)) in cases.into_iter().enumerate() {
        let mut mail = reply("ada@example.com", json!({"message_id": format!("<r{n}@example.com>")}));
        mail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(post_as(&s, s.entity, &secret, &mail).await.unwrap(), expected, "{more}");
    }
}

#[tokio::test]
async fn a_reply_is_given_a_class_if_there_is_little_doubt() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    for (n, (text, class)) in [
        ("Sounds great, tell me more. Can we schedule a call?", json!("interested")),
        ("Sounds great, but we are too busy.", Value::Null),
        ("Blue.", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mail = reply("ada@example.com", json!({"message_id": format!("<c{n}@example.com>"), "text": text}));
        assert_eq!(post_as(&s, s.entity, &secret, &mail).await.unwrap(), answered(InboundOutcome::Reply, id));
        assert_eq!(s.events().await.pop().unwrap().data["class"], class, "{text}");
        s.world.clock.advance_secs(1);
    }
    let (_, _, replies) = communications::get(s.app(), &s.ctx(), id).await.unwrap();
    let classes: Vec<Option<&str>> = replies.iter().map(|reply| reply.classification.as_deref()).collect();
    assert_eq!(classes, [Some("interested"), None, None]);
}

#[tokio::test]
async fn programs_do_not_reply() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let mail = reply("ada@example.com", json!({"subject": "Automatic reply: Hello", "text": "I am away."}));
    assert_eq!(post_as(&s, s.entity, &secret, &mail).await.unwrap(), answered(InboundOutcome::Automatic, id));
    let record = s.record(id).await;
    assert_eq!((record.engagement.replies, record.engagement.replied_at), (0, None));
    assert_eq!(s.lead_status(lead).await, LeadStatus::Contacted);
    assert_eq!(s.told().await, ["lead.created", "communication.sent"]);
    let (_, _, replies) = communications::get(s.app(), &s.ctx(), id).await.unwrap();
    assert_eq!((replies[0].automatic, replies[0].classification.as_deref()), (true, Some("automatic")));
}

#[tokio::test]
async fn only_the_tenants_own_signature_counts() {
    let s = Stage::new().await;
    let stranger = EntityId::new_at(s.app().now());
    let (mine, theirs) = (secret_of(&s, s.entity, 0).await, secret_of(&s, stranger, 0).await);
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    let mail = reply("ada@example.com", json!({"in_reply_to": "<captured-1@email.amazonses.com>"}));
    let refused = |answer: axle_app::Result<InboundAnswer>| matches!(answer, Err(Error::Unauthenticated(_)));
    assert!(refused(post_as(&s, s.entity, &theirs, &mail).await));
    assert!(refused(post_as(&s, EntityId::new_at(s.app().now()), &mine, &mail).await));
    // A tenant that names another's message by its id finds nothing.
    assert_eq!(post_as(&s, stranger, &theirs, &mail).await.unwrap(), UNMATCHED);
    let body = mail.to_string();
    let read =
        || -> axle_app::Result<axle_domain::mail::InboundPost> { panic!("the body is not looked at before the signature") };
    for change in [
        |headers: &mut SignedHeaders| headers.id.push('x'),
        |headers: &mut SignedHeaders| headers.timestamp = "0".to_owned(),
        |headers: &mut SignedHeaders| headers.signature.clear(),
        |headers: &mut SignedHeaders| headers.signature = headers.signature.replace("v1,", "v2,"),
    ] {
        let mut headers = signed(&s, &mine, body.as_bytes());
        change(&mut headers);
        assert!(refused(post_inbound(s.app(), s.entity, &headers, body.as_bytes(), read).await), "{headers:?}");
    }
    let headers = signed(&s, &mine, body.as_bytes());
    assert!(refused(post_inbound(s.app(), s.entity, &headers, &[body.as_bytes(), b" "].concat(), read).await));
    s.world.clock.advance_secs(301);
    assert!(refused(post_inbound(s.app(), s.entity, &headers, body.as_bytes(), read).await), "too old");
    assert_eq!(s.record(id).await.engagement.replies, 0);
}

#[tokio::test]
async fn a_new_secret_ends_the_old_one_after_its_overlap() {
    let s = Stage::new().await;
    let first = secret_of(&s, s.entity, 0).await;
    let second = secret_of(&s, s.entity, 600).await;
    let mail = reply("ada@example.com", json!({}));
    for secret in [&first, &second] {
        assert_eq!(post_as(&s, s.entity, secret, &mail).await.unwrap(), UNMATCHED);
    }
    s.world.clock.advance_secs(600);
    assert!(post_as(&s, s.entity, &first, &mail).await.is_err());
    assert_eq!(post_as(&s, s.entity, &second, &mail).await.unwrap(), UNMATCHED);
}

#[tokio::test]
async fn every_fault_of_a_post_is_told() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let mail = json!({"from": "nobody", "to": [], "subject": "s", "text": "t", "message_id": "x", "received_at": "2026-11-24T09:00:00Z"});
    let Err(Error::Invalid(faults)) = post_as(&s, s.entity, &secret, &mail).await else { panic!("it is not valid") };
    let mut pointers: Vec<_> = faults.into_iter().map(|fault| fault.pointer).collect();
    pointers.sort();
    assert_eq!(pointers, ["/from", "/message_id", "/to"]);
}

#[tokio::test]
async fn a_mail_to_the_unsubscribe_address_unsubscribes() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let lead = s.lead("ada@example.com").await;
    let id = s.queue(json!({"channel": "email", "lead_id": lead, "category": "marketing", "subject": "s", "text": "t"})).await;
    s.settle().await;
    let mailto = s.world.sent.emails()[0].list_unsubscribe.clone().unwrap().mailto().unwrap().to_owned();
    let (address, subject) = mailto.strip_prefix("mailto:").unwrap().split_once("?subject=").unwrap();
    assert_eq!(address, "sales@axle.example.com");
    let mail = reply("ada@example.com", json!({"subject": subject, "text": "", "html": "<p></p>"}));
    // Another tenant's ticket is none.
    let stranger = EntityId::new_at(s.app().now());
    let theirs = secret_of(&s, stranger, 0).await;
    assert_eq!(post_as(&s, stranger, &theirs, &mail).await.unwrap(), UNMATCHED);
    for _ in 0..2 {
        assert_eq!(post_as(&s, s.entity, &secret, &mail).await.unwrap(), answered(InboundOutcome::Unsubscribed, id));
    }
    assert_eq!(s.suppressed().await, [("ada@example.com".to_owned(), "unsubscribe".to_owned())]);
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
    assert_eq!(s.told().await.last().map(String::as_str), Some("contact.unsubscribed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_reply_handed_in_many_times_at_once_and_others_beside_it() {
    let s = Arc::new(Stage::new().await);
    let secret = Arc::new(secret_of(&s, s.entity, 0).await);
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let posts = (0..16).map(|n| {
        let (s, secret) = (Arc::clone(&s), Arc::clone(&secret));
        tokio::spawn(async move {
            let mail = reply("ada@example.com", json!({"message_id": format!("<r{}@example.com>", n % 4)}));
            for _ in 0..20 {
                if let Ok(answer) = post_as(&s, s.entity, &secret, &mail).await {
                    return answer;
                }
            }
            panic!("a reply is never taken");
        })
    });
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer.unwrap(), answered(InboundOutcome::Reply, id));
    }
    assert_eq!(s.record(id).await.engagement.replies, 4);
    assert_eq!(s.told().await.iter().filter(|name| *name == "communication.replied").count(), 4);
    assert_eq!(communications::get(s.app(), &s.ctx(), id).await.unwrap().2.len(), 4);
}

/// A mail as SES has received it.
fn received(recipient: &str, verdict: &str, more: Value) -> Feedback {
    let status = |text: &str| json!({"status": text});
    let mut receipt = json!({
        "timestamp": "2026-11-24T08:00:00Z", "recipients": [recipient], "spamVerdict": status("PASS"), "virusVerdict": status("PASS"),
        "spfVerdict": status(verdict), "dkimVerdict": status(verdict), "dmarcVerdict": status(verdict), "action": {"type": "SNS"},
    });
    let mut body = json!({"notificationType": "Received", "mail": {"timestamp": "2026-11-24T08:00:00Z", "messageId": "in-1"}});
    for (name, value) in more.as_object().unwrap() {
        let place = if name == "content" { &mut body } else { &mut receipt };
        place[name] = value.clone();
    }
    body["receipt"] = receipt;
    Feedback::parse(&body.to_string()).unwrap()
}

fn raw(from: &str, id: &str, headers: &str) -> String {
    format!(
        "From: {from}\r\nTo: sales@axle.example.com\r\nSubject: Re: Hello\r\nMessage-ID: <{id}>\r\n{headers}\r\nYes, gladly.\r\n"
    )
}

#[tokio::test]
async fn mail_that_ses_received_inline_or_in_the_bucket() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let thread = "In-Reply-To: <captured-1@email.amazonses.com>\r\n";
    let inline = received("sales@axle.example.com", "PASS", json!({"content": raw("ada@example.com", "a@x", thread)}));
    for _ in 0..2 {
        assert_eq!(receive_mail(s.app(), &inline).await.unwrap(), Noted::Recorded);
    }
    let key = format!("{INBOUND_PREFIX}m1");
    s.world.objects.put(&key, "message/rfc822", raw("ada@example.com", "b@x", thread).into_bytes().into()).await.unwrap();
    let stored = |key: &str| json!({"action": {"type": "S3", "bucketName": "bucket", "objectKey": key}});
    assert_eq!(receive_mail(s.app(), &received("sales@axle.example.com", "PASS", stored(&key))).await.unwrap(), Noted::Recorded);
    // Nothing of it is left there, and its report may come again.
    assert_eq!(s.world.objects.head(&key).await.unwrap().unwrap().bytes, 0);
    assert_eq!(receive_mail(s.app(), &received("sales@axle.example.com", "PASS", stored(&key))).await.unwrap(), Noted::Passed);
    let (record, _, replies) = communications::get(s.app(), &s.ctx(), id).await.unwrap();
    assert_eq!((record.value.engagement.replies, replies.len(), replies[0].text.as_str()), (2, 2, "Yes, gladly."));
    assert_eq!(s.lead_status(lead).await, LeadStatus::Replied);
    // Neither another place of the bucket, nor what is gone, nor spam.
    s.world.objects.put("uploads/m1", "message/rfc822", raw("ada@example.com", "c@x", thread).into_bytes().into()).await.unwrap();
    let spam = json!({"content": raw("ada@example.com", "d@x", thread), "spamVerdict": {"status": "FAIL"}});
    for more in [stored("uploads/m1"), stored("inbound/gone"), spam, json!({"content": "no mail"}), json!({})] {
        assert_eq!(receive_mail(s.app(), &received("sales@axle.example.com", "PASS", more)).await.unwrap(), Noted::Passed);
    }
    assert!(s.world.objects.head("uploads/m1").await.unwrap().unwrap().bytes > 0);
    assert_eq!(s.record(id).await.engagement.replies, 2);
}

#[tokio::test]
async fn a_senders_address_alone_counts_only_when_it_is_the_senders() {
    let s = Stage::new().await;
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    let mine = format!("{}@in.axle.example.com", s.entity);
    let mail = |n: u8| json!({"content": raw("ada@example.com", &format!("{n}@x"), "")});
    for (recipient, verdict, expected) in [
        (mine.as_str(), "FAIL", Noted::Passed),
        ("sales@axle.example.com", "PASS", Noted::Passed),
        ("01939b1e-0d4c-7a11-9c55-0d1f6a2b3c4d@in.axle.example.com", "PASS", Noted::Passed),
        (mine.as_str(), "PASS", Noted::Recorded),
    ] {
        assert_eq!(
            receive_mail(s.app(), &received(recipient, verdict, mail(1))).await.unwrap(),
            expected,
            "{recipient} {verdict}"
        );
    }
    assert_eq!(s.record(id).await.engagement.replies, 1);
}

#[tokio::test]
async fn programs_that_answer_each_other_fill_nothing() {
    let s = Stage::new().await;
    let secret = secret_of(&s, s.entity, 0).await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let mut tx = s.app().table().await.tx();
    let found = communications::get(s.app(), &s.ctx(), id).await.unwrap().0;
    tx.replace("message", &CommunicationRecord { replies_kept: 75, ..found.value }, found.version);
    tx.commit().await.unwrap();
    for n in 0..28 {
        let automatic = n > 0 && n < 27;
        let mail = reply(
            "ada@example.com",
            json!({"message_id": format!("<r{n}@example.com>"), "text": format!("No. {n}"),
                "subject": if automatic { "Automatic reply: Hello" } else { "Re: Hello" }}),
        );
        let answer = post_as(&s, s.entity, &secret, &mail).await.unwrap();
        assert_eq!(answer.communication_id, Some(id));
        s.world.clock.advance_secs(1);
    }
    let (record, _, shown) = communications::get(s.app(), &s.ctx(), id).await.unwrap();
    let kept = s.app().table().await.replies(s.entity, id).await.unwrap();
    // A person is heard all the same.
    assert_eq!((record.value.engagement.replies, shown.last().unwrap().text.as_str()), (2, "No. 27"));
    assert_eq!((record.value.replies_kept, kept.len(), shown.len()), (101, 26, 20));
}

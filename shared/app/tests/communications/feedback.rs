//! What SES tells of messages: bounces, complaints, deliveries.

use std::sync::Arc;
use std::time::Duration;

use axle_app::communications::{FEEDBACK_ATTEMPTS, Noted, feedback};
use axle_domain::communication::CommunicationStatus::{Failed, Pending, Processing, Sent, Suppressed};
use axle_domain::lead::LeadStatus;
use axle_domain::{CommunicationId, EntityId};
use axle_providers::mail::{Capture, SendError};
use axle_store::communications::BOARD;
use serde_json::json;

use crate::stage::{Stage, bounce, complaint, delivery, report};

#[tokio::test]
async fn a_delivery_is_noted_once() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    s.world.clock.advance_secs(3);
    let told = s.report(id, delivery());
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Recorded);
    assert_eq!(feedback(s.app(), &told, 2).await.unwrap(), Noted::Known);
    assert_eq!(s.record(id).await.engagement.delivered_at, Some(s.app().now()));
    assert_eq!(s.told().await, ["lead.created", "communication.sent", "communication.delivered"]);
    let event = s.events().await.pop().unwrap();
    assert_eq!((event.lead_id, event.data), (Some(lead), json!({"channel": "email", "lead_id": lead, "communication_id": id})));
    assert!(s.suppressed().await.is_empty());
}

#[tokio::test]
async fn a_hard_bounce_ends_the_address_in_one_write() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let told = s.report(id, bounce("Permanent", "f-1"));
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Recorded);
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Known);
    let record = s.record(id).await;
    assert_eq!((record.status, record.engagement.bounced_at), (Sent, Some(s.app().now())));
    assert_eq!(s.suppressed().await, [("ada@example.com".to_owned(), "bounce".to_owned())]);
    assert_eq!(s.lead_status(lead).await, LeadStatus::Bounced);
    let events = s.events().await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[2].data["reason"], json!("5.1.1 smtp; 550 no such user"));
    assert_eq!((events[2].lead_id, events[2].trace_id), (Some(lead), events[1].trace_id));
    let next = s.mail("ada@example.com").await;
    s.settle().await;
    assert_eq!(s.status(next).await, Suppressed);
}

#[tokio::test]
async fn a_soft_bounce_is_told_of_and_changes_nothing_else() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    for (feedback_id, expected) in [("f-1", Noted::Recorded), ("f-1", Noted::Known), ("f-2", Noted::Recorded)] {
        assert_eq!(feedback(s.app(), &s.report(id, bounce("Transient", feedback_id)), 1).await.unwrap(), expected);
    }
    assert!(s.suppressed().await.is_empty());
    assert_eq!((s.lead_status(lead).await, s.record(id).await.engagement.bounced_at), (LeadStatus::Contacted, None));
    let kinds: Vec<_> = s.events().await[2..].iter().map(|event| event.data["kind"].clone()).collect();
    assert_eq!(kinds, ["soft", "soft"]);
}

#[tokio::test]
async fn a_complaint_is_a_wish_to_be_left_alone() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let told = s.report(id, complaint("c-1"));
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Recorded);
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Known);
    assert_eq!(s.suppressed().await, [("ada@example.com".to_owned(), "complaint".to_owned())]);
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
    assert_eq!(s.events().await[2].data, json!({"reason": "abuse", "lead_id": lead, "communication_id": id}));
    // A bounce after it does not take the wish back.
    feedback(s.app(), &s.report(id, bounce("Permanent", "f-1")), 1).await.unwrap();
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
    assert_eq!(s.suppressed().await.len(), 1, "the first reason stays");
}

#[tokio::test]
async fn without_tags_the_id_leads_to_the_message() {
    let s = Stage::new().await;
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    let untagged = |ses_id: &str| report(json!({"timestamp": s.app().now(), "messageId": ses_id}), bounce("Permanent", "f-1"));
    assert_eq!(feedback(s.app(), &untagged("captured-1"), 1).await.unwrap(), Noted::Recorded);
    assert!(s.record(id).await.engagement.bounced_at.is_some());
    // One that is not recorded yet is looked for again, and then passed over: others use the account too.
    for received in 1..FEEDBACK_ATTEMPTS {
        assert!(feedback(s.app(), &untagged("captured-2"), received).await.is_err());
    }
    assert_eq!(feedback(s.app(), &untagged("captured-2"), FEEDBACK_ATTEMPTS).await.unwrap(), Noted::Passed);
}

#[tokio::test]
async fn reports_about_nothing_of_ours_are_passed_over() {
    let s = Stage::new().await;
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    let tagged = |entity: EntityId, id: CommunicationId| {
        let tags = json!({"entity_id": [entity], "communication_id": [id]});
        report(json!({"timestamp": s.app().now(), "messageId": "captured-9", "tags": tags}), bounce("Permanent", "f-1"))
    };
    let now = s.app().now();
    for told in [tagged(s.entity, CommunicationId::new_at(now)), tagged(EntityId::new_at(now), id)] {
        assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Passed);
    }
    assert_eq!(feedback(s.app(), &s.report(id, json!({"eventType": "Open"})), 1).await.unwrap(), Noted::Passed);
    let sms = s.queue(json!({"channel": "sms", "to": "+14155550123", "text": "hi"})).await;
    assert_eq!(feedback(s.app(), &s.report(sms, delivery()), 1).await.unwrap(), Noted::Passed);
    assert!(s.suppressed().await.is_empty() && s.record(id).await.engagement == Default::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reports_handed_out_many_times_at_once_count_once_each() {
    let s = Arc::new(Stage::new().await);
    let lead = s.lead("ada@example.com").await;
    let id = s.sent_to(lead).await;
    let reports = [delivery(), bounce("Permanent", "f-1"), complaint("c-1")];
    let tasks = (0..18).map(|n| {
        let (s, report) = (Arc::clone(&s), reports[n % 3].clone());
        tokio::spawn(async move {
            // What met too many others is handed out again.
            for received in 1..20 {
                if feedback(s.app(), &s.report(id, report.clone()), received).await.is_ok() {
                    return;
                }
            }
            panic!("a report is never recorded");
        })
    });
    futures_util::future::join_all(tasks).await.into_iter().for_each(|done| done.unwrap());
    let mut told = s.told().await;
    told.sort();
    let expected =
        ["communication.bounced", "communication.complained", "communication.delivered", "communication.sent", "lead.created"];
    assert_eq!(told, expected);
    assert_eq!(s.suppressed().await.len(), 1);
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
}

#[tokio::test]
async fn a_report_tells_what_became_of_a_message_of_unknown_outcome() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    s.world.sent.fail_next(SendError::unknown("connection reset"));
    let id = s.sent_to(lead).await;
    assert_eq!((s.status(id).await, s.lead_status(lead).await), (Failed, LeadStatus::New));
    let told = s.report(id, delivery());
    assert_eq!(feedback(s.app(), &told, 1).await.unwrap(), Noted::Recorded);
    let record = s.record(id).await;
    assert_eq!((record.status, record.outcome_unknown, record.error), (Sent, false, None));
    assert_eq!((record.provider.as_deref(), record.provider_message_id.as_deref()), (Some("ses"), Some("captured-1")));
    assert_eq!(s.counts().await, [("sent", 1)].into());
    assert_eq!(s.lead_status(lead).await, LeadStatus::Contacted);
    let told = s.told().await;
    assert_eq!(told[2..], ["communication.sent", "communication.delivered"], "{told:?}");
}

#[tokio::test]
async fn a_report_that_comes_before_its_sender_died_settles_the_message() {
    let s = Stage::sending(Capture::taking(Duration::from_secs(3_600))).await;
    let lead = s.lead("ada@example.com").await;
    let id = s.queue(json!({"channel": "email", "lead_id": lead, "subject": "s", "text": "t"})).await;
    let jobs = s.jobs().await;
    let outbox = s.outbox();
    let mut sending = std::pin::pin!(outbox.send(&jobs[0]));
    // Until the provider has it.
    while s.status(id).await != Processing {
        let _ = tokio::time::timeout(Duration::from_millis(20), sending.as_mut()).await;
    }
    assert_eq!(feedback(s.app(), &s.report(id, delivery()), 1).await.unwrap(), Noted::Recorded);
    assert_eq!(s.status(id).await, Processing, "its sender may be about to record it");
    s.later(120).await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.outcome_unknown, record.error), (Sent, false, None));
    assert_eq!((s.counts().await, s.lead_status(lead).await), ([("sent", 1)].into(), LeadStatus::Contacted));
    let numbers = s.app().table().await.tally(s.entity, BOARD).await.unwrap();
    assert_eq!(numbers.values().sum::<i64>(), 1);
}

#[tokio::test]
async fn a_report_about_a_message_that_waits_again_is_only_noted() {
    let s = Stage::new().await;
    s.world.sent.fail_next(SendError::unknown("connection reset"));
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    axle_app::communications::retry(s.app(), &s.ctx(), id, |_| axle_app::Answer::new(200, json!({}))).await.unwrap();
    assert_eq!(feedback(s.app(), &s.report(id, delivery()), 1).await.unwrap(), Noted::Recorded);
    let record = s.record(id).await;
    assert_eq!((record.status, record.engagement.delivered_at.is_some()), (Pending, true));
    assert_eq!(s.counts().await, [("pending", 1)].into());
}

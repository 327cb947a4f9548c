//! A lead's status follows its messages, and never goes back.

use std::sync::Arc;

use axle_app::communications;
use axle_app::outreach::leads;
use axle_domain::communication::CommunicationStatus::Sent;
use axle_domain::lead::LeadStatus;
use axle_providers::mail::{Blame, SendError};
use serde_json::json;

use crate::stage::{Stage, bounce};

#[tokio::test]
async fn a_message_that_goes_out_makes_contact() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let queued = s.queue(json!({"channel": "email", "lead_id": lead, "subject": "s", "text": "t"})).await;
    assert_eq!(s.lead_status(lead).await, LeadStatus::New, "nothing has gone out yet");
    s.settle().await;
    assert_eq!((s.status(queued).await, s.lead_status(lead).await), (Sent, LeadStatus::Contacted));
    // A second one leaves the lead alone: its version is the tenant's, too.
    let version = leads::get(s.app(), &s.ctx(), lead).await.unwrap().version;
    s.sent_to(lead).await;
    assert_eq!(leads::get(s.app(), &s.ctx(), lead).await.unwrap().version, version);
}

#[tokio::test]
async fn a_list_stops_at_what_one_answer_can_hold_and_goes_on_from_there() {
    let s = Stage::new().await;
    let custom: serde_json::Map<_, _> = (0..10).map(|i| (format!("field{i}"), json!("x".repeat(4_900)))).collect();
    let mut wanted = Vec::new();
    for i in 0..150 {
        let input = serde_json::from_value(json!({"email": format!("p{i}@example.com"), "custom": custom})).unwrap();
        let ctx = s.ctx();
        let made = leads::create(s.app(), &ctx, input, |lead| axle_app::Answer::new(201, json!({"id": lead.value.id})));
        wanted.push(made.await.unwrap().body["id"].as_str().unwrap().to_owned());
    }
    let (mut found, mut pages, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = axle_app::PageRequest { cursor, limit: 100 };
        let page = leads::list(s.app(), &s.ctx(), axle_store::leads::LeadQuery::default(), page).await.unwrap();
        pages.push(page.items.len());
        found.extend(page.items.into_iter().map(|lead| lead.value.id.to_string()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages.len(), 3, "{pages:?}");
    assert!(pages.iter().all(|n| *n <= 63), "50 KB each, 3 MB together: {pages:?}");
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "each of them once");
}

#[tokio::test]
async fn a_refused_address_is_a_bounce_and_a_refused_message_none() {
    let s = Stage::new().await;
    let (ada, bob) = (s.lead("ada@example.com").await, s.lead("bob@example.com").await);
    s.world.sent.fail_next(SendError::permanent(Blame::Message, "too long"));
    s.sent_to(bob).await;
    s.world.sent.fail_next(SendError::permanent(Blame::Recipient, "550 no such user"));
    s.sent_to(ada).await;
    assert_eq!((s.lead_status(ada).await, s.lead_status(bob).await), (LeadStatus::Bounced, LeadStatus::New));
}

#[tokio::test]
async fn whoever_unsubscribes_is_unsubscribed() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let message = json!({"channel": "email", "lead_id": lead, "category": "marketing", "subject": "s", "text": "t"});
    s.queue(message).await;
    s.settle().await;
    let url = s.world.sent.emails()[0].list_unsubscribe.clone().unwrap().url().to_owned();
    communications::unsubscribe(s.app(), url.rsplit('/').next().unwrap()).await.unwrap();
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
    let id = s.sent_to(lead).await;
    assert_ne!(s.status(id).await, Sent);
    assert_eq!(s.lead_status(lead).await, LeadStatus::Unsubscribed);
}

#[tokio::test]
async fn a_deleted_lead_keeps_nothing_from_being_recorded() {
    let s = Stage::new().await;
    let lead = s.lead("ada@example.com").await;
    let id = s.queue(json!({"channel": "email", "lead_id": lead, "subject": "s", "text": "t"})).await;
    leads::delete(s.app(), &s.ctx(), lead, None).await.unwrap();
    s.settle().await;
    assert_eq!(s.status(id).await, Sent);
    communications::feedback(s.app(), &s.report(id, bounce("Permanent", "f-1")), 1).await.unwrap();
    assert_eq!(s.suppressed().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_messages_to_one_lead_that_somebody_edits_are_all_recorded() {
    let s = Arc::new(Stage::new().await);
    let lead = s.lead("ada@example.com").await;
    for _ in 0..8 {
        s.queue(json!({"channel": "email", "lead_id": lead, "subject": "s", "text": "t"})).await;
    }
    let jobs = s.jobs().await;
    let edits = tokio::spawn({
        let s = Arc::clone(&s);
        async move {
            for n in 0..10 {
                leads::patch(s.app(), &s.ctx(), lead, &json!({"title": format!("CTO {n}")}), None).await.ok();
            }
        }
    });
    let sends = jobs.into_iter().map(|job| {
        let s = Arc::clone(&s);
        tokio::spawn(async move {
            s.outbox().send(&job).await.unwrap();
        })
    });
    futures_util::future::join_all(sends).await.into_iter().for_each(|done| done.unwrap());
    edits.await.unwrap();
    assert_eq!(s.counts().await, [("sent", 8)].into());
    s.sent_to(lead).await;
    assert_eq!(s.lead_status(lead).await, LeadStatus::Contacted);
}

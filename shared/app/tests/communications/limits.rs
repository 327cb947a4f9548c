//! Sending windows, daily limits and slow starts.

use std::sync::Arc;

use axle_app::communications;
use axle_domain::Time;
use axle_domain::communication::CommunicationStatus::{Cancelled, Pending, Sent};
use axle_domain::communication::day_of;
use axle_providers::mail::SendError;
use serde_json::{Value, json};

use crate::stage::{Stage, mail};

async fn smtp(s: &Stage, more: Value) -> axle_domain::SendingIdentityId {
    let mut input =
        json!({"kind": "smtp", "from": "ada@example.com", "credentials": {"host": "127.0.0.1", "port": 2525, "tls": "none"}});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    s.identity(input).await
}

fn from(identity: axle_domain::SendingIdentityId, to: &str) -> Value {
    let mut message = mail(to);
    message["identity_id"] = json!(identity);
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_day_takes_its_limit_and_not_one_more() {
    let s = Arc::new(Stage::new().await);
    let identity = smtp(&s, json!({"daily_limit": 7})).await;
    let mut ids = Vec::new();
    for i in 0..30 {
        ids.push(s.queue(from(identity, &format!("p{i}@example.com"))).await);
    }
    let jobs = s.jobs().await;
    let workers = jobs.into_iter().map(|job| {
        let s = Arc::clone(&s);
        tokio::spawn(async move {
            s.outbox().send(&job).await.unwrap();
        })
    });
    futures_util::future::join_all(workers).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(s.recipients().len(), 7);
    assert_eq!(s.counts().await, [("sent", 7), ("pending", 23)].into());
    let mut days: std::collections::BTreeMap<String, usize> = Default::default();
    for id in &ids {
        let record = s.record(*id).await;
        let at = record.sent_at.unwrap_or(record.scheduled_send_time);
        *days.entry(day_of(None, at)).or_default() += 1;
    }
    assert_eq!(days.into_values().collect::<Vec<_>>(), [7, 7, 7, 7, 2], "the later days fill up in order");
    for sent in [14, 21, 28, 30] {
        s.later(86_400).await;
        assert_eq!(s.recipients().len(), sent);
    }
    assert_eq!(s.counts().await, [("sent", 30)].into());
}

#[tokio::test]
async fn a_new_identity_starts_slowly() {
    let s = Stage::new().await;
    let identity = smtp(&s, json!({"warmup": {"start": 1, "step": 2, "max": 4}})).await;
    for i in 0..12 {
        s.queue(from(identity, &format!("p{i}@example.com"))).await;
    }
    s.settle().await;
    let mut sent = vec![s.recipients().len()];
    for _ in 0..3 {
        s.later(86_400).await;
        sent.push(s.recipients().len());
    }
    assert_eq!(sent, [1, 4, 8, 12]);
}

#[tokio::test]
async fn places_that_are_not_used_come_free() {
    let s = Stage::new().await;
    let identity = smtp(&s, json!({"daily_limit": 1})).await;
    s.world.sent.fail_next(SendError::permanent(axle_providers::mail::Blame::Message, "no"));
    let failed = s.queue(from(identity, "a@example.com")).await;
    s.settle().await;
    let first = s.queue(from(identity, "b@example.com")).await;
    s.settle().await;
    assert_eq!(s.status(first).await, Sent, "{failed} has used no place");
    let tomorrow = s.queue(from(identity, "c@example.com")).await;
    s.settle().await;
    assert_eq!(s.status(tomorrow).await, Pending);
    communications::cancel(s.app(), &s.ctx(), tomorrow, |_| axle_app::Answer::new(200, json!({}))).await.unwrap();
    let next = s.queue(from(identity, "d@example.com")).await;
    s.settle().await;
    s.later(86_400).await;
    assert_eq!((s.status(tomorrow).await, s.status(next).await), (Cancelled, Sent));
}

#[tokio::test]
async fn windows_are_in_the_contacts_zone() {
    let s = Stage::new().await;
    // The world's clock says 2026-11-24T08:30:30Z, a Tuesday.
    let window = json!({"timezone": "contact", "days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:00"});
    let identity = smtp(&s, json!({"sending_window": window})).await;
    let id = s.queue(from(identity, "ada@example.com")).await;
    let at: Time = s.record(id).await.scheduled_send_time;
    let expected = axle_domain::communication::next_allowed(&serde_json::from_value(window).unwrap(), None, s.app().now());
    assert_eq!(at, expected);
    assert_eq!(at > s.app().now(), !s.recipients().is_empty() || s.status(id).await == Pending && at > s.app().now());
    s.settle().await;
    let wait = at.since(s.app().now()) / 1_000;
    if wait > 0 {
        assert!(s.recipients().is_empty());
        s.later(wait + 60).await;
    }
    assert_eq!(s.recipients().len(), 1);
}

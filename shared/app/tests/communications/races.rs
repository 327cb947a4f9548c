//! Many at once, and workers that die.

use std::sync::Arc;
use std::time::Duration;

use axle_app::communications;
use axle_domain::communication::CommunicationStatus::{Failed, Processing, Sent, Suppressed};
use axle_providers::mail::{Capture, SendError};
use axle_store::communications::BOARD;
use serde_json::json;

use crate::stage::{Stage, mail};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_message_and_many_workers_send_once() {
    let s = Arc::new(Stage::sending(Capture::taking(Duration::from_millis(50))).await);
    let id = s.mail("ada@example.com").await;
    let [job] = &s.jobs().await[..] else { panic!("one job") };
    let workers = (0..20).map(|_| {
        let (s, job) = (Arc::clone(&s), job.clone());
        tokio::spawn(async move {
            s.outbox().send(&job).await.unwrap();
        })
    });
    futures_util::future::join_all(workers).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(s.recipients().len(), 1);
    assert_eq!((s.status(id).await, s.counts().await), (Sent, [("sent", 1)].into()));
    assert_eq!(s.told().await, ["communication.sent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_add_up_at_every_moment() {
    const MESSAGES: i64 = 60;
    let s = Arc::new(Stage::sending(Capture::taking(Duration::from_millis(5))).await);
    for i in 0..MESSAGES {
        s.mail(&format!("p{i}@example.com")).await;
    }
    let jobs = s.jobs().await;
    let (watched, stop) = (Arc::clone(&s), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let watcher = tokio::spawn(async move {
        let mut looks = 0;
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            let numbers = watched.app().table().await.tally(watched.entity, BOARD).await.unwrap();
            assert_eq!(numbers.values().sum::<i64>(), MESSAGES, "{numbers:?}");
            assert!(numbers.values().all(|n| *n >= 0), "{numbers:?}");
            looks += 1;
        }
        looks
    });
    let workers = jobs.chunks(10).map(|batch| {
        let (s, batch) = (Arc::clone(&s), batch.to_vec());
        tokio::spawn(async move { s.send(&batch).await })
    });
    futures_util::future::join_all(workers).await.into_iter().for_each(|done| done.unwrap());
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(watcher.await.unwrap() > 0);
    assert_eq!(s.counts().await, [("sent", MESSAGES)].into());
    let mut all = s.recipients();
    all.sort();
    all.dedup();
    assert_eq!(all.len() as i64, MESSAGES);
    let outbox = communications::outbox(s.app(), &s.ctx()).await.unwrap();
    assert!(outbox.throughput.per_minute > 0.0 && outbox.throughput.per_hour > outbox.throughput.per_minute);
    assert!((241..=300).contains(&outbox.throughput.window_seconds));
    s.world.clock.advance_secs(600);
    assert_eq!(communications::outbox(s.app(), &s.ctx()).await.unwrap().throughput.per_minute, 0.0);
}

#[tokio::test]
async fn a_worker_that_dies_with_the_message_leaves_an_unknown_outcome_and_no_second_copy() {
    // The provider takes it, the answer never arrives: the worker is cut off in the middle of the call.
    let s = Stage::sending(Capture::taking(Duration::from_secs(3_600))).await;
    let id = s.mail("ada@example.com").await;
    let jobs = s.jobs().await;
    let outbox = s.outbox();
    assert!(tokio::time::timeout(Duration::from_millis(300), outbox.send(&jobs[0])).await.is_err());
    assert_eq!((s.status(id).await, s.counts().await), (Processing, [("processing", 1)].into()));
    // The queue hands the job out again: nobody sends, as long as the claim lasts.
    s.send(&jobs).await;
    assert_eq!(s.status(id).await, Processing);
    s.later(120).await;
    let record = s.record(id).await;
    assert_eq!((record.status, record.outcome_unknown), (Failed, true));
    assert!(record.error.unwrap().starts_with("outcome unknown"));
    assert!(s.recipients().is_empty(), "never sent again of itself");
    assert_eq!(s.told().await, ["communication.failed"]);
    assert_eq!(s.counts().await, [("failed", 1)].into());
}

#[tokio::test]
async fn a_webhook_left_behind_is_posted_again() {
    let s = Stage::new().await;
    s.world.sent.fail_next(SendError::unknown("no answer"));
    let id = s.queue(json!({"channel": "webhook", "to": "http://127.0.0.1:9/in", "text": "hi"})).await;
    s.settle().await;
    assert_eq!(s.record(id).await.tries, 1);
    s.later(60).await;
    assert_eq!((s.status(id).await, s.world.sent.posts().len()), (Sent, 1));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_sent_again() {
    let s = Stage::new().await;
    s.world.sent.fail_next(SendError::unknown("connection reset"));
    let id = s.mail("ada@example.com").await;
    s.settle().await;
    s.later(86_400).await;
    let record = s.record(id).await;
    assert_eq!(
        (record.status, record.outcome_unknown, record.error.as_deref()),
        (Failed, true, Some("outcome unknown: connection reset"))
    );
    assert!(s.recipients().is_empty());
}

#[tokio::test]
async fn a_wish_to_be_left_alone_counts_until_the_last_moment() {
    let s = Stage::new().await;
    let id = s.mail("ada@example.com").await;
    let sms = s.queue(json!({"channel": "sms", "to": "+14155550123", "text": "hi"})).await;
    let jobs = s.jobs().await;
    s.suppress("ADA@example.com").await;
    s.suppress("+1 415 555 0123").await;
    s.send(&jobs).await;
    assert_eq!((s.status(id).await, s.status(sms).await), (Suppressed, Suppressed));
    assert!(s.world.sent.sent().is_empty());
    assert_eq!(s.counts().await, [("suppressed", 2)].into());
    communications::unsuppress(s.app(), &s.ctx(), "ada@example.com").await.unwrap();
    communications::retry(s.app(), &s.ctx(), id, |_| axle_app::Answer::new(200, json!({}))).await.unwrap();
    s.settle().await;
    assert_eq!(s.recipients(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_lost_job_of_a_claimed_or_scheduled_message_is_made_up_for() {
    let s = Stage::new().await;
    let mut message = mail("ada@example.com");
    message["send_at"] = json!(s.app().now().plus_secs(60));
    let id = s.queue(message).await;
    drop(s.jobs().await);
    s.world.clock.advance_secs(100);
    assert_eq!(s.sweep().await, 1);
    s.settle().await;
    assert_eq!(s.status(id).await, Sent);
    s.world.clock.advance_secs(100);
    assert_eq!(s.sweep().await, 0);
}

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use axle_providers::queue::MemoryQueue;
use serde_json::{Value, json};

use super::*;

/// A bus that refuses each event as often as it is told to, and remembers the calls.
#[derive(Clone, Default)]
struct Moody {
    refusals: Arc<Mutex<BTreeMap<String, usize>>>,
    calls: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Moody {
    fn refusing(details: &[(&str, usize)]) -> Self {
        let refusals = details.iter().map(|(detail, times)| ((*detail).to_owned(), *times)).collect();
        Self { refusals: Arc::new(Mutex::new(refusals)), ..Self::default() }
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Bus for Moody {
    async fn publish(&self, batch: &[Publication]) -> Vec<(usize, String)> {
        self.calls.lock().unwrap().push(batch.iter().map(|event| event.detail.clone()).collect());
        let mut refusals = self.refusals.lock().unwrap();
        let refuse = |(index, event): (usize, &Publication)| {
            let left = refusals.get_mut(&event.detail).filter(|left| **left > 0)?;
            *left -= 1;
            Some((index, "ThrottlingException".to_owned()))
        };
        batch.iter().enumerate().filter_map(refuse).collect()
    }
}

fn event(n: usize) -> Value {
    let image = json!({"type": {"S": "event"}, "event_type": {"S": "lead.created"}, "body": {"S": format!("e{n}")}, "version": {"N": "1"}});
    json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}})
}

fn job(queue: &str, body: Value) -> Value {
    let image = json!({"type": {"S": "delivery"}, "job": {"S": queue}, "job_body": {"S": body.to_string()}});
    json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}})
}

fn batch(records: Vec<Value>) -> StreamEvent {
    serde_json::from_value(json!({"Records": records})).unwrap()
}

struct Fixture {
    relay: Relay,
    bus: Moody,
    queue: Arc<MemoryQueue>,
}

fn fixture(bus: Moody) -> Fixture {
    let queue = Arc::new(MemoryQueue::default());
    let deliver: Arc<dyn Queue> = Arc::<MemoryQueue>::clone(&queue);
    Fixture { relay: Relay::new(bus.clone(), [("deliver", deliver)]), bus, queue }
}

fn soon() -> std::time::Instant {
    std::time::Instant::now() + Duration::from_secs(20)
}

fn bodies(queue: &MemoryQueue) -> Vec<String> {
    queue.take().into_iter().map(|message| message.body).collect()
}

#[tokio::test]
async fn events_in_tens_and_jobs_to_their_queue() {
    let f = fixture(Moody::default());
    let mut records: Vec<Value> = (0..23).map(event).collect();
    records.push(job("deliver", json!({"delivery_id": "a"})));
    records.push(job("deliver", json!([{"delivery_id": "b"}, {"delivery_id": "c"}])));
    f.relay.run(batch(records), soon()).await.unwrap();
    assert_eq!(f.bus.calls().iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    assert_eq!(bodies(&f.queue), [r#"{"delivery_id":"a"}"#, r#"{"delivery_id":"b"}"#, r#"{"delivery_id":"c"}"#]);
}

#[tokio::test]
async fn only_insertions_count() {
    let f = fixture(Moody::default());
    let mut modified = event(1);
    modified["eventName"] = json!("MODIFY");
    let removed = json!({"eventName": "REMOVE", "dynamodb": {"OldImage": {"type": {"S": "event"}}}});
    let other = json!({"eventName": "INSERT", "dynamodb": {"NewImage": {"type": {"S": "lead"}, "tags": {"L": []}}}});
    f.relay.run(batch(vec![modified, removed, other]), soon()).await.unwrap();
    assert!(f.bus.calls().is_empty() && f.queue.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_refused_entries_are_sent_again() {
    let f = fixture(Moody::refusing(&[("e3", 2), ("e11", 1)]));
    f.queue.fail_next(1);
    let mut records: Vec<Value> = (0..12).map(event).collect();
    records.extend([job("deliver", json!({"n": 1})), job("deliver", json!({"n": 2}))]);
    f.relay.run(batch(records), soon()).await.unwrap();
    assert_eq!(f.bus.calls()[2..], [vec!["e3".to_owned(), "e11".to_owned()], vec!["e3".to_owned()]]);
    assert_eq!(bodies(&f.queue), [r#"{"n":2}"#, r#"{"n":1}"#]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_fails_the_batch_and_nothing_else_is_lost() {
    let f = fixture(Moody::refusing(&[("e1", usize::MAX)]));
    let records = vec![event(0), event(1), event(2), job("deliver", json!({"n": 1}))];
    let unsent = f.relay.run(batch(records), soon()).await.unwrap_err();
    assert_eq!((unsent.count, unsent.reason.as_str()), (1, "ThrottlingException"));
    assert_eq!(f.bus.calls().len(), 8);
    assert_eq!(bodies(&f.queue).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let f = fixture(Moody::refusing(&[("e0", usize::MAX)]));
    let deadline = std::time::Instant::now() + Duration::from_millis(120);
    assert!(f.relay.run(batch(vec![event(0)]), deadline).await.is_err());
    assert_eq!(f.bus.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_queue_keeps_its_job() {
    let f = fixture(Moody::default());
    let unsent = f.relay.run(batch(vec![job("agents", json!({})), event(1)]), soon()).await.unwrap_err();
    assert_eq!((unsent.count, unsent.reason.as_str()), (1, "there is no queue `agents`"));
    assert_eq!(f.bus.calls().len(), 1);
}

#[tokio::test]
async fn what_no_bus_takes_holds_nothing_up() {
    let f = fixture(Moody::default());
    let mut huge = event(1);
    huge["dynamodb"]["NewImage"]["body"]["S"] = json!("x".repeat(MAX_BYTES));
    f.relay.run(batch(vec![huge, event(2)]), soon()).await.unwrap();
    assert_eq!(f.bus.calls(), [["e2"]]);
}

#[test]
fn batches_keep_both_quotas() {
    let sized = |n: usize| Publication { event_type: String::new(), detail: "x".repeat(n - 4) };
    let sizes = |events: &[Publication]| divide(events).iter().map(|batch| batch.len()).collect::<Vec<_>>();
    assert!(sizes(&[]).is_empty());
    assert_eq!(sizes(&vec![sized(10); 21]), [10, 10, 1]);
    let half = MAX_BYTES / 2;
    assert_eq!(sizes(&[sized(half), sized(half), sized(10), sized(MAX_BYTES), sized(10)]), [2, 1, 1, 1]);
}

#[test]
fn records_are_as_old_as_the_stream_says() {
    let mut records = vec![event(1), event(2), event(3)];
    records[0]["dynamodb"]["ApproximateCreationDateTime"] = json!(1_795_509_030);
    records[1]["dynamodb"]["ApproximateCreationDateTime"] = json!(1_795_509_031.25);
    let ages = ages(&batch(records), 1_795_509_031_000);
    assert_eq!(ages, [1_000.0, 0.0], "a second, the clocks' difference, and one that is not told");
    let line = line(&ages, (2, 1), 0).json(&axle_telemetry::About::of("axle-event-relay", "axle"), 1);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["StreamAge"], &line["records"], &line["events"], &line["jobs"]),
        (&json!([1000.0, 0.0]), &json!(2), &json!(2), &json!(1))
    );
}

//! Batches of SQS messages.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use axle_domain::TraceId;
use axle_telemetry::{Counts, Line, metric};
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a handler may want to know about the message that it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMeta {
    pub message_id: String,
    /// How often the queue has handed the message out, this time included; 1 if the queue does not say.
    pub receive_count: u32,
}

/// A message without an id. Its failure could not be reported, so the whole batch has to be given back.
#[derive(Debug, thiserror::Error)]
#[error("a message of the batch has no id")]
pub struct MissingMessageId;

/// What a handler answers: nothing more than whether it failed, or also what it came to.
pub trait Handled {
    fn split(self) -> (Counts, Result<(), String>);
}

impl<E: Display> Handled for Result<(), E> {
    fn split(self) -> (Counts, Result<(), String>) {
        (Counts::none(), self.map_err(|e| e.to_string()))
    }
}

impl<E: Display> Handled for Result<Counts, E> {
    fn split(self) -> (Counts, Result<(), String>) {
        match self {
            Ok(counts) => (counts, Ok(())),
            Err(e) => (Counts::none(), Err(e.to_string())),
        }
    }
}

/// For work of which a part is done for good when the rest fails.
impl<E: Display> Handled for (Counts, Result<(), E>) {
    fn split(self) -> (Counts, Result<(), String>) {
        (self.0, self.1.map_err(|e| e.to_string()))
    }
}

/// A message of the batch, opened.
struct Received {
    meta: MessageMeta,
    body: Option<String>,
    /// Milliseconds since it was sent.
    age: Option<f64>,
}

/// Handles the messages of a batch side by side and answers which of them failed (`ReportBatchItemFailures`); SQS gives those
/// out again, and after the queue's `maxReceiveCount` puts them into its dead-letter queue.
///
/// A body that is not a `T` and a handler that panics are failures of their message alone. Each failure is logged once, here,
/// with the message's id and the trace that it belongs to: never with its body. One line tells of the whole batch, with its
/// metrics: how old the messages were, how many failed, and what the handler says that they came to.
///
/// # Errors
/// [`MissingMessageId`], before any message is handled.
pub async fn run<T, F>(event: SqsEvent, handler: impl Fn(T, MessageMeta) -> F) -> Result<SqsBatchResponse, MissingMessageId>
where
    T: DeserializeOwned,
    F: Future<Output: Handled>,
{
    let queue = event.records.iter().find_map(|message| queue_name(message.event_source_arn.as_deref()?)).map(str::to_owned);
    let now = axle_telemetry::now_ms();
    let messages: Result<Vec<Received>, _> = event.records.into_iter().map(|message| open(message, now)).collect();
    let messages = messages?;
    let ages: Vec<f64> = messages.iter().filter_map(|message| message.age).collect();
    let handled = messages.into_iter().map(async |Received { meta, body, .. }| {
        let id = meta.message_id.clone();
        // The handler's own call is inside, so that a panic before its first await is caught as well.
        let outcome = AssertUnwindSafe(handle(&handler, meta, body.as_deref())).catch_unwind().await;
        let (counts, outcome) = outcome.unwrap_or_else(|_| (Counts::none(), Err("the handler panicked".to_owned())));
        let failed = outcome.err().map(|error| {
            let trace_id = body.as_deref().and_then(trace_of).map(tracing::field::display);
            tracing::error!(message_id = id, trace_id, error, "a message was not handled");
            id
        });
        (counts, failed)
    });
    let handled = join_all(handled).await;
    axle_telemetry::write(&line(queue.as_deref(), &ages, &handled));
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = handled
        .into_iter()
        .filter_map(|(_, failed)| failed)
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    Ok(response)
}

/// The line about a batch.
fn line<'a>(queue: Option<&'a str>, ages: &[f64], handled: &[(Counts, Option<String>)]) -> Line<'a> {
    let mut line = Line::new("batch").number("messages", handled.len() as u64);
    if let Some(queue) = queue {
        line = line.queue(queue);
    }
    ages.iter().for_each(|age| line.add(metric::QUEUE_AGE, *age));
    let failed = handled.iter().filter(|(_, failed)| failed.is_some()).count() as u64;
    line.count(&Counts::none().with_any(metric::MESSAGES_FAILED, failed));
    handled.iter().for_each(|(counts, _)| line.count(counts));
    line
}

fn queue_name(arn: &str) -> Option<&str> {
    arn.rsplit(':').next().filter(|name| !name.is_empty())
}

fn open(message: SqsMessage, now: u64) -> Result<Received, MissingMessageId> {
    let message_id = message.message_id.filter(|id| !id.is_empty()).ok_or(MissingMessageId)?;
    let number = |name: &str| message.attributes.get(name).and_then(|n| n.parse::<u64>().ok());
    let receive_count = number("ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    // The clocks of two machines: what comes from the future is new.
    let age = number("SentTimestamp").map(|sent| now.saturating_sub(sent) as f64);
    Ok(Received { meta: MessageMeta { message_id, receive_count }, body: message.body, age })
}

async fn handle<T, F>(
    handler: &impl Fn(T, MessageMeta) -> F,
    meta: MessageMeta,
    body: Option<&str>,
) -> (Counts, Result<(), String>)
where
    T: DeserializeOwned,
    F: Future<Output: Handled>,
{
    match serde_json::from_str(body.unwrap_or_default()) {
        Ok(message) => handler(message, meta).await.split(),
        Err(e) => (Counts::none(), Err(unreadable(&e))),
    }
}

/// The trace that a message belongs to, whatever it is: its own member, or that of the event that it carries.
fn trace_of(body: &str) -> Option<TraceId> {
    #[derive(Deserialize)]
    struct Traced {
        trace_id: Option<TraceId>,
        detail: Option<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        trace_id: Option<TraceId>,
    }
    let traced: Traced = serde_json::from_str(body).ok()?;
    traced.trace_id.or(traced.detail.and_then(|detail| detail.trace_id))
}

/// Where and how a body cannot be read; serde's own message could quote it.
fn unreadable(error: &serde_json::Error) -> String {
    format!("the message cannot be read: {:?} error in line {}, column {}", error.classify(), error.line(), error.column())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    fn batch(bodies: &[&str]) -> SqsEvent {
        let record = |(i, body): (usize, &&str)| json!({"messageId": format!("m{i}"), "body": body, "attributes": {"ApproximateReceiveCount": "3"}, "messageAttributes": null});
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        serde_json::from_value(json!({"Records": records})).unwrap()
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect()
    }

    #[tokio::test]
    async fn one_message_does_not_fail_another() {
        let handler = |n: u64, meta: MessageMeta| async move {
            assert_eq!(meta.receive_count, 3);
            match n {
                1 => Err("refused"),
                2 => panic!("on purpose"),
                _ => Ok(()),
            }
        };
        let response = run(batch(&["0", "1", "2", "\"not a number\"", "", "5"]), handler).await.unwrap();
        assert_eq!(failed(&response), ["m1", "m2", "m3", "m4"]);
        let all_well = run(batch(&["0"]), handler).await.unwrap();
        assert_eq!(serde_json::to_value(all_well).unwrap(), json!({"batchItemFailures": []}));
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_is_caught_too() {
        fn handler(n: u64, _: MessageMeta) -> std::future::Ready<Result<(), &'static str>> {
            assert_ne!(n, 1, "on purpose");
            std::future::ready(Ok(()))
        }
        assert_eq!(failed(&run(batch(&["0", "1"]), handler).await.unwrap()), ["m1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_handled_side_by_side() {
        let started = Instant::now();
        let handler = |n: u64, _| async move {
            tokio::time::sleep(Duration::from_secs(n)).await;
            Ok::<_, String>(())
        };
        run(batch(&["1", "2", "3", "2"]), handler).await.unwrap();
        assert_eq!(started.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_message_without_an_id_gives_the_batch_back_untouched() {
        let calls = AtomicUsize::new(0);
        let event: SqsEvent =
            serde_json::from_value(json!({"Records": [{"messageId": "a", "body": "1"}, {"body": "2"}]})).unwrap();
        let handler = |_: u64, _| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, String>(()) }
        };
        assert!(run(event, handler).await.is_err());
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn the_line_about_a_batch_has_each_messages_age_and_what_all_came_to() {
        let about = axle_telemetry::About::of("axle-webhook-deliverer", "axle");
        let delivered = |n| Counts::none().with(metric::WEBHOOK_DELIVERED, n).with(metric::WEBHOOK_FAILED, 1 - n);
        let handled = [(delivered(1), None), (delivered(0), None), (Counts::none(), Some("m2".to_owned()))];
        let text = line(Some("axle-DeliverQueue"), &[20.0, 5.0, 90_000.0], &handled).json(&about, 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["QueueName"], &line["messages"]), (&json!("axle-DeliverQueue"), &json!(3)));
        assert_eq!(line["QueueAge"], json!([20.0, 5.0, 90000.0]));
        assert_eq!((&line["WebhookDelivered"], &line["WebhookFailed"]), (&json!([1.0, 0.0]), &json!([0.0, 1.0])));
        assert_eq!(line["MessagesFailed"], json!(1.0));
    }

    #[test]
    fn ages_are_from_when_it_was_sent_and_never_negative() {
        let sent = |at: &str| -> SqsMessage {
            serde_json::from_value(
                json!({"messageId": "a", "body": "1", "attributes": {"SentTimestamp": at}, "messageAttributes": null}),
            )
            .unwrap()
        };
        let age = |at: &str| open(sent(at), 1_795_509_030_500).unwrap().age;
        assert_eq!(age("1795509030000"), Some(500.0));
        assert_eq!(age("1795509031000"), Some(0.0), "the sender's clock is ahead");
        assert_eq!(age("soon"), None);
        assert_eq!(queue_name("arn:aws:sqs:us-east-1:123456789012:axle-DeliverQueue"), Some("axle-DeliverQueue"));
    }

    #[test]
    fn the_trace_of_any_message() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let of = |body: serde_json::Value| trace_of(&body.to_string()).map(|t| t.to_string());
        assert_eq!(of(json!({"delivery_id": "x", "trace_id": trace})).as_deref(), Some(trace));
        assert_eq!(of(json!({"detail": {"id": "x", "trace_id": trace}})).as_deref(), Some(trace));
        assert_eq!(of(json!({"detail": {}})), None);
        assert_eq!(trace_of("not JSON"), None);
    }

    #[test]
    fn unreadable_bodies_are_not_quoted() {
        let error = serde_json::from_str::<u64>("\"ada@example.com\"").unwrap_err();
        assert!(!unreadable(&error).contains("ada"));
    }
}

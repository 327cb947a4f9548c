//! Batches of SQS messages.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;
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

/// Handles the messages of a batch side by side and answers which of them failed (`ReportBatchItemFailures`); SQS gives those
/// out again, and after the queue's `maxReceiveCount` puts them into its dead-letter queue.
///
/// A body that is not a `T` and a handler that panics are failures of their message alone. Each failure is logged once, here,
/// with the message's id: never with its body.
///
/// # Errors
/// [`MissingMessageId`], before any message is handled.
pub async fn run<T, E, F>(event: SqsEvent, handler: impl Fn(T, MessageMeta) -> F) -> Result<SqsBatchResponse, MissingMessageId>
where
    T: DeserializeOwned,
    E: Display,
    F: Future<Output = Result<(), E>>,
{
    let messages: Result<Vec<(MessageMeta, Option<String>)>, _> = event.records.into_iter().map(open).collect();
    let handled = messages?.into_iter().map(async |(meta, body)| {
        let id = meta.message_id.clone();
        // The handler's own call is inside, so that a panic before its first await is caught as well.
        let outcome = AssertUnwindSafe(handle(&handler, meta, body.as_deref())).catch_unwind().await;
        let failure = match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(reason)) => reason,
            Err(_) => "the handler panicked".to_owned(),
        };
        tracing::error!(message_id = id, error = failure, "a message was not handled");
        Some(id)
    });
    let failed = join_all(handled).await.into_iter().flatten();
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    Ok(response)
}

fn open(message: SqsMessage) -> Result<(MessageMeta, Option<String>), MissingMessageId> {
    let message_id = message.message_id.filter(|id| !id.is_empty()).ok_or(MissingMessageId)?;
    let receive_count = message.attributes.get("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1);
    Ok((MessageMeta { message_id, receive_count }, message.body))
}

async fn handle<T, E, F>(handler: &impl Fn(T, MessageMeta) -> F, meta: MessageMeta, body: Option<&str>) -> Result<(), String>
where
    T: DeserializeOwned,
    E: Display,
    F: Future<Output = Result<(), E>>,
{
    let message = serde_json::from_str(body.unwrap_or_default()).map_err(|e| unreadable(&e))?;
    handler(message, meta).await.map_err(|e| e.to_string())
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

    #[test]
    fn unreadable_bodies_are_not_quoted() {
        let error = serde_json::from_str::<u64>("\"ada@example.com\"").unwrap_err();
        assert!(!unreadable(&error).contains("ada"));
    }
}

//! Standard SQS queues.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;

use super::batch::divide;
use super::{BatchError, Message, Queue, QueueError};
use crate::aws::AwsFailure;
use crate::lazy::Lazy;

/// Waits before single failed entries of a batch are sent again. Calls that fail as a whole are retried by the SDK.
const RETRIES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// One standard SQS queue.
#[derive(Debug)]
pub struct SqsQueue {
    client: Lazy<Client>,
    url: String,
}

impl SqsQueue {
    /// The queue with this URL.
    pub fn new(client: Lazy<Client>, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends the chosen messages in one call. Answers with those that failed, and whether it may help to try again.
    async fn send_entries(&self, messages: &[Message], chosen: &[usize]) -> Vec<(usize, QueueError, bool)> {
        let not_sent = |text: &str| QueueError::NotSent(AwsFailure::message(text));
        let entries = chosen.iter().map(|index| {
            let entry = Entry::builder().id(index.to_string()).message_body(&messages[*index].body);
            entry.delay_seconds(delay_seconds(messages[*index].delay)).build()
        });
        let entries: Vec<Entry> = match entries.collect() {
            Ok(entries) => entries,
            Err(error) => {
                let text = AwsFailure::of(&error).to_string();
                return chosen.iter().map(|index| (*index, not_sent(&text), false)).collect();
            }
        };
        let call = self.client.get().await.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let text = AwsFailure::call(&error).to_string();
                return chosen.iter().map(|index| (*index, not_sent(&text), false)).collect();
            }
        };
        let of_id = |id: &str| id.parse().ok().filter(|index| chosen.contains(index));
        let mut failed: Vec<(usize, QueueError, bool)> = Vec::new();
        for entry in answer.failed() {
            let text = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
            failed.extend(of_id(entry.id()).map(|index| (index, not_sent(&text), !entry.sender_fault())));
        }
        // An entry that is neither in one list nor in the other must not count as sent.
        let sent: Vec<usize> = answer.successful().iter().filter_map(|entry| of_id(entry.id())).collect();
        for index in chosen {
            if !sent.contains(index) && !failed.iter().any(|(known, ..)| known == index) {
                failed.push((*index, not_sent("missing in the answer"), true));
            }
        }
        failed
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: Message) -> Result<(), QueueError> {
        message.check()?;
        let call = self.client.get().await.send_message().queue_url(&self.url);
        let call = call.delay_seconds(delay_seconds(message.delay)).message_body(message.body);
        call.send().await.map_err(|error| QueueError::NotSent(AwsFailure::call(&error)))?;
        Ok(())
    }

    async fn send_batch(&self, messages: Vec<Message>) -> Result<(), BatchError> {
        let mut failed = Vec::new();
        let mut pending = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            match message.check() {
                Ok(()) => pending.push(index),
                Err(error) => failed.push((index, error)),
            }
        }
        let mut waits = RETRIES.iter();
        while !pending.is_empty() {
            let sizes: Vec<usize> = pending.iter().map(|index| messages[*index].body.len()).collect();
            let mut again = Vec::new();
            for batch in divide(&sizes) {
                let refused = self.send_entries(&messages, &pending[batch]).await;
                for (index, error, retry) in refused {
                    if retry { again.push((index, error)) } else { failed.push((index, error)) }
                }
            }
            pending = again.iter().map(|(index, _)| *index).collect();
            if pending.is_empty() {
                break;
            }
            let Some(wait) = waits.next() else {
                failed.extend(again);
                break;
            };
            tokio::time::sleep(*wait).await;
        }
        failed.sort_by_key(|(index, _)| *index);
        if failed.is_empty() { Ok(()) } else { Err(BatchError { failed }) }
    }
}

/// Rounded up: a message must not come early. Already checked against the limit.
fn delay_seconds(delay: Duration) -> i32 {
    let up = u64::from(delay.subsec_nanos() > 0);
    i32::try_from(delay.as_secs() + up).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use serde_json::{Value, json};
    use wiremock::matchers::{body_partial_json, header};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;

    fn queue(server: &MockServer) -> SqsQueue {
        let uri = server.uri();
        let client = Lazy::new(move || {
            Client::from_conf(
                aws_sdk_sqs::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new("eu-west-1"))
                    .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                    .retry_config(RetryConfig::disabled())
                    .endpoint_url(uri.clone())
                    .build(),
            )
        });
        SqsQueue::new(client, "https://sqs.eu-west-1.amazonaws.com/1/q")
    }

    fn entries(request: &Request) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["Entries"].as_array().unwrap().clone()
    }

    /// Answers batches; `verdict(body, how often it was seen before)` decides: `None` sent, `Some(fault)` failed by sender.
    async fn answering(verdict: impl Fn(&str, usize) -> Option<bool> + Send + Sync + 'static) -> MockServer {
        let server = MockServer::start().await;
        let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let respond = move |request: &Request| {
            let (mut sent, mut failed) = (Vec::new(), Vec::new());
            for entry in entries(request) {
                let body = entry["MessageBody"].as_str().unwrap().to_owned();
                let mut seen = seen.lock().unwrap();
                let count = seen.entry(body.clone()).or_default();
                match verdict(&body, *count) {
                    None => sent.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d"})),
                    Some(fault) => failed.push(json!({"Id": entry["Id"], "SenderFault": fault, "Code": "Oops"})),
                }
                *count += 1;
            }
            ResponseTemplate::new(200).set_body_json(json!({"Successful": sent, "Failed": failed}))
        };
        Mock::given(header("x-amz-target", "AmazonSQS.SendMessageBatch")).respond_with(respond).mount(&server).await;
        server
    }

    fn messages(count: usize) -> Vec<Message> {
        (0..count).map(|n| Message::now(format!("m{n}"))).collect()
    }

    async fn sent_bodies(server: &MockServer) -> Vec<Vec<String>> {
        let requests = server.received_requests().await.unwrap();
        let bodies =
            |request: &Request| entries(request).iter().map(|entry| entry["MessageBody"].as_str().unwrap().to_owned()).collect();
        requests.iter().map(bodies).collect()
    }

    #[tokio::test]
    async fn one_message_with_its_delay_rounded_up() {
        let server = MockServer::start().await;
        Mock::given(header("x-amz-target", "AmazonSQS.SendMessage"))
            .and(body_partial_json(json!({"MessageBody": "hello", "DelaySeconds": 3})))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"MessageId": "m", "MD5OfMessageBody": "d"})))
            .expect(1)
            .mount(&server)
            .await;
        queue(&server).send(Message::after(Duration::from_millis(2001), "hello")).await.unwrap();
    }

    #[tokio::test]
    async fn batches_of_ten() {
        let server = answering(|_, _| None).await;
        queue(&server).send_batch(messages(23)).await.unwrap();
        let sent = sent_bodies(&server).await;
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
        assert_eq!(sent.concat(), messages(23).into_iter().map(|m| m.body).collect::<Vec<_>>());
        queue(&server).send_batch(vec![]).await.unwrap();
    }

    #[tokio::test]
    async fn only_failed_entries_are_sent_again() {
        let server = answering(|body, seen| (body == "m3" && seen < 2 || body == "m11" && seen < 1).then_some(false)).await;
        queue(&server).send_batch(messages(12)).await.unwrap();
        let sent = sent_bodies(&server).await;
        assert_eq!(sent[2..], [vec!["m3".to_owned(), "m11".to_owned()], vec!["m3".to_owned()]]);
    }

    #[tokio::test]
    async fn retries_end() {
        let server = answering(|body, _| (body == "m1").then_some(false)).await;
        let error = queue(&server).send_batch(messages(3)).await.unwrap_err();
        assert_eq!(error.failed.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
        assert_eq!(sent_bodies(&server).await.len(), 1 + RETRIES.len());
    }

    #[tokio::test]
    async fn the_senders_own_faults_are_not_tried_again() {
        let server = answering(|body, _| (body == "m0").then_some(true)).await;
        let mut batch = messages(2);
        batch.push(Message::after(Duration::from_secs(901), "late"));
        let error = queue(&server).send_batch(batch).await.unwrap_err();
        assert_eq!(sent_bodies(&server).await, [["m0", "m1"]]);
        let [(0, QueueError::NotSent(_)), (2, QueueError::DelayTooLong)] = &error.failed[..] else { panic!("{error:?}") };
    }

    #[tokio::test]
    async fn a_call_that_fails_as_a_whole_fails_its_entries() {
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(403)).mount(&server).await;
        let error = queue(&server).send_batch(messages(12)).await.unwrap_err();
        assert_eq!(error.failed.len(), 12);
        assert!(matches!(queue(&server).send(Message::now("x")).await, Err(QueueError::NotSent(_))));
    }

    #[tokio::test]
    async fn entries_that_the_answer_forgets_are_not_taken_for_sent() {
        let server = MockServer::start().await;
        let empty = ResponseTemplate::new(200).set_body_json(json!({"Successful": [], "Failed": []}));
        Mock::given(wiremock::matchers::any()).respond_with(empty).mount(&server).await;
        assert_eq!(queue(&server).send_batch(messages(2)).await.unwrap_err().failed.len(), 2);
    }
}

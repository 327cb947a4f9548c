//! The event bus.

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use axle_providers::Lazy;

/// What all of Axle's events name as their source.
pub const SOURCE: &str = "axle";

/// One event on its way to the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The event's type, which becomes the `detail-type` that rules match on.
    pub event_type: String,
    /// The whole event as JSON: `detail`. It carries the trace id.
    pub detail: String,
}

impl Publication {
    /// Bytes that EventBridge counts for it (quota of `PutEvents`).
    pub fn size(&self) -> usize {
        SOURCE.len() + self.event_type.len() + self.detail.len()
    }
}

/// Somewhere to publish events.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes at most 10 events. Answers with the index and the reason of each that was not taken; of a call that failed as
    /// a whole, that is all of them.
    async fn publish(&self, batch: &[Publication]) -> Vec<(usize, String)>;
}

/// A bus of EventBridge.
#[derive(Debug)]
pub struct EventBridge {
    client: Lazy<Client>,
    name: String,
}

impl EventBridge {
    /// The bus with this name.
    pub fn new(client: Lazy<Client>, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }
}

#[async_trait]
impl Bus for EventBridge {
    async fn publish(&self, batch: &[Publication]) -> Vec<(usize, String)> {
        let entries = batch.iter().map(|event| {
            let entry = PutEventsRequestEntry::builder().event_bus_name(&self.name).source(SOURCE);
            entry.detail_type(&event.event_type).detail(&event.detail).build()
        });
        let call = self.client.get().await.put_events().set_entries(Some(entries.collect()));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let text = DisplayErrorContext(error).to_string();
                return (0..batch.len()).map(|index| (index, text.clone())).collect();
            }
        };
        // The answer's entries stand in the order of the request's. `FailedEntryCount` only says how many to look for, and an
        // entry that the answer forgets must not count as published.
        let entries = answer.entries();
        let refused = (0..batch.len()).filter_map(|index| match entries.get(index) {
            Some(entry) if entry.error_code().is_none() && entry.event_id().is_some() => None,
            Some(entry) => {
                let code = entry.error_code().unwrap_or("no event id");
                Some((index, format!("{code}: {}", entry.error_message().unwrap_or_default())))
            }
            None => Some((index, "missing in the answer".to_owned())),
        });
        refused.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use serde_json::{Value, json};
    use wiremock::matchers::header;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn answering(response: ResponseTemplate) -> (MockServer, EventBridge) {
        let server = MockServer::start().await;
        Mock::given(header("x-amz-target", "AWSEvents.PutEvents")).respond_with(response).mount(&server).await;
        let uri = server.uri();
        let client = Lazy::new(move || {
            Client::from_conf(
                aws_sdk_eventbridge::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new("eu-west-1"))
                    .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                    .retry_config(RetryConfig::disabled())
                    .endpoint_url(uri.clone())
                    .build(),
            )
        });
        (server, EventBridge::new(client, "axle-events"))
    }

    fn events(count: usize) -> Vec<Publication> {
        let event = |n| Publication { event_type: "lead.created".to_owned(), detail: json!({"n": n}).to_string() };
        (0..count).map(event).collect()
    }

    #[tokio::test]
    async fn entries_as_rules_expect_them() {
        let ok = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "a"}]});
        let (server, bus) = answering(ResponseTemplate::new(200).set_body_json(ok)).await;
        assert!(bus.publish(&events(1)).await.is_empty());
        let sent: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
        let expected =
            json!({"EventBusName": "axle-events", "Source": "axle", "DetailType": "lead.created", "Detail": "{\"n\":0}"});
        assert_eq!(sent["Entries"], json!([expected]));
    }

    #[tokio::test]
    async fn each_entry_is_looked_at() {
        let mixed = json!({"FailedEntryCount": 1, "Entries": [
            {"EventId": "a"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}, {"EventId": "c"},
        ]});
        let (_server, bus) = answering(ResponseTemplate::new(200).set_body_json(mixed)).await;
        let refused = bus.publish(&events(4)).await;
        assert_eq!(refused, [(1, "ThrottlingException: slow down".to_owned()), (3, "missing in the answer".to_owned())]);
    }

    #[tokio::test]
    async fn a_failed_call_fails_every_entry() {
        let (_server, bus) = answering(ResponseTemplate::new(500)).await;
        assert_eq!(bus.publish(&events(3)).await.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [0, 1, 2]);
    }
}

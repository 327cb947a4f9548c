//! Drives functions the way the deployed stack connects them: API call -> table stream -> relay -> queue -> worker.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::aws::IMPORT_QUEUE;
use crate::events::{self, Request};
use crate::function::{Answer, Function};
use crate::world::World;

/// As many records as the deployed event source hands over at most in one batch would do; ten are quick to look at.
pub const RELAY_BATCH: usize = 10;

/// A tenant with a key whose limits are never in the way.
pub struct Tenant {
    pub api_key: String,
    pub entity_id: String,
}

impl Tenant {
    /// Creates one by the operator's call, as `make key` does. Needs the `identity` function.
    pub async fn create(world: &World) -> Result<Self> {
        let limit = 1_000_000_000;
        let limits = json!({
            "campaigns": limit, "leads": limit, "agents": limit, "queries": limit, "plan": limit,
        });
        let call = json!({"operator": {"create_key": {
            "entity_id": "new", "entity_name": "Bench", "name": "bench", "scopes": ["*"], "plan": "enterprise",
            "limits": limits, "expires_at": null,
        }}});
        let mut identity = Function::start(&world.launch("identity")).await?;
        let answer = identity.invoke(call.to_string()).await?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        match (answer["api_key"].as_str(), answer["entity_id"].as_str()) {
            (Some(api_key), Some(entity_id)) => Ok(Self { api_key: api_key.to_owned(), entity_id: entity_id.to_owned() }),
            _ => Err(format!("identity made no key: {answer}").into()),
        }
    }

    pub fn event(&self, request: &Request) -> Vec<u8> {
        request.event(&self.api_key).to_string().into_bytes()
    }
}

/// An HTTP answer, unwrapped.
pub struct HttpAnswer {
    pub body: Value,
    pub time: Duration,
}

/// Sends an HTTP event; any other status than the expected one is an error that shows the answer.
pub async fn call(function: &mut Function, event: Vec<u8>, expected: u16) -> Result<HttpAnswer> {
    let Answer { body, time } = function.invoke(event).await?;
    let answer: Value = serde_json::from_slice(&body)?;
    let text = answer["body"].as_str().unwrap_or_default();
    if answer["statusCode"] != expected {
        return Err(format!("expected {expected}, not {}: {text}", answer["statusCode"]).into());
    }
    Ok(HttpAnswer { body: serde_json::from_str(text).unwrap_or_default(), time })
}

/// Hands a batch to a worker; one that reports failed items is an error.
pub async fn deliver(worker: &mut Function, event: &Value) -> Result<Duration> {
    let answer = worker.invoke(event.to_string()).await?;
    let report: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match report["batchItemFailures"].as_array() {
        Some(failures) if !failures.is_empty() => Err(format!("items of a batch failed: {report}").into()),
        _ => Ok(answer.time),
    }
}

/// Passes everything that the table's stream has ready through the relay.
pub async fn relay(world: &mut World, relay: &mut Function) -> Result<()> {
    for batch in world.table.new_records()?.chunks(RELAY_BATCH) {
        deliver(relay, &events::stream(batch)).await?;
    }
    Ok(())
}

/// The waiting import messages, each as the event that delivers it.
pub fn import_events(world: &World) -> Vec<Value> {
    world.aws.take_messages(IMPORT_QUEUE).iter().map(|body| events::sqs(IMPORT_QUEUE, body)).collect()
}

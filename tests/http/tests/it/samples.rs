//! The sample events in `events/` are what the functions are triggered with.

use aws_lambda_events::{dynamodb, sqs};
use axle_app::agents::AgentMessage;
use axle_app::communications::OutboxJob;
use axle_app::outreach::campaigns::{CampaignJob, RunJob};
use axle_domain::mail::Feedback;
use axle_messaging::Envelope;
use axle_messaging::relay::StreamEvent;
use axle_store::deliveries::DeliverJob;
use axle_store::imports::ImportJob;
use axum::body::Body;
use lambda_http::request::LambdaRequest;
use serde_json::Value;

use crate::support::Api;

/// Name and content of every sample.
fn samples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
            all.push((name, event));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn http_samples() -> Vec<(String, Value)> {
    samples().into_iter().filter(|(name, _)| name.starts_with("http-")).collect()
}

/// The request that a function's router is given for an event.
fn request(name: &str, event: &Value) -> http::Request<Body> {
    let event: LambdaRequest = serde_json::from_value(event.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let request: lambda_http::Request = event.into();
    request.map(|body| Body::from(body.to_vec()))
}

#[test]
fn every_sample_is_of_its_trigger() {
    let mut kinds = [0; 4];
    for (name, event) in samples() {
        let records = event["Records"].as_array().cloned().unwrap_or_default();
        let kind = match records.first().and_then(|record| record["eventSource"].as_str()) {
            Some("aws:sqs") => {
                let event: sqs::SqsEvent = serde_json::from_value(event).unwrap_or_else(|e| panic!("{name}: {e}"));
                event.records.iter().for_each(|message| read_message(&name, message));
                0
            }
            Some("aws:dynamodb") => {
                serde_json::from_value::<StreamEvent>(event.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
                let event: dynamodb::Event = serde_json::from_value(event).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(event.records.iter().all(|record| record.event_source_arn.is_some()), "{name}");
                1
            }
            None if name.starts_with("http-") => {
                let request = request(&name, &event);
                assert_eq!(request.uri().path(), event["rawPath"].as_str().unwrap(), "{name}");
                assert_eq!(request.uri().query().unwrap_or_default(), event["rawQueryString"].as_str().unwrap(), "{name}");
                2
            }
            // What the template's schedule sends.
            None if name == "schedule.json" => {
                assert_eq!(event, serde_json::json!({"sweep": "due"}));
                3
            }
            other => panic!("{name}: {other:?} triggers nothing"),
        };
        kinds[kind] += 1;
    }
    assert!(kinds.iter().all(|&n| n > 0), "a kind of trigger has no sample: {kinds:?}");
}

/// The body is read as the worker of its queue does.
fn read_message(name: &str, message: &sqs::SqsMessage) {
    let body = message.body.as_deref().unwrap_or_default();
    let queue = message.event_source_arn.as_deref().unwrap_or_default().replace('-', "").to_lowercase();
    let unreadable = if queue.contains("importqueue") {
        serde_json::from_str::<ImportJob>(body).err().map(|e| e.to_string())
    } else if queue.contains("deliverqueue") {
        serde_json::from_str::<DeliverJob>(body).err().map(|e| e.to_string())
    } else if queue.contains("outboxqueue") {
        serde_json::from_str::<OutboxJob>(body).err().map(|e| e.to_string())
    } else if queue.contains("feedbackqueue") {
        Feedback::parse(body).err().map(|e| e.to_string())
    } else if queue.contains("agentsqueue") {
        serde_json::from_str::<AgentMessage>(body).err().map(|e| e.to_string())
    } else if queue.contains("campaignqueue") {
        let run = serde_json::from_str::<RunJob>(body).map(drop);
        let campaign = serde_json::from_str::<CampaignJob>(body).map(drop);
        run.or(campaign).or(serde_json::from_str::<Envelope>(body).map(drop)).err().map(|e| e.to_string())
    } else if queue.contains("dispatchqueue") {
        serde_json::from_str::<Envelope>(body).err().map(|e| e.to_string())
    } else {
        panic!("{name}: {queue} is no queue of the template")
    };
    assert!(unreadable.is_none(), "{name}: {unreadable:?}");
    assert!(message.message_id.is_some() && message.attributes.contains_key("ApproximateReceiveCount"), "{name}");
}

#[tokio::test]
async fn http_samples_lead_to_operations() {
    let api = Api::new().await;
    for (name, event) in http_samples() {
        let (mut parts, body) = request(&name, &event).into_parts();
        parts.headers.remove("authorization");
        let answer = axle_testkit::call(&api.router, http::Request::from_parts(parts, body)).await;
        let public = event["rawPath"] == "/docs" || event["rawPath"] == "/openapi.json";
        assert_eq!(answer.status, if public { 200 } else { 401 }, "{name}: {}", answer.text);
    }
}

#[tokio::test]
async fn http_samples_are_accepted() {
    let api = Api::new().await;
    for (name, event) in http_samples() {
        let (mut parts, body) = request(&name, &event).into_parts();
        parts.headers.insert("authorization", format!("Bearer {}", api.me.api_key).parse().unwrap());
        // Samples of the CRM name an entity that is not the test's.
        let own = parts.uri.to_string().replace("01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a01", &api.me.entity_id.to_string());
        parts.uri = own.parse().unwrap();
        let answer = axle_testkit::call(&api.router, http::Request::from_parts(parts, body)).await;
        // A sample's id names nothing here; what is wrong with a request is found before or after that, but never 404.
        assert!(answer.status.is_success() || answer.status == 404, "{name}: {}", answer.text);
    }
}

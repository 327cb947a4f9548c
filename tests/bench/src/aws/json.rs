//! Secrets Manager, SQS and EventBridge: JSON in, JSON out, the operation in `X-Amz-Target`.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::Backend;

/// Long enough for any key derivation; the same for every secret.
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

const MESSAGE_ID: &str = "00000000-0000-4000-8000-000000000001";

pub fn answer(backend: &Backend, target: &str, body: &[u8]) -> Response<Body> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    match target {
        "secretsmanager.GetSecretValue" => reply(json!({
            "ARN": request["SecretId"], "Name": "bench", "SecretString": SECRET, "VersionStages": ["AWSCURRENT"],
            "VersionId": MESSAGE_ID,
        })),
        "AmazonSQS.SendMessage" => {
            receive(backend, &request["QueueUrl"], &request["MessageBody"]);
            reply(json!({"MessageId": MESSAGE_ID, "MD5OfMessageBody": ""}))
        }
        "AmazonSQS.SendMessageBatch" => {
            let sent = entries(&request).map(|entry| {
                receive(backend, &request["QueueUrl"], &entry["MessageBody"]);
                json!({"Id": entry["Id"], "MessageId": MESSAGE_ID, "MD5OfMessageBody": ""})
            });
            reply(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []}))
        }
        "AWSEvents.PutEvents" => {
            let published: Vec<_> = entries(&request).map(|_| json!({"EventId": MESSAGE_ID})).collect();
            backend.received().events += published.len() as u64;
            reply(json!({"FailedEntryCount": 0, "Entries": published}))
        }
        other => {
            backend.unknown(other.to_owned());
            let fault = json!({"__type": "UnknownOperationException", "message": format!("{other} is not faked")});
            with_status(400, &fault)
        }
    }
}

fn entries(request: &Value) -> impl Iterator<Item = &Value> {
    request["Entries"].as_array().into_iter().flatten()
}

fn receive(backend: &Backend, queue_url: &Value, body: &Value) {
    let queue = queue_url.as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let body = body.as_str().unwrap_or_default();
    backend.received().messages.push((queue.to_owned(), body.to_owned()));
}

fn reply(body: Value) -> Response<Body> {
    with_status(200, &body)
}

fn with_status(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

//! Events as Lambda delivers them: an HTTP API's request (payload format 2.0), an SQS batch, a table stream's batch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An HTTP request to an API Gateway HTTP API.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub query: String,
    pub content_type: Option<&'static str>,
    pub body: Option<String>,
}

impl Request {
    pub fn get(path: &str, query: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), query: query.to_owned(), content_type: None, body: None }
    }

    pub fn post_json(path: &str, body: &Value) -> Self {
        Self { content_type: Some("application/json"), ..Self::post(path, body.to_string()) }
    }

    pub fn post_csv(path: &str, body: String) -> Self {
        Self { content_type: Some("text/csv"), ..Self::post(path, body) }
    }

    fn post(path: &str, body: String) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(path, "") }
    }

    /// The event for it, with the caller's API key.
    pub fn event(&self, api_key: &str) -> Value {
        let host = "axle.execute-api.us-east-1.amazonaws.com";
        let mut headers = BTreeMap::from([
            ("accept", "application/json".to_owned()),
            ("authorization", format!("Bearer {api_key}")),
            ("host", host.to_owned()),
            ("user-agent", "axle-bench".to_owned()),
            ("x-forwarded-for", "192.0.2.1".to_owned()),
            ("x-forwarded-port", "443".to_owned()),
            ("x-forwarded-proto", "https".to_owned()),
        ]);
        if let Some(content_type) = self.content_type {
            headers.insert("content-type", content_type.to_owned());
            headers.insert("content-length", self.body.as_deref().map_or(0, str::len).to_string());
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": format!("ANY {}", self.path),
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "axle",
                "domainName": host,
                "domainPrefix": "axle",
                "http": {
                    "method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                    "userAgent": "axle-bench",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": format!("ANY {}", self.path),
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": 1_767_225_600_000_u64,
            },
            "isBase64Encoded": false,
        });
        if !self.query.is_empty() {
            let parameters: BTreeMap<&str, &str> = self.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            event["queryStringParameters"] = json!(parameters);
        }
        if let Some(body) = &self.body {
            event["body"] = json!(body);
        }
        event
    }
}

/// One SQS message, received for the first time.
pub fn sqs(queue: &str, body: &str) -> Value {
    json!({"Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1767225600001",
        },
        "messageAttributes": {},
        "md5OfBody": "00000000000000000000000000000000",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "awsRegion": "us-east-1",
    }]})
}

pub fn stream(records: &[Value]) -> Value {
    json!({ "Records": records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_key_query_and_body() {
        let event = Request::post_json("/leads", &json!({"email": "a@b.example"})).event("ak_1");
        assert_eq!(event["headers"]["authorization"], "Bearer ak_1");
        assert_eq!(event["body"], r#"{"email":"a@b.example"}"#);
        let event = Request::get("/leads", "limit=20&q=x").event("ak_1");
        assert_eq!(event["queryStringParameters"], json!({"limit": "20", "q": "x"}));
        assert_eq!(event["requestContext"]["http"]["method"], "GET");
    }
}

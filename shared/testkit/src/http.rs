//! Requests to a router without a network.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// An answer with its body read.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The pointers of a 422's faults.
    pub fn pointers(&self) -> Vec<String> {
        let body = self.json();
        let pointer = |e: &Value| e["pointer"].as_str().unwrap_or_default().to_owned();
        // Each surface has its own form.
        let faults = [&body["errors"], &body["details"], &body["error"]["details"]];
        faults.into_iter().find_map(Value::as_array).into_iter().flatten().map(pointer).collect()
    }
}

/// A request with a bearer key and a JSON body, ready for more headers.
pub fn request(method: &str, path: &str, key: Option<&str>, body: Option<Value>) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        builder = builder.header("authorization", format!("Bearer {key}"));
    }
    let body = body.map_or_else(Body::empty, |b| Body::from(b.to_string()));
    builder.header("content-type", "application/json").body(body).expect("a test's request is well-formed")
}

/// Sends a request.
pub async fn call(router: &Router, request: Request<Body>) -> Answered {
    let response = router.clone().oneshot(request).await.expect("a router always answers");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body can be read").to_bytes();
    Answered { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

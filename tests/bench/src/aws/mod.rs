//! The few AWS calls that functions make besides DynamoDB, answered in-process as fast as loopback allows.

mod chunked;
mod json;
mod objects;
mod s3;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, Uri};
use bytes::Bytes;

use crate::Result;
use crate::net::Server;
pub use objects::Object;
use objects::Objects;
pub use s3::key_of;

/// The names that the functions find in their environment.
pub const BUCKET: &str = "axle-bench";
pub const BUS: &str = "axle-bench";
pub const IMPORT_QUEUE: &str = "import";
pub const DELIVER_QUEUE: &str = "deliver";
pub const OUTBOX_QUEUE: &str = "outbox";
pub const AGENTS_QUEUE: &str = "agents";
pub const CAMPAIGN_QUEUE: &str = "campaign";

/// What the functions have left behind.
#[derive(Default)]
pub struct Received {
    /// Bodies of messages sent to a queue and not taken yet, with the queue's name, oldest first.
    pub messages: Vec<(String, String)>,
    /// Events published on the bus so far.
    pub events: u64,
    /// Calls that nothing here answers, named once each: a gap in this fake, not in the functions.
    pub unknown: Vec<String>,
}

#[derive(Default)]
pub struct Backend {
    received: Mutex<Received>,
    objects: Mutex<Objects>,
}

/// The running fake.
pub struct Aws {
    server: Server,
    backend: Arc<Backend>,
}

impl Aws {
    pub fn start() -> Result<Self> {
        let backend = Arc::new(Backend::default());
        Ok(Self { server: Server::start(routes(backend.clone()))?, backend })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn queue_url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.url())
    }

    /// Stores an object as if a user had uploaded it to `key`.
    pub fn put_object(&self, key: &str, object: Object) {
        self.backend.objects().put(key, object);
    }

    /// Takes the waiting messages of a queue, oldest first. Delays are not kept: a message is there at once.
    pub fn take_messages(&self, queue: &str) -> Vec<String> {
        let mut received = self.backend.received();
        let (taken, left) = std::mem::take(&mut received.messages).into_iter().partition(|(name, _)| name == queue);
        received.messages = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, body)| body).collect()
    }

    pub fn events(&self) -> u64 {
        self.backend.received().events
    }

    pub fn unknown_calls(&self) -> Vec<String> {
        self.backend.received().unknown.clone()
    }
}

impl Backend {
    // A poisoned lock only means that a request handler panicked; the plain data behind it is still whole.
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unknown(&self, call: String) {
        let mut received = self.received();
        if !received.unknown.contains(&call) {
            received.unknown.push(call);
        }
    }
}

fn routes(backend: Arc<Backend>) -> Router {
    Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(backend)
}

/// JSON services name their operation in a header; everything else is S3.
async fn handle(
    State(backend): State<Arc<Backend>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    match headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        Some(target) => json::answer(&backend, target, &body),
        None => s3::answer(&backend, &method, &uri, &headers, body),
    }
}

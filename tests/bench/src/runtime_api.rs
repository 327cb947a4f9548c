//! The Lambda runtime API for one function process: hands out invocations, takes the answers, and times both.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use crate::Result;
use crate::net::Server;

/// What the process told the runtime API.
pub enum Message {
    /// The process asked for its next invocation. Reported for the first time only: that is the end of its cold start.
    Ready { at: Instant },
    /// It answered an invocation (`failed`: through the error path).
    Answered { id: String, body: Bytes, time: Duration, failed: bool },
    /// It gave up before it was ready.
    InitFailed { body: Bytes },
}

struct Invocation {
    id: String,
    payload: Bytes,
    timeout: Duration,
}

struct Shared {
    function: String,
    waiting: Mutex<Waiting>,
    running: Mutex<Option<Instant>>,
    messages: mpsc::UnboundedSender<Message>,
}

struct Waiting {
    invocations: mpsc::UnboundedReceiver<Invocation>,
    polled: bool,
}

pub struct RuntimeApi {
    server: Server,
    invocations: mpsc::UnboundedSender<Invocation>,
    messages: mpsc::UnboundedReceiver<Message>,
    next_id: u64,
}

impl RuntimeApi {
    pub fn start(function: &str) -> Result<Self> {
        let (invocations, waiting) = mpsc::unbounded_channel();
        let (sender, messages) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            function: function.to_owned(),
            waiting: Mutex::new(Waiting { invocations: waiting, polled: false }),
            running: Mutex::new(None),
            messages: sender,
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        Ok(Self { server: Server::start(routes)?, invocations, messages, next_id: 0 })
    }

    /// `host:port`, the value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// Queues an invocation and returns its id; `timeout` becomes the deadline from the moment it is handed out.
    pub fn invoke(&mut self, payload: Bytes, timeout: Duration) -> String {
        self.next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.next_id);
        // A closed channel means a stopped server; the caller sees that as a missing answer.
        let _ = self.invocations.send(Invocation { id: id.clone(), payload, timeout });
        id
    }

    /// The next message from the process; never resolves when it is silent, so give it a deadline.
    pub async fn message(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let arrived = Instant::now();
    let mut waiting = shared.waiting.lock().await;
    if !waiting.polled {
        waiting.polled = true;
        let _ = shared.messages.send(Message::Ready { at: arrived });
    }
    let Some(invocation) = waiting.invocations.recv().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    drop(waiting);
    let answer = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.id)
        .header("lambda-runtime-deadline-ms", deadline_ms(invocation.timeout))
        .header(
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:us-east-1:000000000000:function:{}", shared.function),
        )
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
        .body(Body::from(invocation.payload));
    *shared.running.lock().await = Some(Instant::now());
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answered(&shared, id, body, false).await
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answered(&shared, id, body, true).await
}

async fn answered(shared: &Shared, id: String, body: Bytes, failed: bool) -> StatusCode {
    let now = Instant::now();
    let time = shared.running.lock().await.take().map_or(Duration::ZERO, |from| now - from);
    let _ = shared.messages.send(Message::Answered { id, body, time, failed });
    StatusCode::ACCEPTED
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let _ = shared.messages.send(Message::InitFailed { body });
    StatusCode::ACCEPTED
}

fn deadline_ms(timeout: Duration) -> String {
    let at = SystemTime::now() + timeout;
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string()
}

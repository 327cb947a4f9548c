//! What is asked, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::error::Error;

/// How much of an answer's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// The first bytes up to this many; the rest is not read and does not matter, nor does a body that breaks off.
    First(usize),
    /// All of it or nothing: a longer body is [`Error::TooLarge`], one that breaks off is an error too.
    Whole(usize),
}

/// One call.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
    pub(super) limit: BodyLimit,
}

impl Request {
    /// A request without a body. Unless told otherwise it has 15 s, and the first KiB of the answer is kept.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(15),
            limit: BodyLimit::First(1024),
        }
    }

    /// A GET; see [`Request::new`].
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST; see [`Request::new`].
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url).body(body)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header. One that HTTP does not allow makes the call fail with [`Error::Other`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the time for everything: resolving, connecting, sending, and reading the answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much of the answer is read.
    pub fn limit(mut self, limit: BodyLimit) -> Self {
        self.limit = limit;
        self
    }
}

/// Leaves out what may be confidential: path, headers and body.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status; redirects are answers like any other.
    pub status: u16,
    /// `Retry-After` as sent.
    pub retry_after: Option<String>,
    /// `Content-Type` as sent.
    pub content_type: Option<String>,
    /// All headers as sent, names in lower case; values that are not ASCII are left out.
    pub headers: Vec<(String, String)>,
    /// As much of the body as [`BodyLimit`] asks for, undecoded.
    pub body: Bytes,
    /// Whether the body had more, or broke off. Never true under [`BodyLimit::Whole`].
    pub truncated: bool,
}

impl Response {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text for people, at most `max` bytes of it; what is not UTF-8 becomes U+FFFD.
    pub fn excerpt(&self, max: usize) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text[..text.floor_char_boundary(max)].to_owned()
    }
}

/// A call from start to end.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How long it took, failed or not.
    pub duration: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<Response, Error>,
}

//! The one error of the use cases. Each surface has one conversion of it into its own body.

use axle_domain::Fault;
use axle_domain::identity::Scope;
use axle_store::CommitError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: it cannot be read at all.
    #[error("{0}")]
    Malformed(String),
    /// 401: no credential, or one that is not good. The text never says which part of it is wrong.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: the credential does not have this scope.
    #[error("the credential lacks the scope `{0}`")]
    MissingScope(Scope),
    /// 403: not allowed for another reason.
    #[error("{0}")]
    Forbidden(String),
    /// 404: no such thing in this tenant.
    #[error("no {0} has this id")]
    NotFound(&'static str),
    /// 409: it contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// 409: the first request with the same idempotency key has not ended; seconds to wait.
    #[error("the first request with this idempotency key is still running")]
    StillRunning(i64),
    /// 412: it was changed since it was read.
    #[error("the resource has changed since it was read; its current ETag is {0}")]
    PreconditionFailed(String),
    /// 413
    #[error("{0}")]
    TooLarge(String),
    /// 415
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// 422: readable, but not valid; every fault at once.
    #[error("{} of the request {} not valid", count(.0.len()), if .0.len() == 1 { "is" } else { "are" })]
    Invalid(Vec<Fault>),
    /// 429: seconds to wait.
    #[error("too many requests; the limit resets in {0} s")]
    RateLimited(i64),
    /// 503: something that we need is down; the text is for the log.
    #[error("a part of the service is not available for the moment")]
    Unavailable(String),
    /// 500; the text is for the log.
    #[error("something went wrong on our side")]
    Internal(String),
}

fn count(parts: usize) -> String {
    if parts == 1 { "1 part".to_owned() } else { format!("{parts} parts") }
}

impl Error {
    /// One fault as a 422.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault::new(pointer, detail)])
    }

    /// What the log should know and the caller should not.
    pub fn internal_detail(&self) -> Option<&str> {
        match self {
            Self::Unavailable(detail) | Self::Internal(detail) => Some(detail),
            _ => None,
        }
    }

    /// What the log of a worker, which has no caller, should say.
    pub fn for_the_log(&self) -> String {
        self.internal_detail().map_or_else(|| self.to_string(), str::to_owned)
    }
}

impl From<axle_store::Error> for Error {
    fn from(e: axle_store::Error) -> Self {
        match e {
            axle_store::Error::Unavailable(detail) => Self::Unavailable(detail),
            axle_store::Error::Fault(detail) => Self::Internal(detail),
        }
    }
}

/// For writes whose conditions cannot fail but by a race that the caller can repeat.
impl From<CommitError> for Error {
    fn from(e: CommitError) -> Self {
        match e {
            CommitError::Condition { label: "idempotency", .. } => Self::StillRunning(1),
            CommitError::Condition { label, .. } => Self::Conflict(format!("the {label} changed at the same moment; try again")),
            CommitError::Store(e) => e.into(),
        }
    }
}

impl From<axle_store::BadCursor> for Error {
    fn from(e: axle_store::BadCursor) -> Self {
        Self::Malformed(e.to_string())
    }
}

impl From<axle_providers::secrets::SecretError> for Error {
    fn from(e: axle_providers::secrets::SecretError) -> Self {
        Self::Unavailable(e.to_string())
    }
}

impl From<axle_providers::vault::VaultError> for Error {
    fn from(e: axle_providers::vault::VaultError) -> Self {
        Self::Internal(e.to_string())
    }
}

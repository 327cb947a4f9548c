//! What can go wrong between us and the table, apart from conditions, which are answers and not errors.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table asks to slow down, or cannot be reached: trying again later can help.
    #[error("the table is not available: {0}")]
    Unavailable(String),
    /// A request that can never succeed, or an item that does not have the form that its type promises.
    #[error("table: {0}")]
    Fault(String),
}

impl Error {
    pub(crate) fn mapping(what: &str, e: impl std::fmt::Display) -> Self {
        Self::Fault(format!("{what} does not map: {e}"))
    }
}

/// Codes after which the same request may succeed later.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionInProgressException",
    "TransactionConflictException",
];

pub(crate) fn sdk<E>(e: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    match &e {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("unknown");
            let text = format!("{code}: {}", service.err().message().unwrap_or_default());
            // A 5xx need not come from DynamoDB itself, and then says nothing that could be read.
            let theirs = service.raw().status().is_server_error();
            if theirs || PASSING.contains(&code) { Error::Unavailable(text) } else { Error::Fault(text) }
        }
        SdkError::TimeoutError(_) => Error::Unavailable("timed out".to_owned()),
        SdkError::DispatchFailure(d) => Error::Unavailable(format!("connection: {:?}", d.as_connector_error())),
        _ => Error::Unavailable("unreadable answer".to_owned()),
    }
}

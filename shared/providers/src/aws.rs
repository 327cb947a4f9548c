//! What the AWS wrappers share.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// An AWS call that failed, for the log: the service's code and message and the causes underneath, in one line. Neither request
/// nor answer are in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AwsFailure(String);

impl AwsFailure {
    /// A call that failed.
    pub(crate) fn call<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> Self {
        match (error.code(), error.message()) {
            (Some(code), Some(message)) => Self(format!("{code}: {message}")),
            (Some(code), None) => Self(code.to_owned()),
            (None, _) => match status(error) {
                Some(status) => Self(format!("HTTP status {status}")),
                None => Self::of(error),
            },
        }
    }

    /// Any other error, with its causes.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
        Self(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// A failure that no error stands for, such as one entry of a batch.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The HTTP status that the service answered with, if it answered.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether the answer means that S3 has no such object. To those who may not list the bucket, and functions may not, S3 answers
/// 403 in place of 404; since that could be a missing permission as well, it is logged.
pub(crate) fn is_absent<E>(error: &SdkError<E>, key: &str) -> bool {
    let status = status(error);
    if status == Some(403) {
        tracing::warn!(key, "S3 answered 403, which is taken for a missing object");
    }
    matches!(status, Some(403 | 404))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no connection")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_listed() {
        let error = Outer(io::Error::other("refused"));
        assert_eq!(AwsFailure::of(&error).to_string(), "no connection: refused");
    }
}

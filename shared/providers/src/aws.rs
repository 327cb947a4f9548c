//! What the AWS wrappers share.

use std::error::Error;

use aws_sdk_s3::error::{DisplayErrorContext, SdkError};

/// An AWS call that failed, for the log: the SDK's account of it, without the request.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AwsFailure(String);

impl AwsFailure {
    pub(crate) fn new(error: impl Error) -> Self {
        Self(DisplayErrorContext(error).to_string())
    }

    #[cfg(test)]
    pub(crate) fn message(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The HTTP status that the service answered with, if it answered.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

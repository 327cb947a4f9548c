//! Queues: SQS, and one in memory for tests.

mod batch;
mod memory;
mod sqs;

use std::time::Duration;

use async_trait::async_trait;

use crate::aws::AwsFailure;

pub use memory::MemoryQueue;
pub use sqs::SqsQueue;

/// The longest delay that SQS knows (quota). Later work belongs on the due-index.
pub const MAX_DELAY: Duration = Duration::from_secs(900);
/// The largest message, in bytes (quota).
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text. SQS allows XML's characters only; JSON is always fine.
    pub body: String,
    /// Not to be received before this time has passed; rounded up to whole seconds.
    pub delay: Duration,
}

impl Message {
    /// A message to be received at once.
    pub fn now(body: impl Into<String>) -> Self {
        Self::after(Duration::ZERO, body)
    }

    /// A message to be received after `delay`.
    pub fn after(delay: Duration, body: impl Into<String>) -> Self {
        Self { body: body.into(), delay }
    }

    fn check(&self) -> Result<(), QueueError> {
        if self.delay > MAX_DELAY {
            return Err(QueueError::DelayTooLong);
        }
        if self.body.is_empty() || self.body.len() > MAX_MESSAGE_BYTES {
            return Err(QueueError::Size(self.body.len()));
        }
        Ok(())
    }
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Beyond [`MAX_DELAY`].
    #[error("a message can be delayed by 15 minutes at most")]
    DelayTooLong,
    /// Empty, or beyond [`MAX_MESSAGE_BYTES`].
    #[error("a message has 1 byte to 1 MiB, not {0} bytes")]
    Size(usize),
    /// The queue refused it, or did not answer.
    #[error("the message was not sent: {0}")]
    NotSent(AwsFailure),
}

/// The messages of a batch that were not sent. All others were.
#[derive(Debug, thiserror::Error)]
#[error("{} messages were not sent; the first: {}", failed.len(), failed.first().map(|(_, error)| error.to_string()).unwrap_or_default())]
pub struct BatchError {
    /// Index in the batch as given, and the reason; in ascending order.
    pub failed: Vec<(usize, QueueError)>,
}

/// Somewhere to send messages. Delivery is at least once, and a message that is reported as failed may have been sent all
/// the same (an answer can be lost), so consumers must be idempotent.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends one message.
    async fn send(&self, message: Message) -> Result<(), QueueError>;

    /// Sends any number of messages, in as few calls as may be; what fails alone is tried again alone, a few times.
    async fn send_batch(&self, messages: Vec<Message>) -> Result<(), BatchError>;
}

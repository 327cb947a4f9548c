//! A queue that only remembers, for tests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{BatchError, Message, Queue, QueueError};
use crate::aws::AwsFailure;

/// Keeps what is sent until it is taken; delays are kept, not waited for. Can be told to fail.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sent: VecDeque<Message>,
    failures: usize,
}

impl MemoryQueue {
    /// Makes the next `count` messages fail.
    pub fn fail_next(&self, count: usize) {
        self.state().failures = count;
    }

    /// Takes everything that was sent, oldest first.
    pub fn take(&self) -> Vec<Message> {
        self.state().sent.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, message: Message) -> Result<(), QueueError> {
        message.check()?;
        let mut state = self.state();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(QueueError::NotSent(AwsFailure::message("told to fail")));
        }
        state.sent.push_back(message);
        Ok(())
    }

    async fn send_batch(&self, messages: Vec<Message>) -> Result<(), BatchError> {
        let mut failed = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            if let Err(error) = self.send(message).await {
                failed.push((index, error));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(BatchError { failed }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use super::*;
    use crate::queue::{MAX_DELAY, MAX_MESSAGE_BYTES};

    #[tokio::test]
    async fn keeps_fails_and_checks() {
        let queue = MemoryQueue::default();
        queue.send(Message::now("a")).await.unwrap();
        queue.fail_next(1);
        let error = queue.send_batch(vec![Message::now("b"), Message::after(MAX_DELAY, "c")]).await.unwrap_err();
        assert_eq!(error.failed.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0]);
        assert_eq!(queue.take(), [Message::now("a"), Message::after(MAX_DELAY, "c")]);
        assert!(queue.take().is_empty());

        let late = Message::after(MAX_DELAY + Duration::from_secs(1), "x");
        assert!(matches!(queue.send(late).await, Err(QueueError::DelayTooLong)));
        for size in [0, MAX_MESSAGE_BYTES + 1] {
            assert!(matches!(queue.send(Message::now("x".repeat(size))).await, Err(QueueError::Size(n)) if n == size));
        }
    }
}

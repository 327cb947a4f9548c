//! A sender that sends nothing and remembers everything, for tests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::address::Email;
use axle_domain::mail::{IdentityKind, MessageId};

use super::{Accepted, Account, OutgoingEmail, OutgoingPost, OutgoingSms, Provider, SendError, Sender, Verification};

/// Something that would have gone out.
#[derive(Clone, Debug)]
pub enum Captured {
    Email { account: Account, message: Box<OutgoingEmail> },
    Sms(OutgoingSms),
    Post(OutgoingPost),
}

type Answer = Box<dyn Fn(&Captured) -> Option<SendError> + Send + Sync>;

#[derive(Default)]
struct State {
    sent: Vec<Captured>,
    failures: VecDeque<SendError>,
    verifications: VecDeque<Result<Verification, SendError>>,
    answer: Option<Answer>,
}

/// Accepts everything, unless told otherwise, under the ids `captured-1`, `captured-2` and so on.
#[derive(Default)]
pub struct Capture {
    state: Mutex<State>,
    /// How long a call takes, so that tests can race what happens meanwhile.
    delay: Duration,
}

impl Capture {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes this long for each call.
    pub fn taking(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The next send fails so; several calls queue up.
    pub fn fail_next(&self, error: SendError) {
        self.state().failures.push_back(error);
    }

    /// Decides about every send for which nothing is queued; `None` accepts it.
    pub fn answer(&self, answer: impl Fn(&Captured) -> Option<SendError> + Send + Sync + 'static) {
        self.state().answer = Some(Box::new(answer));
    }

    /// What the next verification finds; [`Verification::Verified`] unless told.
    pub fn verify_next(&self, outcome: Result<Verification, SendError>) {
        self.state().verifications.push_back(outcome);
    }

    /// All that was accepted, in order.
    pub fn sent(&self) -> Vec<Captured> {
        self.state().sent.clone()
    }

    /// The accepted e-mails, in order.
    pub fn emails(&self) -> Vec<OutgoingEmail> {
        let email = |captured| if let Captured::Email { message, .. } = captured { Some(*message) } else { None };
        self.sent().into_iter().filter_map(email).collect()
    }

    /// The accepted text messages, in order.
    pub fn sms_messages(&self) -> Vec<OutgoingSms> {
        self.sent()
            .into_iter()
            .filter_map(|captured| if let Captured::Sms(message) = captured { Some(message) } else { None })
            .collect()
    }

    /// The accepted posts, in order.
    pub fn posts(&self) -> Vec<OutgoingPost> {
        self.sent()
            .into_iter()
            .filter_map(|captured| if let Captured::Post(message) = captured { Some(message) } else { None })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, provider: Provider, captured: Captured) -> Result<Accepted, SendError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let mut state = self.state();
        let queued = state.failures.pop_front();
        if let Some(error) = queued.or_else(|| state.answer.as_ref().and_then(|answer| answer(&captured))) {
            return Err(error);
        }
        state.sent.push(captured);
        let id = format!("captured-{}", state.sent.len());
        // As SES does, which puts its own id in place of ours.
        let message_id = (provider == Provider::Ses).then(|| MessageId::of_ses(&id, "us-east-1").ok()).flatten();
        Ok(Accepted { provider, provider_message_id: Some(id), message_id, renewed: None })
    }
}

#[async_trait]
impl Sender for Capture {
    async fn email(&self, account: &Account, message: &OutgoingEmail, _: Duration) -> Result<Accepted, SendError> {
        let provider = match account.credentials.kind() {
            IdentityKind::Ses => Provider::Ses,
            IdentityKind::Smtp => Provider::Smtp,
            IdentityKind::Gmail => Provider::Gmail,
            IdentityKind::Outlook => Provider::Outlook,
        };
        self.take(provider, Captured::Email { account: account.clone(), message: Box::new(message.clone()) }).await
    }

    async fn sms(&self, message: &OutgoingSms, _: Duration) -> Result<Accepted, SendError> {
        self.take(Provider::Sns, Captured::Sms(message.clone())).await
    }

    async fn post(&self, message: &OutgoingPost, _: Duration) -> Result<Accepted, SendError> {
        self.take(Provider::Webhook, Captured::Post(message.clone())).await
    }

    async fn verify(&self, _: &Account, _: &Email, _: Duration) -> Result<Verification, SendError> {
        self.state().verifications.pop_front().unwrap_or(Ok(Verification::Verified))
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("sent", &self.state().sent.len()).finish_non_exhaustive()
    }
}

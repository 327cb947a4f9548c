//! One attempt to send.
//!
//! A job says no more than which message; what is to be done is read from the record, so a job that comes twice, too early or too late
//! changes nothing. Before the provider is called the message is claimed by a write that requires the version that was read, and
//! together with the claim it is counted as `processing`. What came of the call is recorded after it.
//!
//! A worker that dies in between leaves a claim that runs out, and nobody knows whether the provider took the message. The rule:
//! a webhook is posted again, because its receiver recognises `webhook-id`; everything else fails with the outcome unknown, visible to the
//! tenant, who alone can decide to send it again.

mod message;
mod quota;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_domain::Time;
use axle_domain::communication::{CommunicationStatus, MessageChannel, next_allowed_by_all};
use axle_domain::mail::IdentityKind;
use axle_providers::queue::{MAX_DELAY, Message};
use axle_store::communications::{CommunicationRecord, OutboxJob, SendAttempt};
use axle_store::{CommitError, Versioned};

use crate::context::App;
use crate::error::{Error, Result};

pub(crate) use quota::give_back;
pub(crate) use settle::found_sent;

/// How long a claim outlasts the provider's time: enough to record what came of it.
const CLAIM_MARGIN: Duration = Duration::from_secs(8);

/// A message of a campaign that is paused, or is being cancelled, is looked at again after this.
const HELD: Duration = Duration::from_secs(600);

/// Why a message can go out at no time at all.
pub(crate) const NEVER_OPEN: &str = "the sending windows of the identity and of the campaign are never open together";

/// What a deployment could want otherwise; tests do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a provider may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10) }
    }
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub failed: bool,
    /// How long it had been due when it was sent.
    pub latency_ms: Option<u64>,
}

/// Sends one batch of messages.
pub struct Outbox {
    app: Arc<App>,
    limits: Limits,
}

/// Whether a message is to be sent.
enum Standing {
    Due,
    NotBefore(Time),
    /// Its claim ran out.
    Abandoned,
    Closed,
}

fn standing(record: &CommunicationRecord, now: Time) -> Standing {
    match record.status {
        CommunicationStatus::Pending if record.scheduled_send_time > now => Standing::NotBefore(record.scheduled_send_time),
        CommunicationStatus::Pending => Standing::Due,
        CommunicationStatus::Processing => match record.claimed_until {
            Some(until) if until > now => Standing::NotBefore(until),
            _ => Standing::Abandoned,
        },
        _ => Standing::Closed,
    }
}

impl Outbox {
    pub fn new(app: Arc<App>, limits: Limits) -> Self {
        Self { app, limits }
    }

    /// Makes the attempt that a job asks for, if it is due. The jobs of a batch are to be handled side by side.
    ///
    /// A message that goes out costs 3 read units and some 20 write units: claim and outcome are transactions with the counts. Answers how
    /// the message ended, if it did so now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Internal`]: the job has to be handed out again. A message that fails is no error.
    pub async fn send(&self, job: &OutboxJob) -> Result<Option<Settled>> {
        let app = &*self.app;
        let now = app.now();
        let Some(found) = app.table().await.communication(job.entity_id, job.communication_id, now).await? else {
            return Ok(None);
        };
        match standing(&found.value, now) {
            Standing::Closed => Ok(None),
            Standing::NotBefore(at) => send_later(app, job, at, now).await.map(|()| None),
            Standing::Abandoned => settle::abandoned(app, found).await,
            Standing::Due => self.attempt(found, now).await,
        }
    }

    async fn attempt(&self, found: Versioned<CommunicationRecord>, now: Time) -> Result<Option<Settled>> {
        let app = &*self.app;
        let table = app.table().await;
        let identity = match found.value.identity_id {
            None => None,
            Some(id) => match table.sending_identity(found.value.entity_id, id, now).await? {
                Some(identity) => Some(identity.value),
                None => return settle::refuse(app, found, "the sending identity was deleted").await,
            },
        };
        if let Some(identity) = &identity {
            // SES sends as any address of the account, so each tenant has to have proven its own.
            if identity.kind == IdentityKind::Ses && identity.confirmed_at.is_none() {
                return settle::refuse(app, found, "the sending identity is not verified").await;
            }
        }
        let campaign = crate::outreach::campaigns::timing(app, &found.value).await?;
        let own = identity.as_ref().and_then(|identity| identity.sending_window.as_ref());
        let windows: Vec<_> = own.into_iter().chain(&campaign.window).collect();
        match next_allowed_by_all(&windows, found.value.timezone.as_deref(), now) {
            None => return settle::refuse(app, found, NEVER_OPEN).await,
            Some(opens) if opens > now => return postpone(app, found, opens, None).await.map(|()| None),
            Some(_) if campaign.held => return postpone(app, found, after(now, HELD), None).await.map(|()| None),
            Some(_) => {}
        }
        let place = match quota::take_place(app, identity.as_ref(), &found.value, &windows, now).await? {
            quota::Place::Now(place) => place,
            quota::Place::Later(at, place) => return postpone(app, found, at, Some(place)).await.map(|()| None),
        };
        let content = table.communication_content(found.value.entity_id, found.value.id, now).await?;
        let Some(content) = content else { return settle::refuse(app, found, "the message's content is gone").await };
        let Some(claimed) = claim(app, found, place, self.limits).await? else { return Ok(None) };
        // The last moment at which a wish to be left alone can be honoured.
        if claimed.value.channel != MessageChannel::Webhook
            && let Some(known) = super::suppressions::is_suppressed(app, claimed.value.entity_id, &claimed.value.to).await?
        {
            return settle::suppressed(app, claimed, &known).await.map(|()| None);
        }
        let started = Instant::now();
        let outcome = message::hand_over(app, &claimed.value, &content, identity.as_ref(), self.limits.timeout).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let renewed = outcome.as_ref().ok().and_then(|accepted| accepted.renewed.clone());
        let settled = settle::settle(app, claimed, outcome, duration_ms).await?;
        if let (Some(credentials), Some(identity)) = (renewed, &identity) {
            super::identities::renew(app, identity, &credentials).await;
        }
        Ok(settled)
    }
}

/// Takes the message for this worker alone; `None` if another has it, or it was cancelled.
async fn claim(
    app: &App,
    found: Versioned<CommunicationRecord>,
    place: Option<String>,
    limits: Limits,
) -> Result<Option<Versioned<CommunicationRecord>>> {
    let Versioned { value: mut record, version } = found;
    let (now, from) = (app.now(), record.status);
    let until = after(now, limits.timeout + CLAIM_MARGIN);
    record.status = CommunicationStatus::Processing;
    record.claim = Some(axle_domain::id::v7_at(now, axle_domain::id::entropy()).to_string());
    record.claimed_until = Some(until);
    record.due_at = Some(until);
    record.place.clone_from(&place);
    record.updated_at = now;
    let mut tx = app.table().await.tx();
    tx.replace("message", &record, version);
    tx.count_communication(&record, Some(from));
    match tx.commit().await {
        Ok(()) => Ok(Some(Versioned { value: record, version: version + 1 })),
        Err(CommitError::Condition { .. }) => {
            give_back(app, &record, place).await;
            Ok(None)
        }
        Err(CommitError::Store(e)) => {
            give_back(app, &record, place).await;
            Err(e.into())
        }
    }
}

/// Puts a message off, to `at`, where it may have taken a place of that day. It does not count as an attempt.
async fn postpone(app: &App, found: Versioned<CommunicationRecord>, at: Time, place: Option<String>) -> Result<()> {
    let Versioned { value: mut record, version } = found;
    record.scheduled_send_time = at;
    record.due_at = Some(at);
    record.due_since = None;
    record.place.clone_from(&place);
    record.updated_at = app.now();
    let mut tx = app.table().await.tx();
    tx.replace("message", &record, version);
    match tx.commit().await {
        Ok(()) => send_later(app, &record.job(), at, app.now()).await,
        Err(CommitError::Condition { .. }) => {
            give_back(app, &record, place).await;
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}

/// Sends the job again with a delay. One that SQS cannot delay for so long is left to the due-index.
async fn send_later(app: &App, job: &OutboxJob, at: Time, now: Time) -> Result<()> {
    let wait = Duration::from_millis(at.since(now).max(0).unsigned_abs());
    if wait > MAX_DELAY {
        return Ok(());
    }
    let body = serde_json::to_string(job).map_err(|e| Error::Internal(e.to_string()))?;
    app.outbox_queue().send(Message::after(wait, body)).await.map_err(|e| Error::Unavailable(e.to_string()))
}

fn after(now: Time, wait: Duration) -> Time {
    now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

fn note(record: &mut CommunicationRecord, at: Time, duration_ms: u64, outcome: &str, error: Option<String>) {
    record.note(SendAttempt { at, duration_ms, outcome: outcome.to_owned(), error });
}

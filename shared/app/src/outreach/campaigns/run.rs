//! A lead's way through a campaign, step by step.
//!
//! A job says no more than which run; what is to be done is read from the record, so a job that comes twice, too early or too late
//! changes nothing. Each change of a run is one conditional write of the version that was read, together with all that it means: the
//! message that it queues, the money and the place that this takes, the numbers. A worker that dies leaves the run where it was.

use std::time::Duration;

use axle_domain::campaign::run::{RunState, StopCause, allowed, due_after};
use axle_domain::campaign::{CampaignStatus, SequenceStep};
use axle_domain::communication::CommunicationStatus;
use axle_domain::trace::{attribute, name};
use axle_domain::{CampaignRunId, EntityId, Micros, Time};
use axle_providers::queue::{MAX_DELAY, Message};
use axle_store::allowances::Spending;
use axle_store::campaigns::CampaignRecord;
use axle_store::communications::CommunicationRecord;
use axle_store::leads::{LeadRecord, Slot};
use axle_store::runs::{RunJob, RunNote, RunRecord};
use axle_store::{CommitError, Tx, Versioned};

use super::{approval, claim, control, seams, step};
use crate::communications;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Waits that are worth telling of, in milliseconds: what is due at once is taken by the next look.
const WAIT_NOTED: i64 = 1_000;
/// Changes of one run that one invocation makes, races with others included.
const CHANGES: usize = 40;
/// A message on its way is looked after this much later, in case that nobody told of its outcome, in seconds.
const LOOK_AFTER: i64 = 600;

/// Why a run ended that came to its end.
pub(super) const WHOLE_SEQUENCE: &str = "the whole sequence was sent";

/// Whether there is more to do for a run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Rest,
}

/// A run with its campaign, as both stand now.
#[derive(Clone)]
pub(super) struct Turn<'a> {
    pub(super) app: &'a App,
    pub(super) ctx: Ctx,
    pub(super) campaign: CampaignRecord,
    pub(super) run: RunRecord,
    pub(super) version: u64,
    /// Where the run stood when it was read.
    pub(super) from: RunState,
}

/// Does for a run whatever is to be done now.
///
/// # Errors
/// [`Error::Unavailable`] and [`Error::Internal`]: the job has to be handed out again.
pub async fn advance(app: &App, job: &RunJob) -> Result<()> {
    for _ in 0..CHANGES {
        let Some(turn) = Turn::read(app, job.entity_id, job.run_id).await? else { return Ok(()) };
        if Box::pin(turn.take()).await? == Next::Rest {
            return Ok(());
        }
    }
    Err(Error::Unavailable("a run keeps changing".to_owned()))
}

impl<'a> Turn<'a> {
    pub(super) async fn read(app: &'a App, entity: EntityId, id: CampaignRunId) -> Result<Option<Self>> {
        let (table, now) = (app.table().await, app.now());
        let Some(Versioned { value: run, version }) = table.run(entity, id, now).await? else { return Ok(None) };
        let key = CampaignRecord::key_of(entity, run.campaign_id);
        let campaign = table.get::<CampaignRecord>(&key, now).await?;
        let campaign = campaign.ok_or_else(|| Error::Internal("a run without its campaign".to_owned()))?.value;
        let ctx = Ctx::system(entity, "campaign-runner", now, run.trace_id);
        let from = run.state;
        Ok(Some(Self { app, ctx, campaign, run, version, from }))
    }

    async fn take(mut self) -> Result<Next> {
        if self.run.claim.is_some() {
            return claim::look(self).await;
        }
        if self.run.state.is_over() {
            // Whoever ended it may have died before this.
            control::complete_if_done(self.app, self.ctx.entity_id, self.campaign.id).await?;
            return Ok(Next::Rest);
        }
        if self.run.state == RunState::Sending {
            return self.sending().await;
        }
        match self.campaign.status {
            CampaignStatus::Cancelled | CampaignStatus::Completed => {
                self.end(RunState::Cancelled, "the campaign was cancelled").await
            }
            CampaignStatus::Paused | CampaignStatus::Draft if self.run.state == RunState::Paused => Ok(Next::Rest),
            // What is not due, or is with a person, waits on as it is.
            CampaignStatus::Paused | CampaignStatus::Draft
                if self.run.state == RunState::AwaitingApproval || self.run.due_at.is_some_and(|due| due > self.ctx.now) =>
            {
                self.go().await
            }
            CampaignStatus::Paused | CampaignStatus::Draft => {
                // Read once more after this: whoever resumed the campaign meanwhile may not have seen this run among the paused.
                self.run.paused_from = Some(self.run.state);
                self.run.state = RunState::Paused;
                self.run.due_at = None;
                self.save().await
            }
            CampaignStatus::Running => self.go().await,
        }
    }

    async fn go(mut self) -> Result<Next> {
        match self.run.state {
            RunState::Paused => {
                self.run.state = self.run.paused_from.take().unwrap_or(RunState::Waiting);
                self.run.due_at = Some(self.ctx.now);
                self.save().await
            }
            // It waits for money that others may give back.
            RunState::Enriching if self.run.due_at.is_some_and(|due| due > self.ctx.now) => Ok(Next::Rest),
            RunState::Enriching => seams::enrich(self).await,
            RunState::Scoring => seams::score(self).await,
            RunState::Waiting => match self.run.due_at {
                Some(due) if due > self.ctx.now => self.come_back(due).await,
                _ => step::take(self).await,
            },
            // Its time for a decision is over.
            RunState::AwaitingApproval if self.run.due_at.is_none_or(|due| due <= self.ctx.now) => {
                self.end(RunState::Stopped, StopCause::NotApproved.as_str()).await
            }
            _ => Ok(Next::Rest),
        }
    }

    pub(super) fn sequence(&self) -> &[SequenceStep] {
        &self.campaign.spec.messaging.sequence
    }

    /// The step that is next, if there is one left.
    pub(super) fn step(&self) -> Option<&SequenceStep> {
        self.sequence().get(usize::try_from(self.run.step.saturating_sub(1)).unwrap_or(usize::MAX))
    }

    /// Waits for the time of the run's step, which follows what happened at `after`. Without one the run is complete.
    pub(super) async fn wait_for_step(mut self, after: Time) -> Result<Next> {
        let zone = self.lead().await?.and_then(|lead| lead.profile.timezone);
        self.await_next_step(after, zone.as_deref());
        self.save().await
    }

    /// Has the run wait for its step, or be complete if there is none left.
    pub(super) fn await_next_step(&mut self, after: Time, zone: Option<&str>) {
        let due = self.step().map(|step| due_after(step, after).max(self.ctx.now));
        let Some(due) = due else {
            self.run.state = RunState::Completed;
            self.run.reason = Some(WHOLE_SEQUENCE.to_owned());
            return;
        };
        self.run.due_at = Some(allowed(self.campaign.spec.messaging.sending_window.as_ref(), zone, due));
        self.run.state = RunState::Waiting;
        self.run.approved = false;
    }

    /// Whether the campaign may not spend more than so much.
    pub(super) fn is_limited(&self) -> bool {
        self.campaign.launch.as_ref().is_some_and(|launch| launch.budget_limit.is_some())
    }

    pub(super) async fn lead(&self) -> Result<Option<LeadRecord>> {
        match self.app.table().await.slot(self.ctx.entity_id, self.run.lead_id).await? {
            Slot::Lead(lead) => Ok(Some(lead.value)),
            _ => Ok(None),
        }
    }

    /// Has a worker look at the run at `due`: by a delayed message for short waits, by the due-index for long ones.
    pub(super) async fn come_back(&self, due: Time) -> Result<Next> {
        let wait = Duration::from_millis(due.since(self.ctx.now).max(0).unsigned_abs());
        if wait <= MAX_DELAY {
            let body = serde_json::to_string(&self.run.job()).map_err(|e| Error::Internal(e.to_string()))?;
            let sent = self.app.campaign_queue().send(Message::after(wait, body)).await;
            sent.map_err(|e| Error::Unavailable(e.to_string()))?;
        }
        Ok(Next::Rest)
    }

    /// Writes the run as it is now.
    pub(super) async fn save(self) -> Result<Next> {
        let tx = self.app.table().await.tx();
        self.save_with(tx).await
    }

    /// Writes the run as it is now together with what else this means.
    pub(super) async fn save_with(mut self, mut tx: Tx<'_>) -> Result<Next> {
        if self.from == RunState::AwaitingApproval && self.run.state != RunState::AwaitingApproval {
            // Nobody is asked any more.
            approval::withdraw(&mut self, &mut tx).await?;
        }
        self.put(&mut tx);
        match tx.commit().await {
            Ok(()) if self.run.state.is_over() => {
                control::complete_if_done(self.app, self.ctx.entity_id, self.campaign.id).await?;
                Ok(Next::Rest)
            }
            // Somebody else changed it: look again.
            Ok(()) | Err(CommitError::Condition { .. }) => Ok(Next::GoOn),
            Err(e) => Err(e.into()),
        }
    }

    /// Puts the run as it is now into a transaction.
    pub(super) fn put(&mut self, tx: &mut Tx<'_>) {
        self.stamp();
        tx.replace("run", &self.run, self.version);
        tx.count_run(&self.run, Some(self.from));
    }

    /// Notes when it came to where it is now, and how long it has waited before.
    fn stamp(&mut self) {
        let now = self.ctx.now;
        self.run.updated_at = now;
        if self.run.state != self.from {
            let since = self.run.since.replace(now).unwrap_or(self.run.created_at);
            if self.from == RunState::Waiting && now.since(since) >= WAIT_NOTED {
                let what = format!("waited for step {}", self.run.step);
                let mut note = RunNote::new(now, name::WAIT, what).since(since).step(self.run.step);
                if self.run.state.is_over() {
                    note = note.with(attribute::OUTCOME, self.run.state.as_str());
                }
                // It came before what was noted just now.
                let place = self.run.notes.iter().rposition(|earlier| earlier.at < now).map_or(0, |last| last + 1);
                self.run.notes.insert(place, note);
            }
        }
        if self.run.state.is_over() {
            // Somebody may still be at work for it: that is to be settled.
            self.run.due_at = self.run.claim.as_ref().map(|claim| claim.until);
            self.run.ended_at.get_or_insert(now);
        }
    }

    /// Brings the run to its end.
    pub(super) async fn end(mut self, state: RunState, reason: impl Into<String>) -> Result<Next> {
        self.run.state = state;
        self.run.reason = Some(reason.into());
        self.save().await
    }

    /// Looks after the message that is on its way.
    async fn sending(mut self) -> Result<Next> {
        let Some(message) = self.run.pending_message().cloned() else {
            return Err(Error::Internal("a run sends no message".to_owned()));
        };
        let (table, now) = (self.app.table().await, self.ctx.now);
        let over = matches!(self.campaign.status, CampaignStatus::Cancelled | CampaignStatus::Completed);
        let Some(record) = table.communication(self.ctx.entity_id, message.id, now).await? else {
            return Err(Error::Internal("a run's message is gone".to_owned()));
        };
        let record = record.value;
        if record.status == CommunicationStatus::Pending && (over || self.run.stopping.is_some()) {
            // Who has it by now has it; whatever became of it is read again.
            let nothing = |_: &CommunicationRecord| crate::Answer::new(200, serde_json::json!({}));
            match communications::cancel(self.app, &self.ctx, message.id, nothing).await {
                Ok(_) | Err(Error::Conflict(_)) => return Ok(Next::GoOn),
                Err(e) => return Err(e),
            }
        }
        let mut tx = table.tx();
        let outcome = match record.status {
            CommunicationStatus::Pending | CommunicationStatus::Processing => {
                if self.run.due_at.is_some_and(|due| due > now) {
                    return Ok(Next::Rest);
                }
                let next = record.scheduled_send_time.max(now).plus_secs(LOOK_AFTER);
                self.run.due_at = Some(next);
                return self.save().await.map(|_| Next::Rest);
            }
            CommunicationStatus::Sent => {
                tx.count_run_message(&self.run);
                self.settle_price(&mut tx, &message, communications::cost::price(&record));
                Outcome::Sent(record.sent_at.unwrap_or(now))
            }
            CommunicationStatus::Failed => {
                let reason = record.error.clone().unwrap_or_else(|| "the message could not be sent".to_owned());
                Outcome::Ends(RunState::Failed, reason, !record.outcome_unknown)
            }
            CommunicationStatus::Cancelled => Outcome::Ends(RunState::Stopped, StopCause::MessageCancelled.to_string(), true),
            CommunicationStatus::Suppressed => Outcome::Ends(RunState::Stopped, StopCause::Suppressed.to_string(), true),
        };
        if let Some(last) = self.run.messages.last_mut() {
            last.settled = true;
        }
        match outcome {
            Outcome::Sent(at) => {
                self.run.note(RunNote::new(at, name::SEND, format!("step {} was sent", message.step)).step(message.step));
                self.run.step += 1;
                self.after_sending(tx, at, over).await
            }
            Outcome::Ends(state, reason, unspent) => {
                if unspent {
                    self.give_back(&mut tx, &message);
                }
                let (state, reason) = match self.run.stopping {
                    _ if over => (RunState::Cancelled, "the campaign was cancelled".to_owned()),
                    Some(cause) => (RunState::Stopped, cause.to_string()),
                    None => (state, reason),
                };
                self.run.state = state;
                self.run.reason = Some(reason);
                self.save_with(tx).await
            }
        }
    }

    async fn after_sending(mut self, tx: Tx<'_>, sent_at: Time, over: bool) -> Result<Next> {
        let ended = match (over, self.run.stopping) {
            (true, _) => Some((RunState::Cancelled, "the campaign was cancelled".to_owned())),
            (_, Some(cause)) => Some((RunState::Stopped, cause.to_string())),
            _ => None,
        };
        match ended {
            Some((state, reason)) => {
                self.run.state = state;
                self.run.reason = Some(reason);
            }
            None => {
                let zone = self.lead().await?.and_then(|lead| lead.profile.timezone);
                self.await_next_step(sent_at, zone.as_deref());
            }
        }
        self.save_with(tx).await
    }

    /// Gives back what was reserved for a message beyond its price.
    fn settle_price(&mut self, tx: &mut Tx<'_>, message: &axle_store::runs::RunMessage, price: Micros) {
        let rest = Micros(message.cost.0 - price.0);
        if rest == Micros::ZERO {
            return;
        }
        let (entity, campaign, subject) = (self.ctx.entity_id, self.campaign.id, self.run.id.uuid().as_u128());
        tx.unspend(entity, campaign, subject, Spending::ChannelCosts, rest, self.is_limited());
        if let Some(last) = self.run.messages.last_mut() {
            last.cost = price;
        }
    }

    /// Gives back what a message took that did not go out.
    fn give_back(&self, tx: &mut Tx<'_>, message: &axle_store::runs::RunMessage) {
        let (entity, campaign, subject) = (self.ctx.entity_id, self.campaign.id, self.run.id.uuid().as_u128());
        tx.unspend(entity, campaign, subject, Spending::ChannelCosts, message.cost, self.is_limited());
        if let Some(day) = &message.day {
            tx.return_place(entity, campaign, day, subject, self.ctx.now);
        }
    }
}

/// What became of a message.
enum Outcome {
    Sent(Time),
    /// The run's end, why, and whether what the message took is given back.
    Ends(RunState, String, bool),
}

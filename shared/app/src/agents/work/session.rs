//! One person's way through the playbook, from where it was left to where it stops.
//!
//! The item says how far it is. Whoever works on it holds it by a claim until a time by which their invocation is over, and every write
//! requires the version that they read: of two workers one writes, and the other one stops. A step with effects elsewhere is claimed
//! by a write of its own before it is begun; its result, its effects in the table, its costs and its span are one write. So a step
//! that was written down is never done again, and one that was not is done again under the same key.

use std::time::Instant;

use axle_domain::agent::{
    ActionKind, ActionStatus, ApprovalStatus, Condition, ContactKind, OnError, RunStatus, Step, action_hash, approval_id,
    step_key,
};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::trace::{Span, attribute};
use axle_domain::{Actor, ActorKind, LeadId, Micros, RunContactId, Time};
use axle_store::agent_runs::{AgentNudgeRecord, AgentTask, BudgetChange, JobRecord, RunContactRecord, RunRecord};
use axle_store::approvals::ApprovalRecord;
use axle_store::costs::CostRecord;
use axle_store::spans::SpanRecord;
use axle_store::{CommitError, Table, Tx, Versioned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::steps::{PERSON, run_span_id, step_span, whole_span};
use super::{Doing, Effect, Outcome, Person, RESERVE, Spent, Worked, perform, prepared_params};
use crate::agents::registry;
use crate::agents::runs::settle;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Hours that people have to decide.
pub(in crate::agents) const APPROVAL_HOURS: i64 = 72;
/// Seconds before a step is tried again, by how often it failed.
const PAUSES: [i64; 3] = [60, 300, 900];
/// Workers that may die on the same step before it is taken for what kills them.
const MAX_BEGUN: u32 = 8;
/// Seconds that a claim outlives the invocation that made it.
const GRACE_SECS: i64 = 5;

/// Why a session stops early.
enum Halt {
    Superseded,
    /// The job's `max_cost` or `max_actions` are reached.
    Budget,
    Error(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(e: E) -> Self {
        Self::Error(e.into())
    }
}

/// Takes a person on as far as it goes.
pub(super) async fn work(app: &App, ctx: &Ctx, id: RunContactId, deadline: Instant) -> Result<Worked> {
    let table = app.table().await;
    let found = table.get::<RunContactRecord>(&RunContactRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    let Some(Versioned { value: contact, version }) = found else { return Ok(Worked::NothingToDo) };
    if contact.status.is_final() {
        // Whoever ended it may have died before the run followed.
        settle(app, ctx, contact.run_id).await?;
        return Ok(Worked::NothingToDo);
    }
    if contact.claim.is_some() && contact.claimed_until.is_some_and(|until| until > ctx.now) {
        return Ok(Worked::Superseded);
    }
    let (run, job) = (RunRecord::key_of(ctx.entity_id, contact.run_id), JobRecord::key_of(ctx.entity_id, contact.job_id));
    let (run, job) = (table.get::<RunRecord>(&run, ctx.now).await?, table.get::<JobRecord>(&job, ctx.now).await?);
    let (Some(run), Some(job)) = (run, job) else { return Ok(Worked::NothingToDo) };
    let actor = Actor { kind: ActorKind::Agent, id: contact.agent_id.to_string() };
    let ctx = Ctx { actor, user_id: job.value.user_id, trace_id: contact.trace_id, ..ctx.clone() };
    let claim = Uuid::new_v4().simple().to_string();
    let run = run.value;
    let orphaned = match registry::get(app, &ctx, contact.agent_id).await {
        Err(Error::NotFound(_)) => true,
        other => other.map(|_| false)?,
    };
    let old = contact.clone();
    let mut session = Session { app, table, ctx, job: job.value, run, old, contact, version, claim, orphaned, deadline };
    let run = session.contact.run_id;
    let worked = match session.go().await {
        Ok(worked) => worked,
        Err(Halt::Superseded) => return Ok(Worked::Superseded),
        Err(Halt::Budget) => return Err(Error::Internal("a budget that nobody asked".to_owned())),
        Err(Halt::Error(e)) => return Err(e),
    };
    let ctx = session.now();
    if session.contact.status != session.run.status || session.contact.status.is_final() {
        settle(app, &ctx, run).await?;
    }
    Ok(worked)
}

struct Session<'a> {
    app: &'a App,
    table: &'a Table,
    ctx: Ctx,
    job: JobRecord,
    run: RunRecord,
    /// As it is in the table.
    old: RunContactRecord,
    contact: RunContactRecord,
    version: u64,
    claim: String,
    /// Its agent is gone: everything of it will be, and nothing is begun until then.
    orphaned: bool,
    deadline: Instant,
}

/// What becomes of the next action, before anything is done.
enum Next {
    /// It needs nothing but to be marked.
    Marked,
    Ask,
    Park,
    /// It waits already.
    Stay,
    Do,
}

impl Session<'_> {
    /// The caller's context at this moment.
    fn now(&self) -> Ctx {
        Ctx { now: self.app.now(), ..self.ctx.clone() }
    }

    async fn go(&mut self) -> Result<Worked, Halt> {
        loop {
            let ctx = self.now();
            if let Some((status, reason)) = self.over(&ctx).await? {
                self.end(&ctx, status, reason).await?;
                return Ok(Worked::Ended);
            }
            let Some(index) = self.contact.current() else {
                self.end(&ctx, RunStatus::Completed, None).await?;
                return Ok(Worked::Ended);
            };
            if self.deadline.saturating_duration_since(Instant::now()) < RESERVE {
                return self.hand_over(&ctx).await;
            }
            let Some(person) = Person::find(self.app, &ctx, self.contact.target).await? else {
                let kind = self.contact.target.kind;
                self.end(&ctx, RunStatus::Failed, Some(format!("the {kind} is gone"))).await?;
                return Ok(Worked::Ended);
            };
            match self.next(&ctx, index, &person) {
                Next::Marked => {}
                Next::Ask => {
                    self.ask(&ctx, index).await?;
                    return Ok(Worked::Parked);
                }
                Next::Stay => return Ok(Worked::NothingToDo),
                Next::Park => {
                    self.contact.started_at.get_or_insert(ctx.now);
                    let until = self.contact.actions[index].wake_at;
                    self.park(RunStatus::Waiting, until);
                    self.save(|_| {}).await?;
                    return Ok(Worked::Parked);
                }
                Next::Do => {
                    if let Some(worked) = self.step(&ctx, index, &person).await? {
                        return Ok(worked);
                    }
                }
            }
        }
    }

    fn step_of(&self, index: usize) -> Option<&Step> {
        self.job.playbook.steps.get(index)
    }

    /// Whether the way ends here, and why: a wish, a limit, or an action that went wrong.
    async fn over(&mut self, ctx: &Ctx) -> Result<Option<(RunStatus, Option<String>)>, Halt> {
        // A cancellation acts between any two steps.
        let key = RunRecord::key_of(ctx.entity_id, self.contact.run_id);
        match self.table.get::<RunRecord>(&key, ctx.now).await? {
            None => return Err(Halt::Superseded),
            Some(run) => self.run = run.value,
        }
        if self.orphaned {
            return Ok(Some((RunStatus::Cancelled, Some("the agent was deleted".to_owned()))));
        }
        if self.run.cancelled_by.is_some() {
            return Ok(Some((RunStatus::Cancelled, Some("the run was cancelled".to_owned()))));
        }
        let begun = self.contact.started_at.unwrap_or(ctx.now);
        if let Some(most) = self.job.playbook.limits.max_duration_seconds
            && ctx.now.since(begun) >= i64::from(most) * 1_000
            && self.contact.current().is_some()
        {
            return Ok(Some((RunStatus::Failed, Some(format!("it took longer than max_duration_seconds, {most} s")))));
        }
        for action in &self.contact.actions {
            let tolerated = self.step_of(action.index).is_some_and(|step| step.on_error == OnError::Skip);
            let reason = action.error.clone();
            match action.status {
                ActionStatus::Failed if !tolerated => return Ok(Some((RunStatus::Failed, reason))),
                ActionStatus::Expired if !tolerated => return Ok(Some((RunStatus::Failed, reason))),
                ActionStatus::Rejected if !tolerated => return Ok(Some((RunStatus::Cancelled, reason))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Looks at an action. Conditions and texts are judged once, before it is begun: what was shown or tried stays what it is.
    fn next(&mut self, ctx: &Ctx, index: usize, person: &Person) -> Next {
        let Some(step) = self.step_of(index).cloned() else { return self.fail(index, "the playbook has no such step") };
        let actions = self.contact.actions.clone();
        let action = &actions[index];
        match action.status {
            ActionStatus::PendingApproval if action.expires_at.is_some_and(|at| at <= ctx.now) => return Next::Ask,
            ActionStatus::PendingApproval => return Next::Stay,
            // A wait that was approved begins with that.
            ActionStatus::Approved if step.action == ActionKind::Wait => {}
            ActionStatus::Approved | ActionStatus::Running => return Next::Do,
            _ => {}
        }
        if let Some(at) = action.wake_at {
            return match at > ctx.now {
                false => Next::Do,
                true if self.contact.status == RunStatus::Waiting => Next::Stay,
                true => Next::Park,
            };
        }
        if action.status == ActionStatus::Approved {
            return self.wait(ctx, index);
        }
        let context = person.context(&self.job.agent_name, &self.job.input, &actions);
        match step.when.as_deref().map(|when| Condition::judge(when, &context)) {
            Some(Ok(Condition::NotMet)) => {
                self.contact.actions[index].status = ActionStatus::Skipped;
                self.contact.actions[index].error = Some("its condition was not met".to_owned());
                return Next::Marked;
            }
            Some(Err(e)) => return self.fail(index, &format!("its condition cannot be judged: {e}")),
            _ => {}
        }
        match prepared_params(action, &context, &actions, action.action.raw_params()) {
            Ok(params) => self.contact.actions[index].params = params,
            Err(e) => return self.fail(index, &e),
        }
        if step.requires_approval {
            return Next::Ask;
        }
        if step.action == ActionKind::Wait { self.wait(ctx, index) } else { Next::Do }
    }

    fn wait(&mut self, ctx: &Ctx, index: usize) -> Next {
        let action = &mut self.contact.actions[index];
        // By the schema at most a year.
        #[allow(clippy::cast_possible_truncation)]
        let ms = (action.params["hours"].as_f64().unwrap_or(0.0) * 3_600_000.0) as i64;
        action.started_at = Some(ctx.now);
        action.wake_at = Some(ctx.now.plus_millis(ms));
        if ms > 0 { Next::Park } else { Next::Do }
    }

    fn fail(&mut self, index: usize, error: &str) -> Next {
        self.contact.actions[index].status = ActionStatus::Failed;
        self.contact.actions[index].error = Some(error.to_owned());
        Next::Marked
    }

    /// Writes where it stands, and what goes with that.
    async fn save(&mut self, more: impl FnOnce(&mut Tx<'_>)) -> Result<(), Halt> {
        let mut tx = self.table.tx();
        tx.replace_run_contact(&self.old, &self.contact, self.version);
        more(&mut tx);
        match tx.commit().await {
            Ok(()) => {
                self.old = self.contact.clone();
                self.version += 1;
                Ok(())
            }
            Err(CommitError::Condition { label: "contact" | "approval", .. }) => Err(Halt::Superseded),
            Err(CommitError::Condition { label: "budget", .. }) => Err(Halt::Budget),
            Err(e) => Err(e.into()),
        }
    }

    /// Holds the person for this invocation.
    fn hold(&mut self, ctx: &Ctx) {
        let left = i64::try_from(self.deadline.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(0);
        let until = ctx.now.plus_millis(left).plus_secs(GRACE_SECS);
        self.contact.claim = Some(self.claim.clone());
        self.contact.claimed_until = Some(until);
        // Should the worker die, the next sweep after that finds it, whatever became of the message.
        self.contact.due_at = Some(until);
        self.contact.status = RunStatus::Running;
        self.contact.started_at.get_or_insert(ctx.now);
    }

    fn park(&mut self, status: RunStatus, until: Option<Time>) {
        self.contact.status = status;
        self.contact.claim = None;
        self.contact.claimed_until = None;
        let begun = self.contact.started_at.unwrap_or(self.contact.created_at);
        let last = self.job.playbook.limits.max_duration_seconds.map(|most| begun.plus_secs(i64::from(most)));
        // Whoever waits is looked at when their time is up as well.
        self.contact.due_at = until.map(|until| last.map_or(until, |last| until.min(last)));
    }

    /// The time is up: somebody else goes on at once.
    async fn hand_over(&mut self, ctx: &Ctx) -> Result<Worked, Halt> {
        self.park(RunStatus::Running, Some(ctx.now));
        let nudge = AgentNudgeRecord::new(ctx.entity_id, vec![AgentTask::Work(self.contact.id)], ctx.trace_id, ctx.now);
        self.save(|tx| tx.create("nudge", &nudge)).await?;
        Ok(Worked::Continued)
    }

    /// Asks people whether the action may be done; or notes that nobody answered in time.
    async fn ask(&mut self, ctx: &Ctx, index: usize) -> Result<(), Halt> {
        let id = approval_id(self.contact.id, index);
        let (app, target) = (self.app, self.contact.target);
        if self.contact.actions[index].status == ActionStatus::PendingApproval {
            let Some(asked) = self.table.approval(ctx.entity_id, id, ctx.now).await? else { return Err(Halt::Superseded) };
            let answer = ApprovalRecord { status: ApprovalStatus::Expired, decided_at: Some(ctx.now), ..asked.value.clone() };
            let action = &mut self.contact.actions[index];
            action.status = ActionStatus::Expired;
            action.error = Some(format!("nobody decided within {APPROVAL_HOURS} hours"));
            // The next look at it goes on from there.
            self.park(RunStatus::Queued, Some(ctx.now));
            let nudge = AgentNudgeRecord::new(ctx.entity_id, vec![AgentTask::Work(self.contact.id)], ctx.trace_id, ctx.now);
            return self
                .save(|tx| {
                    tx.answer(&asked.value, &answer, asked.version);
                    tx.create("nudge", &nudge);
                })
                .await;
        }
        let expires = ctx.now.plus_secs(APPROVAL_HOURS * 3_600);
        let action = &mut self.contact.actions[index];
        let hash = action_hash(self.contact.run_id, target.id, index, action.action, &action.params);
        action.status = ActionStatus::PendingApproval;
        action.hash = Some(hash.clone());
        action.requested_at = Some(ctx.now);
        action.expires_at = Some(expires);
        let approval = ApprovalRecord {
            entity_id: ctx.entity_id,
            id,
            agent_id: self.contact.agent_id,
            campaign_id: None,
            run_id: self.contact.run_id,
            run_contact_id: self.contact.id,
            target,
            action_index: index,
            action: action.action,
            params: action.params.clone(),
            hash,
            status: ApprovalStatus::Pending,
            requested_at: ctx.now,
            approve_by: expires,
            decided_by: None,
            decided_at: None,
        };
        self.contact.started_at.get_or_insert(ctx.now);
        self.park(RunStatus::PendingApproval, Some(expires));
        let data = json!({"run_id": approval.run_id, "action": approval.action, "hash": approval.hash, "expires_at": expires});
        let event = approval_event(ctx, &approval, EventType::AgentActionPending, data);
        self.save(|tx| {
            tx.ask(&approval);
            tx.emit(&event, app.config().event_retention_days);
        })
        .await
    }

    /// Does an action and writes down what it came to. Answers what the invocation came to if it stops here.
    async fn step(&mut self, ctx: &Ctx, index: usize, person: &Person) -> Result<Option<Worked>, Halt> {
        let kind = self.contact.actions[index].action;
        let limits = self.job.playbook.limits.clone();
        if self.contact.actions[index].attempts >= MAX_BEGUN {
            self.contact.actions[index].status = ActionStatus::Failed;
            self.contact.actions[index].error = Some(format!("it was begun {MAX_BEGUN} times and never came to an end"));
            return Ok(None);
        }
        let first = self.contact.actions[index].attempts == 0;
        self.contact.actions[index].status = ActionStatus::Running;
        self.contact.actions[index].attempts += 1;
        self.contact.actions[index].started_at = Some(ctx.now);
        self.contact.actions[index].wake_at = None;
        let (job, input, model) = (self.job.clone(), self.job.input.clone(), self.job.model.clone());
        let earlier = self.contact.actions[..index].to_vec();
        let action = self.contact.actions[index].clone();
        let doing = Doing {
            person,
            action: &action,
            earlier: &earlier,
            agent_id: job.agent_id,
            role: job.role,
            model: &model,
            identity_id: job.identity_id,
            sender_name: None,
            input: &input,
            run_id: Some(self.contact.run_id),
            key: step_key(self.contact.id, index),
            deadline: self.deadline.checked_sub(RESERVE).unwrap_or(self.deadline),
        };
        let limited = limits.max_cost.is_some() || limits.max_actions.is_some();
        let request = doing.request(self.app).await?;
        let reserve = if limited { doing.most(self.app, ctx, request.as_ref()).await? } else { Micros::ZERO };
        let begin = |held: Micros| BudgetChange {
            held,
            actions: u32::from(first),
            max_held: limits.max_cost,
            max_actions: limits.max_actions.filter(|_| first),
        };
        if Doing::is_outside(kind) || (limited && first) {
            self.hold(ctx);
            let change = begin(Micros(reserve.0 - self.old.reserved.0));
            self.contact.reserved = reserve;
            let (entity, job) = (ctx.entity_id, self.job.id);
            match self
                .save(|tx| {
                    if limited {
                        tx.change_budget(entity, job, change)
                    }
                })
                .await
            {
                Err(Halt::Budget) => {
                    let failed = &mut self.contact.actions[index];
                    failed.status = ActionStatus::Failed;
                    failed.error = Some("the limits of the playbook are reached: max_cost or max_actions".to_owned());
                    self.contact.reserved = self.old.reserved;
                    let reason = self.contact.actions[index].error.clone();
                    self.end(ctx, RunStatus::Failed, reason).await?;
                    return Ok(Some(Worked::Ended));
                }
                other => other?,
            }
        } else {
            self.hold(ctx);
        }
        let began = Instant::now();
        let outcome = perform(self.app, &self.now(), &doing, request).await?;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
        self.record(index, person, outcome, took, limited).await
    }

    /// Writes down what an action came to, with everything that follows from it.
    async fn record(
        &mut self,
        index: usize,
        person: &Person,
        outcome: Outcome,
        took: u64,
        limited: bool,
    ) -> Result<Option<Worked>, Halt> {
        let ctx = self.now();
        let on_error = self.step_of(index).map_or(OnError::Fail, |step| step.on_error);
        self.contact.worked_ms += took;
        let action = &mut self.contact.actions[index];
        let (effect, spent, error) = match outcome {
            Outcome::Done { result, effect, spent } => {
                action.status = ActionStatus::Done;
                action.result = Some(result);
                action.error = None;
                (effect, spent, None)
            }
            Outcome::Skipped { reason } => {
                action.status = ActionStatus::Skipped;
                action.error = Some(reason);
                (None, Spent::default(), None)
            }
            Outcome::Failed { error, passing, spent } => {
                action.error = Some(error.clone());
                let pause =
                    PAUSES.get(action.attempts.saturating_sub(1) as usize).filter(|_| on_error == OnError::Retry && passing);
                match pause {
                    Some(secs) => {
                        action.status = ActionStatus::Pending;
                        action.wake_at = Some(ctx.now.plus_secs(*secs));
                    }
                    None => action.status = ActionStatus::Failed,
                }
                (None, spent, Some(error))
            }
        };
        action.cost = Micros(action.cost.0 + spent.cost.0);
        self.contact.cost = Micros(self.contact.cost.0 + spent.cost.0);
        let settle = BudgetChange { held: Micros(spent.cost.0 - self.contact.reserved.0), ..BudgetChange::default() };
        self.contact.reserved = Micros::ZERO;
        let span = self.span(&ctx, index, took, &spent, error.as_deref(), person);
        let cost = self.cost(&ctx, index, &spent, person);
        let waits = self.contact.actions[index].wake_at.filter(|_| self.contact.actions[index].status == ActionStatus::Pending);
        if let Some(at) = waits {
            self.park(RunStatus::Waiting, Some(at));
        }
        let mut tx = self.table.tx();
        if let Some(effect) = &effect
            && let Some((name, value)) = effect.put(self.app, &ctx, &mut tx)
            && let Some(Value::Object(result)) = &mut self.contact.actions[index].result
        {
            result.insert(name.to_owned(), value);
        }
        tx.replace_run_contact(&self.old, &self.contact, self.version);
        tx.span(&span);
        if let Some(cost) = &cost {
            tx.cost(cost);
        }
        if limited && settle.held != Micros::ZERO {
            tx.change_budget(ctx.entity_id, self.job.id, settle);
        }
        match tx.commit().await {
            Ok(()) => {
                self.old = self.contact.clone();
                self.version += 1;
                Ok(waits.map(|_| Worked::Parked))
            }
            Err(CommitError::Condition { label: "contact", .. }) => Err(Halt::Superseded),
            // The lead was changed by somebody else: the message comes again, and the step is done on what the lead is then.
            Err(CommitError::Condition { label: "lead", .. }) if matches!(effect, Some(Effect::Lead { .. })) => {
                Err(Halt::Error(Error::Unavailable("the lead changed at the same moment".to_owned())))
            }
            Err(e) => Err(e.into()),
        }
    }

    fn cost(&self, ctx: &Ctx, index: usize, spent: &Spent, person: &Person) -> Option<CostRecord> {
        let category = spent.category.filter(|_| spent.cost != Micros::ZERO)?;
        let attempt = self.contact.actions[index].attempts;
        let subject = format!("{}/{attempt}", step_key(self.contact.id, index));
        let cost = CostRecord::new(ctx.entity_id, category, subject, ctx.now, spent.cost, spent.item.clone());
        Some(cost.agent(self.contact.agent_id).lead(person.lead_id()).trace(self.contact.trace_id))
    }

    fn span(&self, ctx: &Ctx, index: usize, took: u64, spent: &Spent, error: Option<&str>, person: &Person) -> SpanRecord {
        let action = &self.contact.actions[index];
        let (trace, key) = (self.contact.trace_id, step_key(self.contact.id, index));
        let span = step_span(trace, action, key, action.started_at.unwrap_or(self.contact.created_at));
        let mut span = self.of_agent(span.parent(self.whole(ctx.now).span_id));
        spent.attributes.iter().for_each(|(name, value)| span.attributes.set(name, value.clone()));
        let span = span
            .with("axle.step_id", action.step_id.clone())
            .with("axle.attempt", action.attempts)
            .with("axle.action.status", action.status.as_str());
        SpanRecord::new(self.contact.entity_id, trace, ended(span, took, error)).lead(person.lead_id())
    }

    /// The span that holds the others of this person.
    fn whole(&self, started_at: Time) -> Span {
        let (trace, run) = (self.contact.trace_id, self.contact.run_id);
        whole_span(trace, PERSON, self.contact.id, started_at).parent(run_span_id(trace, run))
    }

    fn of_agent(&self, span: Span) -> Span {
        span.agent(self.job.agent_name.clone())
            .with(attribute::AGENT_ID, self.contact.agent_id.to_string())
            .with(attribute::AGENT_NAME, self.job.agent_name.clone())
            .with("axle.run_id", self.contact.run_id.to_string())
            .with("axle.job_id", self.contact.job_id.to_string())
            .with("axle.contact_id", self.contact.target.id.as_hyphenated().to_string())
    }

    /// Ends the way, with the count of it and the span that holds the others.
    async fn end(&mut self, ctx: &Ctx, status: RunStatus, reason: Option<String>) -> Result<(), Halt> {
        let mut asked = None;
        for action in &mut self.contact.actions {
            if action.status == ActionStatus::PendingApproval {
                asked = Some(action.index);
            }
            if !action.status.is_final() {
                action.status = ActionStatus::Skipped;
                action.error.get_or_insert_with(|| "it ended before".to_owned());
            }
        }
        let asked = match asked {
            Some(index) => self.table.approval(ctx.entity_id, approval_id(self.contact.id, index), ctx.now).await?,
            None => None,
        };
        let freed = BudgetChange { held: Micros(-self.contact.reserved.0), ..BudgetChange::default() };
        self.contact.reserved = Micros::ZERO;
        self.park(status, None);
        self.contact.reason = reason;
        self.contact.started_at.get_or_insert(ctx.now);
        self.contact.finished_at = Some(ctx.now);
        let span = self.ended_span(ctx, status == RunStatus::Failed);
        let (entity, job, agent) = (ctx.entity_id, self.job.id, self.contact.agent_id);
        let (subject, worked) = (self.contact.id.uuid(), self.contact.worked_ms);
        self.save(|tx| {
            tx.span(&span);
            // Who was never begun for is no execution.
            if status != RunStatus::Cancelled {
                let succeeded = status == RunStatus::Completed;
                tx.count_execution_of(entity, agent, subject.as_u128(), succeeded, worked, ctx.now);
                tx.count_execution(entity, subject, ctx.now, succeeded, worked);
            }
            if freed.held != Micros::ZERO {
                tx.change_budget(entity, job, freed);
            }
            if let Some(asked) = &asked {
                let answer =
                    ApprovalRecord { status: ApprovalStatus::Cancelled, decided_at: Some(ctx.now), ..asked.value.clone() };
                tx.answer(&asked.value, &answer, asked.version);
            }
        })
        .await
    }

    fn ended_span(&self, ctx: &Ctx, failed: bool) -> SpanRecord {
        let span = self.of_agent(self.whole(self.contact.started_at.unwrap_or(ctx.now)));
        let span = span.with(attribute::OPERATION, "invoke_agent").with(attribute::COST, self.contact.cost.to_string());
        let span = match failed {
            true => span.failed(ctx.now, self.contact.reason.as_deref().unwrap_or("it failed")),
            false => span.done(ctx.now),
        };
        let target = self.contact.target;
        let lead = (target.kind == ContactKind::Lead).then(|| LeadId::from_uuid(target.id));
        SpanRecord::new(self.contact.entity_id, self.contact.trace_id, span).beginning_of(lead)
    }
}

/// A step that took so long.
pub(in crate::agents) fn ended(span: Span, took: u64, error: Option<&str>) -> Span {
    let at = span.started_at.plus_millis(i64::try_from(took).unwrap_or(i64::MAX));
    match error {
        Some(error) => span.failed(at, error),
        None => span.done(at),
    }
}

pub(in crate::agents) fn approval_event(ctx: &Ctx, approval: &ApprovalRecord, event_type: EventType, data: Value) -> Event {
    let subject = Subject::new("agent_action", approval.id);
    let event = Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data);
    let event = event.agent(approval.agent_id).trace(ctx.trace_id);
    if approval.target.kind == ContactKind::Lead {
        return event.lead(LeadId::from_uuid(approval.target.id));
    }
    event
}

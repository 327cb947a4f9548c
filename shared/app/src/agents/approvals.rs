//! What people decide about actions: once, about what they were shown, in time.

use axle_domain::agent::{ActionStatus, ApprovalStatus, ContactKind, RunStatus, action_hash, approval_id, contact_key};
use axle_domain::event::EventType;
use axle_domain::merge::merge_patch;
use axle_domain::trace::{Span, attribute, name};
use axle_domain::{Actor, ContactId, Fault, Faults, Input, LeadId, RunId};
use axle_store::agent_runs::{ActionRecord, AgentNudgeRecord, AgentTask, RunContactRecord};
use axle_store::approvals::ApprovalRecord;
use axle_store::spans::SpanRecord;
use axle_store::{CommitError, Versioned};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::runs::find_run;
use super::work::{PERSON, approval_event, check_params, whole_span};
use super::{Slice, Sliced};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::campaigns;
use crate::outreach::leads::without_nulls;

/// Attempts against others who decide about actions of the same person at the same moment.
const RACES: usize = 16;

/// Yes; perhaps with changes.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"edits": {"subject": "A better subject"}}))]
pub struct ApproveInput {
    /// A merge patch (RFC 7396) of the action's params.
    pub edits: Option<Map<String, Value>>,
    /// The hash of the action as it was shown: another one is refused.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub expected_hash: Option<String>,
}

/// No, and why.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"reason": "Not this customer"}))]
pub struct RejectInput {
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

impl Input for ApproveInput {
    fn note_faults(&self, faults: &mut Faults) {
        if let Some(edits) = &self.edits {
            axle_domain::agent::check_json("/edits", &Value::Object(edits.clone()), faults);
        }
    }
}

impl Input for RejectInput {}

/// Some approvals of a status, the oldest question first.
pub async fn approvals(app: &App, ctx: &Ctx, status: ApprovalStatus, slice: Slice) -> Result<Sliced<ApprovalRecord>> {
    let found = app.table().await.approvals(ctx.entity_id, status, slice.offset, slice.limit, ctx.now).await?;
    Ok(Sliced { items: found.0.into_iter().map(|approval| approval.value).collect(), slice, total: found.1 })
}

/// Lets an action be done.
///
/// # Errors
/// [`Error::Conflict`], naming who decided what when, if it was decided, has changed or came too late; [`Error::Invalid`] for edits
/// that make it unusable.
pub async fn approve(
    app: &App,
    ctx: &Ctx,
    place: (RunId, ContactId, usize),
    wish: ApproveInput,
    answer: impl Fn(&ActionRecord) -> Result<Answer>,
) -> Result<Answer> {
    decide(app, ctx, place, &Decision::Approve(wish), answer).await
}

/// Keeps an action from being done.
///
/// # Errors
/// As [`approve`].
pub async fn reject(
    app: &App,
    ctx: &Ctx,
    place: (RunId, ContactId, usize),
    wish: RejectInput,
    answer: impl Fn(&ActionRecord) -> Result<Answer>,
) -> Result<Answer> {
    decide(app, ctx, place, &Decision::Reject(wish), answer).await
}

/// What a person says.
pub(crate) enum Decision {
    Approve(ApproveInput),
    Reject(RejectInput),
}

async fn decide(
    app: &App,
    ctx: &Ctx,
    (run_id, person, index): (RunId, ContactId, usize),
    decision: &Decision,
    answer: impl Fn(&ActionRecord) -> Result<Answer>,
) -> Result<Answer> {
    let table = app.table().await;
    let id = contact_key(run_id, person.uuid());
    for _ in 0..RACES {
        let run = match find_run(app, ctx, run_id).await {
            Ok(run) => run.value,
            // Campaigns ask here as well: their runs are leads on their way.
            Err(Error::NotFound(_)) => {
                return campaigns::approval::decide(app, ctx, (run_id, person, index), decision, answer).await;
            }
            Err(e) => return Err(e),
        };
        let found = table.get::<RunContactRecord>(&RunContactRecord::key_of(ctx.entity_id, id), ctx.now).await?;
        let Versioned { value: old, version } = found.ok_or(Error::NotFound("contact of the run"))?;
        let action = old.actions.get(index).ok_or(Error::NotFound("action"))?;
        if let Some(actor) = &run.cancelled_by {
            let at = run.finished_at.map(|at| format!(" at {at}")).unwrap_or_default();
            return Err(Error::Conflict(format!("the run was cancelled by {}{at}", named(actor))));
        }
        judge(action, decision, ctx)?;
        let asked = table.approval(ctx.entity_id, approval_id(id, index), ctx.now).await?.ok_or(Error::NotFound("action"))?;
        let mut new = old.clone();
        let event = apply(&mut new, index, decision, ctx)?;
        let action = &new.actions[index];
        let status = if event.0 == EventType::AgentActionApproved { ApprovalStatus::Approved } else { ApprovalStatus::Rejected };
        let answered = ApprovalRecord {
            status,
            params: action.params.clone(),
            hash: action.hash.clone().unwrap_or_default(),
            decided_by: Some(ctx.actor.clone()),
            decided_at: Some(ctx.now),
            ..asked.value.clone()
        };
        let told = Ctx { trace_id: new.trace_id, ..ctx.clone() };
        let answer = answer(action)?;
        let mut tx = table.tx();
        tx.replace_run_contact(&old, &new, version);
        tx.answer(&asked.value, &answered, asked.version);
        tx.create("nudge", &AgentNudgeRecord::new(ctx.entity_id, vec![AgentTask::Work(id)], new.trace_id, ctx.now));
        tx.span(&span(ctx, &new, index, status));
        // Events of a call tell of the call's trace; the span tells of the run's.
        tx.emit(&approval_event(ctx, &answered, event.0, event.1), app.config().event_retention_days);
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => {
                super::runs::settle(app, &told, run_id).await?;
                return Ok(answer);
            }
            Err(CommitError::Condition { label: "contact" | "approval", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("others decide about it at the same moment; look again".to_owned()))
}

/// Refuses a decision about what cannot be decided any more, in words that say why.
pub(crate) fn judge(action: &ActionRecord, decision: &Decision, ctx: &Ctx) -> Result<()> {
    if let (Some(actor), Some(at)) = (&action.decided_by, action.decided_at) {
        let decided = if action.status == ActionStatus::Rejected { "rejected" } else { "approved" };
        return Err(Error::Conflict(format!("the action was {decided} by {} at {at}", named(actor))));
    }
    let asked = action.status == ActionStatus::PendingApproval;
    if let Some(at) = action.expires_at.filter(|at| action.status == ActionStatus::Expired || asked && *at <= ctx.now) {
        return Err(Error::Conflict(format!("the action expired at {at}: nobody had decided by then")));
    }
    if !asked {
        return Err(Error::Conflict(format!("the action is {}; nobody is asked about it", action.status)));
    }
    if let Decision::Approve(ApproveInput { expected_hash: Some(expected), .. }) = decision
        && action.hash.as_deref() != Some(expected)
    {
        let now = action.hash.as_deref().unwrap_or_default();
        return Err(Error::Conflict(format!("the action has changed since it was shown; its hash is {now}")));
    }
    Ok(())
}

/// Who, in words.
fn named(actor: &Actor) -> String {
    let kind = serde_json::to_value(actor.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    format!("{kind} {}", actor.id)
}

/// Changes the action and lets the runner look at it again.
fn apply(contact: &mut RunContactRecord, index: usize, decision: &Decision, ctx: &Ctx) -> Result<(EventType, Value)> {
    let (run_id, target) = (contact.run_id, contact.target);
    let action = &mut contact.actions[index];
    action.decided_by = Some(ctx.actor.clone());
    action.decided_at = Some(ctx.now);
    action.wake_at = None;
    let told = match decision {
        Decision::Approve(ApproveInput { edits, .. }) => {
            if let Some(edits) = edits {
                let params = merge_patch(action.params.clone(), &Value::Object(edits.clone()));
                check_params(action.action, &params)
                    .map_err(|faults| Error::Invalid(faults.into_iter().map(of_edits).collect()))?;
                action.params = params;
            }
            let hash = action_hash(run_id, target.id, index, action.action, &action.params);
            action.hash = Some(hash.clone());
            action.status = ActionStatus::Approved;
            (EventType::AgentActionApproved, json!({"run_id": run_id, "action": action.action, "hash": hash}))
        }
        Decision::Reject(RejectInput { reason }) => {
            let reason = reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
            action.status = ActionStatus::Rejected;
            action.error =
                Some(reason.map_or_else(|| "it was rejected".to_owned(), |reason| format!("it was rejected: {reason}")));
            (EventType::AgentActionRejected, without_nulls(json!({"run_id": run_id, "action": action.action, "reason": reason})))
        }
    };
    contact.status = RunStatus::Queued;
    // Should the message be lost, the next sweep finds it.
    contact.due_at = Some(ctx.now);
    Ok(told)
}

fn of_edits(fault: Fault) -> Fault {
    Fault::new(format!("/edits{}", fault.pointer), fault.detail)
}

fn span(ctx: &Ctx, contact: &RunContactRecord, index: usize, status: ApprovalStatus) -> SpanRecord {
    let action = &contact.actions[index];
    let started = action.requested_at.unwrap_or(ctx.now);
    let subject = format!("{}/{index}", contact.id);
    let lead = (contact.target.kind == ContactKind::Lead).then(|| LeadId::from_uuid(contact.target.id));
    let span = Span::new(contact.trace_id, name::APPROVE, subject, started)
        .parent(whole_span(contact.trace_id, PERSON, contact.id, started).span_id)
        .with(attribute::AGENT_ID, contact.agent_id.to_string())
        .with("axle.run_id", contact.run_id.to_string())
        .with("axle.step_id", action.step_id.clone())
        .with("axle.decision", status.as_str())
        .with("axle.action.hash", action.hash.clone())
        .done(ctx.now);
    SpanRecord::new(contact.entity_id, contact.trace_id, span).lead(lead)
}

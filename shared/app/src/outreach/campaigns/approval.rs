//! A person's word on a drafted message: asked for among the approvals of agents, and given there.
//!
//! The question is an approval like that of an agent's action: its run is the lead's way through the campaign, its person the lead, its
//! index the step (counted from 0), its action `send_message`. It is answered once, about what was shown, in time.

use axle_domain::agent::{
    ActionKind, ActionStatus, AgentRole, ApprovalStatus, ContactKind, action_hash, approval_id, built_in_id, contact_key,
};
use axle_domain::campaign::run::{RunState, StopCause};
use axle_domain::campaign::words::Words;
use axle_domain::campaign::{Channel, SequenceStep};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::id::{entropy, v7_at};
use axle_domain::merge::merge_patch;
use axle_domain::trace::name;
use axle_domain::{ApprovalId, CampaignRunId, ContactId, Faults, RunId};
use axle_store::agent_runs::{ActionRecord, Target};
use axle_store::approvals::ApprovalRecord;
use axle_store::runs::{DraftRecord, RunNote, RunNudgeRecord, RunRecord};
use axle_store::{CommitError, Tx};
use serde_json::{Map, Value, json};

use super::run::{Next, Turn};
use crate::agents::{ApproveInput, Decision, RejectInput, judge};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::without_nulls;

/// Days that a person has to look at a draft.
const APPROVAL_DAYS: i64 = 7;
/// Attempts against others who decide about the same draft at the same moment.
const RACES: usize = 16;

/// A run by the name that approvals know it by.
fn named(run: CampaignRunId) -> RunId {
    RunId::from_uuid(run.uuid())
}

fn index_of(step: u32) -> usize {
    usize::try_from(step.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// The question about a step of a run.
pub(crate) fn question(run: &RunRecord, step: u32) -> ApprovalId {
    approval_id(contact_key(named(run.id), run.lead_id.uuid()), index_of(step))
}

/// What is shown: the message, whole.
fn params(channel: Channel, words: &Words) -> Value {
    without_nulls(json!({"channel": channel, "subject": words.subject, "body": words.text, "html": words.html}))
}

/// Puts a message before a person.
pub(super) async fn ask(mut turn: Turn<'_>, step: &SequenceStep, words: Words) -> Result<Next> {
    let (now, run) = (turn.ctx.now, turn.run.clone());
    let expires_at = now.plus_days(APPROVAL_DAYS);
    let squad = &turn.campaign.agent_squad;
    let member = [AgentRole::Copywriter, AgentRole::Sender]
        .into_iter()
        .find_map(|role| squad.iter().find(|member| member.role == role.as_str())?.agent_id.parse().ok());
    let (params, index) = (params(step.channel, &words), index_of(step.step));
    let approval = ApprovalRecord {
        entity_id: run.entity_id,
        id: question(&run, step.step),
        agent_id: member.unwrap_or_else(|| built_in_id(run.entity_id, AgentRole::Sender)),
        campaign_id: Some(turn.campaign.id),
        run_id: named(run.id),
        run_contact_id: contact_key(named(run.id), run.lead_id.uuid()),
        target: Target { kind: ContactKind::Lead, id: run.lead_id.uuid() },
        action_index: index,
        action: ActionKind::SendMessage,
        hash: action_hash(named(run.id), run.lead_id.uuid(), index, ActionKind::SendMessage, &params),
        params,
        status: ApprovalStatus::Pending,
        requested_at: now,
        approve_by: expires_at,
        decided_by: None,
        decided_at: None,
    };
    turn.run.state = RunState::AwaitingApproval;
    turn.run.due_at = Some(expires_at);
    let draft = DraftRecord { entity_id: run.entity_id, run_id: run.id, step: step.step, words, created_at: now };
    let data = json!({"run_id": run.id, "action": ActionKind::SendMessage, "hash": approval.hash, "expires_at": expires_at});
    let mut tx = turn.app.table().await.tx();
    turn.put(&mut tx);
    tx.overwrite("draft", &draft);
    tx.ask(&approval);
    tx.emit(&told(&turn, &turn.ctx, &approval, EventType::AgentActionPending, data), turn.app.config().event_retention_days);
    match tx.commit().await {
        Ok(()) => Ok(Next::Rest),
        Err(CommitError::Condition { .. }) => Ok(Next::GoOn),
        Err(e) => Err(e.into()),
    }
}

fn told(turn: &Turn<'_>, ctx: &Ctx, approval: &ApprovalRecord, event_type: EventType, data: Value) -> Event {
    let subject = Subject::new("agent_action", approval.id);
    let event = Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data).agent(approval.agent_id);
    event.campaign(Some(turn.campaign.id)).lead(turn.run.lead_id).trace(turn.run.trace_id)
}

/// Takes back the question of a run that waits for its answer no more, in the transaction that changes the run.
pub(super) async fn withdraw(turn: &mut Turn<'_>, tx: &mut Tx<'_>) -> Result<()> {
    let (table, now) = (turn.app.table().await, turn.ctx.now);
    let Some(asked) = table.approval(turn.ctx.entity_id, question(&turn.run, turn.run.step), now).await? else { return Ok(()) };
    if asked.value.status != ApprovalStatus::Pending {
        return Ok(());
    }
    let late = turn.run.reason.as_deref() == Some(StopCause::NotApproved.as_str());
    let status = if late { ApprovalStatus::Expired } else { ApprovalStatus::Cancelled };
    let withdrawn = ApprovalRecord { status, decided_at: Some(now), ..asked.value.clone() };
    tx.answer(&asked.value, &withdrawn, asked.version);
    let detail = if late { "nobody decided in time" } else { "nobody needs to decide any more" };
    turn.run.note(
        RunNote::new(now, name::APPROVE, detail)
            .since(asked.value.requested_at)
            .step(turn.run.step)
            .with("axle.decision", status.as_str()),
    );
    Ok(())
}

/// Approves or rejects a drafted message, once. `place`: the run, the lead, and the step counted from 0.
///
/// # Errors
/// [`Error::NotFound`] if there is no such question; [`Error::Conflict`], naming who decided what when, if it was decided, has changed or
/// came too late; [`Error::Invalid`] for edits that make the message unusable.
pub(crate) async fn decide(
    app: &App,
    ctx: &Ctx,
    (run, person, index): (RunId, ContactId, usize),
    decision: &Decision,
    answer: impl Fn(&ActionRecord) -> Result<Answer>,
) -> Result<Answer> {
    for _ in 0..RACES {
        let turn = Turn::read(app, ctx.entity_id, CampaignRunId::from_uuid(run.uuid())).await?;
        let mut turn = turn.ok_or(Error::NotFound("run"))?;
        if turn.run.lead_id.uuid() != person.uuid() {
            return Err(Error::NotFound("contact of the run"));
        }
        let id = approval_id(contact_key(run, person.uuid()), index);
        let asked = app.table().await.approval(ctx.entity_id, id, ctx.now).await?.ok_or(Error::NotFound("action"))?;
        judge(&action(&asked.value, &turn.run), decision, ctx)?;
        if turn.run.state != RunState::AwaitingApproval || index_of(turn.run.step) != index {
            return Err(Error::Conflict("the message is not waited for any more".to_owned()));
        }
        turn.ctx = Ctx { idempotency: None, ..ctx.clone() };
        let mut answered =
            ApprovalRecord { decided_by: Some(ctx.actor.clone()), decided_at: Some(ctx.now), ..asked.value.clone() };
        let mut tx = app.table().await.tx();
        let (event_type, data) = apply(&mut turn, &mut answered, decision, &mut tx).await?;
        turn.run.note(
            RunNote::new(ctx.now, name::APPROVE, format!("step {} was {}", turn.run.step, answered.status.as_str()))
                .since(answered.requested_at)
                .step(turn.run.step)
                .with("axle.decision", answered.status.as_str())
                .with("axle.action.hash", answered.hash.clone()),
        );
        let answer = answer(&action(&answered, &turn.run))?;
        turn.put(&mut tx);
        tx.answer(&asked.value, &answered, asked.version);
        tx.create("nudge", &nudge(&turn, ctx));
        tx.emit(&told(&turn, ctx, &answered, event_type, data), app.config().event_retention_days);
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { label: "run" | "approval", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("others decide about it at the same moment; look again".to_owned()))
}

/// Has a worker go on with the run.
fn nudge(turn: &Turn<'_>, ctx: &Ctx) -> RunNudgeRecord {
    let id = v7_at(ctx.now, entropy());
    RunNudgeRecord { entity_id: ctx.entity_id, id, run_id: turn.run.id, trace_id: turn.run.trace_id, created_at: ctx.now }
}

/// The question in the form in which agents' actions are shown and judged.
fn action(approval: &ApprovalRecord, run: &RunRecord) -> ActionRecord {
    let status = match approval.status {
        ApprovalStatus::Pending => ActionStatus::PendingApproval,
        ApprovalStatus::Approved => ActionStatus::Approved,
        ApprovalStatus::Rejected => ActionStatus::Rejected,
        ApprovalStatus::Expired => ActionStatus::Expired,
        ApprovalStatus::Cancelled => ActionStatus::Skipped,
    };
    ActionRecord {
        index: approval.action_index,
        step_id: format!("step {}", approval.action_index + 1),
        action: approval.action,
        params: approval.params.clone(),
        status,
        attempts: 0,
        hash: Some(approval.hash.clone()),
        result: None,
        error: run.reason.clone().filter(|_| status == ActionStatus::Rejected),
        decided_by: approval.decided_by.clone(),
        decided_at: approval.decided_at.filter(|_| approval.decided_by.is_some()),
        cost: axle_domain::Micros::ZERO,
        requested_at: Some(approval.requested_at),
        expires_at: Some(approval.approve_by),
        started_at: None,
        wake_at: None,
    }
}

async fn apply(
    turn: &mut Turn<'_>,
    answered: &mut ApprovalRecord,
    decision: &Decision,
    tx: &mut Tx<'_>,
) -> Result<(EventType, Value)> {
    let run = turn.run.id;
    match decision {
        Decision::Approve(ApproveInput { edits, .. }) => {
            if let Some(edits) = edits {
                edit(turn, answered, edits, tx)?;
            }
            answered.status = ApprovalStatus::Approved;
            turn.run.state = RunState::Waiting;
            turn.run.approved = true;
            // Should the message be lost, the next sweep finds it.
            turn.run.due_at = Some(turn.ctx.now);
            let data = json!({"run_id": run, "action": answered.action, "hash": answered.hash});
            Ok((EventType::AgentActionApproved, data))
        }
        Decision::Reject(RejectInput { reason }) => {
            let reason = reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
            answered.status = ApprovalStatus::Rejected;
            turn.run.state = RunState::Stopped;
            turn.run.reason = Some(StopCause::Rejected.to_string());
            tx.remove("draft", DraftRecord::key_of(turn.ctx.entity_id, run));
            let data = without_nulls(json!({"run_id": run, "action": answered.action, "reason": reason}));
            Ok((EventType::AgentActionRejected, data))
        }
    }
}

/// Changes the words. An HTML part that nobody has edited along is of another text: it is left out, and made from the text.
fn edit(turn: &Turn<'_>, answered: &mut ApprovalRecord, edits: &Map<String, Value>, tx: &mut Tx<'_>) -> Result<()> {
    let mut params = merge_patch(answered.params.clone(), &Value::Object(edits.clone()));
    if edits.contains_key("body")
        && !edits.contains_key("html")
        && let Some(fields) = params.as_object_mut()
    {
        fields.remove("html");
    }
    let words = words(&params, &answered.params)?;
    let step = turn.run.step;
    let draft = DraftRecord { entity_id: turn.ctx.entity_id, run_id: turn.run.id, step, words, created_at: turn.ctx.now };
    tx.overwrite("draft", &draft);
    let (run, person, index) = (answered.run_id, answered.target.id, answered.action_index);
    answered.hash = action_hash(run, person, index, answered.action, &params);
    answered.params = params;
    Ok(())
}

fn words(params: &Value, before: &Value) -> Result<Words> {
    let mut faults = Faults::new();
    let fields = params.as_object().cloned().unwrap_or_default();
    for name in fields.keys().filter(|name| !["channel", "subject", "body", "html"].contains(&name.as_str())) {
        faults.add(format!("/edits/{name}"), "is no part of a message");
    }
    if params["channel"] != before["channel"] {
        faults.add("/edits/channel", "cannot be changed");
    }
    let mut part = |name: &str, most: usize| match &params[name] {
        Value::Null => None,
        Value::String(text) if !text.trim().is_empty() && text.chars().count() <= most => Some(text.clone()),
        _ => {
            faults.add(format!("/edits/{name}"), format!("must be a text of 1 to {most} characters"));
            None
        }
    };
    let words = Words { subject: part("subject", 500), text: part("body", 20_000), html: part("html", 100_000) };
    if words.text.is_none() && words.html.is_none() {
        faults.add("/edits/body", "is required");
    }
    if words.subject.as_deref().is_some_and(|subject| subject.chars().any(char::is_control)) {
        faults.add("/edits/subject", "must be one line");
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(words)
}

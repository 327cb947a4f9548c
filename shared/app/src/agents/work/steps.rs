//! What a step is told, once its places are filled: what is shown to whoever approves it, and what is done.

use axle_domain::agent::{
    ActionKind, AddToListParams, CreateTaskParams, DraftParams, EnrichParams, FollowUpParams, HttpParams, ModelParams, NoParams,
    NotifyParams, ResearchParams, RunStatus, SendParams, StageParams, WaitParams, render_value,
};
use axle_domain::trace::{Span, SpanId, attribute, name};
use axle_domain::{Fault, Faults, RunContactId, RunId, Time, TraceId};
use axle_store::agent_runs::{ActionRecord, RunRecord};
use axle_store::spans::SpanRecord;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::agents::runs::NOBODY;
use crate::error::{Error, Result};
use crate::input;

/// The params of an action with every place filled but those of `raw`; a message from a draft is its text.
///
/// # Errors
/// A sentence about what is missing or does not fit.
pub(in crate::agents) fn prepared_params(
    action: &ActionRecord,
    context: &Value,
    actions: &[ActionRecord],
    raw: &[&str],
) -> Result<Value, String> {
    let mut params = render_value(&action.params, context, raw).map_err(|e| format!("a text cannot be filled: {e}"))?;
    if action.action == ActionKind::SendMessage
        && let Some(from) = params["from_step"].as_str()
    {
        let draft = actions.iter().find(|other| other.step_id == from).and_then(|other| other.result.as_ref());
        let draft = draft.ok_or_else(|| format!("the step {from} has drafted nothing"))?;
        let subject = if params["channel"] == "email" { params.get("subject").or(draft.get("subject")).cloned() } else { None };
        params = json!({"channel": params["channel"], "body": draft["body"]});
        if let Some(subject) = subject {
            params["subject"] = subject;
        }
    }
    check_params(action.action, &params).map_err(|faults| {
        let all: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
        all.join("; ")
    })?;
    Ok(params)
}

/// Every fault of an action's params, with pointers relative to them.
pub(in crate::agents) fn check_params(kind: ActionKind, params: &Value) -> Result<(), Vec<Fault>> {
    let value = params.clone();
    let mut faults = Faults::new();
    let read = match kind {
        ActionKind::Enrich => input::read::<EnrichParams>(value).map(drop),
        ActionKind::Score => input::read::<NoParams>(value).map(drop),
        ActionKind::Research => input::read::<ResearchParams>(value).map(drop),
        ActionKind::DraftMessage => input::read::<DraftParams>(value).map(|draft| draft.note_rules(&mut faults)),
        ActionKind::SendMessage => input::read::<SendParams>(value).map(|send| {
            send.note_rules(&mut faults);
            // It is sent to whom it is for: what is shown has to be all of it.
            if send.from_step.is_some() {
                faults.add("/from_step", "is the text itself by now");
            }
        }),
        ActionKind::Wait => input::read::<WaitParams>(value).map(drop),
        ActionKind::CreateTask => input::read::<CreateTaskParams>(value).map(drop),
        ActionKind::CreateFollowUp => input::read::<FollowUpParams>(value).map(drop),
        ActionKind::UpdateStage => input::read::<StageParams>(value).map(drop),
        ActionKind::AddToList => input::read::<AddToListParams>(value).map(drop),
        ActionKind::Model => input::read::<ModelParams>(value).map(drop),
        ActionKind::Http => input::read::<HttpParams>(value).map(drop),
        ActionKind::Notify => input::read::<NotifyParams>(value).map(drop),
    };
    match read {
        Ok(()) => faults.check(),
        Err(Error::Invalid(found)) => Err(found),
        Err(e) => Err(vec![Fault::new("", e.to_string())]),
    }
}

/// What a span of an action is called.
fn span_name(kind: ActionKind) -> String {
    match kind {
        ActionKind::Enrich => name::ENRICH.to_owned(),
        ActionKind::Score => name::SCORE.to_owned(),
        ActionKind::DraftMessage => name::DRAFT.to_owned(),
        ActionKind::Wait => name::WAIT.to_owned(),
        // What becomes of the message follows from the message itself.
        other => name::agent(other),
    }
}

/// The span of an attempt at an action, which others know by `key`.
pub(in crate::agents) fn step_span(trace: TraceId, action: &ActionRecord, key: Uuid, started_at: Time) -> Span {
    Span::new(trace, &span_name(action.action), format!("{key}/{}", action.attempts), started_at)
}

/// What the spans of a person's way, or of an execution, follow from.
pub(in crate::agents) fn whole_span(trace: TraceId, name: &str, id: RunContactId, started_at: Time) -> Span {
    Span::new(trace, name, id, started_at)
}

/// The name of the span of a run, which its people's follow from.
const RUN: &str = "agent.run";
/// The name of the span of a person's way through a run.
pub(in crate::agents) const PERSON: &str = "agent.contact";
/// The span of a run: running until the last of its people has ended.
pub(in crate::agents) fn run_span(run: &RunRecord, agent: &str) -> SpanRecord {
    let span = Span::new(run.trace_id, RUN, run.id, run.created_at)
        .agent(agent)
        .with(attribute::OPERATION, "invoke_agent")
        .with(attribute::AGENT_ID, run.agent_id.to_string())
        .with(attribute::AGENT_NAME, agent)
        .with("axle.run_id", run.id.to_string())
        .with("axle.job_id", run.job_id.to_string())
        .with("axle.run.contacts", run.total);
    let span = match (run.status, run.finished_at) {
        (RunStatus::Failed, Some(at)) => span.failed(at, NOBODY),
        (status, Some(at)) => span.with(attribute::OUTCOME, status.as_str()).done(at),
        (_, None) => span,
    };
    SpanRecord::new(run.entity_id, run.trace_id, span)
}

/// The id of that span.
pub(in crate::agents) fn run_span_id(trace: TraceId, run: RunId) -> SpanId {
    SpanId::of(trace, RUN, run)
}

/// The name of the span of an execution.
pub(in crate::agents) const EXECUTE: &str = "agent.execute";

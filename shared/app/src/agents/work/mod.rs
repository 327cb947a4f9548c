//! The runner: what a message asks for, as far as the time allows. Every message may come twice, late, or to two workers at once.

mod model;
mod outcome;
mod perform;
mod person;
mod plan;
mod session;
mod steps;

pub(super) use outcome::{Effect, Outcome, Spent};
pub(super) use perform::{Doing, perform};
pub(super) use person::Person;
pub(super) use plan::{actions as planned_actions, forget_approvals};
pub(super) use session::{approval_event, ended};
pub(super) use steps::{EXECUTE, PERSON, check_params, prepared_params, run_span, step_span, whole_span};

use std::time::{Duration, Instant};

use axle_domain::TraceId;
use axle_store::agent_runs::{AgentMessage, AgentTask};

use crate::context::{App, Ctx};
use crate::error::Result;

/// What an invocation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worked {
    /// A job's runs are made, or an agent's runs are forgotten.
    Made,
    /// The person's way is at its end.
    Ended,
    /// It waits: for a time, or for somebody's decision.
    Parked,
    /// The time was up; a message that makes another worker go on is on its way.
    Continued,
    /// Another worker is at it, or was faster.
    Superseded,
    /// It had ended before, or is gone.
    NothingToDo,
}

/// Time that a worker keeps for the write after a step.
const RESERVE: Duration = Duration::from_secs(3);

/// Does what a message asks for until `deadline`, at which the invocation would be killed.
///
/// # Errors
/// Something that is needed is away: the message should be delivered again.
pub async fn work(app: &App, message: &AgentMessage, deadline: Instant) -> Result<Worked> {
    let trace = message.trace_id.unwrap_or_else(TraceId::random);
    let ctx = Ctx::system(message.entity_id, "agent-runner", app.now(), trace);
    match &message.task {
        AgentTask::Plan(job) => plan::plan(app, &ctx, *job, deadline).await,
        AgentTask::Work(contact) => session::work(app, &ctx, *contact, deadline).await,
        AgentTask::Forget(agent) => plan::forget(app, &ctx, *agent, deadline).await,
    }
}

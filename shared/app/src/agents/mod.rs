//! Agents: who they are, what they are called to do, how they do it, and what people decide about it.
//!
//! A call of an agent is a job. [`work::work`] finds the job's people, makes its runs, and takes each person through the playbook.
//! How far that is stands in one item a person; its version is what makes every step happen once, whoever does it and however often
//! the message about it comes.

mod approvals;
pub(crate) mod erase;
mod execute;
mod leads;
mod names;
mod registry;
mod runs;
mod trigger;
pub mod work;

pub use approvals::{ApproveInput, RejectInput, approvals, approve, reject};
pub(crate) use approvals::{Decision, judge};
pub use execute::{ExecuteInput, Executed, execute};
pub use registry::{AgentView, agents, create, delete, get, list, patch};
pub use runs::{JobView, PersonView, RunView, cancel, get_job, get_run, list_runs};
pub use trigger::{TriggerInput, trigger};

pub use axle_store::agent_runs::{AgentMessage, AgentTask};

/// A part of a list by position, as this surface pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub offset: usize,
    pub limit: usize,
}

/// Part of a list, and how many there are in all.
#[derive(Clone, Debug)]
pub struct Sliced<T> {
    pub items: Vec<T>,
    pub slice: Slice,
    pub total: u64,
}

/// Attempts against others who change the same thing at the same moment.
const RACES: usize = 8;

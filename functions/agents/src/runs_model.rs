//! Runs, jobs and actions as the API shows them.

use axle_app::agents::{JobView, PersonView, RunView};
use axle_domain::agent::{ActionKind, ActionStatus, ApprovalStatus, ContactKind, RunStatus};
use axle_domain::{Actor, AgentId, AgentJobId, CampaignId, ContactId, Micros, RunId, Time, TraceId};
use axle_store::agent_runs::{ActionRecord, JobRecord, RunContactRecord, RunRecord};
use axle_store::approvals::ApprovalRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Somebody, by name.
#[derive(Serialize, ToSchema)]
pub struct RunPerson {
    pub name: Option<String>,
    pub email: Option<String>,
    pub company: Option<String>,
}

/// One action for one person.
#[derive(Serialize, ToSchema)]
#[schema(as = RunAction)]
pub struct ActionOut {
    pub index: usize,
    pub step_id: String,
    pub action: ActionKind,
    /// With every place filled, once it was begun or shown.
    #[schema(value_type = Object)]
    pub params: Value,
    pub status: ActionStatus,
    /// What an approval is bound to.
    pub hash: Option<String>,
    pub result: Option<Value>,
    /// What went wrong, or why it was left out.
    pub error: Option<String>,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<Time>,
    pub expires_at: Option<Time>,
    pub cost: Micros,
}

impl From<&ActionRecord> for ActionOut {
    fn from(action: &ActionRecord) -> Self {
        let ActionRecord {
            index,
            step_id,
            action,
            params,
            status,
            attempts: _,
            hash,
            result,
            error,
            decided_by,
            decided_at,
            cost,
            requested_at: _,
            expires_at,
            started_at: _,
            wake_at: _,
        } = action.clone();
        Self { index, step_id, action, params, status, hash, result, error, decided_by, decided_at, expires_at, cost }
    }
}

/// One person's way through a run.
#[derive(Serialize, ToSchema)]
pub struct RunContact {
    /// Of a contact of the CRM, or of a lead.
    pub contact_id: ContactId,
    pub kind: ContactKind,
    pub contact: RunPerson,
    pub status: RunStatus,
    /// Why it ended without everything being done.
    pub reason: Option<String>,
    pub cost: Micros,
    pub actions: Vec<ActionOut>,
}

impl RunContact {
    fn new(contact: &RunContactRecord, person: &PersonView) -> Self {
        let PersonView { name, email, company } = person.clone();
        Self {
            contact_id: ContactId::from_uuid(contact.target.id),
            kind: contact.target.kind,
            contact: RunPerson { name, email, company },
            status: contact.status,
            reason: contact.reason.clone(),
            cost: contact.cost,
            actions: contact.actions.iter().map(ActionOut::from).collect(),
        }
    }
}

/// A run: an agent at work for up to 200 people of one call.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentRun)]
pub struct RunOut {
    pub id: RunId,
    pub agent_id: AgentId,
    pub job_id: AgentJobId,
    pub status: RunStatus,
    /// Only of a run that is asked for alone, or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<RunContact>>,
    pub total: u64,
    pub trace_id: TraceId,
    pub cost: Micros,
    pub started_at: Time,
    pub finished_at: Option<Time>,
}

impl RunOut {
    pub fn new(view: &RunView, whole: bool) -> Self {
        let RunRecord { id, job_id, agent_id, total, trace_id, created_at, finished_at, .. } = view.run.clone();
        let contacts = view.contacts.iter().map(|(contact, person)| RunContact::new(contact, person)).collect();
        Self {
            id,
            agent_id,
            job_id,
            status: view.status,
            contacts: whole.then_some(contacts),
            total,
            trace_id,
            cost: view.cost,
            started_at: created_at,
            finished_at: finished_at.filter(|_| view.status.is_final()),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct RunAnswer {
    #[schema(example = "success")]
    pub status: &'static str,
    pub run: RunOut,
}

impl RunAnswer {
    pub fn new(view: &RunView, whole: bool) -> Self {
        Self { status: "success", run: RunOut::new(view, whole) }
    }
}

#[derive(Serialize, ToSchema)]
pub struct RunSlice {
    #[schema(example = "success")]
    pub status: &'static str,
    pub runs: Vec<RunOut>,
    pub total: u64,
    pub limit: usize,
    pub offset: usize,
}

/// The job that a call began.
#[derive(Serialize, ToSchema)]
pub struct TriggerAnswer {
    #[schema(example = "success")]
    pub status: &'static str,
    pub job_id: AgentJobId,
}

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentJob)]
pub struct JobOut {
    pub id: AgentJobId,
    pub agent_id: AgentId,
    pub status: RunStatus,
    /// People; 0 until they are found.
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    /// Whose way ended because the run was cancelled, or what was asked was rejected.
    pub cancelled: u64,
    /// For a time, or for somebody's decision.
    pub waiting: u64,
    /// Its runs, once they are made.
    pub run_ids: Vec<RunId>,
    pub error: Option<String>,
    pub created_at: Time,
}

#[derive(Serialize, ToSchema)]
pub struct JobAnswer {
    #[schema(example = "success")]
    pub status: &'static str,
    pub job: JobOut,
}

impl From<JobView> for JobAnswer {
    fn from(view: JobView) -> Self {
        let run_ids = if view.job.planned { view.job.runs() } else { Vec::new() };
        let JobRecord { id, agent_id, error, created_at, .. } = view.job;
        let counts = view.counts;
        let job = JobOut {
            id,
            agent_id,
            status: view.status,
            total: view.total,
            completed: counts.completed,
            failed: counts.failed,
            cancelled: counts.cancelled,
            waiting: counts.waiting + counts.pending_approval,
            run_ids,
            error,
            created_at,
        };
        Self { status: "success", job }
    }
}

/// An action and what was decided about it.
#[derive(Serialize, ToSchema)]
pub struct ActionAnswer {
    #[schema(example = "success")]
    pub status: &'static str,
    pub action: ActionOut,
}

impl From<&ActionRecord> for ActionAnswer {
    fn from(action: &ActionRecord) -> Self {
        Self { status: "success", action: action.into() }
    }
}

/// An action that asks, or asked.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentApproval)]
pub struct ApprovalOut {
    /// Of an agent's run, or a lead's way through the campaign.
    pub run_id: RunId,
    /// The campaign whose draft it is; null for what an agent's run asks.
    pub campaign_id: Option<CampaignId>,
    pub contact_id: ContactId,
    pub kind: ContactKind,
    pub agent_id: AgentId,
    pub action_index: usize,
    pub action: ActionKind,
    #[schema(value_type = Object)]
    pub params: Value,
    pub hash: String,
    pub status: ApprovalStatus,
    pub requested_at: Time,
    pub expires_at: Time,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<Time>,
}

#[derive(Serialize, ToSchema)]
pub struct ApprovalSlice {
    #[schema(example = "success")]
    pub status: &'static str,
    pub approvals: Vec<ApprovalOut>,
    pub total: u64,
    pub limit: usize,
    pub offset: usize,
}

impl From<ApprovalRecord> for ApprovalOut {
    fn from(approval: ApprovalRecord) -> Self {
        let ApprovalRecord {
            entity_id: _,
            id: _,
            agent_id,
            campaign_id,
            run_id,
            run_contact_id: _,
            target,
            action_index,
            action,
            params,
            hash,
            status,
            requested_at,
            approve_by,
            decided_by,
            decided_at,
        } = approval;
        Self {
            run_id,
            campaign_id,
            contact_id: ContactId::from_uuid(target.id),
            kind: target.kind,
            agent_id,
            action_index,
            action,
            params,
            hash,
            status,
            requested_at,
            expires_at: approve_by,
            decided_by,
            decided_at,
        }
    }
}

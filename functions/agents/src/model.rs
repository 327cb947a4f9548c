//! Agents as the API shows them.

use axle_app::agents::{AgentView, Executed};
use axle_domain::agent::{AgentInput, AgentRole, Playbook, RunStatus, Runtime, TemplateName, Visibility};
use axle_domain::model::LlmConfig;
use axle_domain::{AgentId, Micros, SendingIdentityId, Time, TraceId};
use axle_store::Versioned;
use axle_store::agents::{AgentNumbers, AgentRecord};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// An agent.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentOut {
    pub id: AgentId,
    /// Of a built-in agent.
    pub role: Option<AgentRole>,
    pub built_in: bool,
    pub name: String,
    pub description: Option<String>,
    pub playbook_template: Option<TemplateName>,
    pub capabilities: Vec<String>,
    pub identity_id: Option<SendingIdentityId>,
    /// Its own, or its template's.
    pub playbook: Option<Playbook>,
    pub monitoring: Option<Map<String, Value>>,
    pub llm_config: Option<LlmConfig>,
    pub enabled: bool,
    pub slug: String,
    pub title: Option<String>,
    pub visibility: Visibility,
    pub transaction_price: Micros,
    pub estimated_completion_time: Option<u32>,
    pub input_schema: Option<Map<String, Value>>,
    pub output_schema: Option<Map<String, Value>>,
    pub image_url: Option<String>,
    pub runtime: Runtime,
    pub endpoint: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Versioned<AgentRecord>> for AgentOut {
    fn from(agent: &Versioned<AgentRecord>) -> Self {
        // Taken apart whole, so that a new field must be decided on here.
        let AgentRecord { entity_id: _, id, role, spec, slug, status: _, q: _, created_at, updated_at } = agent.value.clone();
        let playbook = spec.effective_playbook();
        let AgentInput {
            name,
            description,
            playbook_template,
            capabilities,
            identity_id,
            playbook: _,
            monitoring,
            llm_config,
            enabled,
            slug: _,
            title,
            visibility,
            transaction_price,
            estimated_completion_time,
            input_schema,
            output_schema,
            image_url,
            runtime,
            endpoint,
        } = spec;
        Self {
            id,
            role,
            built_in: role.is_some(),
            name,
            description,
            playbook_template,
            capabilities,
            identity_id,
            playbook,
            monitoring,
            llm_config,
            enabled: enabled.unwrap_or(true),
            slug,
            title,
            visibility: visibility.unwrap_or(Visibility::Private),
            transaction_price: transaction_price.unwrap_or_default(),
            estimated_completion_time,
            input_schema,
            output_schema,
            image_url,
            runtime: runtime.unwrap_or(Runtime::Playbook),
            endpoint,
            created_at,
            updated_at,
        }
    }
}

/// An agent in an answer of this surface.
#[derive(Serialize, ToSchema)]
pub struct AgentAnswer {
    #[schema(example = "success")]
    pub status: &'static str,
    pub agent: AgentOut,
}

impl From<&Versioned<AgentRecord>> for AgentAnswer {
    fn from(agent: &Versioned<AgentRecord>) -> Self {
        Self { status: "success", agent: agent.into() }
    }
}

/// Some agents.
#[derive(Serialize, ToSchema)]
pub struct AgentSlice {
    #[schema(example = "success")]
    pub status: &'static str,
    pub agents: Vec<AgentOut>,
    pub total: u64,
    pub limit: usize,
    pub offset: usize,
}

/// A merge patch of an agent.
pub type AgentPatch = axle_http::PatchOf<AgentInput>;

/// How an agent is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Active,
    Disabled,
    /// Of at least ten executions, more than half failed.
    Degraded,
}

/// How an agent did. An execution is one person taken through its playbook, or one call of `execute`.
#[derive(Serialize, ToSchema)]
pub struct AgentMetrics {
    pub total_executions: u64,
    /// From 0 to 1; 0 without executions.
    pub success_rate: f64,
    /// Time at work; waits and decisions of people are not in it.
    pub average_duration_ms: u64,
    pub last_execution_at: Option<Time>,
}

/// An agent with how it did.
#[derive(Serialize, ToSchema)]
pub struct AgentEntry {
    pub id: AgentId,
    pub name: String,
    pub role: Option<AgentRole>,
    pub status: AgentStatus,
    pub metrics: AgentMetrics,
}

#[derive(Serialize, ToSchema)]
pub struct AgentPage {
    pub agents: Vec<AgentEntry>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

impl From<AgentView> for AgentEntry {
    fn from(view: AgentView) -> Self {
        let AgentNumbers { executions, succeeded, duration_ms, last_at } = view.numbers;
        let agent = view.agent.value;
        let status = match (agent.is_enabled(), executions >= 10 && succeeded * 2 < executions) {
            (false, _) => AgentStatus::Disabled,
            (true, true) => AgentStatus::Degraded,
            (true, false) => AgentStatus::Active,
        };
        let metrics = AgentMetrics {
            total_executions: executions,
            success_rate: if executions == 0 { 0.0 } else { succeeded as f64 / executions as f64 },
            average_duration_ms: duration_ms.checked_div(executions).unwrap_or(0),
            last_execution_at: last_at,
        };
        Self { id: agent.id, name: agent.spec.name, role: agent.role, status, metrics }
    }
}

/// What an execution took.
#[derive(Serialize, ToSchema)]
pub struct ExecutionMetadata {
    pub duration_ms: u64,
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost: Micros,
    pub trace_id: TraceId,
    pub started_at: Time,
}

/// An execution and what came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Execution)]
pub struct ExecutionOut {
    #[schema(value_type = String, format = "uuid")]
    pub execution_id: Uuid,
    pub agent_id: AgentId,
    /// `completed` or `failed`.
    pub status: RunStatus,
    /// Of an agent with one step its result, else `{steps: {<id>: {status, result, error}}}`.
    pub output: Value,
    pub metadata: ExecutionMetadata,
}

impl From<&Executed> for ExecutionOut {
    fn from(executed: &Executed) -> Self {
        let Executed {
            execution_id,
            agent_id,
            status,
            output,
            duration_ms,
            model,
            input_tokens,
            output_tokens,
            cost,
            trace_id,
            started_at,
        } = executed.clone();
        let metadata = ExecutionMetadata { duration_ms, model, input_tokens, output_tokens, cost, trace_id, started_at };
        Self { execution_id, agent_id, status, output, metadata }
    }
}

//! Agents: what they are, what a playbook has them do, and where a run of one stands.

mod input;
mod params;
mod playbook;
mod render;
mod run;
mod schema;
mod squad;
mod templates;

pub use input::{AgentInput, AgentPatchInput, MAX_AGENTS, PriceInput};
pub use params::{
    AddToListParams, CreateTaskParams, DraftChannel, DraftParams, EnrichParams, FollowUpParams, HttpMethod, HttpParams,
    ModelParams, NoParams, NotifyParams, ResearchParams, SendChannel, SendParams, StageParams, WaitParams,
};
pub use playbook::{ContactSource, Limits, MAX_STEPS, Playbook, Step, Targeting};
pub use render::{Condition, check_condition, check_text, render_value};
pub use run::{
    ACTIONS, ActionStatus, ApprovalStatus, ContactCounts, ContactKind, RunStatus, action_hash, approval_id, contact_key,
    execution_id, step_key,
};
pub use schema::{MAX_SCHEMA_BYTES, check_json, check_schema, schema_options};
pub use squad::{AgentRole, BuiltIn, built_in, built_in_id};
pub use templates::{TemplateName, template};

use crate::crm::names::words;

words! {
    /// What an agent is made of.
    Runtime {
        /// Its playbook's steps.
        Playbook = "playbook",
        /// One question to its model.
        Model = "model",
        /// A service of its owner's that answers by HTTP.
        Http = "http",
    }
}

words! {
    /// Who finds an agent in the marketplace.
    Visibility {
        Private = "private",
        Public = "public",
    }
}

words! {
    /// What a step does.
    ActionKind {
        Enrich = "enrich",
        Score = "score",
        Research = "research",
        DraftMessage = "draft_message",
        SendMessage = "send_message",
        Wait = "wait",
        CreateTask = "create_task",
        CreateFollowUp = "create_follow_up",
        UpdateStage = "update_stage",
        AddToList = "add_to_list",
        Model = "model",
        Http = "http",
        Notify = "notify",
    }
}

words! {
    /// What follows when a step fails for good.
    OnError {
        /// The person's run ends as failed.
        Fail = "fail",
        /// The next step is done.
        Skip = "skip",
        /// It is tried three times more, at growing intervals; then the person's run ends as failed.
        Retry = "retry",
    }
}

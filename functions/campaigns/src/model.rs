//! Campaigns as the API shows them.

use axle_app::outreach::campaigns::{Member, Overview};
use axle_domain::campaign::estimate::CostBreakdown;
use axle_domain::campaign::metrics::Metrics;
use axle_domain::campaign::run::RunState;
use axle_domain::campaign::{AgentsSpec, CampaignInput, CampaignStatus, Channel, Icp, Messaging};
use axle_domain::{CampaignId, CommunicationId, LeadId, Micros, Time, TraceId};
use axle_store::Versioned;
use axle_store::campaigns::{CampaignRecord, PauseReason};
use axle_store::runs::{RunMessage, RunNote};
use serde::Serialize;
use utoipa::ToSchema;

/// An agent that works for the campaign.
#[derive(Serialize, ToSchema)]
pub struct SquadMemberOut {
    pub agent_id: String,
    pub role: String,
    pub name: String,
}

/// What the campaign has cost so far.
#[derive(Serialize, ToSchema)]
pub struct SpendOut {
    pub current: Micros,
    /// Null without a budget.
    pub budget: Option<Micros>,
    #[schema(example = "USD")]
    pub currency: &'static str,
    pub by_category: CostBreakdown,
}

/// A campaign.
#[derive(Serialize, ToSchema)]
pub struct CampaignOut {
    pub id: CampaignId,
    pub name: String,
    pub status: CampaignStatus,
    /// Why it is paused: `user`, or `budget` when that is spent.
    #[schema(example = "budget")]
    pub pause_reason: Option<&'static str>,
    /// Null for a draft.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub execution_id: Option<String>,
    pub launched_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub icp: Icp,
    pub channels: Vec<Channel>,
    pub messaging: Messaging,
    pub agents: AgentsSpec,
    pub identity_id: Option<String>,
    pub agent_squad: Vec<SquadMemberOut>,
    pub metrics: Metrics,
    pub spend: SpendOut,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Serialize, ToSchema)]
pub struct CampaignPage {
    pub campaigns: Vec<CampaignOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

impl CampaignOut {
    pub fn of(campaign: &Versioned<CampaignRecord>, overview: &Overview) -> Self {
        // Taken apart whole, so that a new field of the record or its definition must be decided on here.
        let CampaignRecord {
            entity_id: _,
            id,
            status,
            spec,
            agent_squad,
            launch,
            pause_reason,
            budget_told: _,
            ended_at,
            created_at,
            updated_at,
        } = campaign.value.clone();
        let CampaignInput { name, icp, channels, messaging, agents, identity_id } = spec;
        let member = |m: axle_store::campaigns::SquadMember| SquadMemberOut { agent_id: m.agent_id, role: m.role, name: m.name };
        let Overview { metrics, spent, budget } = overview.clone();
        let spend = SpendOut { current: spent.total(), budget, currency: "USD", by_category: spent };
        Self {
            id,
            name,
            status,
            pause_reason: pause_reason.map(|reason| match reason {
                PauseReason::User => "user",
                PauseReason::Budget => "budget",
            }),
            execution_id: launch.as_ref().map(|launch| launch.execution_id.to_string()),
            launched_at: launch.map(|launch| launch.at),
            ended_at,
            icp,
            channels,
            messaging,
            agents,
            identity_id,
            agent_squad: agent_squad.into_iter().map(member).collect(),
            metrics,
            spend,
            created_at,
            updated_at,
        }
    }

    /// A draft has done nothing yet.
    pub fn draft(campaign: &Versioned<CampaignRecord>) -> Self {
        Self::of(campaign, &Overview::default())
    }
}

/// A message of the sequence to one lead.
#[derive(Serialize, ToSchema)]
pub struct MemberMessageOut {
    pub step: u32,
    pub communication_id: CommunicationId,
    pub variant: Option<String>,
    pub cost: Micros,
    pub queued_at: Time,
}

/// Something that happened to a lead in the campaign.
#[derive(Serialize, ToSchema)]
pub struct MemberNoteOut {
    pub at: Time,
    /// A span's name.
    #[schema(example = "lead.enrich")]
    pub what: String,
    pub detail: String,
}

/// A lead in the campaign.
#[derive(Serialize, ToSchema)]
#[schema(as = CampaignLeadOut)]
pub struct MemberOut {
    pub lead_id: LeadId,
    pub state: RunState,
    /// The step that comes next or is under way; null before and after.
    pub step: Option<u32>,
    /// When the next step is due, while the lead waits for it.
    pub next_at: Option<Time>,
    /// Why it ended, such as `reply`, `unsubscribe` or what could not be done.
    pub reason: Option<String>,
    pub messages: Vec<MemberMessageOut>,
    /// The latest, oldest first.
    pub notes: Vec<MemberNoteOut>,
    /// The trace of all that happens between the campaign and the lead.
    pub trace_id: Option<TraceId>,
    pub added_at: Time,
    pub ended_at: Option<Time>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CampaignLeadPage)]
pub struct MemberPage {
    pub leads: Vec<MemberOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

impl From<Member> for MemberOut {
    fn from(member: Member) -> Self {
        let Member { lead_id, state, step, next_at, reason, messages, notes, trace_id, added_at, ended_at } = member;
        let message = |message: RunMessage| {
            let RunMessage { step, id, variant, cost, day: _, queued_at, settled: _ } = message;
            MemberMessageOut { step, communication_id: id, variant, cost, queued_at }
        };
        let note = |RunNote { at, what, detail, since: _, step: _, failed: _, attributes: _ }: RunNote| MemberNoteOut {
            at,
            what,
            detail,
        };
        Self {
            lead_id,
            state,
            step,
            next_at,
            reason,
            messages: messages.into_iter().map(message).collect(),
            notes: notes.into_iter().map(note).collect(),
            trace_id,
            added_at,
            ended_at,
        }
    }
}

/// A merge patch of a draft.
pub type CampaignPatch = axle_http::PatchOf<CampaignInput>;

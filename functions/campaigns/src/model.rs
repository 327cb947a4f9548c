//! Campaigns as the API shows them.

use axle_domain::campaign::{AgentsSpec, CampaignInput, CampaignStatus, Channel, Icp, Messaging};
use axle_domain::{CampaignId, Micros, Time};
use axle_store::Versioned;
use axle_store::campaigns::CampaignRecord;
use serde::Serialize;
use utoipa::ToSchema;

/// An agent that works for the campaign.
#[derive(Serialize, ToSchema)]
pub struct SquadMemberOut {
    pub agent_id: String,
    pub role: String,
    pub name: String,
}

/// What the campaign has brought so far. Rates are over e-mails sent, 0 when there are none.
#[derive(Default, Serialize, ToSchema)]
pub struct MetricsOut {
    pub leads_targeted: u64,
    pub emails_sent: u64,
    pub opens: u64,
    /// Opens and clicks that were judged automatic; they raise no rate.
    pub machine_opens: u64,
    pub clicks: u64,
    pub replies: u64,
    pub meetings_booked: u64,
    pub bounces: u64,
    pub unsubscribes: u64,
    pub open_rate: f64,
    pub reply_rate: f64,
    pub booking_rate: f64,
    pub by_variant: Vec<VariantMetricsOut>,
}

/// The metrics of one wording.
#[derive(Default, Serialize, ToSchema)]
pub struct VariantMetricsOut {
    pub step: u32,
    pub variant: String,
    pub emails_sent: u64,
    pub opens: u64,
    pub clicks: u64,
    pub replies: u64,
}

/// What the campaign has cost so far.
#[derive(Serialize, ToSchema)]
pub struct SpendOut {
    pub current: Micros,
    /// Null without a budget.
    pub budget: Option<Micros>,
    #[schema(example = "USD")]
    pub currency: &'static str,
    pub by_category: CategoriesOut,
}

#[derive(Default, Serialize, ToSchema)]
pub struct CategoriesOut {
    pub ai_inference: Micros,
    pub data_enrichment: Micros,
    pub channel_costs: Micros,
}

/// A campaign.
#[derive(Serialize, ToSchema)]
pub struct CampaignOut {
    pub id: CampaignId,
    pub name: String,
    pub status: CampaignStatus,
    pub icp: Icp,
    pub channels: Vec<Channel>,
    pub messaging: Messaging,
    pub agents: AgentsSpec,
    pub identity_id: Option<String>,
    pub agent_squad: Vec<SquadMemberOut>,
    pub metrics: MetricsOut,
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

impl From<&Versioned<CampaignRecord>> for CampaignOut {
    fn from(campaign: &Versioned<CampaignRecord>) -> Self {
        // Taken apart whole, so that a new field of the record or its definition must be decided on here.
        let CampaignRecord { entity_id: _, id, status, spec, agent_squad, created_at, updated_at } = campaign.value.clone();
        let CampaignInput { name, icp, channels, messaging, agents, identity_id } = spec;
        let member = |m: axle_store::campaigns::SquadMember| SquadMemberOut { agent_id: m.agent_id, role: m.role, name: m.name };
        let spend = SpendOut { current: Micros::ZERO, budget: None, currency: "USD", by_category: CategoriesOut::default() };
        Self {
            id,
            name,
            status,
            icp,
            channels,
            messaging,
            agents,
            identity_id,
            agent_squad: agent_squad.into_iter().map(member).collect(),
            // A draft has done nothing yet, and only drafts exist before launching.
            metrics: MetricsOut::default(),
            spend,
            created_at,
            updated_at,
        }
    }
}

/// A merge patch of a draft.
pub type CampaignPatch = axle_http::PatchOf<CampaignInput>;

//! Campaigns.

use axle_domain::campaign::{CampaignInput, CampaignStatus};
use axle_domain::{CampaignId, EntityId, LeadId, Micros, Time, TraceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Item, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::loading::Room;
use crate::table::{Table, Update};
use crate::tx::Tx;

/// An agent that works for a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SquadMember {
    pub agent_id: String,
    pub role: String,
    pub name: String,
}

/// How and when a campaign was launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub execution_id: Uuid,
    pub at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_limit: Option<Micros>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_send_limit: Option<u64>,
    /// Whether it is for the leads attached to it, rather than for all that fit its ICP.
    pub attached_only: bool,
    /// The largest number that a lead of the cohort has drawn, in hex; without one all eligible leads are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort_to: Option<String>,
    /// The position up to which leads were looked at to make the cohort up, if that was not the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort_until: Option<String>,
    /// Whether all leads are in that it is for.
    #[serde(default)]
    pub enrolled: bool,
    pub trace_id: TraceId,
}

/// Why a campaign is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    User,
    Budget,
}

/// Says that leads were attached to a campaign: written before the first of them, and read with strong consistency, so that a campaign
/// is never launched to everybody because an index lags behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttachedRecord {
    pub entity_id: EntityId,
    pub campaign_id: CampaignId,
}

impl AttachedRecord {
    pub fn key_of(entity: EntityId, campaign: CampaignId) -> Key {
        Key { pk: CampaignRecord::key_of(entity, campaign).pk, sk: "ATTACHED".to_owned() }
    }
}

impl Record for AttachedRecord {
    const TYPE: &'static str = "attached";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.campaign_id)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignRecord {
    pub entity_id: EntityId,
    pub id: CampaignId,
    pub status: CampaignStatus,
    pub spec: CampaignInput,
    pub agent_squad: Vec<SquadMember>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<Launch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<PauseReason>,
    /// Whether `budget.exhausted` was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub budget_told: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl CampaignRecord {
    pub fn key_of(entity: EntityId, id: CampaignId) -> Key {
        Key::thing(entity, "CAMPAIGN", id)
    }
}

impl Record for CampaignRecord {
    const TYPE: &'static str = "campaign";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = Some((format!("E#{}#CAMPAIGNS", self.entity_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

impl Tx<'_> {
    /// Requires that a campaign is a draft, and leaves it alone; two write units a KB of it. The label is `campaign`.
    pub fn while_draft(&mut self, entity: EntityId, campaign: CampaignId) {
        // An update, since a check would take a permission of its own.
        let update = Update::new("SET #status = :draft").when("#status = :draft").name("#status", "status");
        self.update("campaign", CampaignRecord::key_of(entity, campaign), update.text(":draft", CampaignStatus::Draft.as_str()));
    }
}

impl Table {
    /// Whether leads were ever attached to a campaign.
    pub async fn has_attached(&self, entity: EntityId, campaign: CampaignId, now: Time) -> Result<bool> {
        Ok(self.get::<AttachedRecord>(&AttachedRecord::key_of(entity, campaign), now).await?.is_some())
    }

    /// Notes that leads are about to be attached. One write unit; also when it is known.
    pub async fn note_attached(&self, entity: EntityId, campaign: CampaignId) -> Result<()> {
        self.put_new(&AttachedRecord { entity_id: entity, campaign_id: campaign }).await.map(drop)
    }

    /// The ids of a page of the leads attached to a campaign, newest first, from the index alone.
    pub async fn attached(
        &self,
        entity: EntityId,
        campaign: CampaignId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(LeadId, Time)>, Option<String>)> {
        let partitions = (0..8).map(|shard| format!("E#{entity}#CAMPAIGN#{campaign}#LEADS#{shard}")).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let entry = |item: &crate::item::Item| {
            let at = text(item, "gsi1sk")?.split('#').next()?.parse().ok()?;
            Some((text(item, "id")?.parse().ok()?, at))
        };
        Ok((page.items.iter().filter_map(entry).collect(), page.next))
    }

    /// A page of campaigns, newest first.
    pub async fn campaigns(
        &self,
        entity: EntityId,
        status: Option<CampaignStatus>,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<CampaignRecord>>, Option<String>)> {
        let listing = Listing { index: Some("gsi1"), partitions: vec![format!("E#{entity}#CAMPAIGNS")], ascending: false };
        let mut filter = Filter::default();
        if let Some(status) = status {
            filter.equals("status", status.as_str());
        }
        let page = self.page(&listing, &Span::default(), after, &filter, limit).await?;
        let key_of = |item: &Item| Some(CampaignRecord::key_of(entity, text(item, "id")?.parse().ok()?));
        self.load(&listing, page, key_of, now, &mut Room::of_a_list()).await
    }
}

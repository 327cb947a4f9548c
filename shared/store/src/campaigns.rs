//! Campaigns.

use axle_domain::campaign::{CampaignInput, CampaignStatus};
use axle_domain::{CampaignId, EntityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// An agent that works for a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SquadMember {
    pub agent_id: String,
    pub role: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignRecord {
    pub entity_id: EntityId,
    pub id: CampaignId,
    pub status: CampaignStatus,
    pub spec: CampaignInput,
    pub agent_squad: Vec<SquadMember>,
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

impl Table {
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
        let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
        let keys: Vec<Key> = ids.map(|id| CampaignRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, page.next))
    }
}

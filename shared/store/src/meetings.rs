//! Meetings.

use axle_domain::meeting::{MeetingSource, MeetingStatus};
use axle_domain::{CampaignId, EntityId, LeadId, MeetingId, Time, TraceId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Record, Versioned};
use crate::key::Key;
use crate::table::Table;

/// A meeting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeetingRecord {
    pub entity_id: EntityId,
    pub id: MeetingId,
    pub status: MeetingStatus,
    pub source: MeetingSource,
    /// The scheduling service's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    pub starts_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Addresses of those who take part, as the service says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<String>,
    pub trace_id: TraceId,
    pub created_at: Time,
    pub updated_at: Time,
}

impl MeetingRecord {
    pub fn key_of(entity: EntityId, id: MeetingId) -> Key {
        Key::thing(entity, "MEETING", id)
    }
}

impl Record for MeetingRecord {
    const TYPE: &'static str = "meeting";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
}

impl Table {
    pub async fn meeting(&self, entity: EntityId, id: MeetingId, now: Time) -> Result<Option<Versioned<MeetingRecord>>> {
        self.get(&MeetingRecord::key_of(entity, id), now).await
    }
}

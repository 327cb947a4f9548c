//! Events: what happened, said once, in one form for the log, the bus and the webhooks.

mod registry;
pub mod sample;

pub use registry::{EventType, EventTypes, UnknownEventType, is_known_pattern, type_names};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Actor, CampaignId, DealId, EntityId, EventId, LeadId, Time, TraceId};

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// The kind of thing, such as `lead` or `campaign`.
    #[schema(example = "lead")]
    pub kind: String,
    pub id: String,
}

impl Subject {
    pub fn new(kind: &str, id: impl ToString) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string() }
    }
}

/// One event. This form is stored, put on the bus as `detail`, and answered by `GET /events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    pub id: EventId,
    #[serde(rename = "type")]
    pub event_type: EventType,
    pub entity_id: EntityId,
    pub occurred_at: Time,
    pub actor: Actor,
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    /// The deal, a lead of the CRM, in whose timeline it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crm_lead_id: Option<DealId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// What the type's schema describes.
    #[schema(value_type = Object)]
    pub data: Value,
}

impl Event {
    /// A new event; its id carries `now`, so that events sort by when they happened.
    pub fn new(event_type: EventType, entity_id: EntityId, now: Time, actor: Actor, subject: Subject, data: Value) -> Self {
        Self {
            id: EventId::new_at(now),
            event_type,
            entity_id,
            occurred_at: now,
            actor,
            subject,
            campaign_id: None,
            lead_id: None,
            crm_lead_id: None,
            agent_id: None,
            trace_id: None,
            data,
        }
    }

    #[must_use]
    pub fn campaign(mut self, id: Option<CampaignId>) -> Self {
        self.campaign_id = id;
        self
    }

    #[must_use]
    pub fn lead(mut self, id: LeadId) -> Self {
        self.lead_id = Some(id);
        self
    }

    #[must_use]
    pub fn deal(mut self, id: Option<DealId>) -> Self {
        self.crm_lead_id = id;
        self
    }

    #[must_use]
    pub fn agent(mut self, id: impl ToString) -> Self {
        self.agent_id = Some(id.to_string());
        self
    }

    #[must_use]
    pub fn trace(mut self, id: TraceId) -> Self {
        self.trace_id = Some(id);
        self
    }
}

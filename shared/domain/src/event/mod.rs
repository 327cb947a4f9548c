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

    /// The event as it is kept and told: `data` has the ids of what it is about too (`lead_id`, `campaign_id`, `communication_id`, ...), as the
    /// body of a webhook has no other place for them.
    #[must_use]
    pub fn whole(&self) -> Self {
        let mut whole = self.clone();
        let Some(fields) = whole.data.as_object_mut() else { return whole };
        let text = |id: Option<String>| id.map(Value::from);
        let beside = [
            ("lead_id", text(self.lead_id.map(|id| id.to_string()))),
            ("campaign_id", text(self.campaign_id.map(|id| id.to_string()))),
            ("crm_lead_id", text(self.crm_lead_id.map(|id| id.to_string()))),
            ("agent_id", text(self.agent_id.clone())),
        ];
        let subject = self.event_type.subject_id().map(|name| (name, Some(Value::from(self.subject.id.clone()))));
        for (name, id) in beside.into_iter().chain(subject) {
            if let Some(id) = id {
                fields.entry(name).or_insert(id);
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_says_what_it_is_about() {
        let (entity, now) = (EntityId::new_at(Time::from_millis(0)), Time::from_millis(0));
        let (lead, campaign) = (LeadId::from_uuid(entity.uuid()), CampaignId::new_at(now));
        let event = |kind: EventType, subject: &str, data: Value| {
            Event::new(kind, entity, now, Actor::system("test"), Subject::new(kind.subject_kind(), subject), data)
        };
        let replied = event(EventType::CommunicationReplied, "m-1", json!({"class": "interested"}));
        let replied = replied.lead(lead).campaign(Some(campaign)).whole();
        let told = json!({"class": "interested", "communication_id": "m-1", "lead_id": lead, "campaign_id": campaign});
        assert_eq!((&replied.data, &replied.whole()), (&told, &replied));
        // Its own fields have the word.
        let notified = event(EventType::AgentNotified, "r-2", json!({"run_id": "r-1"}));
        assert_eq!(notified.whole().data, json!({"run_id": "r-1"}));
        let imported = event(EventType::LeadImported, "i-1", json!({"created": 1}));
        assert_eq!(imported.whole().data, json!({"created": 1}));
    }
}

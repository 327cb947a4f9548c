//! The agents that every tenant has.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{AgentInput, Playbook};
use crate::crm::names::words;
use crate::{AgentId, EntityId};

/// Name space of the built-in agents' ids: the same role of the same tenant is always the same agent.
const AGENTS: Uuid = Uuid::from_u128(0x3c51_90be_7d4a_4f0c_b1e2_6a98_d3f7_0c25);

words! {
    /// What a built-in agent is there for, in the order in which they work on a lead.
    AgentRole {
        Researcher = "researcher",
        Enricher = "enricher",
        Scorer = "scorer",
        Copywriter = "copywriter",
        Sender = "sender",
        ReplyClassifier = "reply_classifier",
        Scheduler = "scheduler",
    }
}

/// A built-in agent as it is until somebody changes it.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltIn {
    pub role: AgentRole,
    pub spec: AgentInput,
}

/// The id of a tenant's agent of a role.
pub fn built_in_id(entity: EntityId, role: AgentRole) -> AgentId {
    AgentId::from_uuid(Uuid::new_v5(&AGENTS, format!("{entity}/{role}").as_bytes()))
}

/// The built-in agent of a role.
pub fn built_in(role: AgentRole) -> BuiltIn {
    let (name, description, step, extra, required) = match role {
        AgentRole::Researcher => (
            "Researcher",
            "Answers questions about a person's company from what is known of it.",
            json!({"id": "research", "action": "research", "params": {"questions": ["What does the company do?", "Why might it need us now?"]}}),
            json!({"questions": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 1000}, "minItems": 1, "maxItems": 20}}),
            vec![],
        ),
        AgentRole::Enricher => (
            "Enricher",
            "Finds what is publicly known of a lead and its company.",
            json!({"id": "enrich", "action": "enrich"}),
            json!({"providers": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 100}, "minItems": 1, "maxItems": 20}}),
            vec![],
        ),
        AgentRole::Scorer => (
            "Scorer",
            "Says how well a lead fits and how ready it is.",
            json!({"id": "score", "action": "score"}),
            json!({}),
            vec![],
        ),
        AgentRole::Copywriter => (
            "Copywriter",
            "Drafts messages.",
            json!({"id": "draft", "action": "draft_message", "params": {"channel": "email", "instructions": "Introduce us in three short sentences and ask for ten minutes next week."}}),
            json!({
                "channel": {"type": "string", "enum": ["email", "sms", "linkedin"]},
                "instructions": {"type": "string", "minLength": 1, "maxLength": 5000},
                "tone": {"type": "string", "minLength": 1, "maxLength": 200},
            }),
            vec![],
        ),
        AgentRole::Sender => (
            "Sender",
            "Queues messages to people, at times at which they may be sent.",
            json!({"id": "send", "action": "send_message", "params": {"channel": "email", "subject": "{{ input.subject }}", "body": "{{ input.body }}"}}),
            json!({
                "channel": {"type": "string", "enum": ["email"]},
                "subject": {"type": "string", "minLength": 1, "maxLength": 500},
                "body": {"type": "string", "minLength": 1, "maxLength": 20000},
            }),
            vec!["subject", "body"],
        ),
        AgentRole::ReplyClassifier => (
            "Reply classifier",
            "Says what a reply means: interested, not now, an objection, a referral, out of office, an unsubscription, or no person at all.",
            json!({"id": "classify", "action": "model", "params": {
                "prompt": "Say what the reply means.",
                "output_schema": {"type": "object", "required": ["class"], "properties": {"class": {"type": "string", "enum": [
                    "interested", "not_now", "objection", "referral", "out_of_office", "unsubscribe", "not_a_person"]}}},
            }}),
            json!({"subject": {"type": "string", "maxLength": 500}, "text": {"type": "string", "minLength": 1, "maxLength": 20000}}),
            vec!["text"],
        ),
        AgentRole::Scheduler => (
            "Scheduler",
            "Sees to it that somebody asks again.",
            json!({"id": "follow_up", "action": "create_follow_up", "params": {"subject": "Follow up with {{ contact.name }}", "due_in_hours": 72}}),
            json!({
                "subject": {"type": "string", "minLength": 1, "maxLength": 500},
                "due_in_hours": {"type": "number", "minimum": 0, "maximum": 8760},
            }),
            vec![],
        ),
    };
    let playbook = json!({"steps": [step]});
    let spec = AgentInput {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        capabilities: vec![step["action"].as_str().unwrap_or_default().to_owned()],
        playbook: serde_json::from_value::<Playbook>(playbook).ok(),
        input_schema: Some(input_schema(role, extra, &required)),
        slug: Some(role.as_str().replace('_', "-")),
        ..AgentInput::default()
    };
    BuiltIn { role, spec }
}

/// About whom, and what else the role is told.
fn input_schema(role: AgentRole, extra: Value, required: &[&str]) -> Map<String, Value> {
    let mut properties = extra.as_object().cloned().unwrap_or_default();
    let mut schema = Map::new();
    if role != AgentRole::ReplyClassifier {
        let id = json!({"type": "string", "format": "uuid"});
        properties.insert("lead_id".to_owned(), id.clone());
        properties.insert("contact_id".to_owned(), id);
        schema.insert("oneOf".to_owned(), json!([{"required": ["lead_id"]}, {"required": ["contact_id"]}]));
    }
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("required".to_owned(), json!(required));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Faults, Input};

    #[test]
    fn every_built_in_agent_is_one_that_could_be_written() {
        for role in AgentRole::ALL {
            let BuiltIn { spec, .. } = built_in(*role);
            let mut faults = Faults::new();
            spec.note_faults(&mut faults);
            assert_eq!(faults.into_vec(), [], "{role}");
            assert_eq!(spec.playbook.unwrap().steps.len(), 1, "{role}");
        }
    }
}

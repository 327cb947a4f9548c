//! The one list of event types, with what each says in `data`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A text is no event type that Axle knows.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an event type")]
pub struct UnknownEventType(pub String);

macro_rules! event_types {
    ($($variant:ident $text:literal $subject:literal $fields:literal $doc:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum EventType { $(#[doc = $doc] $variant),* }

        impl EventType {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            /// The kind of thing that events of this type are about.
            pub const fn subject_kind(self) -> &'static str {
                match self { $(Self::$variant => $subject),* }
            }
            /// One sentence for the reference.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }
            /// The fields of `data`: `name:type`, with `?` behind what may be absent.
            const fn fields(self) -> &'static str {
                match self { $(Self::$variant => $fields),* }
            }
        }
        impl FromStr for EventType {
            type Err = UnknownEventType;
            fn from_str(s: &str) -> Result<Self, UnknownEventType> {
                match s { $($text => Ok(Self::$variant),)* _ => Err(UnknownEventType(s.to_owned())) }
            }
        }
    };
}

event_types! {
    CampaignCreated "campaign.created" "campaign" "name:str status:str channels:list" "A campaign was created as a draft.";
    CampaignLaunched "campaign.launched" "campaign" "execution_id:uuid cohort:int budget_limit:money?" "A campaign's execution started.";
    CampaignPaused "campaign.paused" "campaign" "reason:str?" "A campaign stopped sending until it is resumed.";
    CampaignResumed "campaign.resumed" "campaign" "" "A paused campaign went on.";
    CampaignCancelled "campaign.cancelled" "campaign" "reason:str?" "A campaign ended before it was done.";
    CampaignCompleted "campaign.completed" "campaign" "leads:int sent:int" "Every lead of a campaign came to an end.";
    BudgetExhausted "budget.exhausted" "campaign" "budget_limit:money spent:money" "A campaign reached its budget and paused.";
    LeadCreated "lead.created" "lead" "email:str? status:str source:str?" "A lead was created one by one.";
    LeadImported "lead.imported" "import" "import_job_id:uuid row_count:int created:int updated:int skipped:int failed:int" "An import finished; one event an import, with its counts.";
    LeadEnriched "lead.enriched" "lead" "sources:int cost:money" "A lead's enrichment finished.";
    LeadScored "lead.scored" "lead" "score:int tier:str model_version:str" "A lead's score was calculated.";
    LeadStageChanged "lead.stage_changed" "crm_lead" "from:str to:str" "A deal moved to another stage.";
    LeadWon "lead.won" "crm_lead" "value_minor:int? currency:str?" "A deal was won.";
    LeadLost "lead.lost" "crm_lead" "reason:str" "A deal was lost.";
    CommunicationSent "communication.sent" "communication" "channel:str provider:str provider_message_id:str?" "A message was handed to its provider.";
    CommunicationDelivered "communication.delivered" "communication" "channel:str" "The recipient's system took a message.";
    CommunicationOpened "communication.opened" "communication" "machine:bool" "An e-mail was opened.";
    CommunicationClicked "communication.clicked" "communication" "machine:bool url:str" "A link of an e-mail was followed.";
    CommunicationReplied "communication.replied" "communication" "class:str?" "A reply came in.";
    CommunicationBounced "communication.bounced" "communication" "kind:str reason:str?" "A message came back.";
    CommunicationComplained "communication.complained" "communication" "reason:str?" "A recipient reported a message as spam.";
    CommunicationFailed "communication.failed" "communication" "reason:str attempts:int" "A message could not be sent.";
    CommunicationCancelled "communication.cancelled" "communication" "reason:str?" "A queued message was cancelled.";
    ContactUnsubscribed "contact.unsubscribed" "suppression" "channel:str origin:str" "A person asked for no more messages.";
    MeetingBooked "meeting.booked" "meeting" "starts_at:time ends_at:time? title:str?" "A meeting was scheduled.";
    MeetingRescheduled "meeting.rescheduled" "meeting" "starts_at:time ends_at:time? title:str? from:uuid?" "A meeting was moved to another time.";
    MeetingCancelled "meeting.cancelled" "meeting" "starts_at:time title:str?" "A meeting was called off.";
    SloViolated "slo.violated" "slo" "name:str objective:str threshold:num value:num" "A service level was breached; once a breach.";
    SloRecovered "slo.recovered" "slo" "name:str objective:str threshold:num value:num" "A breached service level is met again.";
    AgentRunStarted "agent.run.started" "agent_run" "job_id:str contacts:int" "An agent's run started.";
    AgentRunCompleted "agent.run.completed" "agent_run" "actions:int cost:money" "An agent's run came to its end.";
    AgentRunFailed "agent.run.failed" "agent_run" "reason:str" "An agent's run failed.";
    AgentRunCancelled "agent.run.cancelled" "agent_run" "reason:str?" "An agent's run was cancelled.";
    AgentActionPending "agent.action.pending" "agent_action" "run_id:uuid action:str hash:str expires_at:time" "An agent's action waits for approval.";
    AgentActionApproved "agent.action.approved" "agent_action" "run_id:uuid action:str hash:str" "An agent's action was approved.";
    AgentActionRejected "agent.action.rejected" "agent_action" "run_id:uuid action:str reason:str?" "An agent's action was rejected.";
    AgentNotified "agent.notified" "agent_run" "run_id:uuid contact_id:uuid message:str" "An agent's playbook says something.";
    CompanyCreated "company.created" "company" "name:str domain:str?" "A company was created.";
    ContactCreated "contact.created" "contact" "company_id:uuid?" "A contact was created.";
    TaskCreated "task.created" "task" "title:str due_date:str? assignee_id:uuid?" "A task was created.";
    TaskCompleted "task.completed" "task" "title:str" "A task was marked complete.";
    TransactionSettled "transaction.settled" "transaction" "amount:money currency:str direction:str" "A payment was received or sent.";
    ReminderTriggered "reminder.triggered" "reminder" "title:str due_at:time" "A reminder or follow-up fell due.";
    ComplianceAlert "compliance.alert" "obligation" "name:str due_date:str days_left:int" "A regulatory deadline comes near.";
    ConnectorDisconnected "connector.disconnected" "connection" "connector_id:str reason:str" "A connected system's authorisation expired.";
    WebhookDisabled "webhook.disabled" "webhook" "url:str reason:str" "An endpoint was disabled because its deliveries fail. Its `url` is without path and query, which may hold secrets.";
}

impl EventType {
    /// The name that the id of its subject has in `data`; none where another field names it, or it is nothing that can be read.
    pub const fn subject_id(self) -> Option<&'static str> {
        match self.subject_kind().as_bytes() {
            b"lead" => Some("lead_id"),
            b"campaign" => Some("campaign_id"),
            b"crm_lead" => Some("crm_lead_id"),
            b"communication" => Some("communication_id"),
            b"meeting" => Some("meeting_id"),
            b"agent_run" => Some("run_id"),
            b"company" => Some("company_id"),
            b"contact" => Some("contact_id"),
            b"task" => Some("task_id"),
            b"webhook" => Some("webhook_id"),
            _ => None,
        }
    }

    /// JSON Schema (2020-12) of `data`.
    pub fn data_schema(self) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, kind, optional) in self.each_field() {
            properties.insert(name.to_owned(), schema_of(kind));
            if !optional {
                required.push(Value::from(name));
            }
        }
        // The ids of what it is about.
        for name in ["lead_id", "campaign_id", "crm_lead_id", "agent_id"].into_iter().chain(self.subject_id()) {
            properties.entry(name).or_insert_with(|| schema_of("uuid"));
        }
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    /// A `data` that the schema accepts, as test deliveries send it.
    pub fn data_sample(self) -> Value {
        self.each_field().map(|(name, kind, _)| (name.to_owned(), sample_of(name, kind))).collect::<Map<_, _>>().into()
    }

    fn each_field(self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        self.fields().split_whitespace().map(|field| {
            let (name, kind) = field.split_once(':').unwrap_or((field, "str"));
            (name, kind.trim_end_matches('?'), kind.ends_with('?'))
        })
    }
}

fn schema_of(kind: &str) -> Value {
    match kind {
        "uuid" => json!({"type": "string", "format": "uuid"}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "money" => json!({"type": "string", "pattern": r"^-?\d+(\.\d{1,6})?$"}),
        "int" => json!({"type": "integer"}),
        "num" => json!({"type": "number"}),
        "bool" => json!({"type": "boolean"}),
        "list" => json!({"type": "array", "items": {"type": "string"}}),
        _ => json!({"type": "string"}),
    }
}

fn sample_of(name: &str, kind: &str) -> Value {
    match kind {
        "uuid" => json!("01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"),
        "time" => json!("2026-01-31T09:30:00.000Z"),
        "money" => json!("12.5"),
        "int" => json!(1),
        "num" => json!(0.5),
        "bool" => json!(false),
        "list" => json!(["email"]),
        _ => Value::from(format!("sample {}", name.replace('_', " "))),
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl From<EventType> for String {
    fn from(t: EventType) -> String {
        t.as_str().to_owned()
    }
}
impl TryFrom<String> for EventType {
    type Error = UnknownEventType;
    fn try_from(s: String) -> Result<Self, UnknownEventType> {
        s.parse()
    }
}

impl utoipa::PartialSchema for EventType {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::text::one_of(type_names(), "What happened.")
    }
}

impl utoipa::ToSchema for EventType {}

/// The schema of what an endpoint listens to: an event type, a group of them, or all.
#[derive(Debug)]
pub struct EventTypes;

impl utoipa::PartialSchema for EventTypes {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let groups: BTreeSet<String> = type_names().flat_map(groups_of).collect();
        let names = std::iter::once("*".to_owned()).chain(groups).chain(type_names().map(str::to_owned));
        crate::text::one_of(names, "An event type, all types of a group (`lead.*`), or all (`*`).")
    }
}

impl utoipa::ToSchema for EventTypes {}

/// `agent.*` and `agent.run.*` for `agent.run.started`.
fn groups_of(name: &str) -> impl Iterator<Item = String> {
    name.match_indices('.').map(|(dot, _)| format!("{}.*", &name[..dot]))
}

/// The text of every event type.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    EventType::ALL.iter().map(|t| t.as_str())
}

/// Whether a pattern is an event type, `prefix.*` of one, or `*`.
pub fn is_known_pattern(pattern: &str) -> bool {
    match pattern.strip_suffix(".*") {
        _ if pattern == "*" => true,
        Some(prefix) => type_names().any(|t| t.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))),
        None => pattern.parse::<EventType>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_dotted() {
        let mut names: Vec<_> = type_names().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EventType::ALL.len());
        assert!(names.iter().all(|n| n.contains('.') && n.parse::<EventType>().is_ok()));
    }

    #[test]
    fn samples_have_what_their_schemas_require() {
        for t in EventType::ALL {
            let (schema, sample) = (t.data_schema(), t.data_sample());
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(sample.get(name).is_some(), "{t} lacks {name}");
            }
        }
    }

    #[test]
    fn the_schema_names_every_pattern_and_no_other() {
        let schema = serde_json::to_value(<EventTypes as utoipa::PartialSchema>::schema()).unwrap_or_default();
        let names: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(names.len() > EventType::ALL.len() && names.iter().all(|name| is_known_pattern(name)));
        for name in ["*", "agent.*", "agent.run.*", "lead.created"] {
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn patterns() {
        for good in ["*", "lead.*", "agent.*", "agent.run.*", "lead.created"] {
            assert!(is_known_pattern(good), "{good}");
        }
        for bad in ["", "lead", "leads.*", "lead.*.x", "lead.create*", ".*"] {
            assert!(!is_known_pattern(bad), "{bad}");
        }
    }
}

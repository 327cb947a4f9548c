//! Playbooks: what an agent does for a person, step by step.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::params::*;
use super::render::{check_condition, check_text};
use super::schema::{check_json, check_schema};
use super::{ActionKind, ContactKind, OnError};
use crate::crm::stage::Stage;
use crate::lead::{LeadStatus, Tier};
use crate::text::{Entry, pascal_case};
use crate::{CampaignId, Faults, MarketingListId, Micros};

/// Steps of a playbook.
pub const MAX_STEPS: usize = 20;
/// A playbook as JSON, in bytes: it is kept with each job.
const MAX_BYTES: usize = 100_000;
const MAX_ID: usize = 64;
/// Items that an execution writes besides what its steps do: its span, its numbers, its answer, and the lead that it was for.
const WRITES: usize = 5;

/// What an agent does, for whom by default, and within which limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// When the agent is meant to be called, in the words of whoever calls it, such as the name of an event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200, example = "lead.imported")]
    pub trigger: Option<String>,
    /// For whom, when a call names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<Targeting>,
    #[schema(min_items = 1, max_items = 20)]
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// People, by what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Targeting {
    pub source: ContactSource,
    /// Leads only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<LeadStatus>,
    /// Leads only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Contacts of the companies on a marketing list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<MarketingListId>,
    /// Leads of a campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    /// People with all of these tags: contacts by `tags`, leads by the words of `custom.tags`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Entry<100>>, max_items = 20)]
    pub tags: Vec<String>,
    /// People at most, the newest first; 1,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

crate::crm::names::words! {
    /// Where people are taken from.
    ContactSource {
        Contacts = "contacts",
        Leads = "leads",
    }
}

/// What one call of the agent may come to, for all its people together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PlaybookLimits)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "super::input::money")]
    /// What models and enrichment may cost. The most that a step of theirs can cost is set aside before it is begun; what messages
    /// cost is bounded by `max_actions`.
    #[schema(value_type = Option<super::PriceInput>)]
    pub max_cost: Option<Micros>,
    /// Seconds from a person's first step to their last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub max_duration_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_actions: Option<u32>,
}

impl Limits {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One step. Its `params` are those of its action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    pub action: ActionKind,
    #[serde(default)]
    pub params: Map<String, Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_approval: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    #[serde(default = "fail")]
    pub on_error: OnError,
}

const fn fail() -> OnError {
    OnError::Fail
}

/// A schema with its name.
type Named = (String, RefOr<Schema>);

/// The schema of an action's params, and after it those that it refers to.
fn params_schemas(kind: ActionKind) -> Vec<Named> {
    fn of<T: ToSchema>() -> Vec<Named> {
        let mut named = vec![(T::name().into(), T::schema())];
        T::schemas(&mut named);
        named
    }
    match kind {
        ActionKind::Enrich => of::<EnrichParams>(),
        ActionKind::Score => of::<NoParams>(),
        ActionKind::Research => of::<ResearchParams>(),
        ActionKind::DraftMessage => of::<DraftParams>(),
        ActionKind::SendMessage => of::<SendParams>(),
        ActionKind::Wait => of::<WaitParams>(),
        ActionKind::CreateTask => of::<CreateTaskParams>(),
        ActionKind::CreateFollowUp => of::<FollowUpParams>(),
        ActionKind::UpdateStage => of::<StageParams>(),
        ActionKind::AddToList => of::<AddToListParams>(),
        ActionKind::Model => of::<ModelParams>(),
        ActionKind::Http => of::<HttpParams>(),
        ActionKind::Notify => of::<NotifyParams>(),
    }
}

/// `DraftMessageStep` for `draft_message`.
fn step_name(kind: ActionKind) -> String {
    pascal_case(kind.as_str()) + "Step"
}

/// The schema of a step of one kind, and after it those that it refers to. Each has a name of its own, by which generated clients call
/// their types.
fn step_schemas(kind: ActionKind) -> Vec<Named> {
    let mut named = params_schemas(kind);
    let (params, schema) = (reference(&named[0].0), serde_json::to_value(&named[0].1).unwrap_or_default());
    let mut required = vec!["id", "action"];
    if schema["required"].as_array().is_some_and(|names| !names.is_empty()) {
        required.push("params");
    }
    let step = json!({
        "type": "object", "additionalProperties": false, "required": required,
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$", "description": "Unique in the playbook.", "examples": ["draft"]},
            "action": {"type": "string", "enum": [kind.as_str()]},
            "params": params,
            "requires_approval": {"type": "boolean", "default": false, "description": "Nothing is done before somebody approves it."},
            "when": {"type": ["string", "null"], "minLength": 1, "maxLength": 1000, "examples": ["lead.score >= 60"],
                "description": "An expression; when it is not true, the step is skipped."},
            "on_error": {"type": "string", "enum": ["fail", "skip", "retry"], "default": "fail"},
        },
    });
    named.insert(0, (step_name(kind), read_schema(step)));
    named
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What cannot be read as a schema is noticed by the tests of the document.
fn read_schema(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).unwrap_or_else(|_| utoipa::openapi::Object::new().into())
}

impl PartialSchema for Step {
    fn schema() -> RefOr<Schema> {
        let kinds: Vec<Value> = ActionKind::ALL.iter().map(|kind| reference(&step_name(*kind))).collect();
        read_schema(json!({"oneOf": kinds, "description": "One step. Its `params` are those of its action."}))
    }
}

impl ToSchema for Step {
    fn name() -> std::borrow::Cow<'static, str> {
        "PlaybookStep".into()
    }
    fn schemas(parts: &mut Vec<Named>) {
        parts.extend(ActionKind::ALL.iter().flat_map(|kind| step_schemas(*kind)));
    }
}

impl Step {
    /// The step's params with the names of its kind, for what is asked of them beyond their schema.
    fn typed<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(Value::Object(self.params.clone())).ok()
    }
}

impl Playbook {
    /// The most items that an execution of all its steps writes together, with its answer. What waits or asks is left to runs.
    pub fn writes(&self) -> usize {
        let here = |step: &&Step| step.action != ActionKind::Wait && !step.requires_approval;
        WRITES + self.steps.iter().filter(here).map(|step| step.action.writes()).sum::<usize>()
    }

    /// Notes every fault, with pointers relative to the playbook.
    pub fn note_faults(&self, faults: &mut Faults) {
        if self.steps.is_empty() {
            faults.add("/steps", "must not be empty");
        }
        faults.count("/steps", self.steps.len(), MAX_STEPS);
        let size = serde_json::to_string(self).map_or(0, |text| text.len());
        if size > MAX_BYTES {
            faults.add("/steps", format!("as a whole must have at most {MAX_BYTES} bytes, not {size}"));
        }
        if let Some(targeting) = &self.targeting {
            faults.at("/targeting", |faults| targeting.note_faults(faults));
        }
        let mut before: BTreeMap<&str, ActionKind> = BTreeMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            faults.at(format!("/steps/{i}"), |faults| step.note_faults(&before, faults));
            before.insert(&step.id, step.action);
        }
        let distinct: BTreeSet<&str> = self.steps.iter().map(|step| step.id.as_str()).collect();
        if distinct.len() < self.steps.len() {
            let mut seen = BTreeSet::new();
            for (i, step) in self.steps.iter().enumerate() {
                if !seen.insert(&step.id) {
                    faults.add(format!("/steps/{i}/id"), "is the id of an earlier step");
                }
            }
        }
    }
}

impl Targeting {
    fn note_faults(&self, faults: &mut Faults) {
        let of_leads =
            [("/status", self.status.is_some()), ("/tier", self.tier.is_some()), ("/campaign_id", self.campaign_id.is_some())];
        if self.source == ContactSource::Contacts {
            for (pointer, _) in of_leads.into_iter().filter(|(_, given)| *given) {
                faults.add(pointer, "is for leads only");
            }
        } else if self.list_id.is_some() {
            faults.add("/list_id", "is for contacts only");
        }
    }

    pub fn kind(&self) -> ContactKind {
        match self.source {
            ContactSource::Contacts => ContactKind::Contact,
            ContactSource::Leads => ContactKind::Lead,
        }
    }
}

impl ActionKind {
    /// Items that doing it writes at most, its span among them: a message has five of its own, a task three, a notice its event, and
    /// what a model is paid two.
    const fn writes(self) -> usize {
        match self {
            Self::SendMessage => 6,
            Self::CreateTask | Self::CreateFollowUp => 4,
            Self::Research | Self::DraftMessage | Self::Model => 3,
            Self::Notify => 2,
            Self::Enrich | Self::Score | Self::Wait | Self::UpdateStage | Self::AddToList | Self::Http => 1,
        }
    }

    /// Params that are no templates: what a model is asked is the tenant's alone, and people are shown to it as data.
    pub const fn raw_params(self) -> &'static [&'static str] {
        match self {
            Self::Model => &["prompt", "output_schema"],
            Self::Research => &["questions"],
            Self::DraftMessage => &["instructions", "tone"],
            Self::SendMessage => &["from_step"],
            _ => &[],
        }
    }
}

impl Step {
    fn note_faults(&self, before: &BTreeMap<&str, ActionKind>, faults: &mut Faults) {
        let good =
            self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !self.id.starts_with(|c: char| c.is_ascii_digit());
        if self.id.is_empty() || self.id.len() > MAX_ID || !good {
            faults.add("/id", "must have 1 to 64 letters, digits and underscores, and not begin with a digit");
        }
        if let Some(when) = &self.when {
            faults.take("/when", check_condition(when));
        }
        faults.at("/params", |faults| {
            let raw = self.action.raw_params();
            for (name, value) in self.params.iter().filter(|(name, _)| !raw.contains(&name.as_str())) {
                check_texts(&format!("/{}", escape(name)), value, faults);
            }
            self.note_param_faults(before, faults);
        });
    }

    fn note_param_faults(&self, before: &BTreeMap<&str, ActionKind>, faults: &mut Faults) {
        match self.action {
            ActionKind::DraftMessage => {
                let Some(draft) = self.typed::<DraftParams>() else { return };
                draft.note_rules(faults);
            }
            ActionKind::SendMessage => {
                let Some(send) = self.typed::<SendParams>() else { return };
                send.note_rules(faults);
                if let Some(from) = &send.from_step
                    && before.get(from.as_str()) != Some(&ActionKind::DraftMessage)
                {
                    faults.add("/from_step", "is not the id of an earlier draft_message step");
                }
            }
            ActionKind::UpdateStage => {
                let Some(StageParams { stage }) = self.typed() else { return };
                let templated = stage.contains("{{");
                if !templated && stage.parse::<Stage>().is_err() && stage.parse::<LeadStatus>().is_err() {
                    faults.add("/stage", "is neither a stage of deals nor a status of leads");
                }
            }
            ActionKind::Model => {
                if let Some(schema) = self.params.get("output_schema").filter(|schema| !schema.is_null()) {
                    check_schema("/output_schema", schema, faults);
                }
            }
            ActionKind::Http => {
                let Some(http) = self.typed::<HttpParams>() else { return };
                faults.count("/headers", http.headers.len(), 20);
                for (name, value) in &http.headers {
                    let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                    if !token || name.len() > 100 || value.len() > 2_000 || value.chars().any(char::is_control) {
                        faults.add(format!("/headers/{}", escape(name)), "must not contain line breaks or control characters, nor names of other than letters, digits and hyphens");
                    }
                }
                if let Some(body) = &http.body {
                    check_json("/body", body, faults);
                }
            }
            _ => {}
        }
    }
}

impl DraftParams {
    /// What its schema does not say.
    pub fn note_rules(&self, faults: &mut Faults) {
        match (&self.instructions, &self.body) {
            (None, None) => faults.add("/instructions", "is required, or else body"),
            (Some(_), Some(_)) => faults.add("/body", "cannot go with instructions"),
            (Some(_), None) if self.subject.is_some() => faults.add("/subject", "cannot go with instructions"),
            (None, Some(_)) if self.subject.is_none() && self.channel == DraftChannel::Email => {
                faults.add("/subject", "is required for e-mail");
            }
            _ => {}
        }
    }
}

impl SendParams {
    /// What its schema does not say.
    pub fn note_rules(&self, faults: &mut Faults) {
        match (&self.body, &self.from_step) {
            (None, None) => faults.add("/body", "is required, or else from_step"),
            (Some(_), Some(_)) => faults.add("/from_step", "cannot go with body"),
            (Some(_), None) if self.subject.is_none() && self.channel == SendChannel::Email => {
                faults.add("/subject", "is required for e-mail");
            }
            _ => {}
        }
        if self.subject.is_some() && self.channel == SendChannel::Sms {
            faults.add("/subject", "is not a part of an SMS");
        }
    }
}

/// A field's name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn check_texts(pointer: &str, value: &Value, faults: &mut Faults) {
    match value {
        Value::String(text) => drop(faults.take(pointer, check_text(text))),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| check_texts(&format!("{pointer}/{i}"), item, faults))
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| check_texts(&format!("{pointer}/{}", escape(name)), item, faults))
        }
        _ => {}
    }
}

//! What a tenant writes about an agent, and what makes it valid.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::schema::{check_json, check_schema};
use super::templates::{TemplateName, template};
use super::{Playbook, Runtime, Visibility};
use crate::model::LlmConfig;
use crate::text::Entry;
use crate::{Faults, Input, Micros, SendingIdentityId};

/// Agents of a tenant, beside the built-in ones.
pub const MAX_AGENTS: usize = 500;
/// The highest price of a transaction, in major units.
const MAX_PRICE: i64 = 1_000_000;

/// The schema of an amount in a request: a number, or a text with up to six decimal places.
#[derive(Debug)]
pub struct PriceInput;

impl utoipa::PartialSchema for PriceInput {
    fn schema() -> RefOr<Schema> {
        let schema = serde_json::json!({
            "type": ["string", "number"], "pattern": r"^\d{1,6}(\.\d{1,6})?$", "minimum": 0, "maximum": MAX_PRICE,
            "description": "An amount of money: a number, or a text with up to six decimal places.", "examples": ["0.50"],
        });
        serde_json::from_value(schema).unwrap_or_else(|_| utoipa::openapi::Object::new().into())
    }
}

impl ToSchema for PriceInput {}

/// Reads an amount; a number is taken to the nearest micro-unit.
pub(crate) fn money<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Micros>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Number(f64),
    }
    match Option::<Form>::deserialize(d)? {
        None => Ok(None),
        Some(Form::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
        // Within the schema's bounds, so far from where a float stops being exact.
        #[allow(clippy::cast_possible_truncation)]
        Some(Form::Number(n)) => Ok(Some(Micros((n * 1e6).round() as i64))),
    }
}

/// An agent as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"name": "Cold outreach", "playbook_template": "cold_outreach"}))]
pub struct AgentInput {
    #[schema(required = true, min_length = 1, max_length = 200, example = "Cold outreach")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
    /// Gives the agent this playbook, unless it brings one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook_template: Option<TemplateName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Entry<100>>, max_items = 50, example = json!(["outreach"]))]
    pub capabilities: Vec<String>,
    /// Who its messages come from; the deployment's own sender address by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<SendingIdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook: Option<Playbook>,
    /// How the agent is watched, in the tenant's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Map<String, Value>>,
    /// Which model answers it; the built-in one by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_config: Option<LlmConfig>,
    /// True by default. A disabled agent starts nothing; what runs goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = true)]
    pub enabled: Option<bool>,
    /// Its name in the tenant's space, unique there; made from `name` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 64, example = "cold-outreach")]
    pub slug: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// `private` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// What another tenant pays for one task.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "money")]
    #[schema(value_type = Option<PriceInput>)]
    pub transaction_price: Option<Micros>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub estimated_completion_time: Option<u32>,
    /// JSON Schema of its input, without references to other documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Map<String, Value>>,
    /// JSON Schema of its output, without references to other documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", pattern = r"^https?://[^\s]+$", max_length = 2048, example = "https://example.com/agent.png")]
    pub image_url: Option<String>,
    /// `playbook` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Where an agent with the runtime `http` is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2048, example = "https://example.com/agent")]
    pub endpoint: Option<String>,
}

/// What a patch is judged by.
pub type AgentPatchInput = AgentInput;

impl AgentInput {
    /// Its own playbook, or its template's; none for other runtimes.
    pub fn effective_playbook(&self) -> Option<Playbook> {
        self.playbook.clone().or_else(|| self.playbook_template.map(template))
    }
}

impl Input for AgentInput {
    fn note_faults(&self, faults: &mut Faults) {
        if let Some(playbook) = &self.playbook {
            faults.at("/playbook", |faults| playbook.note_faults(faults));
        }
        if let Some(llm) = &self.llm_config {
            faults.at("/llm_config", |faults| drop(llm.parse(faults)));
        }
        if let Some(slug) = &self.slug {
            faults.text("/slug", slug, 1, 64);
        }
        if let Some(monitoring) = &self.monitoring {
            check_json("/monitoring", &Value::Object(monitoring.clone()), faults);
        }
        for (pointer, schema) in [("/input_schema", &self.input_schema), ("/output_schema", &self.output_schema)] {
            if let Some(schema) = schema {
                check_schema(pointer, &Value::Object(schema.clone()), faults);
            }
        }
        let http = self.runtime == Some(Runtime::Http);
        if http && self.endpoint.is_none() {
            faults.add("/endpoint", "is required for the runtime http");
        }
    }
}

//! What each action is told. Texts are templates: `{{ contact.first_name | default("there") }}`, `{{ steps.<id>.<field> }}`; but what a
//! model is asked is not: it is shown the person and the results of earlier steps as data, so that nothing of them becomes an
//! instruction.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::crm::names::words;
use crate::crm::task::Priority;
use crate::text::Entry;
use crate::{Input, MarketingListId};

words! {
    /// What a message can be drafted for.
    DraftChannel {
        Email = "email",
        Sms = "sms",
        Linkedin = "linkedin",
    }
}

words! {
    /// What a message can be sent by.
    SendChannel {
        Email = "email",
        Sms = "sms",
    }
}

words! {
    HttpMethod {
        Get = "get",
        Post = "post",
        Put = "put",
        Patch = "patch",
        Delete = "delete",
    }
}

/// Nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ScoreParams)]
pub struct NoParams {}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichParams {
    /// Which providers are asked, in this order; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Entry<100>>>, min_items = 1, max_items = 20, example = json!(["website"]))]
    pub providers: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchParams {
    #[schema(value_type = Vec<Entry<1000>>, min_items = 1, max_items = 20, example = json!(["What does the company sell?"]))]
    pub questions: Vec<String>,
}

/// Either what to write about, or the text itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DraftMessageParams)]
pub struct DraftParams {
    pub channel: DraftChannel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 5000, example = "Ask for ten minutes next week.")]
    pub instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500)]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000)]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200, example = "friendly")]
    pub tone: Option<String>,
}

/// Either the text itself, or the step that drafted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendMessageParams)]
pub struct SendParams {
    pub channel: SendChannel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500)]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000)]
    pub body: Option<String>,
    /// The id of an earlier `draft_message` step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub from_step: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitParams {
    /// Fractions are allowed.
    #[schema(minimum = 0, maximum = 8760, example = 72)]
    pub hours: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTaskParams {
    #[schema(min_length = 1, max_length = 500, example = "Call {{ contact.name }}")]
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 8760)]
    pub due_in_hours: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateFollowUpParams)]
pub struct FollowUpParams {
    #[schema(min_length = 1, max_length = 500, example = "Ask {{ contact.name }} again")]
    pub subject: String,
    #[schema(minimum = 0, maximum = 8760, example = 72)]
    pub due_in_hours: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdateStageParams)]
pub struct StageParams {
    /// For contacts a stage of deals: their latest open deal moves there. For leads a status of leads.
    #[schema(min_length = 1, max_length = 50, example = "qualified")]
    pub stage: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToListParams {
    /// A marketing list: the person's company is put on it.
    pub list_id: MarketingListId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelParams {
    /// Not a template: the person and the results of earlier steps are shown beside it.
    #[schema(min_length = 1, max_length = 20000, example = "Is it a software company?")]
    pub prompt: String,
    /// JSON Schema that the answer has to fit. Without one the answer is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpParams {
    /// https, a public host.
    #[schema(min_length = 1, max_length = 2048, example = "https://example.com/hooks/axle")]
    pub url: String,
    pub method: HttpMethod,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyParams {
    #[schema(min_length = 1, max_length = 2000, example = "{{ contact.name }} is worth a call")]
    pub message: String,
}

impl Input for NoParams {}
impl Input for EnrichParams {}
impl Input for ResearchParams {}
impl Input for DraftParams {}
impl Input for SendParams {}
impl Input for WaitParams {}
impl Input for CreateTaskParams {}
impl Input for FollowUpParams {}
impl Input for StageParams {}
impl Input for AddToListParams {}
impl Input for ModelParams {}
impl Input for HttpParams {}
impl Input for NotifyParams {}

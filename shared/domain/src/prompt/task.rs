//! What a model can be asked to do.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::person::{Fact, Person, SenderProfile};
use crate::campaign::Channel;
use crate::reply::ReplyClass;

/// Most questions of one research task.
pub const MAX_QUESTIONS: usize = 20;
/// Most facts that are shown to a model; what is beyond is left out.
pub const MAX_FACTS: usize = 100;
/// As much of one text by strangers as is shown to a model, in bytes.
pub const MAX_TEXT_BYTES: usize = 30_000;
/// Longest answer to one question, in characters.
pub const MAX_ANSWER: usize = 2_000;
/// Longest drafted subject, in characters.
pub const MAX_SUBJECT: usize = 200;
/// Longest drafted body, in characters.
pub const MAX_BODY: usize = 5_000;
/// Longest drafted text message, in characters.
const MAX_SMS: usize = 480;
/// Longest answer that is taken at all, in bytes of JSON; a run keeps it as an item.
pub const MAX_ANSWER_BYTES: usize = 100_000;

/// A task with everything that goes into it, so that the built-in model needs no prose and the others get theirs from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    Research(ResearchTask),
    Draft(DraftTask),
    Free(FreeTask),
    ClassifyReply(ReplyTask),
}

/// Answer questions about a person's company from given facts.
/// Output: `{answers: [{question (index from 0), known, answer, facts: [indexes from 0]}]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResearchTask {
    pub person: Person,
    /// By the tenant.
    pub questions: Vec<String>,
    pub facts: Vec<Fact>,
}

/// Draft a message. Output: `{subject, body}` for e-mail, `{body}` for other channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DraftTask {
    pub person: Person,
    pub channel: Channel,
    /// What to write about and how, by the tenant.
    #[serde(default)]
    pub instructions: Option<String>,
    #[serde(default)]
    pub value_proposition: Option<String>,
    #[serde(default)]
    pub tone: Option<String>,
    /// BCP 47 tag; English unless said.
    #[serde(default)]
    pub language: Option<String>,
    #[serde(default)]
    pub sender: SenderProfile,
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// What was last written to the person, when this follows up.
    #[serde(default)]
    pub previous: Option<String>,
}

/// Do what the tenant's own prompt says. Output: what `output_schema` describes, or a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FreeTask {
    /// By the tenant; not a template, so that nothing else gets in.
    pub prompt: String,
    pub output_schema: Option<Value>,
    pub person: Option<Person>,
    pub facts: Vec<Fact>,
    /// Further texts, such as results of earlier steps.
    pub texts: Vec<DataText>,
}

/// A text by nobody in particular, and what it is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataText {
    /// Such as `step research`. Treated as data like the text itself.
    pub name: String,
    pub text: String,
}

/// Say what a reply means. Output: `{class, confidence, evidence}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplyTask {
    pub subject: String,
    /// The latest text only, without what it answers.
    pub text: String,
}

impl Task {
    /// Stable name, for spans and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Research(_) => "research",
            Self::Draft(_) => "draft_message",
            Self::Free(_) => "model",
            Self::ClassifyReply(_) => "classify_reply",
        }
    }

    /// What the answer has to look like; `None`: any text.
    pub fn output_schema(&self) -> Option<Value> {
        match self {
            Self::Research(task) => Some(research_schema(task)),
            Self::Draft(task) => Some(draft_schema(task.channel)),
            Self::Free(task) => task.output_schema.clone(),
            Self::ClassifyReply(_) => Some(reply_schema()),
        }
    }
}

fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
}

fn research_schema(task: &ResearchTask) -> Value {
    let last_question = task.questions.len().saturating_sub(1);
    let facts = task.facts.len().min(MAX_FACTS);
    object(json!({
        "answers": {
            "type": "array",
            "minItems": task.questions.len(),
            "maxItems": task.questions.len(),
            "items": object(json!({
                "question": {"type": "integer", "minimum": 0, "maximum": last_question},
                "known": {"type": "boolean"},
                "answer": {"type": "string", "maxLength": MAX_ANSWER},
                "facts": {
                    "type": "array",
                    "maxItems": facts,
                    "items": {"type": "integer", "minimum": 0, "maximum": facts.saturating_sub(1)},
                },
            })),
        },
    }))
}

fn draft_schema(channel: Channel) -> Value {
    let text = |max: usize| json!({"type": "string", "minLength": 1, "maxLength": max});
    match channel {
        // One line: a subject is a header.
        Channel::Email => object(json!({
            "subject": {"type": "string", "minLength": 1, "maxLength": MAX_SUBJECT, "pattern": r"^[^\r\n]*\S[^\r\n]*$"},
            "body": text(MAX_BODY),
        })),
        Channel::Sms => object(json!({"body": text(MAX_SMS)})),
        Channel::Linkedin | Channel::Webhook => object(json!({"body": text(MAX_BODY)})),
    }
}

fn reply_schema() -> Value {
    let classes: Vec<&str> = ReplyClass::ALL.iter().map(|class| class.as_str()).collect();
    object(json!({
        "class": {"type": "string", "enum": classes},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "evidence": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 300}},
    }))
}

//! What is said to a model, whoever runs it, and what it says.

use std::time::Duration;

use async_trait::async_trait;
use axle_domain::model::{ModelConfig, Usage};
use serde_json::{Value, json};

use super::ModelErrorKind;
use super::request::ModelCredentials;
use super::shape::Shape;

/// How a model is told what form its answer has to have; what comes first binds it most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// By the provider's own means: a schema beside the prompt.
    Native,
    /// In words, and by asking the provider for any JSON.
    Json,
    /// In words alone.
    Words,
}

/// One exchange: the request, and what came of it so far.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) credentials: Option<&'a ModelCredentials>,
    pub(super) system: &'a str,
    pub(super) user: &'a str,
    /// None: any text.
    pub(super) shape: Option<&'a Shape>,
    /// Answers that did not fit, each with what was said about it.
    pub(super) repairs: Vec<(String, String)>,
}

impl Conversation<'_> {
    /// The rules, and where the form is told in words, the schema.
    pub(super) fn system_text(&self, form: Form) -> String {
        match self.shape {
            Some(shape) if form != Form::Native => format!(
                "{}\n\nAnswer with one JSON value that fits this JSON schema, and with nothing else:\n{}",
                self.system,
                shape.wrapped()
            ),
            _ => self.system.to_owned(),
        }
    }

    /// Turns by role, beginning and ending with the user.
    pub(super) fn turns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let repairs = self.repairs.iter();
        let repairs = repairs.flat_map(|(answer, fault)| [("assistant", answer.as_str()), ("user", fault.as_str())]);
        std::iter::once(("user", self.user)).chain(repairs)
    }

    /// The turns in the form that OpenAI and Anthropic share.
    pub(super) fn messages(&self) -> Vec<Value> {
        self.turns().map(|(role, text)| json!({"role": role, "content": text})).collect()
    }
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Json(Value),
    Text(String),
}

/// One answer of a provider.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) said: Said,
    /// None: the provider did not say.
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    /// Whether it ended because `max_tokens` were used up.
    pub(super) cut: bool,
    /// Whether the model or a filter declined.
    pub(super) refused: bool,
}

/// Why an exchange brought no answer, and what to do about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// Nothing was computed: the same may be tried again, after this time if the provider names one.
    Again { kind: ModelErrorKind, after: Option<Duration> },
    /// The provider does not know this way of asking for a form.
    Form(ModelErrorKind),
    /// No use in trying again now.
    Final(ModelErrorKind),
}

impl Failure {
    pub(super) fn into_kind(self) -> ModelErrorKind {
        match self {
            Self::Again { kind, .. } | Self::Form(kind) | Self::Final(kind) => kind,
        }
    }
}

/// A provider's protocol.
#[async_trait]
pub(super) trait Dialect: Send + Sync {
    /// Its name, for errors.
    fn provider(&self) -> &'static str;

    /// The forms that it can ask for, best first.
    fn forms(&self) -> &'static [Form];

    /// One call, without any repetition.
    async fn say(&self, conversation: &Conversation<'_>, form: Form, timeout: Duration) -> Result<Turn, Failure>;
}

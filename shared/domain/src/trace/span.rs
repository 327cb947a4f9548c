//! One step of a trace.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::id::NotAnId;
use crate::{Time, TraceId};

/// Names of spans. An agent's action is `agent.<action>`.
pub mod name {
    pub const ENRICH: &str = "lead.enrich";
    pub const SCORE: &str = "lead.score";
    pub const DRAFT: &str = "message.draft";
    pub const APPROVE: &str = "message.approve";
    pub const QUEUE: &str = "message.queue";
    pub const SEND: &str = "message.send";
    pub const WAIT: &str = "message.wait";
    pub const DELIVER: &str = "webhook.deliver";
    /// A lead's way through a campaign, from the first step to whatever ended it: what all its other steps follow from.
    pub const SEQUENCE: &str = "agent.sequence";

    /// The span of an agent's action.
    pub fn agent(action: impl std::fmt::Display) -> String {
        format!("agent.{action}")
    }
}

/// Names of attributes: those of OpenTelemetry where it has one (GenAI, messaging and HTTP conventions), ours under `axle.` where not.
pub mod attribute {
    pub const OPERATION: &str = "gen_ai.operation.name";
    pub const MODEL_PROVIDER: &str = "gen_ai.provider.name";
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub const AGENT_ID: &str = "gen_ai.agent.id";
    pub const AGENT_NAME: &str = "gen_ai.agent.name";
    pub const ERROR_TYPE: &str = "error.type";
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    pub const MESSAGE_ID: &str = "messaging.message.id";
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// Money, as a decimal string in major units.
    pub const COST: &str = "axle.cost";
    pub const CHANNEL: &str = "axle.channel";
    pub const ATTEMPTS: &str = "axle.attempts";
    /// How a step ended that neither failed nor did what it was for, such as `suppressed`.
    pub const OUTCOME: &str = "axle.outcome";
    pub const COMMUNICATION_ID: &str = "axle.communication.id";
    pub const DELIVERY_ID: &str = "axle.delivery.id";
    pub const WEBHOOK_ID: &str = "axle.webhook.id";
    pub const EVENT_ID: &str = "axle.event.id";
    pub const EVENT_TYPE: &str = "axle.event.type";
    pub const STEP: &str = "axle.sequence.step";
    pub const VARIANT: &str = "axle.sequence.variant";
    /// In words, what a step came to.
    pub const DETAIL: &str = "axle.detail";
    /// Why it ended there.
    pub const REASON: &str = "axle.reason";
    pub const CAMPAIGN_ID: &str = "axle.campaign.id";
    pub const LEAD_ID: &str = "axle.lead.id";
    /// When a wait is over.
    pub const DUE_AT: &str = "axle.due_at";
}

/// Attributes that a span keeps.
pub const MAX_ATTRIBUTES: usize = 24;
/// Characters of an attribute's text that are kept.
const MAX_TEXT: usize = 200;
/// Characters of an error that are kept.
const MAX_ERROR: usize = 400;

/// The id of a span: 8 bytes, written as 16 lower-case hex digits, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// The id of what a trace has under a name for a subject. It follows from these, so a step that is recorded twice is one span, and
    /// whoever knows what caused him knows his parent.
    pub fn of(trace: TraceId, name: &str, subject: impl fmt::Display) -> Self {
        let hash = Sha256::digest(format!("{trace}/{name}/{subject}"));
        let id = hash.iter().take(8).fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
        Self(id.max(1))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SpanId {
    type Err = NotAnId;
    fn from_str(s: &str) -> Result<Self, NotAnId> {
        let lower_hex = s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(s, 16) {
            Ok(n) if n != 0 && s.len() == 16 && lower_hex => Ok(Self(n)),
            _ => Err(NotAnId),
        }
    }
}

impl Serialize for SpanId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpanId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

crate::text::string_schema!(SpanId, "SpanId", "w3c-span-id", "00f067aa0ba902b7");

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    Running,
    Ok,
    Error,
}
crate::text::text_enum!(SpanStatus, Running = "running", Ok = "ok", Error = "error");

/// What is known of a step, by name. Bounded, so that a span stays one write unit's size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct Attributes(BTreeMap<String, Value>);

impl Attributes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Sets an attribute to a text, number or truth value. Texts are cut at 200 characters; null, and anything beyond the limit of
    /// attributes, is dropped, and what has parts is kept as its JSON text.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::Null => return,
            Value::String(text) => Value::from(cut(&text, MAX_TEXT)),
            parts @ (Value::Array(_) | Value::Object(_)) => Value::from(cut(&parts.to_string(), MAX_TEXT)),
            plain => plain,
        };
        if self.0.len() < MAX_ATTRIBUTES || self.0.contains_key(name) {
            self.0.insert(name.to_owned(), value);
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// A step of a trace, as `GET /traces/{id}` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Span {
    pub span_id: SpanId,
    /// Null for the first step, and for one whose cause is not kept any more.
    pub parent_id: Option<SpanId>,
    #[schema(example = "message.send")]
    pub name: String,
    /// The agent that did it.
    pub agent: Option<String>,
    pub status: SpanStatus,
    pub started_at: Time,
    /// Null while it is running.
    pub duration_ms: Option<u64>,
    pub attributes: Attributes,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Span {
    /// A step that begins, without a parent as yet.
    pub fn new(trace: TraceId, name: &str, subject: impl fmt::Display, started_at: Time) -> Self {
        Self {
            span_id: SpanId::of(trace, name, subject),
            parent_id: None,
            name: name.to_owned(),
            agent: None,
            status: SpanStatus::Running,
            started_at,
            duration_ms: None,
            attributes: Attributes::default(),
            error: None,
        }
    }

    #[must_use]
    pub fn parent(mut self, id: impl Into<Option<SpanId>>) -> Self {
        self.parent_id = id.into();
        self
    }

    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.set(name, value);
        self
    }

    /// It ended well.
    #[must_use]
    pub fn done(mut self, at: Time) -> Self {
        self.status = SpanStatus::Ok;
        self.duration_ms = Some(at.since(self.started_at).max(0).unsigned_abs());
        self
    }

    /// It ended badly.
    #[must_use]
    pub fn failed(mut self, at: Time, error: &str) -> Self {
        self = self.done(at);
        self.status = SpanStatus::Error;
        self.error = Some(cut(error, MAX_ERROR));
        self
    }

    /// When it ended; `None` while it is running.
    pub fn ended_at(&self) -> Option<Time> {
        let ms = self.duration_ms.filter(|_| self.status != SpanStatus::Running)?;
        Some(self.started_at.plus_millis(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trace() -> TraceId {
        "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()
    }

    #[test]
    fn an_id_follows_from_what_it_is_of() {
        let id = SpanId::of(trace(), name::SEND, "a");
        assert_eq!(id, SpanId::of(trace(), name::SEND, "a"));
        assert_ne!(id, SpanId::of(trace(), name::SEND, "b"));
        assert_ne!(id, SpanId::of(trace(), name::QUEUE, "a"));
        assert_eq!(id.to_string().parse::<SpanId>().unwrap(), id);
        for bad in ["", "0000000000000000", "00f067aa0ba902b", "00F067AA0BA902B7", "+0f067aa0ba902b7"] {
            assert!(bad.parse::<SpanId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_stays_small() {
        let mut span =
            Span::new(trace(), name::SEND, 1, Time::from_secs(1)).with("long", "ü".repeat(5_000)).with("none", Value::Null);
        assert!(span.attributes.get("none").is_none());
        assert_eq!(span.attributes.get("long").and_then(Value::as_str).unwrap().chars().count(), MAX_TEXT);
        for n in 0..100 {
            span.attributes.set(&format!("a{n}"), n);
        }
        span.attributes.set("a1", 7);
        assert_eq!((span.attributes.iter().count(), span.attributes.get("a1").unwrap()), (MAX_ATTRIBUTES, &Value::from(7)));
        let failed = span.failed(Time::from_secs(3), &"no ".repeat(1_000));
        assert_eq!((failed.status, failed.duration_ms), (SpanStatus::Error, Some(2_000)));
        assert_eq!(failed.error.unwrap().chars().count(), MAX_ERROR);
    }
}

//! Sending identities: an address that messages come from, and what it takes to send as it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::check_header_text;
use crate::address::Email;
use crate::campaign::SendingWindow;
use crate::mail::{Credentials, IdentityKind};
use crate::webhook::NetworkPolicy;
use crate::{Faults, Input};

/// Whether an identity was seen to work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStatus {
    /// Not tried since it was made or changed.
    #[default]
    Unverified,
    Verified,
    /// The last check failed.
    Failed,
}

/// A slow start of a new identity: `start` messages on the first day, `step` more on each day after, until `max` is reached;
/// from then on `daily_limit` counts alone, or `max` if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Warmup {
    #[schema(minimum = 1, maximum = 1_000_000, example = 20)]
    pub start: u32,
    #[schema(minimum = 1, maximum = 1_000_000, example = 10)]
    pub step: u32,
    #[schema(minimum = 1, maximum = 1_000_000, example = 400)]
    pub max: u32,
}

/// A new identity.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityInput {
    pub kind: IdentityKind,
    /// The address that messages come from.
    #[schema(max_length = 254, format = "email", example = "ada@example.com")]
    pub from: String,
    /// The name beside the address.
    #[serde(default)]
    #[schema(max_length = 200, example = "Ada of Example")]
    pub name: Option<String>,
    /// SMTP: `{host, port, username?, password?, tls: "tls"|"starttls"|"none"}`; Gmail and Outlook: `{client_id, client_secret,
    /// refresh_token}`; SES: none. Kept sealed and never shown.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Value>,
    /// Messages a day, in the time zone of the sending window, or else in UTC. What is over it goes out on a later day.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000, example = 400)]
    pub daily_limit: Option<u32>,
    #[serde(default)]
    pub warmup: Option<Warmup>,
    /// When messages may go out; any time, if absent.
    #[serde(default)]
    pub sending_window: Option<SendingWindow>,
}

/// What can be changed of an identity. A change of `from` or `credentials` makes it unverified.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    #[schema(max_length = 254, format = "email", example = "ada@example.com")]
    pub from: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Takes the place of all that is stored, which is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Value>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub daily_limit: Option<u32>,
    #[serde(default)]
    pub warmup: Option<Warmup>,
    #[serde(default)]
    pub sending_window: Option<SendingWindow>,
}

impl IdentitySettings {
    /// Notes everything that makes it unusable but for the credentials.
    pub fn check(&self, faults: &mut Faults) {
        check_header_text("/from", &self.from, faults);
        faults.take("/from", Email::parse(&self.from));
        let name = self.name.as_deref().unwrap_or_default();
        faults.text("/name", name, 0, 200);
        check_header_text("/name", name, faults);
        if self.daily_limit == Some(0) {
            faults.add("/daily_limit", "must be at least 1; leave it out for no limit");
        }
        if let Some(Warmup { start, step, max }) = self.warmup {
            if start == 0 || step == 0 {
                faults.add("/warmup", "start and step must be at least 1");
            }
            if max < start {
                faults.add("/warmup/max", "must not be less than start");
            }
        }
        if let Some(window) = &self.sending_window {
            faults.at("/sending_window", |faults| window.check(faults));
        }
    }
}

/// Without the credentials.
impl std::fmt::Debug for IdentityInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityInput").field("kind", &self.kind).field("from", &self.from).finish_non_exhaustive()
    }
}

/// Without the credentials.
impl std::fmt::Debug for IdentitySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentitySettings").field("from", &self.from).finish_non_exhaustive()
    }
}

impl IdentityInput {
    /// The credentials for the kind, or every fault noted.
    pub fn credentials(&self, policy: NetworkPolicy, faults: &mut Faults) -> Option<Credentials> {
        Credentials::read(self.kind, self.credentials.as_ref().unwrap_or(&Value::Null), policy, faults)
    }

    pub fn into_settings(self) -> (IdentityKind, IdentitySettings) {
        let Self { kind, from, name, credentials, daily_limit, warmup, sending_window } = self;
        (kind, IdentitySettings { from, name, credentials, daily_limit, warmup, sending_window })
    }
}

impl Input for IdentityInput {
    fn note_faults(&self, faults: &mut Faults) {
        let (_, settings) = self.clone().into_settings();
        settings.check(faults);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn faults(value: Value) -> Vec<String> {
        let input: IdentityInput = serde_json::from_value(value).unwrap();
        let mut faults = Faults::new();
        input.note_faults(&mut faults);
        faults.into_vec().into_iter().map(|f| f.pointer).collect()
    }

    #[test]
    fn every_fault_at_once() {
        assert_eq!(
            faults(json!({"kind": "ses", "from": "a@example.com\r\nBcc: b@example.com", "name": "a\nb", "daily_limit": 0,
                "warmup": {"start": 5, "step": 0, "max": 4},
                "sending_window": {"timezone": "Mars", "days": ["mon"], "from": "10:00", "to": "09:00"}})),
            ["/from", "/name", "/daily_limit", "/warmup", "/warmup/max", "/sending_window/timezone", "/sending_window/to"]
        );
    }
}

//! Sending identities: an address that messages come from, and what it takes to send as it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check_header_text;
use crate::address::Email;
use crate::campaign::SendingWindow;
use crate::{Faults, Input};

/// What carries an identity's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// Amazon SES of the deployment's own account.
    Ses,
    Smtp,
    Gmail,
    /// Microsoft 365, by Graph.
    Outlook,
}

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

/// How a connection to an SMTP server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// From the first byte (port 465).
    #[default]
    Tls,
    /// From `STARTTLS` on (port 587); refused if the server has none.
    Starttls,
    /// Not at all: for servers on a private network.
    None,
}

/// What it takes to send. SMTP: `host`, `port`, and `username` with `password`; Gmail and Outlook: `client_id`, `client_secret`,
/// `refresh_token`; SES: nothing. Kept sealed and never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 253, example = "smtp.example.com")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 65535, example = 465)]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, write_only)]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<SmtpTls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, write_only)]
    pub client_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, write_only)]
    pub refresh_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Notes what is missing for a kind, and what does not belong to it.
    pub fn check(&self, kind: IdentityKind, faults: &mut Faults) {
        let smtp = kind == IdentityKind::Smtp;
        let oauth = matches!(kind, IdentityKind::Gmail | IdentityKind::Outlook);
        let fields = [
            ("/host", self.host.as_deref(), smtp, smtp),
            ("/username", self.username.as_deref(), smtp, false),
            ("/password", self.password.as_deref(), smtp, self.username.is_some()),
            ("/client_id", self.client_id.as_deref(), oauth, oauth),
            ("/client_secret", self.client_secret.as_deref(), oauth, oauth),
            ("/refresh_token", self.refresh_token.as_deref(), oauth, oauth),
        ];
        for (pointer, value, belongs, needed) in fields {
            match value {
                Some(_) if !belongs => faults.add(pointer, "does not belong to this kind of identity"),
                Some("") => faults.add(pointer, "must not be empty"),
                None if belongs && needed => faults.add(pointer, "is required for this kind of identity"),
                Some(value) => check_header_text(pointer, value, faults),
                None => {}
            }
        }
        match self.port {
            Some(_) if !smtp => faults.add("/port", "does not belong to this kind of identity"),
            None if smtp => faults.add("/port", "is required for this kind of identity"),
            _ => {}
        }
        if self.tls.is_some() && !smtp {
            faults.add("/tls", "does not belong to this kind of identity");
        }
        if self.password.is_some() && self.username.is_none() && smtp {
            faults.add("/username", "is required with a password");
        }
    }
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
#[derive(Clone, Debug, Deserialize, ToSchema)]
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
    #[serde(default)]
    pub credentials: Option<Credentials>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    #[schema(max_length = 254, format = "email", example = "ada@example.com")]
    pub from: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Merged with those stored, which are not shown.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub daily_limit: Option<u32>,
    #[serde(default)]
    pub warmup: Option<Warmup>,
    #[serde(default)]
    pub sending_window: Option<SendingWindow>,
}

impl IdentitySettings {
    /// Notes everything that makes it unusable for a kind.
    pub fn check(&self, kind: IdentityKind, faults: &mut Faults) {
        check_header_text("/from", &self.from, faults);
        faults.take("/from", Email::parse(&self.from));
        let name = self.name.as_deref().unwrap_or_default();
        faults.text("/name", name, 0, 200);
        check_header_text("/name", name, faults);
        let credentials = self.credentials.clone().unwrap_or_default();
        faults.at("/credentials", |faults| credentials.check(kind, faults));
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

impl IdentityInput {
    pub fn into_settings(self) -> (IdentityKind, IdentitySettings) {
        let Self { kind, from, name, credentials, daily_limit, warmup, sending_window } = self;
        (kind, IdentitySettings { from, name, credentials, daily_limit, warmup, sending_window })
    }
}

impl Input for IdentityInput {
    fn note_faults(&self, faults: &mut Faults) {
        let (kind, settings) = self.clone().into_settings();
        settings.check(kind, faults);
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
    fn credentials_of_each_kind() {
        let ok: [&str; 0] = [];
        let smtp = json!({"host": "h", "port": 25, "tls": "none"});
        let oauth = json!({"client_id": "a", "client_secret": "b", "refresh_token": "c"});
        assert_eq!(faults(json!({"kind": "ses", "from": "a@example.com"})), ok);
        assert_eq!(faults(json!({"kind": "smtp", "from": "a@example.com", "credentials": smtp})), ok);
        for kind in ["gmail", "outlook"] {
            assert_eq!(faults(json!({"kind": kind, "from": "a@example.com", "credentials": oauth})), ok);
            assert_eq!(
                faults(json!({"kind": kind, "from": "a@example.com", "credentials": smtp})),
                [
                    "/credentials/host",
                    "/credentials/client_id",
                    "/credentials/client_secret",
                    "/credentials/refresh_token",
                    "/credentials/port",
                    "/credentials/tls"
                ]
            );
        }
        assert_eq!(faults(json!({"kind": "smtp", "from": "a@example.com"})), ["/credentials/host", "/credentials/port"]);
        assert_eq!(faults(json!({"kind": "ses", "from": "a@example.com", "credentials": oauth})).len(), 3);
        let halves = json!({"host": "h", "port": 25, "password": "x"});
        assert_eq!(faults(json!({"kind": "smtp", "from": "a@example.com", "credentials": halves})), ["/credentials/username"]);
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

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials { password: Some("hunter2".to_owned()), ..Credentials::default() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}

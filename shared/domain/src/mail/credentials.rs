//! What it takes to send from an identity. Sealed as JSON, never answered, never printed.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::Faults;
use crate::webhook::NetworkPolicy;

/// The ways in which an identity can send e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// The deployment's own Amazon SES.
    Ses,
    /// Any server that takes mail by SMTP.
    Smtp,
    /// A Google mailbox, through the Gmail API.
    Gmail,
    /// A Microsoft 365 or Outlook.com mailbox, through Microsoft Graph.
    Outlook,
}

impl IdentityKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Smtp => "smtp",
            Self::Gmail => "gmail",
            Self::Outlook => "outlook",
        }
    }
}

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The one way to the text; never to be logged.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How a connection to an SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// TLS from the first byte (usually port 465).
    Tls,
    /// Plain at first, then TLS by STARTTLS, without which nothing is sent (usually port 587).
    Starttls,
    /// Not at all: only where the deployment allows local targets.
    None,
}

/// How to reach and convince an SMTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpCredentials {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    pub tls: SmtpTls,
}

/// An OAuth 2.0 client and the access that a mailbox's owner has granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthCredentials {
    pub client_id: String,
    pub client_secret: Secret,
    pub refresh_token: Secret,
}

/// The credentials of an identity, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Ses,
    Smtp(SmtpCredentials),
    Gmail(OAuthCredentials),
    Outlook(OAuthCredentials),
}

/// Longest user name, password, token or client id, in bytes. Microsoft's refresh tokens have some 2,000.
const MAX_SECRET: usize = 4096;

impl Credentials {
    /// Reads what a tenant entered as an identity's `credentials` (absent: null), noting every fault below `/credentials`.
    pub fn read(kind: IdentityKind, value: &serde_json::Value, policy: NetworkPolicy, faults: &mut Faults) -> Option<Self> {
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        if kind == IdentityKind::Ses {
            if !empty {
                faults.add("/credentials", "must be absent: ses sends with the deployment's own access");
            }
            return empty.then_some(Self::Ses);
        }
        match Self::of(kind, value.clone()) {
            Ok(credentials) => {
                let before = faults.iter().count();
                credentials.note_faults(policy, faults);
                (faults.iter().count() == before).then_some(credentials)
            }
            // The message names fields and types, not their values: every field that could be misread is a text or has none.
            Err(_) => {
                faults.add("/credentials", kind.expected());
                None
            }
        }
    }

    /// Reads what [`to_json`](Self::to_json) has written. None: it was not written for this kind.
    pub fn open(kind: IdentityKind, json: &str) -> Option<Self> {
        Self::of(kind, serde_json::from_str(json).ok()?).ok()
    }

    fn of(kind: IdentityKind, value: serde_json::Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            IdentityKind::Ses => Self::Ses,
            IdentityKind::Smtp => Self::Smtp(serde_json::from_value(value)?),
            IdentityKind::Gmail => Self::Gmail(serde_json::from_value(value)?),
            IdentityKind::Outlook => Self::Outlook(serde_json::from_value(value)?),
        })
    }

    /// The text to be sealed. Holds the secrets: never to be logged or answered.
    pub fn to_json(&self) -> Secret {
        let json = match self {
            Self::Ses => Ok("null".to_owned()),
            Self::Smtp(smtp) => serde_json::to_string(smtp),
            Self::Gmail(oauth) | Self::Outlook(oauth) => serde_json::to_string(oauth),
        };
        // Texts, a number and a unit variant always have a JSON form.
        Secret(json.unwrap_or_default())
    }

    pub fn kind(&self) -> IdentityKind {
        match self {
            Self::Ses => IdentityKind::Ses,
            Self::Smtp(_) => IdentityKind::Smtp,
            Self::Gmail(_) => IdentityKind::Gmail,
            Self::Outlook(_) => IdentityKind::Outlook,
        }
    }

    fn note_faults(&self, policy: NetworkPolicy, faults: &mut Faults) {
        match self {
            Self::Ses => {}
            Self::Smtp(smtp) => smtp.note_faults(policy, faults),
            Self::Gmail(oauth) | Self::Outlook(oauth) => {
                text(faults, "/credentials/client_id", &oauth.client_id);
                text(faults, "/credentials/client_secret", oauth.client_secret.reveal());
                text(faults, "/credentials/refresh_token", oauth.refresh_token.reveal());
            }
        }
    }
}

impl IdentityKind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Ses => "must be absent",
            Self::Smtp => r#"must be {host, port, username?, password?, tls: "tls" | "starttls" | "none"}"#,
            Self::Gmail | Self::Outlook => "must be {client_id, client_secret, refresh_token}",
        }
    }
}

impl SmtpCredentials {
    fn note_faults(&self, policy: NetworkPolicy, faults: &mut Faults) {
        let local = policy.allow_local;
        if let Err(detail) = self.host(policy) {
            faults.add("/credentials/host", detail);
        }
        // 25 is for servers among each other: clouds block it, and it is how mail is sent unasked.
        if self.port == 0 || self.port == 25 && !local {
            faults.add("/credentials/port", "must be a submission port such as 465, 587 or 2525");
        }
        if self.tls == SmtpTls::None && !local {
            faults.add("/credentials/tls", "must be tls or starttls: this deployment sends nothing in the clear");
        }
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                text(faults, "/credentials/username", username);
                text(faults, "/credentials/password", password.reveal());
            }
            (None, None) => {}
            (Some(_), None) => faults.add("/credentials/password", "is needed with a username"),
            (None, Some(_)) => faults.add("/credentials/username", "is needed with a password"),
        }
    }

    /// Whether the host may be connected to as far as its form goes; the addresses behind a name are checked with each
    /// connection.
    pub fn host(&self, policy: NetworkPolicy) -> Result<(), &'static str> {
        let written = !self.host.is_empty() && !self.host.contains(['/', '@', '?', '#', '\\', ' ']) && self.host.is_ascii();
        // One set of rules for all hosts that tenants name: those of URLs.
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let url = format!("https://{host}");
        match crate::webhook::EndpointUrl::parse(&url, policy) {
            Ok(_) if written => Ok(()),
            _ => Err("must be the name of a mail server on the public internet"),
        }
    }
}

fn text(faults: &mut Faults, pointer: &str, value: &str) {
    if value.is_empty() || value.len() > MAX_SECRET || value.chars().any(char::is_control) {
        faults.add(pointer, format!("must have 1 to {MAX_SECRET} bytes without control characters"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: IdentityKind, value: Value, policy: NetworkPolicy) -> Result<Credentials, Vec<String>> {
        let mut faults = Faults::new();
        let read = Credentials::read(kind, &value, policy, &mut faults);
        read.ok_or(faults.iter().map(|fault| fault.pointer.clone()).collect())
    }

    fn smtp(changes: Value) -> Value {
        let mut smtp = json!({ "host": "smtp.example.com", "port": 587, "username": "u", "password": "p", "tls": "starttls" });
        smtp.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        smtp
    }

    #[rstest]
    #[case(json!({}), &[])]
    #[case(json!({ "username": null, "password": null }), &[])]
    #[case(json!({ "host": "localhost" }), &["/credentials/host"])]
    #[case(json!({ "host": "10.0.0.1" }), &["/credentials/host"])]
    #[case(json!({ "host": "::1" }), &["/credentials/host"])]
    #[case(json!({ "host": "mail.internal" }), &["/credentials/host"])]
    #[case(json!({ "host": "smtp.example.com/x" }), &["/credentials/host"])]
    #[case(json!({ "host": "u@smtp.example.com" }), &["/credentials/host"])]
    #[case(json!({ "host": "smtp.example.com:25" }), &["/credentials/host"])]
    #[case(json!({ "host": "" }), &["/credentials/host"])]
    #[case(json!({ "port": 25 }), &["/credentials/port"])]
    #[case(json!({ "port": 0, "tls": "none" }), &["/credentials/port", "/credentials/tls"])]
    #[case(json!({ "password": null }), &["/credentials/password"])]
    #[case(json!({ "username": null }), &["/credentials/username"])]
    #[case(json!({ "password": "a\r\nb" }), &["/credentials/password"])]
    #[case(json!({ "port": 70_000 }), &["/credentials"])]
    #[case(json!({ "tls": "ssl" }), &["/credentials"])]
    #[case(json!({ "extra": 1 }), &["/credentials"])]
    fn smtp_faults(#[case] changes: Value, #[case] expected: &[&str]) {
        let faults = read(IdentityKind::Smtp, smtp(changes), NetworkPolicy::PUBLIC_ONLY).err().unwrap_or_default();
        assert_eq!(faults, expected);
    }

    #[test]
    fn local_servers_are_for_local_deployments() {
        let local = smtp(json!({ "host": "127.0.0.1", "port": 25, "tls": "none" }));
        assert!(read(IdentityKind::Smtp, local, NetworkPolicy::WITH_LOCAL).is_ok());
    }

    #[test]
    fn what_was_sealed_opens_for_its_kind_only() {
        let oauth = json!({ "client_id": "c", "client_secret": "s1", "refresh_token": "r1" });
        for (kind, value) in [
            (IdentityKind::Ses, Value::Null),
            (IdentityKind::Smtp, smtp(json!({}))),
            (IdentityKind::Gmail, oauth.clone()),
            (IdentityKind::Outlook, oauth),
        ] {
            let credentials = read(kind, value, NetworkPolicy::PUBLIC_ONLY).unwrap();
            let json = credentials.to_json();
            assert_eq!((Credentials::open(kind, json.reveal()), credentials.kind()), (Some(credentials.clone()), kind));
            let shown = format!("{credentials:?} {json:?}");
            assert!(!shown.contains("\"p\"") && !shown.contains("s1") && !shown.contains("r1"), "{shown}");
        }
        assert_eq!(Credentials::open(IdentityKind::Gmail, smtp(json!({})).to_string().as_str()), None);
        assert_eq!(Credentials::open(IdentityKind::Smtp, "null"), None);
    }

    #[test]
    fn others_have_their_own_form() {
        let policy = NetworkPolicy::PUBLIC_ONLY;
        assert_eq!(read(IdentityKind::Ses, smtp(json!({})), policy), Err(vec!["/credentials".into()]));
        assert_eq!(read(IdentityKind::Ses, json!({}), policy), Ok(Credentials::Ses));
        assert_eq!(read(IdentityKind::Gmail, Value::Null, policy), Err(vec!["/credentials".into()]));
        let empty = json!({ "client_id": "", "client_secret": "s", "refresh_token": "r" });
        assert_eq!(read(IdentityKind::Outlook, empty, policy), Err(vec!["/credentials/client_id".into()]));
    }
}

//! E-mail from the CRM: to the person of a deal, by one of the tenant's sending identities, which this surface calls connections.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::campaign::SendingWindow;
use crate::communication::{IdentityInput, IdentitySettings, Warmup};
use crate::mail::IdentityKind;
use crate::{DealId, Fault, Faults, Input, SendingIdentityId};

/// An e-mail to the person of a lead.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OutboundEmailInput {
    pub lead_id: DealId,
    pub connection_id: SendingIdentityId,
    /// The connection's.
    pub channel: IdentityKind,
    #[schema(min_length = 1, max_length = 500, example = "Our offer")]
    pub subject: String,
    #[schema(min_length = 1, max_length = 200_000, example = "<p>Dear Ada, here it is.</p>")]
    pub html_body: String,
}

impl Input for OutboundEmailInput {
    fn note_faults(&self, faults: &mut Faults) {
        faults.text("/subject", &self.subject, 1, 500);
        if self.html_body.trim().is_empty() {
            faults.add("/htmlBody", "must not be empty");
        }
    }
}

/// A new connection.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EmailConnectionInput)]
pub struct ConnectionInput {
    pub channel: IdentityKind,
    /// The address that messages come from.
    #[schema(max_length = 254, format = "email", example = "ada@example.com")]
    pub from: String,
    /// The name beside the address.
    #[serde(default)]
    #[schema(max_length = 200, example = "Ada of Example")]
    pub name: Option<String>,
    /// SMTP: `{host, port, username?, password?, tls: "tls"|"starttls"|"none"}`; Gmail and Outlook: `{clientId, clientSecret,
    /// refreshToken}`; SES: none. Kept sealed and never shown.
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

/// Without the credentials.
impl std::fmt::Debug for ConnectionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionInput").field("channel", &self.channel).field("from", &self.from).finish_non_exhaustive()
    }
}

/// `sendingWindow` as `sending_window`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `sending_window` as `sendingWindow`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |out, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|c| c.to_ascii_uppercase());
        out + &head.into_iter().chain(letters).collect::<String>()
    })
}

fn renamed(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (snake(&name), value)).collect()
}

/// A change of a connection in the words of its sending identity.
pub fn identity_change(change: &Value) -> Value {
    let Value::Object(fields) = change else { return change.clone() };
    let mut fields = renamed(fields.clone());
    if let Some(Value::Object(credentials)) = fields.get_mut("credentials") {
        *credentials = renamed(std::mem::take(credentials));
    }
    Value::Object(fields)
}

/// What is wrong with a sending identity in the words of its connection.
pub fn connection_fault(fault: Fault) -> Fault {
    let parts = fault.pointer.split('/').map(|part| if part == "kind" { "channel".to_owned() } else { camel(part) });
    Fault { pointer: parts.collect::<Vec<_>>().join("/"), ..fault }
}

impl ConnectionInput {
    pub fn into_identity(self) -> IdentityInput {
        let Self { channel, from, name, credentials, daily_limit, warmup, sending_window } = self;
        let credentials = credentials.map(|value| match value {
            Value::Object(fields) => Value::Object(renamed(fields)),
            other => other,
        });
        IdentityInput { kind: channel, from, name, credentials, daily_limit, warmup, sending_window }
    }
}

impl Input for ConnectionInput {
    fn note_faults(&self, faults: &mut Faults) {
        let mut found = Faults::new();
        let (_, settings): (_, IdentitySettings) = self.clone().into_identity().into_settings();
        settings.check(&mut found);
        faults.extend(found.into_vec().into_iter().map(connection_fault));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn names_go_both_ways() {
        let change =
            json!({"dailyLimit": 5, "credentials": {"clientId": "x", "host": null}, "sendingWindow": {"timezone": "UTC"}});
        let wanted =
            json!({"daily_limit": 5, "credentials": {"client_id": "x", "host": null}, "sending_window": {"timezone": "UTC"}});
        assert_eq!(identity_change(&change), wanted);
        for (pointer, wanted) in
            [("/kind", "/channel"), ("/credentials/client_id", "/credentials/clientId"), ("/from", "/from"), ("", "")]
        {
            assert_eq!(connection_fault(Fault::new(pointer, "x")).pointer, wanted);
        }
    }

    #[test]
    fn faults_are_in_the_callers_words() {
        let input = json!({"channel": "ses", "from": "nobody", "dailyLimit": 0, "sendingWindow": {"timezone": "x", "days": [], "from": "9", "to": "10:00"}});
        let input: ConnectionInput = serde_json::from_value(input).unwrap();
        let mut faults = Faults::new();
        input.note_faults(&mut faults);
        let pointers: Vec<String> = faults.into_vec().into_iter().map(|fault| fault.pointer).collect();
        assert!(pointers.contains(&"/from".to_owned()) && pointers.contains(&"/dailyLimit".to_owned()), "{pointers:?}");
        assert!(pointers.iter().all(|pointer| !pointer.contains('_')), "{pointers:?}");
    }
}

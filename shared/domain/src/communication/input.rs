//! What a tenant writes to have a message sent, and what makes it valid.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Category, MessageChannel};
use crate::address::{Email, Phone};
use crate::mail::{Header, MessageId};
use crate::webhook::{EndpointUrl, NetworkPolicy};
use crate::{CampaignId, ContactId, Faults, Input, LeadId, SendingIdentityId, Time};

/// Characters of a subject.
const SUBJECT_MAX: usize = 500;
/// Bytes of a text or HTML part.
const PART_MAX: usize = 200_000;
/// Bytes of text, HTML and headers together: one item of the table, which takes 400 KB.
const TOTAL_MAX: usize = 300_000;
/// Characters of an SMS: ten parts.
const SMS_MAX: usize = 1_530;
/// Extra headers of one message.
const HEADERS_MAX: usize = 20;
/// Days that a message can be scheduled ahead.
const AHEAD_DAYS: i64 = 365;

/// Headers that name other messages and addresses: read, so that replies stay in their thread.
const THREADING: [&str; 3] = ["reply-to", "in-reply-to", "references"];

/// Which engagements of this message are measured; neither by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = MessageTrack)]
pub struct Track {
    pub opens: bool,
    pub clicks: bool,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunicationInput {
    pub channel: MessageChannel,
    /// An e-mail address, a phone number with its country code, or (channel `webhook`) a URL. Exactly one of `to`, `lead_id` and
    /// `contact_id` says who gets the message.
    #[serde(default)]
    #[schema(max_length = 2048, example = "ada@example.com")]
    pub to: Option<String>,
    /// The lead's own address for the channel.
    #[serde(default)]
    pub lead_id: Option<LeadId>,
    /// The contact's own address for the channel.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    #[serde(default)]
    pub campaign_id: Option<CampaignId>,
    /// Who sends; by default the deployment's own sender address.
    #[serde(default)]
    pub identity_id: Option<SendingIdentityId>,
    /// `marketing` if there is a `campaign_id`, else `transactional`.
    #[serde(default)]
    pub category: Option<Category>,
    /// E-mail needs one; SMS has none.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, example = "Your order")]
    pub subject: Option<String>,
    /// Made from `html` if only that is given.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200000, example = "It is on its way.")]
    pub text: Option<String>,
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200000)]
    pub html: Option<String>,
    /// Now, if absent; a year ahead at most. A sending window can make it later.
    #[serde(default)]
    pub send_at: Option<Time>,
    /// E-mail only, 20 at most. `Reply-To`, `In-Reply-To`, `References` and headers of your own; those that say who sends what to whom are
    /// set for you.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"X-Order": "4711"}))]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub track: Track,
    /// The same as the header `Idempotency-Key`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "order-4711-shipped")]
    pub idempotency_key: Option<String>,
}

/// Whom a message is for, as far as the input says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// An address in normal form.
    Address(String),
    Lead(LeadId),
    Contact(ContactId),
}

/// Notes line breaks and other control characters, which could add headers to a message.
pub fn check_header_text(pointer: &str, text: &str, faults: &mut Faults) {
    if text.chars().any(char::is_control) {
        faults.add(pointer, "must not contain line breaks or control characters");
    }
}

impl CommunicationInput {
    pub fn category(&self) -> Category {
        let by_campaign = if self.campaign_id.is_some() { Category::Marketing } else { Category::Transactional };
        self.category.unwrap_or(by_campaign)
    }

    /// Whom it is for, or the fault noted.
    pub fn recipient(&self, policy: NetworkPolicy, faults: &mut Faults) -> Option<Recipient> {
        let to = self.to.as_deref().map(str::trim).filter(|to| !to.is_empty());
        let given = [to.is_some(), self.lead_id.is_some(), self.contact_id.is_some()].iter().filter(|given| **given).count();
        if given != 1 {
            faults.add("/to", "is needed, or one of lead_id and contact_id: exactly one of the three");
            return None;
        }
        if let Some(lead) = self.lead_id {
            return Some(Recipient::Lead(lead));
        }
        if let Some(contact) = self.contact_id {
            return Some(Recipient::Contact(contact));
        }
        let to = to?;
        let normal = match self.channel {
            MessageChannel::Email => faults.take("/to", Email::parse(to)).map(String::from),
            MessageChannel::Sms => faults.take("/to", Phone::parse(to)).map(String::from),
            MessageChannel::Webhook => faults.take("/to", EndpointUrl::parse(to, policy)).map(|url| url.url().to_string()),
        };
        normal.map(Recipient::Address)
    }

    /// Notes a time that is too far ahead.
    pub fn check_time(&self, now: Time, faults: &mut Faults) {
        if self.send_at.is_some_and(|at| at > now.plus_days(AHEAD_DAYS)) {
            faults.add("/send_at", format!("must be at most {AHEAD_DAYS} days ahead"));
        }
    }

    fn check_email(&self, faults: &mut Faults) {
        match &self.subject {
            Some(subject) => faults.text("/subject", subject, 1, SUBJECT_MAX),
            None => faults.add("/subject", "is required for e-mail"),
        }
        if self.text.is_none() && self.html.is_none() {
            faults.add("/text", "is required, or html");
        }
    }

    fn check_sms(&self, faults: &mut Faults) {
        match &self.text {
            Some(text) => faults.text("/text", text, 1, SMS_MAX),
            None => faults.add("/text", "is required for SMS"),
        }
        if self.subject.is_some() {
            faults.add("/subject", "is not a part of an SMS");
        }
        if self.html.is_some() {
            faults.add("/html", "is not a part of an SMS");
        }
    }

    fn check_headers(&self, faults: &mut Faults) {
        if self.channel != MessageChannel::Email && !self.headers.is_empty() {
            faults.add("/headers", "are for e-mail only");
        }
        faults.count("/headers", self.headers.len(), HEADERS_MAX);
        for (name, value) in &self.headers {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            let lower = name.to_ascii_lowercase();
            faults.text(&pointer, value, 0, 900);
            check_header_text(&pointer, value, faults);
            match lower.as_str() {
                "reply-to" if Email::parse(value).is_err() => faults.add(&pointer, "must be one e-mail address"),
                "in-reply-to" | "references" if MessageId::list(value).is_empty() => {
                    faults.add(&pointer, "must name messages, such as <id@example.com>");
                }
                lower if THREADING.contains(&lower) => {}
                _ => drop(faults.take(&pointer, Header::parse(name, value))),
            }
        }
    }
}

impl Input for CommunicationInput {
    fn note_faults(&self, faults: &mut Faults) {
        match self.channel {
            MessageChannel::Email => self.check_email(faults),
            MessageChannel::Sms => self.check_sms(faults),
            MessageChannel::Webhook => {
                if self.text.is_none() && self.html.is_none() && self.subject.is_none() {
                    faults.add("/text", "is required, or subject or html");
                }
                if self.lead_id.is_some() || self.contact_id.is_some() {
                    faults.add("/to", "is required for webhooks: people have no URL to send to");
                }
            }
        }
        if self.channel != MessageChannel::Email && self.track != Track::default() {
            faults.add("/track", "is for e-mail only");
        }
        for (pointer, part) in [("/text", &self.text), ("/html", &self.html)] {
            if part.as_ref().is_some_and(|part| part.trim().is_empty()) {
                faults.add(pointer, "must not be empty");
            }
            if part.as_ref().is_some_and(|part| part.len() > PART_MAX) {
                faults.add(pointer, format!("must have at most {PART_MAX} bytes"));
            }
        }
        let parts = [&self.text, &self.html, &self.subject];
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if parts.iter().map(|part| part.as_ref().map_or(0, String::len)).sum::<usize>() + headers > TOTAL_MAX {
            faults.add("", format!("text, html and headers together must have at most {TOTAL_MAX} bytes"));
        }
        check_header_text("/subject", self.subject.as_deref().unwrap_or_default(), faults);
        check_header_text("/to", self.to.as_deref().unwrap_or_default(), faults);
        self.check_headers(faults);
    }
}

/// An address that is not to be written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressionInput {
    /// An e-mail address, or a phone number with its country code.
    #[schema(max_length = 254, example = "ada@example.com")]
    pub address: String,
    #[serde(default)]
    #[schema(max_length = 500, example = "asked on the phone")]
    pub reason: Option<String>,
}

impl SuppressionInput {
    /// The address in normal form.
    pub fn normal(text: &str) -> Option<String> {
        if text.contains('@') {
            return Email::parse(text).ok().map(String::from);
        }
        Phone::parse(text).ok().map(String::from)
    }
}

impl Input for SuppressionInput {
    fn note_faults(&self, faults: &mut Faults) {
        if Self::normal(&self.address).is_none() {
            faults.add("/address", "is neither an e-mail address nor a phone number with its country code");
        }
        faults.text("/reason", self.reason.as_deref().unwrap_or_default(), 0, 500);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn faults(value: Value) -> Vec<String> {
        let input: CommunicationInput = serde_json::from_value(value).unwrap();
        let mut faults = Faults::new();
        input.note_faults(&mut faults);
        input.recipient(NetworkPolicy { allow_local: false }, &mut faults);
        faults.into_vec().into_iter().map(|f| f.pointer).collect()
    }

    const OK: [&str; 0] = [];

    #[test]
    fn good_ones() {
        assert_eq!(faults(json!({"channel": "email", "to": "Ada@Example.com", "subject": "s", "text": "t"})), OK);
        assert_eq!(
            faults(json!({"channel": "email", "lead_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "subject": "s", "html": "<p>"})),
            OK
        );
        assert_eq!(faults(json!({"channel": "sms", "to": "+14155550123", "text": "t"})), OK);
        assert_eq!(faults(json!({"channel": "webhook", "to": "https://example.com/in", "text": "t"})), OK);
        let headers = json!({"X-Order": "1", "Reply-To": "a@example.com", "References": "<a@b> <c@d>"});
        assert_eq!(
            faults(json!({"channel": "email", "to": "a@example.com", "subject": "s", "text": "t", "headers": headers})),
            OK
        );
    }

    #[test]
    fn line_breaks_never_reach_a_header() {
        for evil in ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\u{0}", "a\u{85}b"] {
            let mail = |field: &str| {
                let mut mail = json!({"channel": "email", "to": "a@example.com", "subject": "s", "text": "t"});
                mail[field] = json!(evil);
                mail
            };
            assert_eq!(faults(mail("subject")), ["/subject"], "{evil:?}");
            assert_eq!(faults(mail("to")), ["/to"], "{evil:?}");
            let mut headers = mail("text");
            headers["headers"] = json!({"X-A": evil});
            assert_eq!(faults(headers), ["/headers/X-A"], "{evil:?}");
            let mut names = mail("text");
            names["headers"] = json!({(format!("X-{evil}")): "v"});
            assert_eq!(faults(names).len(), 1, "{evil:?}");
        }
    }

    #[test]
    fn headers_that_are_ours() {
        for name in [
            "Bcc",
            "From",
            "to",
            "Content-Type",
            "Sender",
            "Message-ID",
            "List-Unsubscribe",
            "DKIM-Signature",
            "X-SES-CONFIGURATION-SET",
            "a b",
            "",
        ] {
            let mail = json!({"channel": "email", "to": "a@example.com", "subject": "s", "text": "t", "headers": {(name): "v"}});
            assert_eq!(faults(mail), [format!("/headers/{name}")], "{name}");
        }
    }

    #[test]
    fn exactly_one_recipient_and_the_right_parts() {
        let lead = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
        assert_eq!(faults(json!({"channel": "email", "subject": "s", "text": "t"})), ["/to"]);
        assert_eq!(
            faults(json!({"channel": "email", "to": "a@example.com", "lead_id": lead, "subject": "s", "text": "t"})),
            ["/to"]
        );
        assert_eq!(faults(json!({"channel": "email", "to": "nobody"})), ["/subject", "/text", "/to"]);
        assert_eq!(
            faults(json!({"channel": "sms", "to": "a@example.com", "subject": "s", "html": "h", "track": {"opens": true}})),
            ["/text", "/subject", "/html", "/track", "/to"]
        );
        assert_eq!(faults(json!({"channel": "webhook", "to": "http://10.0.0.1/", "text": "t"})), ["/to"]);
        assert_eq!(faults(json!({"channel": "webhook", "lead_id": lead, "text": "t"})), ["/to"]);
    }
}

//! What Amazon SES reports about mail that was sent, and mail that came in: JSON through SNS and SQS.
//!
//! Both forms are read: the notifications of an identity (`notificationType`) and the events of a configuration set (`eventType`), which
//! also carry the tags that a message was sent with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::{CommunicationId, EntityId, Time};

/// Why a report cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackFault {
    #[error("not JSON, or not a notification")]
    Form,
    #[error("not a report of Amazon SES")]
    NotSes,
}

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// The id that SES gave the message: what it was accepted under, or came in as.
    pub ses_message_id: String,
    /// Whose message, by the tag that it was sent with.
    pub entity_id: Option<EntityId>,
    /// Which message, by the tag that it was sent with.
    pub communication_id: Option<CommunicationId>,
    pub at: Time,
    pub kind: FeedbackKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FeedbackKind {
    /// The message came back. `hard`: it always will, so the addresses are not to be written to again.
    Bounce { hard: bool, recipients: Vec<Bounced>, feedback_id: String },
    /// A recipient has marked it as spam.
    Complaint { recipients: Vec<String>, complaint_type: Option<String>, feedback_id: String },
    /// The recipients' servers have taken it.
    Delivery { recipients: Vec<String> },
    /// SES has taken the message and then not sent it, such as for a virus.
    Rejected { reason: String },
    /// A mail has come in.
    Receipt(Receipt),
    /// Anything else, by its name: sends, opens, delays.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounced {
    pub address: String,
    /// Enhanced status code, such as `5.1.1`.
    pub status: Option<String>,
    pub diagnostic: Option<String>,
}

/// A mail that SES has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The addresses of ours that it came to, which need not be in its header.
    pub recipients: Vec<String>,
    /// SES takes it for spam or has found a virus.
    pub refused: bool,
    /// Whether SPF, DKIM or DMARC speak for the sender's address being the sender's.
    pub authentic: bool,
    pub mail: ReceivedMail,
}

#[derive(Clone, PartialEq, Eq)]
pub enum ReceivedMail {
    /// In the report itself (the SNS action, up to 150 KB).
    Inline(Vec<u8>),
    /// In a bucket (the S3 action).
    Stored { bucket: String, key: String },
    /// Nowhere: the receipt rule has another action.
    Absent,
}

/// Leaves the mail out.
impl std::fmt::Debug for ReceivedMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(raw) => write!(f, "Inline({} bytes)", raw.len()),
            Self::Stored { bucket, key } => write!(f, "Stored({bucket}/{key})"),
            Self::Absent => f.write_str("Absent"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(alias = "eventType")]
    notification_type: String,
    mail: Mail,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Delivery>,
    reject: Option<Reject>,
    receipt: Option<Received>,
    content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    timestamp: Time,
    message_id: String,
    #[serde(default)]
    tags: std::collections::BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    #[serde(default)]
    bounce_sub_type: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
    timestamp: Option<Time>,
    #[serde(default)]
    feedback_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
    status: Option<String>,
    diagnostic_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
    complaint_feedback_type: Option<String>,
    timestamp: Option<Time>,
    #[serde(default)]
    feedback_id: String,
}

#[derive(Deserialize)]
struct Delivery {
    #[serde(default)]
    recipients: Vec<String>,
    timestamp: Option<Time>,
}

#[derive(Deserialize)]
struct Reject {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    timestamp: Option<Time>,
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    spam_verdict: Verdict,
    #[serde(default)]
    virus_verdict: Verdict,
    #[serde(default)]
    spf_verdict: Verdict,
    #[serde(default)]
    dkim_verdict: Verdict,
    #[serde(default)]
    dmarc_verdict: Verdict,
    #[serde(default)]
    action: Action,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Verdict {
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Action {
    encoding: Option<String>,
    bucket_name: Option<String>,
    object_key: Option<String>,
}

impl Feedback {
    /// Reads the body of an SQS message: a notification of SNS around a report, or the report alone (raw message delivery).
    pub fn parse(body: &str) -> Result<Self, FeedbackFault> {
        match serde_json::from_str::<Envelope>(body) {
            Ok(envelope) if envelope.kind == "Notification" => Self::of_report(&envelope.message),
            Ok(_) => Err(FeedbackFault::NotSes),
            Err(_) => Self::of_report(body),
        }
    }

    fn of_report(json: &str) -> Result<Self, FeedbackFault> {
        let value: Value = serde_json::from_str(json).map_err(|_| FeedbackFault::Form)?;
        let report: Report = serde_json::from_value(value).map_err(|_| FeedbackFault::NotSes)?;
        let mail = &report.mail;
        let tag = |name: &str| {
            let value = mail.tags.get(name)?;
            value.as_str().or_else(|| value.as_array()?.first()?.as_str())
        };
        let (entity_id, communication_id) =
            (tag("entity_id").and_then(|id| id.parse().ok()), tag("communication_id").and_then(|id| id.parse().ok()));
        let (ses_message_id, sent) = (mail.message_id.clone(), mail.timestamp);
        let (at, kind) = report.kind();
        Ok(Self { ses_message_id, entity_id, communication_id, at: at.unwrap_or(sent), kind })
    }
}

impl Report {
    fn kind(self) -> (Option<Time>, FeedbackKind) {
        if let Some(bounce) = self.bounce {
            return (bounce.timestamp, bounce.kind());
        }
        if let Some(complaint) = self.complaint {
            let Complaint { complained_recipients, complaint_feedback_type: complaint_type, timestamp, feedback_id } = complaint;
            let recipients = complained_recipients.into_iter().map(|recipient| recipient.email_address).collect();
            return (timestamp, FeedbackKind::Complaint { recipients, complaint_type, feedback_id });
        }
        if let Some(delivery) = self.delivery {
            return (delivery.timestamp, FeedbackKind::Delivery { recipients: delivery.recipients });
        }
        if let Some(reject) = self.reject {
            return (None, FeedbackKind::Rejected { reason: reject.reason });
        }
        match self.receipt {
            Some(receipt) => (receipt.timestamp, FeedbackKind::Receipt(receipt.of(self.content))),
            None => (None, FeedbackKind::Other(self.notification_type)),
        }
    }
}

impl Bounce {
    /// "Permanent" is SES's word for hard. Its own suppression list answers so as well, and means it.
    fn kind(self) -> FeedbackKind {
        let hard = self.bounce_type == "Permanent";
        let recipients = self.bounced_recipients.into_iter();
        let recipients = recipients.map(|recipient| Bounced {
            address: recipient.email_address,
            status: recipient.status,
            diagnostic: recipient
                .diagnostic_code
                .or_else(|| (self.bounce_sub_type != "General").then(|| self.bounce_sub_type.clone())),
        });
        FeedbackKind::Bounce { hard, recipients: recipients.collect(), feedback_id: self.feedback_id }
    }
}

impl Received {
    fn of(self, content: Option<String>) -> Receipt {
        let passed = |verdict: &Verdict| verdict.status == "PASS";
        let stored =
            self.action.bucket_name.zip(self.action.object_key).filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        let is_base64 = self.action.encoding.as_deref().is_some_and(|encoding| encoding.eq_ignore_ascii_case("BASE64"));
        let mail = match (content, stored) {
            (Some(text), _) if is_base64 => STANDARD.decode(text).map_or(ReceivedMail::Absent, ReceivedMail::Inline),
            (Some(text), _) => ReceivedMail::Inline(text.into_bytes()),
            (None, Some((bucket, key))) => ReceivedMail::Stored { bucket, key },
            (None, None) => ReceivedMail::Absent,
        };
        let aligned = passed(&self.dmarc_verdict) || passed(&self.dkim_verdict) || passed(&self.spf_verdict);
        Receipt {
            recipients: self.recipients,
            refused: self.spam_verdict.status == "FAIL" || self.virus_verdict.status == "FAIL",
            authentic: aligned && self.dmarc_verdict.status != "FAIL",
            mail,
        }
    }
}

#[cfg(test)]
#[path = "feedback_tests.rs"]
mod tests;

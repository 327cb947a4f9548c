//! Mail that comes in: raw as SES receives it, or posted as JSON by whoever runs the mailbox.

use mail_parser::{Address, HeaderValue, Message, MessageParser};
use serde::Deserialize;
use utoipa::ToSchema;

use super::header::{HeaderText, Mailbox, MessageId};
use super::text::text_from_html;
use crate::Time;
use crate::address::Email;
use crate::fault::{Faults, Input};

/// Longest body that is kept of each kind, in bytes; what is longer is cut.
pub const MAX_INBOUND_BODY: usize = 100_000;
/// Most addresses and references that are read.
const MAX_LISTED: usize = 50;

/// Why a mail cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InboundFault {
    #[error("not a mail message")]
    Form,
    #[error("the message has no usable From address")]
    From,
}

/// A mail that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMail {
    pub from: Mailbox,
    /// The addresses in its header; ours need not be among them.
    pub to: Vec<Email>,
    pub subject: String,
    /// Its text part, or what its HTML shows.
    pub text: String,
    pub html: Option<String>,
    pub message_id: Option<MessageId>,
    pub in_reply_to: Option<MessageId>,
    /// Oldest first.
    pub references: Vec<MessageId>,
    pub received_at: Time,
    /// Sent by a program: out of office, delivery reports, newsletters. No reply by a person.
    pub automatic: bool,
}

impl InboundMail {
    /// Reads a raw message (RFC 5322, MIME).
    pub fn parse(raw: &[u8], received_at: Time) -> Result<Self, InboundFault> {
        let message = MessageParser::default().parse(raw).ok_or(InboundFault::Form)?;
        let from = message.from().and_then(|from| mailboxes(from).into_iter().next()).ok_or(InboundFault::From)?;
        let to = [message.to(), message.cc()].into_iter().flatten().flat_map(mailboxes).map(|mailbox| mailbox.address);
        let has_html = message.html_bodies().any(|part| part.is_text_html());
        let html = has_html.then(|| message.body_html(0).map(|html| cut(html.into_owned()))).flatten();
        let has_text = message.text_bodies().any(|part| part.is_text() && !part.is_text_html());
        let text = has_text.then(|| message.body_text(0).map(|text| text.into_owned())).flatten();
        let text = text.or_else(|| html.as_deref().map(text_from_html)).unwrap_or_default();
        Ok(Self {
            automatic: is_automatic(&message, &from),
            from,
            to: to.take(MAX_LISTED).collect(),
            subject: HeaderText::clean(message.subject().unwrap_or_default()).into(),
            text: cut(text.replace("\r\n", "\n")),
            html,
            message_id: message.message_id().and_then(|id| id.parse().ok()),
            in_reply_to: ids(message.in_reply_to()).into_iter().next(),
            references: ids(message.references()),
            received_at,
        })
    }

    /// The messages that this may be a reply to, the likeliest first.
    pub fn replies_to(&self) -> impl Iterator<Item = &MessageId> {
        let named = self.in_reply_to.iter();
        named.chain(self.references.iter().rev().filter(|id| Some(*id) != self.in_reply_to.as_ref()))
    }

    /// What was written, without the message that it answers.
    pub fn latest_text(&self) -> &str {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            if begins_quotation(line.trim(), &self.text[at + line.len()..]) && !self.text[..at].trim().is_empty() {
                return self.text[..at].trim_end();
            }
            at += line.len();
        }
        self.text.trim_end()
    }
}

/// Whether a line introduces the message that is answered. `rest` is what follows it.
fn begins_quotation(line: &str, rest: &str) -> bool {
    let next = rest.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let introduces = [
        "wrote:",
        "schrieb:",
        "a écrit :",
        "a écrit:",
        "escribió:",
        "ha scritto:",
        "escreveu:",
        "skrev:",
        "schreef:",
        "napisał(a):",
    ];
    let rules = ["-----original message-----", "-----ursprüngliche nachricht-----", "________________________________"];
    let lower = line.to_lowercase();
    line.starts_with('>') && next.starts_with('>')
        || line.ends_with(':') && next.starts_with('>')
        || introduces.iter().any(|end| lower.ends_with(end)) && (lower.contains('@') || lower.contains(','))
        || rules.iter().any(|rule| lower.starts_with(rule))
}

/// A part's text as far as it is kept.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_INBOUND_BODY));
    text
}

fn mailboxes(address: &Address<'_>) -> Vec<Mailbox> {
    let mailbox = |addr: &mail_parser::Addr<'_>| Some(Mailbox::new(Email::parse(addr.address()?).ok()?, addr.name()));
    address.iter().filter_map(mailbox).take(MAX_LISTED).collect()
}

fn ids(header: &HeaderValue<'_>) -> Vec<MessageId> {
    let all = match header {
        HeaderValue::Text(id) => vec![id.as_ref()],
        HeaderValue::TextList(ids) => ids.iter().map(AsRef::as_ref).collect(),
        _ => vec![],
    };
    let ids: Vec<MessageId> = all.into_iter().flat_map(MessageId::list).collect();
    ids[ids.len().saturating_sub(MAX_LISTED)..].to_vec()
}

/// RFC 3834 and what programs did before it.
fn is_automatic(message: &Message<'_>, from: &Mailbox) -> bool {
    let header = |name: &'static str| message.header_raw(name).map(|value| value.trim().to_ascii_lowercase());
    let submitted = header("Auto-Submitted").is_some_and(|value| !value.starts_with("no"));
    let bulk = header("Precedence").is_some_and(|value| ["bulk", "junk", "list", "auto_reply"].contains(&value.as_str()));
    let marked =
        ["X-Autoreply", "X-Autorespond", "X-Auto-Reply-From", "List-Id", "Feedback-ID"].iter().any(|name| header(name).is_some());
    let bounced = header("Return-Path").is_some_and(|value| value == "<>");
    let report = message.root_part().headers.iter().any(|header| {
        header.name.as_str().eq_ignore_ascii_case("content-type")
            && header.value.as_content_type().is_some_and(|kind| kind.subtype() == Some("report"))
    });
    let local = from.address.as_str().split('@').next().unwrap_or_default();
    let robot = ["mailer-daemon", "postmaster", "no-reply", "noreply", "donotreply", "do-not-reply"].contains(&local);
    submitted || bulk || marked || bounced || report || robot || is_absence(message.subject().unwrap_or_default())
}

/// Subjects that mail servers give notices of absence.
fn is_absence(subject: &str) -> bool {
    const NOTICES: &[&str] = &[
        "automatic reply:",
        "auto reply:",
        "autoreply:",
        "out of office",
        "out of the office",
        "automatische antwort:",
        "abwesenheitsnotiz",
        "réponse automatique",
        "respuesta automática",
        "risposta automatica",
        "resposta automática",
        "automatisch antwoord",
        "autosvar",
    ];
    let subject = subject.trim().to_lowercase();
    NOTICES.iter().any(|notice| subject.starts_with(notice))
}

/// One text or several.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn all(&self) -> Vec<&str> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

/// A mail that somebody else has received and posts.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundPost {
    /// An address, alone or as `Name <address>`.
    #[schema(example = "Bob Stone <bob@example.com>")]
    pub from: String,
    /// Likewise, one or several.
    pub to: OneOrMany,
    #[schema(example = "Re: Your idea")]
    pub subject: String,
    pub text: String,
    #[serde(default)]
    pub html: Option<String>,
    #[schema(example = "<r1@example.com>")]
    pub message_id: String,
    #[serde(default)]
    pub in_reply_to: Option<String>,
    /// The ids of the `References` header, as one text or as a list.
    #[serde(default)]
    pub references: Option<OneOrMany>,
    pub received_at: Time,
}

impl InboundPost {
    /// The mail, or every fault of the post.
    pub fn into_mail(self, faults: &mut Faults) -> Option<InboundMail> {
        let from = faults.take("/from", mailbox(&self.from).ok_or("must be an e-mail address, alone or as Name <address>"));
        let to: Vec<Option<Mailbox>> = self.to.all().into_iter().map(mailbox).collect();
        if to.is_empty() || to.len() > MAX_LISTED || to.iter().any(Option::is_none) {
            faults.add("/to", format!("must be 1 to {MAX_LISTED} e-mail addresses"));
        }
        let message_id: Option<MessageId> = faults.take("/message_id", self.message_id.parse());
        let in_reply_to = self.in_reply_to.as_deref().filter(|text| !text.trim().is_empty());
        let in_reply_to = in_reply_to.and_then(|text| faults.take("/in_reply_to", text.parse()));
        let references = self.references.iter().flat_map(OneOrMany::all).flat_map(MessageId::list).take(MAX_LISTED).collect();
        let subject: String = HeaderText::clean(&self.subject).into();
        let html = self.html.filter(|html| !html.trim().is_empty()).map(cut);
        let text = if self.text.trim().is_empty() { html.as_deref().map(text_from_html).unwrap_or_default() } else { self.text };
        Some(InboundMail {
            from: from?,
            to: to.into_iter().flatten().map(|mailbox| mailbox.address).collect(),
            automatic: is_absence(&subject),
            subject,
            text: cut(text.replace("\r\n", "\n")),
            html,
            message_id: Some(message_id?),
            in_reply_to,
            references,
            received_at: self.received_at,
        })
    }
}

impl Input for InboundPost {
    fn note_faults(&self, faults: &mut Faults) {
        self.clone().into_mail(faults);
    }
}

/// `a@b.example` or `Name <a@b.example>`.
fn mailbox(text: &str) -> Option<Mailbox> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (Some(name.trim().trim_matches('"')), address),
        None => (None, text),
    };
    Some(Mailbox::new(Email::parse(address).ok()?, name))
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;

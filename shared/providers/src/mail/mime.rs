//! The one place where messages are composed (RFC 5322, MIME).

use std::time::{Duration, SystemTime};

use axle_domain::address::Email;
use axle_domain::mail::{Mailbox, MessageId, text_from_html};
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox as LettreMailbox, Message, MultiPart, SinglePart};

use super::message::OutgoingEmail;
use super::outcome::{Blame, SendError};

/// The message as it goes over the wire: 7-bit clean unless an address is not ASCII, lines ended by CRLF, a text part always and
/// an HTML part where there is one.
pub fn compose(message: &OutgoingEmail) -> Result<Vec<u8>, SendError> {
    let mut builder = Message::builder()
        .message_id(Some(message.message_id.to_string()))
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(message.date.secs()).unwrap_or_default()))
        .from(mailbox(&message.from, Blame::Identity)?)
        .to(mailbox(&message.to, Blame::Recipient)?)
        .subject(message.subject.as_str());
    if let Some(reply_to) = &message.reply_to {
        builder = builder.reply_to(mailbox(reply_to, Blame::Message)?);
    }
    if let Some(id) = &message.in_reply_to {
        builder = builder.in_reply_to(id.to_string());
    }
    let references = references(message);
    if !references.is_empty() {
        builder = builder.references(references);
    }
    if let Some(unsubscribe) = &message.list_unsubscribe {
        builder = builder
            .raw_header(as_is("List-Unsubscribe", unsubscribe.value())?)
            .raw_header(as_is("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())?);
    }
    for header in &message.headers {
        builder = builder.raw_header(HeaderValue::new(name(header.name())?, header.value().to_owned()));
    }
    let text = message.text.clone().or_else(|| message.html.as_deref().map(text_from_html)).unwrap_or_default();
    let text = lines(&text);
    let composed = match &message.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, lines(html))),
        None => builder.singlepart(SinglePart::plain(text)),
    };
    let composed =
        composed.map_err(|error| SendError::permanent(Blame::Message, format!("the message cannot be composed: {error}")))?;
    Ok(composed.formatted())
}

/// Lines ended one way, without NULs. A lone carriage return is where servers differ about what ends a line, which is how a second
/// message is smuggled into a first one.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

/// The form in which the SMTP library wants an address.
pub(super) fn address(email: &Email, blame: Blame) -> Result<Address, SendError> {
    email.as_str().parse().map_err(|_| SendError::permanent(blame, "the address cannot be used in mail"))
}

fn mailbox(mailbox: &Mailbox, blame: Blame) -> Result<LettreMailbox, SendError> {
    let name = mailbox.name.as_ref().map(ToString::to_string);
    Ok(LettreMailbox::new(name, address(&mailbox.address, blame)?))
}

/// The ids of the thread, oldest first. Long threads keep their first message and the latest: what mail programs thread by.
fn references(message: &OutgoingEmail) -> String {
    const MOST: usize = 20;
    let mut ids: Vec<&MessageId> = message.references.iter().collect();
    if let Some(parent) = &message.in_reply_to
        && ids.last() != Some(&parent)
    {
        ids.push(parent);
    }
    if ids.len() > MOST {
        ids.drain(1..=ids.len() - MOST);
    }
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn name(name: &str) -> Result<HeaderName, SendError> {
    HeaderName::new_from_ascii(name.to_owned()).map_err(|_| SendError::permanent(Blame::Message, "a header's name is not valid"))
}

/// A header whose value must arrive as it is: broken only between entries, never encoded.
fn as_is(header: &'static str, value: String) -> Result<HeaderValue, SendError> {
    let folded = value.replace(", ", ",\r\n ");
    let plain = value.bytes().all(|b| (b' '..=b'~').contains(&b)) && folded.split("\r\n").all(|line| line.len() < 900);
    if !plain {
        return Err(SendError::permanent(Blame::Message, "the unsubscribe address is not a valid URL"));
    }
    Ok(HeaderValue::dangerous_new_pre_encoded(name(header)?, value, folded))
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;

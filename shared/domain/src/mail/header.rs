//! What may stand in a message's header. A line break in a subject would begin a header of the sender's choosing, so text
//! becomes header text only through these types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::Email;

/// Longest header text, in characters. Longer subjects are cut by every mail program there is.
pub const MAX_HEADER_TEXT: usize = 998;
/// Longest message id without its brackets; it must fit one line of 998 characters (RFC 5322, section 2.1.1) with room.
const MAX_MESSAGE_ID: usize = 250;
/// Longest name of a header.
const MAX_HEADER_NAME: usize = 76;
/// Most headers of the sender's own in one message.
pub const MAX_HEADERS: usize = 20;

/// Why something cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error("must not contain line breaks or other control characters")]
    Control,
    #[error("must have at most {MAX_HEADER_TEXT} characters")]
    TooLong,
    #[error("is not a header name: letters, digits and hyphens, at most {MAX_HEADER_NAME} characters")]
    Name,
    #[error("is a header that is set for you")]
    Reserved,
    #[error("is not a message id, such as <abc@example.com>")]
    MessageId,
}

/// A line separator, a control or a formatting character that turns the reading direction: none of them belongs in a header.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Unicode text in one line, at most [`MAX_HEADER_TEXT`] characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderText(String);

impl HeaderText {
    /// Takes text that already is one line; surrounding blanks are dropped.
    pub fn parse(text: &str) -> Result<Self, HeaderFault> {
        let text = text.trim_matches([' ', '\t']);
        if text.chars().any(is_control) {
            return Err(HeaderFault::Control);
        }
        if text.chars().count() > MAX_HEADER_TEXT {
            return Err(HeaderFault::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes one line of any text, such as a rendered template or a received subject: controls become blanks, runs of blanks
    /// one, and what is too long is cut.
    pub fn clean(text: &str) -> Self {
        let spaced: String = text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
        let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
        Self(line.chars().take(MAX_HEADER_TEXT).collect::<String>().trim_end().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HeaderText {
    type Error = HeaderFault;
    fn try_from(text: String) -> Result<Self, HeaderFault> {
        Self::parse(&text)
    }
}

impl From<HeaderText> for String {
    fn from(text: HeaderText) -> String {
        text.0
    }
}

/// An address with the name to show beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    pub address: Email,
    pub name: Option<HeaderText>,
}

impl Mailbox {
    /// `name` is cleaned; an empty one is none.
    pub fn new(address: Email, name: Option<&str>) -> Self {
        Self { address, name: name.map(HeaderText::clean).filter(|name| !name.is_empty()) }
    }
}

/// A message id (RFC 5322, section 3.6.4), kept without its angle brackets and written with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl MessageId {
    /// The id of a message of ours: globally unique because `unique` is, and under the sender's domain because filters
    /// look at that.
    pub fn of(unique: impl fmt::Display, sender: &Email) -> Self {
        Self(format!("{unique}@{}", sender.domain()))
    }

    /// The `Message-ID` that SES gives a message in place of the one it was handed: its own id under the region's domain.
    pub fn of_ses(ses_message_id: &str, region: &str) -> Result<Self, HeaderFault> {
        // The first region's domain is older than the scheme.
        let host = if region == "us-east-1" { "email" } else { region };
        format!("{ses_message_id}@{host}.amazonses.com").parse()
    }

    /// Without brackets: what is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All ids in the value of an `In-Reply-To` or `References` header, in order; what is none is passed over.
    pub fn list(header: &str) -> Vec<Self> {
        header
            .split(|c: char| c.is_whitespace() || c == ',')
            .flat_map(|word| word.split_inclusive('>'))
            .flat_map(str::parse)
            .collect()
    }
}

impl FromStr for MessageId {
    type Err = HeaderFault;
    /// With or without the brackets. Stricter than the RFC, which allows quoted strings and comments that nobody writes.
    fn from_str(text: &str) -> Result<Self, HeaderFault> {
        let text = text.trim();
        let id = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
        let ok = |c: u8| c.is_ascii_graphic() && !matches!(c, b'<' | b'>' | b',');
        let parts = id.rsplit_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
        if parts && id.len() <= MAX_MESSAGE_ID && id.bytes().all(ok) {
            Ok(Self(id.to_owned()))
        } else {
            Err(HeaderFault::MessageId)
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

impl TryFrom<String> for MessageId {
    type Error = HeaderFault;
    fn try_from(text: String) -> Result<Self, HeaderFault> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> String {
        id.0
    }
}

/// A header of the sender's own choosing, such as `X-Campaign`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Header {
    name: String,
    value: HeaderText,
}

/// Headers that say who sends what to whom, how it is encoded or what servers did to it. They follow from the message itself.
const RESERVED: &[&str] = &[
    "authentication-results",
    "bcc",
    "cc",
    "date",
    "dkim-signature",
    "domainkey-signature",
    "errors-to",
    "from",
    "in-reply-to",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];
/// The same, whole families of them. SES and others read instructions from theirs.
const RESERVED_PREFIXES: &[&str] = &["arc-", "content-", "resent-", "x-ses-", "x-ms-exchange-", "x-google-"];

impl Header {
    /// A header, unless its name is reserved or no name.
    pub fn parse(name: &str, value: &str) -> Result<Self, HeaderFault> {
        let shaped = (1..=MAX_HEADER_NAME).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !shaped {
            return Err(HeaderFault::Name);
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(HeaderFault::Reserved);
        }
        Ok(Self { name: name.to_owned(), value: HeaderText::parse(value)? })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &str {
        self.value.as_str()
    }
}

impl TryFrom<(String, String)> for Header {
    type Error = HeaderFault;
    fn try_from((name, value): (String, String)) -> Result<Self, HeaderFault> {
        Self::parse(&name, &value)
    }
}

impl From<Header> for (String, String) {
    fn from(header: Header) -> Self {
        (header.name, header.value.into())
    }
}

/// Where a recipient unsubscribes: the two forms of RFC 2369, the first with the one-click `POST` of RFC 8058.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUnsubscribe {
    url: String,
    mailto: Option<String>,
}

impl ListUnsubscribe {
    /// `url` is percent-encoded as needed. `mailto` is the address that takes such mail and the subject by which it is known
    /// whom to unsubscribe; the subject should be the ticket in the URL.
    pub fn new(url: &url::Url, mailto: Option<(&Email, &str)>) -> Self {
        let mailto = mailto.map(|(address, subject)| {
            let subject: String = url::form_urlencoded::byte_serialize(subject.as_bytes()).collect();
            // In mailto a plus is a plus (RFC 6068), and so is one in the address.
            let (subject, address) =
                (subject.replace('+', "%20"), address.as_str().replace('%', "%25").replace('?', "%3F").replace('&', "%26"));
            format!("mailto:{address}?subject={subject}")
        });
        // The URL parser leaves commas and brackets of paths alone that end an entry here.
        let url = url.as_str().replace('<', "%3C").replace('>', "%3E").replace(',', "%2C");
        Self { url, mailto }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn mailto(&self) -> Option<&str> {
        self.mailto.as_deref()
    }

    /// The value of `List-Unsubscribe`. That of `List-Unsubscribe-Post` is always `List-Unsubscribe=One-Click`.
    pub fn value(&self) -> String {
        match &self.mailto {
            Some(mailto) => format!("<{}>, <{mailto}>", self.url),
            None => format!("<{}>", self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("X-Campaign", "spring", Ok(()))]
    #[case("X_Own", " blanks around ", Ok(()))]
    #[case("Importance", "", Ok(()))]
    #[case("X-Campaign", "a\r\nBcc: x@y.example", Err(HeaderFault::Control))]
    #[case("X-Campaign", "a\u{2028}b", Err(HeaderFault::Control))]
    #[case("Bcc", "x@y.example", Err(HeaderFault::Reserved))]
    #[case("FROM", "x@y.example", Err(HeaderFault::Reserved))]
    #[case("List-Unsubscribe-Post", "x", Err(HeaderFault::Reserved))]
    #[case("Content-Type", "text/html", Err(HeaderFault::Reserved))]
    #[case("X-SES-Configuration-Set", "x", Err(HeaderFault::Reserved))]
    #[case("X Campaign", "a", Err(HeaderFault::Name))]
    #[case("X:Y", "a", Err(HeaderFault::Name))]
    #[case("X\r\nBcc", "a", Err(HeaderFault::Name))]
    #[case("", "a", Err(HeaderFault::Name))]
    #[case("-X", "a", Err(HeaderFault::Name))]
    fn headers(#[case] name: &str, #[case] value: &str, #[case] expected: Result<(), HeaderFault>) {
        assert_eq!(Header::parse(name, value).map(|_| ()), expected, "{name}: {value:?}");
    }

    #[rstest]
    #[case("<a@b.example>", Ok("a@b.example"))]
    #[case(" a@b.example ", Ok("a@b.example"))]
    #[case("<CAF=x+1.2@mail.gmail.com>", Ok("CAF=x+1.2@mail.gmail.com"))]
    #[case("<a b@c>", Err(HeaderFault::MessageId))]
    #[case("<a@b>\r\nBcc: x", Err(HeaderFault::MessageId))]
    #[case("<a@b", Err(HeaderFault::MessageId))]
    #[case("nobody", Err(HeaderFault::MessageId))]
    #[case("@x", Err(HeaderFault::MessageId))]
    fn message_ids(#[case] text: &str, #[case] expected: Result<&str, HeaderFault>) {
        assert_eq!(text.parse::<MessageId>().as_ref().map(MessageId::as_str).map_err(|fault| *fault), expected);
    }

    #[test]
    fn ids_of_ours_and_of_ses() {
        let id = MessageId::of("01939b1e", &Email::parse("anna@Example.com").unwrap());
        assert_eq!(id.to_string(), "<01939b1e@example.com>");
        assert_eq!(MessageId::of_ses("0100-x", "us-east-1").unwrap().as_str(), "0100-x@email.amazonses.com");
        assert_eq!(MessageId::of_ses("0102-x", "eu-west-1").unwrap().as_str(), "0102-x@eu-west-1.amazonses.com");
        let list = MessageId::list("<a@x>\r\n\t<b@x> junk <c@x><d@x>, <e@x>");
        assert_eq!(list.iter().map(MessageId::as_str).collect::<Vec<_>>(), ["a@x", "b@x", "c@x", "d@x", "e@x"]);
    }

    #[test]
    fn unsubscribe_values_cannot_be_broken_out_of() {
        let url = url::Url::parse("https://x.example/a,b?c=<d>").unwrap();
        let address = Email::parse("in+1&?@x.example").unwrap();
        let value = ListUnsubscribe::new(&url, Some((&address, "a b&c"))).value();
        assert_eq!(value, "<https://x.example/a%2Cb?c=%3Cd%3E>, <mailto:in+1%26%3F@x.example?subject=a%20b%26c>");
        assert_eq!(ListUnsubscribe::new(&url, None).value(), "<https://x.example/a%2Cb?c=%3Cd%3E>");
    }

    proptest! {
        #[test]
        fn clean_text_is_always_one_line_that_parses(text in "[\\PC\r\n\t\u{2028}\u{202e}]{0,1200}") {
            let clean = HeaderText::clean(&text);
            prop_assert_eq!(HeaderText::parse(clean.as_str()), Ok(clean));
        }

        #[test]
        fn stored_forms_are_read_back(value in "[\\PC&&[^\u{2028}\u{2029}]]{0,40}") {
            let header = Header::parse("X-Own", &value).unwrap();
            let json = serde_json::to_string(&header).unwrap();
            prop_assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), header);
        }
    }
}

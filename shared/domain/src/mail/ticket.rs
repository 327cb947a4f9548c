//! The signed tickets in links that recipients follow: unsubscribing, opening, clicking, confirming an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::{CommunicationId, EntityId};

/// Path of unsubscribe links, to be followed by a ticket.
pub const UNSUBSCRIBE_PATH: &str = "/communications/unsubscribe/";
/// Path of the open pixel, to be followed by a ticket.
pub const OPEN_PATH: &str = "/communications/open/";
/// Path of tracked links, to be followed by a ticket.
pub const CLICK_PATH: &str = "/communications/click/";

/// Layout of a ticket: purpose (1 byte), link number (2), tenant (16), message (16), tag (16).
const BODY: usize = 35;
const TAG: usize = 16;
/// Characters of a ticket.
const TEXT: usize = (BODY + TAG) / 3 * 4;

/// What a link is for. A ticket for one purpose is worth nothing for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    Unsubscribe,
    Open,
    /// The number of the link among those that the message was prepared with.
    Click(u16),
    /// Confirms that who reads mail at an address agrees to its being sent from; the "message" is the sending identity.
    Sender,
}

/// What a link says: ids only, so that nothing about a person is in logs and proxies along the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub purpose: Purpose,
    pub entity: EntityId,
    pub message: Uuid,
}

impl Ticket {
    pub fn new(purpose: Purpose, entity: EntityId, message: CommunicationId) -> Self {
        Self { purpose, entity, message: message.uuid() }
    }

    /// The message that the link was in.
    pub fn communication(&self) -> CommunicationId {
        CommunicationId::from_uuid(self.message)
    }

    fn body(&self) -> [u8; BODY] {
        let (purpose, link) = match self.purpose {
            Purpose::Unsubscribe => (1, 0),
            Purpose::Open => (2, 0),
            Purpose::Click(link) => (3, link),
            Purpose::Sender => (4, 0),
        };
        let mut body = [0; BODY];
        body[0] = purpose;
        body[1..3].copy_from_slice(&link.to_be_bytes());
        body[3..19].copy_from_slice(self.entity.uuid().as_bytes());
        body[19..].copy_from_slice(self.message.as_bytes());
        body
    }

    /// The inverse of [`body`](Self::body); nothing else is accepted, so that each ticket has one text.
    fn of_body(body: &[u8]) -> Option<Self> {
        let link = u16::from_be_bytes(body.get(1..3)?.try_into().ok()?);
        let purpose = match (body.first()?, link) {
            (1, 0) => Purpose::Unsubscribe,
            (2, 0) => Purpose::Open,
            (3, link) => Purpose::Click(link),
            (4, 0) => Purpose::Sender,
            _ => return None,
        };
        let entity = EntityId::from_uuid(Uuid::from_slice(body.get(3..19)?).ok()?);
        Some(Self { purpose, entity, message: Uuid::from_slice(body.get(19..BODY)?).ok()? })
    }
}

/// The key under which tickets are issued and read. They do not expire: an unsubscribe link has to work for as long as
/// somebody keeps the message.
#[derive(Clone)]
pub struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    /// Derives the key from the deployment's secret, apart from all else that is derived from it.
    pub fn derive(secret: &[u8]) -> Self {
        let key = mac(secret).chain_update(b"axle mail links v1").finalize().into_bytes();
        Self(mac(&key))
    }

    /// The text of a ticket, 68 characters of base64url.
    pub fn issue(&self, ticket: &Ticket) -> String {
        let body = ticket.body();
        let tag = self.0.clone().chain_update(body).finalize().into_bytes();
        BASE64.encode([&body[..], &tag[..TAG]].concat())
    }

    /// The ticket, if this key has issued it. Compares in constant time.
    pub fn read(&self, text: &str) -> Option<Ticket> {
        if text.len() != TEXT {
            return None;
        }
        let bytes = BASE64.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY)?;
        self.0.clone().chain_update(body).verify_truncated_left(tag).ok()?;
        Ticket::of_body(body)
    }

    /// The address of a link below the deployment's public base URL.
    pub fn url(&self, base_url: &str, ticket: &Ticket) -> String {
        let path = match ticket.purpose {
            Purpose::Unsubscribe => UNSUBSCRIBE_PATH,
            Purpose::Open => OPEN_PATH,
            Purpose::Click(_) => CLICK_PATH,
            Purpose::Sender => "/communications/identities/confirm/",
        };
        format!("{}{path}{}", base_url.trim_end_matches('/'), self.issue(ticket))
    }

    /// The unsubscribe link of a message.
    pub fn unsubscribe_url(&self, base_url: &str, entity: EntityId, message: CommunicationId) -> String {
        self.url(base_url, &Ticket::new(Purpose::Unsubscribe, entity, message))
    }

    /// The unsubscribe ticket in the subject of a mail that a mailto link has brought. Mail programs put words around it.
    pub fn find_unsubscribe(&self, subject: &str) -> Option<Ticket> {
        let words = subject.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        words.filter_map(|word| self.read(word)).find(|ticket| ticket.purpose == Purpose::Unsubscribe)
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(..)")
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the error exists for other MACs.
    let Ok(mac) = Hmac::new_from_slice(key) else { unreachable!("HMAC takes any key") };
    mac
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn key() -> LinkKey {
        LinkKey::derive(b"0123456789abcdef")
    }

    fn purposes() -> impl Strategy<Value = Purpose> {
        prop_oneof![Just(Purpose::Unsubscribe), Just(Purpose::Open), any::<u16>().prop_map(Purpose::Click), Just(Purpose::Sender)]
    }

    fn tickets() -> impl Strategy<Value = Ticket> {
        (purposes(), any::<u128>(), any::<u128>()).prop_map(|(purpose, entity, message)| Ticket {
            purpose,
            entity: EntityId::from_uuid(Uuid::from_u128(entity)),
            message: Uuid::from_u128(message),
        })
    }

    // Made by another implementation (Python `hmac`) from the same secret.
    #[test]
    fn format_is_stable() {
        let ticket =
            Ticket { purpose: Purpose::Click(258), entity: EntityId::from_uuid(Uuid::from_u128(1)), message: Uuid::from_u128(2) };
        assert_eq!(key().issue(&ticket), "AwECAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAJbFg6Vi2rB3E0OjlJCFFhH");
    }

    #[test]
    fn mail_programs_dress_subjects_up() {
        let ticket = Ticket {
            purpose: Purpose::Unsubscribe,
            entity: EntityId::from_uuid(Uuid::from_u128(1)),
            message: Uuid::from_u128(2),
        };
        let text = key().issue(&ticket);
        for subject in [text.clone(), format!("Unsubscribe {text}"), format!("[ext] Re: <{text}>.")] {
            assert_eq!(key().find_unsubscribe(&subject), Some(ticket), "{subject}");
        }
        assert_eq!(key().find_unsubscribe("unsubscribe"), None);
        let open = key().issue(&Ticket { purpose: Purpose::Open, ..ticket });
        assert_eq!(key().find_unsubscribe(&open), None, "a ticket for another purpose");
    }

    #[test]
    fn links_are_below_the_base_url_whether_or_not_it_ends_in_a_slash() {
        let (entity, message) = (EntityId::from_uuid(Uuid::from_u128(1)), CommunicationId::from_uuid(Uuid::from_u128(2)));
        let url = key().unsubscribe_url("https://x.example/stage/", entity, message);
        let ticket = url.strip_prefix("https://x.example/stage/communications/unsubscribe/").unwrap();
        assert_eq!(key().read(ticket).unwrap().communication(), message);
    }

    proptest! {
        #[test]
        fn round_trip(ticket in tickets()) {
            let text = key().issue(&ticket);
            prop_assert_eq!(text.len(), TEXT);
            prop_assert_eq!(key().read(&text), Some(ticket));
            prop_assert_eq!(LinkKey::derive(b"another").read(&text), None);
        }

        #[test]
        fn any_changed_character_is_noticed(ticket in tickets(), at in 0..TEXT, to in "[A-Za-z0-9_-]") {
            let mut text = key().issue(&ticket);
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert_eq!(key().read(&text), None);
        }

        #[test]
        fn reading_never_panics(text in "\\PC*", word in "[A-Za-z0-9_=-]{60,70}") {
            prop_assert_eq!(key().read(&text), None);
            prop_assert_eq!(key().read(&word), None);
        }
    }
}

//! The signed tickets in links that recipients follow: unsubscribing, opening, clicking, confirming an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::address::Email;
use crate::{CommunicationId, EntityId, Time};

/// Path of unsubscribe links, to be followed by a ticket.
pub const UNSUBSCRIBE_PATH: &str = "/communications/unsubscribe/";
/// Path of the open pixel, to be followed by a ticket.
pub const OPEN_PATH: &str = "/communications/open/";
/// Path of tracked links, to be followed by a ticket.
pub const CLICK_PATH: &str = "/communications/click/";

/// Layout of a ticket: purpose (1 byte), link number (2), tenant (16), message (16), tag (16). The ticket of a sender has its last day in
/// place of the link number, and the digest of its address (15) before the tag.
const BODY: usize = 35;
const DIGEST: usize = 15;
const TAG: usize = 16;
/// Characters of a ticket.
const TEXT: usize = (BODY + TAG) / 3 * 4;
/// Characters of a sender's ticket.
const SENDER_TEXT: usize = (BODY + DIGEST + TAG) / 3 * 4;
/// Days for which a sender's ticket is good, after the one on which it was issued.
const SENDER_DAYS: i64 = 7;

/// What a link is for. A ticket for one purpose is worth nothing for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    Unsubscribe,
    Open,
    /// The number of the link among those that the message was prepared with.
    Click(u16),
    /// Confirms that who reads mail at an address agrees to its being sent from; the "message" is the sending identity.
    Sender(SenderProof),
}

/// What the ticket of a sender is a proof of: that one address, and not what its identity may be changed to later; and not for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SenderProof {
    /// Days since 1970.
    last_day: u16,
    digest: [u8; DIGEST],
}

fn day(at: Time) -> i64 {
    at.secs().div_euclid(86_400)
}

fn digest(address: &Email) -> [u8; DIGEST] {
    let full = Sha256::digest(address.as_str());
    std::array::from_fn(|i| full[i])
}

impl SenderProof {
    pub fn new(address: &Email, now: Time) -> Self {
        Self { last_day: u16::try_from(day(now) + SENDER_DAYS).unwrap_or(u16::MAX), digest: digest(address) }
    }

    /// Whether it is a proof for this address today.
    pub fn holds(&self, address: &Email, now: Time) -> bool {
        self.digest == digest(address) && day(now) <= i64::from(self.last_day)
    }
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

    fn body(&self) -> Vec<u8> {
        let (purpose, number) = match self.purpose {
            Purpose::Unsubscribe => (1, 0),
            Purpose::Open => (2, 0),
            Purpose::Click(link) => (3, link),
            Purpose::Sender(proof) => (4, proof.last_day),
        };
        let mut body = vec![purpose];
        body.extend(number.to_be_bytes());
        body.extend(self.entity.uuid().as_bytes());
        body.extend(self.message.as_bytes());
        if let Purpose::Sender(proof) = self.purpose {
            body.extend(proof.digest);
        }
        body
    }

    /// The inverse of [`body`](Self::body); nothing else is accepted, so that each ticket has one text.
    fn of_body(body: &[u8]) -> Option<Self> {
        let (ids, digest) = body.split_at_checked(BODY)?;
        let number = u16::from_be_bytes(ids.get(1..3)?.try_into().ok()?);
        let purpose = match (ids.first()?, number, digest.len()) {
            (1, 0, 0) => Purpose::Unsubscribe,
            (2, 0, 0) => Purpose::Open,
            (3, link, 0) => Purpose::Click(link),
            (4, last_day, DIGEST) => Purpose::Sender(SenderProof { last_day, digest: digest.try_into().ok()? }),
            _ => return None,
        };
        let entity = EntityId::from_uuid(Uuid::from_slice(ids.get(3..19)?).ok()?);
        Some(Self { purpose, entity, message: Uuid::from_slice(ids.get(19..)?).ok()? })
    }
}

/// The key under which tickets are issued and read. But for those of senders they do not expire: an unsubscribe link has to work for as
/// long as somebody keeps the message.
#[derive(Clone)]
pub struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    /// Derives the key from the deployment's secret, apart from all else that is derived from it.
    pub fn derive(secret: &[u8]) -> Self {
        let key = mac(secret).chain_update(b"axle mail links v1").finalize().into_bytes();
        Self(mac(&key))
    }

    /// The text of a ticket, 68 characters of base64url; 88 for a sender.
    pub fn issue(&self, ticket: &Ticket) -> String {
        let body = ticket.body();
        let tag = self.0.clone().chain_update(&body).finalize().into_bytes();
        BASE64.encode([&body[..], &tag[..TAG]].concat())
    }

    /// The ticket, if this key has issued it. Compares in constant time.
    pub fn read(&self, text: &str) -> Option<Ticket> {
        if ![TEXT, SENDER_TEXT].contains(&text.len()) {
            return None;
        }
        let bytes = BASE64.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        self.0.clone().chain_update(body).verify_truncated_left(tag).ok()?;
        Ticket::of_body(body)
    }

    /// The address of a link below the deployment's public base URL.
    pub fn url(&self, base_url: &str, ticket: &Ticket) -> String {
        let path = match ticket.purpose {
            Purpose::Unsubscribe => UNSUBSCRIBE_PATH,
            Purpose::Open => OPEN_PATH,
            Purpose::Click(_) => CLICK_PATH,
            Purpose::Sender(_) => "/communications/identities/confirm/",
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
        let sender = (any::<u16>(), any::<[u8; DIGEST]>())
            .prop_map(|(last_day, digest)| Purpose::Sender(SenderProof { last_day, digest }));
        prop_oneof![Just(Purpose::Unsubscribe), Just(Purpose::Open), any::<u16>().prop_map(Purpose::Click), sender]
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
    fn a_senders_ticket_is_for_one_address_and_for_a_week() {
        let address = |text: &str| Email::parse(text).unwrap();
        let now = Time::from_secs(1_800_000_000);
        let proof = SenderProof::new(&address("Me@mine.example"), now);
        let later = |days: i64| Time::from_secs(now.secs() + days * 86_400);
        assert!(proof.holds(&address("me@mine.example"), now) && proof.holds(&address("me@mine.example"), later(7)));
        assert!(!proof.holds(&address("ceo@victim.example"), now));
        assert!(!proof.holds(&address("me@mine.example"), later(8)));
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
            prop_assert_eq!(text.len(), if matches!(ticket.purpose, Purpose::Sender(_)) { SENDER_TEXT } else { TEXT });
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
        fn reading_never_panics(text in "\\PC*", word in "[A-Za-z0-9_=-]{60,90}") {
            prop_assert_eq!(key().read(&text), None);
            prop_assert_eq!(key().read(&word), None);
        }
    }
}

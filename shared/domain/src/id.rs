//! Identifiers. One type an entity kind, so that a lead's id cannot be passed for a campaign's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

/// A text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("must be a UUID")]
pub struct NotAnId;

/// A UUIDv7 of the given instant; `random` fills all but the time (RFC 9562, section 5.7).
pub fn v7_at(at: Time, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.millis()).unwrap_or(0), &random).into_uuid()
}

/// The instant in a UUIDv7, in milliseconds.
pub fn v7_time(id: Uuid) -> Time {
    let ms = id.as_u128() >> 80;
    Time::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Ten random bytes from the operating system.
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel's generator fails only before it is seeded at boot, which no Lambda environment sees; a v7 id built on
    // zeros would still carry its time, and every uniqueness rule is checked by a conditional write.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }
            /// A new id that sorts by the time it was made at.
            pub fn new_at(at: Time) -> Self {
                Self(v7_at(at, entropy()))
            }
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(s: &str) -> Result<Self, NotAnId> {
                // Only the hyphenated form: the others would give one thing two addresses.
                if s.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(s).map(Self).map_err(|_| NotAnId)
            }
        }
        crate::text::string_schema!($name, stringify!($name), "uuid", "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77");
    )*};
}
ids! {
    /// A tenant.
    EntityId,
    /// A person who signs in.
    UserId,
    LeadId,
    CampaignId,
    /// A lead's way through a campaign.
    CampaignRunId,
    EventId,
    ImportJobId,
    UploadId,
    WebhookId,
    /// One event on its way to one webhook endpoint.
    DeliveryId,
    /// A company in the CRM.
    CompanyId,
    /// A person in the CRM.
    ContactId,
    /// A person's place in a company.
    CompanyMembershipId,
    /// A lead of the CRM: what the trade calls a deal, to keep it apart from a lead of a campaign.
    DealId,
    ActivityId,
    TaskId,
    /// What tasks can be grouped under.
    ProjectId,
    MarketingListId,
    CustomFieldId,
    /// A message to a person.
    CommunicationId,
    /// An address that messages are sent from, with what it takes to send.
    SendingIdentityId,
    MeetingId,
    AgentId,
    /// A call of an agent for a number of people.
    AgentJobId,
    /// A part of a job: an agent at work for up to 200 people.
    RunId,
    /// One person's way through a run.
    RunContactId,
    ApprovalId,
}

const TRACES: Uuid = Uuid::from_u128(0x6f0d_94b2_1c7e_4a3d_b85f_20e9_7d41_a6c8);

/// A W3C trace id: 16 bytes, written as 32 lower-case hex digits, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    pub fn random() -> Self {
        let mut bytes: [u8; 16] = entropy();
        bytes[15] |= 1;
        Self(bytes)
    }

    /// The trace of something that is known by a name of its own, such as a lead in a campaign: whoever works on it finds the same one.
    pub fn of(subject: impl fmt::Display) -> Self {
        let mut bytes = Uuid::new_v5(&TRACES, subject.to_string().as_bytes()).into_bytes();
        bytes[15] |= 1;
        Self(bytes)
    }

    /// The bytes as a number, for spreading traces over `shards` partitions.
    pub const fn shard(self, shards: u128) -> u128 {
        // The last bit is set in those made here.
        (u128::from_be_bytes(self.0) >> 1) % shards
    }

    /// The trace id of a W3C `traceparent` header (version 00), if it is a valid one.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        (version.len() == 2 && version != "ff").then_some(())?;
        trace.parse().ok()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceId {
    type Err = NotAnId;
    fn from_str(s: &str) -> Result<Self, NotAnId> {
        let lower_hex = s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let n = u128::from_str_radix(s, 16).map_err(|_| NotAnId)?;
        if s.len() != 32 || !lower_hex || n == 0 {
            return Err(NotAnId);
        }
        Ok(Self(n.to_be_bytes()))
    }
}

impl Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

crate::text::string_schema!(TraceId, "TraceId", "w3c-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn v7_carries_its_time_and_sorts_by_it() {
        let early = v7_at(Time::from_millis(1_700_000_000_000), [0xff; 10]);
        let late = v7_at(Time::from_millis(1_700_000_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(v7_time(early), Time::from_millis(1_700_000_000_000));
        assert_eq!(early.get_version_num(), 7);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        assert!("01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77".parse::<LeadId>().is_ok());
        assert!("01939b1e0d4c7cc18a6f2f5d0b1c9a77".parse::<LeadId>().is_err());
        assert!("{01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77}".parse::<LeadId>().is_err());
    }

    #[test]
    fn traceparent() {
        let t = TraceId::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(t.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(TraceId::from_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01").is_none());
        assert!(TraceId::from_traceparent("nonsense").is_none());
    }
}

//! Meetings that scheduling services report: whether a report is theirs, and what it says.

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::header::Mailbox;
use crate::Time;
use crate::address::Email;

/// How far a signed time may be from our clock, in seconds; Calendly's recommendation is three minutes.
pub const MEETING_TOLERANCE_SECS: i64 = 180;

/// A scheduling service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Calcom,
    Calendly,
}

impl std::str::FromStr for Hook {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "calcom" => Ok(Self::Calcom),
            "calendly" => Ok(Self::Calendly),
            _ => Err(()),
        }
    }
}

/// Why a report cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeetingFault {
    #[error("the body is not what this service sends")]
    Form,
    #[error("no attendee with an e-mail address")]
    Attendees,
}

/// What happened to a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingChange {
    Booked,
    /// Takes the place of another one, where the service says of which (by its external id).
    Moved {
        from: Option<String>,
    },
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingNotice {
    /// The service's id of the booking: the same in all reports about it.
    pub external_id: String,
    pub change: MeetingChange,
    /// Who booked, then their guests.
    pub attendees: Vec<Mailbox>,
    pub title: Option<String>,
    pub starts_at: Time,
    pub ends_at: Option<Time>,
}

impl Hook {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calcom => "calcom",
            Self::Calendly => "calendly",
        }
    }

    /// The header with the signature, in lower case.
    pub const fn signature_header(self) -> &'static str {
        match self {
            Self::Calcom => "x-cal-signature-256",
            Self::Calendly => "calendly-webhook-signature",
        }
    }

    /// Whether the service has signed the body with the secret. An empty secret signs nothing.
    ///
    /// Cal.com: the hexadecimal HMAC-SHA256 of the body. Calendly: `t=<unix seconds>,v1=<hexadecimal HMAC-SHA256 of "<t>.<body>">`,
    /// at most [`MEETING_TOLERANCE_SECS`] old.
    pub fn verify(self, secret: &str, signature: &str, body: &[u8], now: Time) -> bool {
        if secret.is_empty() {
            return false;
        }
        match self {
            Self::Calcom => fits(secret, &[body], signature.trim()),
            Self::Calendly => {
                let part = |name: &str| signature.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
                let (Some(at), Some(tag)) = (part("t"), part("v1")) else { return false };
                let fresh = at.parse::<i64>().is_ok_and(|at| now.secs().abs_diff(at) <= MEETING_TOLERANCE_SECS.unsigned_abs());
                fresh && fits(secret, &[at.as_bytes(), b".", body], tag)
            }
        }
    }

    /// What the body reports; none when it is not about a booking that stands or falls.
    pub fn parse(self, body: &[u8]) -> Result<Option<MeetingNotice>, MeetingFault> {
        match self {
            Self::Calcom => calcom(body),
            Self::Calendly => calendly(body),
        }
    }
}

/// Compares in constant time.
fn fits(secret: &str, parts: &[&[u8]], hex: &str) -> bool {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        hex.as_bytes().chunks(2).map(|pair| if let [a, b] = pair { Some(digit(*a)? << 4 | digit(*b)?) } else { None }).collect();
    let (Some(tag), Ok(mut mac)) = (bytes, Hmac::<Sha256>::new_from_slice(secret.as_bytes())) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(&tag).is_ok()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, MeetingFault> {
    serde_json::from_slice(body).map_err(|_| MeetingFault::Form)
}

fn attendees(people: impl Iterator<Item = (String, Option<String>)>) -> Result<Vec<Mailbox>, MeetingFault> {
    let mailboxes: Vec<Mailbox> =
        people.filter_map(|(address, name)| Some(Mailbox::new(Email::parse(&address).ok()?, name.as_deref()))).take(50).collect();
    if mailboxes.is_empty() { Err(MeetingFault::Attendees) } else { Ok(mailboxes) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CalcomHead {
    trigger_event: String,
}

#[derive(Deserialize)]
struct CalcomBody {
    payload: CalcomBooking,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CalcomBooking {
    uid: String,
    title: Option<String>,
    start_time: Time,
    end_time: Option<Time>,
    #[serde(default)]
    attendees: Vec<CalcomPerson>,
    reschedule_uid: Option<String>,
}

#[derive(Deserialize)]
struct CalcomPerson {
    #[serde(default)]
    email: String,
    name: Option<String>,
}

fn calcom(body: &[u8]) -> Result<Option<MeetingNotice>, MeetingFault> {
    let head: CalcomHead = read(body)?;
    let known = ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED", "BOOKING_REJECTED"];
    if !known.contains(&head.trigger_event.as_str()) {
        return Ok(None);
    }
    let CalcomBody { payload } = read(body)?;
    let change = match head.trigger_event.as_str() {
        "BOOKING_CREATED" => MeetingChange::Booked,
        "BOOKING_RESCHEDULED" => MeetingChange::Moved { from: payload.reschedule_uid.filter(|uid| *uid != payload.uid) },
        _ => MeetingChange::Cancelled,
    };
    Ok(Some(MeetingNotice {
        external_id: payload.uid,
        change,
        attendees: attendees(payload.attendees.into_iter().map(|person| (person.email, person.name)))?,
        title: payload.title,
        starts_at: payload.start_time,
        ends_at: payload.end_time,
    }))
}

#[derive(Deserialize)]
struct CalendlyHead {
    event: String,
}

#[derive(Deserialize)]
struct CalendlyBody {
    payload: CalendlyInvitee,
}

#[derive(Deserialize)]
struct CalendlyInvitee {
    uri: String,
    email: String,
    name: Option<String>,
    #[serde(default)]
    rescheduled: bool,
    old_invitee: Option<String>,
    scheduled_event: CalendlyEvent,
}

#[derive(Deserialize)]
struct CalendlyEvent {
    name: Option<String>,
    start_time: Time,
    end_time: Option<Time>,
    #[serde(default)]
    event_guests: Vec<CalendlyGuest>,
}

#[derive(Deserialize)]
struct CalendlyGuest {
    #[serde(default)]
    email: String,
}

fn calendly(body: &[u8]) -> Result<Option<MeetingNotice>, MeetingFault> {
    let head: CalendlyHead = read(body)?;
    if !["invitee.created", "invitee.canceled"].contains(&head.event.as_str()) {
        return Ok(None);
    }
    let CalendlyBody { payload } = read(body)?;
    let change = match (head.event.as_str(), payload.old_invitee) {
        ("invitee.created", None) => MeetingChange::Booked,
        ("invitee.created", from) => MeetingChange::Moved { from },
        // The report of the new time says that this one is gone.
        _ if payload.rescheduled => return Ok(None),
        _ => MeetingChange::Cancelled,
    };
    let event = payload.scheduled_event;
    let guests = event.event_guests.into_iter().map(|guest| (guest.email, None));
    Ok(Some(MeetingNotice {
        external_id: payload.uri,
        change,
        attendees: attendees(std::iter::once((payload.email, payload.name)).chain(guests))?,
        title: event.name,
        starts_at: event.start_time,
        ends_at: event.end_time,
    }))
}

#[cfg(test)]
#[path = "meeting_tests.rs"]
mod tests;

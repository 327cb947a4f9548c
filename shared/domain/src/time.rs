//! Instants as the API and the table write them: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in milliseconds since the Unix epoch. Its text form sorts like the instant itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A text is not an RFC 3339 time with an offset.
#[derive(Debug, thiserror::Error)]
#[error("must be an RFC 3339 time with an offset, such as 2026-01-31T09:30:00Z")]
pub struct NotATime;

impl Time {
    /// The last instant that can be written with a four-digit year.
    pub const MAX: Self = Self(253_402_300_799_999);

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole Unix seconds, rounded down: what DynamoDB's TTL and HTTP headers use.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }

    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_secs(days * 86_400)
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl From<Time> for jiff::Timestamp {
    /// The same instant; one beyond jiff's range is its nearest end.
    fn from(time: Time) -> Self {
        let end = if time.0 < 0 { Self::MIN } else { Self::MAX };
        Self::from_millisecond(time.0).unwrap_or(end)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0.clamp(-62_135_596_800_000, Self::MAX.0)) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => f.write_str("0001-01-01T00:00:00.000Z"),
        }
    }
}

impl FromStr for Time {
    type Err = NotATime;
    fn from_str(s: &str) -> Result<Self, NotATime> {
        let t: jiff::Timestamp = s.parse().map_err(|_| NotATime)?;
        Ok(Self(t.as_millisecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

crate::text::string_schema!(Time, "Time", "date-time", "2026-01-31T09:30:00.000Z");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_milliseconds_and_reads_offsets() {
        assert_eq!(Time::from_millis(1_764_000_000_007).to_string(), "2025-11-24T16:00:00.007Z");
        assert_eq!(Time::from_secs(0).to_string(), "1970-01-01T00:00:00.000Z");
        let t: Time = "2026-01-31T15:00:00+05:30".parse().unwrap();
        assert_eq!(t.to_string(), "2026-01-31T09:30:00.000Z");
        assert!("2026-01-31".parse::<Time>().is_err());
        assert!("tomorrow".parse::<Time>().is_err());
    }

    #[test]
    fn text_sorts_like_time() {
        let mut times: Vec<Time> = [5, 1_000, 999, 1_700_000_000_001, 1_700_000_000_000].map(Time::from_millis).into();
        let mut texts: Vec<String> = times.iter().map(Time::to_string).collect();
        times.sort();
        texts.sort();
        assert_eq!(texts, times.iter().map(Time::to_string).collect::<Vec<_>>());
    }
}

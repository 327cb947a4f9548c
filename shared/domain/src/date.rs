//! Days of the calendar, as the API writes them: `2026-01-31`.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Time;

/// A day. Its text sorts like the day itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// A text is not a day.
#[derive(Debug, thiserror::Error)]
#[error("must be a date, such as 2026-01-31")]
pub struct NotADate;

impl Date {
    /// The day of an instant, in UTC.
    pub fn of(time: Time) -> Self {
        Self(jiff::Timestamp::from(time).to_zoned(TimeZone::UTC).date())
    }

    /// The instant at which the day begins, in UTC.
    pub fn start(self) -> Time {
        let start = self.0.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_millisecond());
        Time::from_millis(start.unwrap_or_default())
    }

    /// So many days later; the calendar's end if that is beyond it.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.days()))
    }

    /// `2026-01`
    pub fn month(self) -> String {
        format!("{:04}-{:02}", self.0.year(), self.0.month())
    }

    /// 1 to 31.
    pub fn day(self) -> i8 {
        self.0.day()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Date {
    type Err = NotADate;
    fn from_str(s: &str) -> Result<Self, NotADate> {
        // The parser also reads times of day, which would be dropped.
        if s.len() != 10 {
            return Err(NotADate);
        }
        s.parse().map(Self).map_err(|_| NotADate)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

crate::text::string_schema!(Date, "Date", "date", "2026-01-31");

/// When something is due: some time on a day, or at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Day(Date),
    At(Time),
}

/// A text is neither a day nor an instant.
#[derive(Debug, thiserror::Error)]
#[error("must be a date, such as 2026-01-31, or an RFC 3339 time with an offset, such as 2026-01-31T09:30:00Z")]
pub struct NotADueDate;

impl Due {
    /// The day on which it is due, in UTC for an instant.
    pub fn day(self) -> Date {
        match self {
            Self::Day(day) => day,
            Self::At(at) => Date::of(at),
        }
    }

    /// The instant; the beginning of a day.
    pub fn time(self) -> Time {
        match self {
            Self::Day(day) => day.start(),
            Self::At(at) => at,
        }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::At(at) => at.fmt(f),
        }
    }
}

impl FromStr for Due {
    type Err = NotADueDate;
    fn from_str(s: &str) -> Result<Self, NotADueDate> {
        let day = s.parse().map(Self::Day);
        day.or_else(|_| s.parse().map(Self::At)).map_err(|_| NotADueDate)
    }
}

impl Serialize for Due {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Due {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

crate::text::string_schema!(Due, "DueDate", "date-or-date-time", "2026-01-31");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn days_are_utc_days() {
        let late: Time = "2026-01-31T23:59:59.999Z".parse().unwrap();
        let day = Date::of(late);
        assert_eq!((day.to_string().as_str(), day.month().as_str(), day.day()), ("2026-01-31", "2026-01", 31));
        assert_eq!(day.plus_days(1).to_string(), "2026-02-01");
        assert_eq!(day.plus_days(-31).to_string(), "2025-12-31");
        assert_eq!(day.start().to_string(), "2026-01-31T00:00:00.000Z");
        assert_eq!(Date::of(day.start()), day);
    }

    #[test]
    fn reads_days_and_instants_and_nothing_else() {
        for bad in ["", "2026-02-30", "2026-1-31", "31.01.2026", "tomorrow", "2026-01-31T09:30:00"] {
            assert!(bad.parse::<Date>().is_err() && bad.parse::<Due>().is_err(), "{bad}");
        }
        assert!("2026-01-31T09:30:00Z".parse::<Date>().is_err());
        for text in ["2026-01-31", "2026-01-31T09:30:00.000Z"] {
            assert_eq!(text.parse::<Due>().unwrap().to_string(), text);
            assert_eq!(text.parse::<Due>().unwrap().day().to_string(), "2026-01-31");
        }
    }
}

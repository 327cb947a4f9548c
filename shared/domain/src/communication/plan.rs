//! When a message may go out: sending windows in the recipient's time zone, daily limits, and the slow start of new identities.

use jiff::civil::{Date, Time as Clock, Weekday as Day};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::Warmup;
use crate::Time;
use crate::campaign::{SendingWindow, Weekday};

/// The zone of that name, or UTC if nobody knows it.
fn zone(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Monday => Weekday::Mon,
        Day::Tuesday => Weekday::Tue,
        Day::Wednesday => Weekday::Wed,
        Day::Thursday => Weekday::Thu,
        Day::Friday => Weekday::Fri,
        Day::Saturday => Weekday::Sat,
        Day::Sunday => Weekday::Sun,
    }
}

fn clock(text: &str) -> Option<Clock> {
    let (hour, minute) = text.split_once(':')?;
    Clock::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn instant(date: Date, clock: Clock, zone: &TimeZone) -> Option<Time> {
    let zoned: Zoned = date.to_datetime(clock).to_zoned(zone.clone()).ok()?;
    Some(Time::from_millis(zoned.timestamp().as_millisecond()))
}

fn local(at: Time, zone: &TimeZone) -> Zoned {
    Timestamp::from(at).to_zoned(zone.clone())
}

/// The first instant from `at` on at which the window is open. `contact_zone` is the recipient's IANA zone, used where the window's is
/// `contact`; UTC where none is known. A window that a leap over to summer time swallows opens when the clocks go on.
pub fn next_allowed(window: &SendingWindow, contact_zone: Option<&str>, at: Time) -> Time {
    let name = if window.timezone == "contact" { contact_zone } else { Some(window.timezone.as_str()) };
    let zone = zone(name);
    let (Some(from), Some(to)) = (clock(&window.from), clock(&window.to)) else { return at };
    let mut date = local(at, &zone).date();
    // A week has every day; one more because today's window may be over.
    for _ in 0..=8 {
        if window.days.contains(&weekday(date.weekday()))
            && let (Some(opens), Some(closes)) = (instant(date, from, &zone), instant(date, to, &zone))
            && at < closes
        {
            return at.max(opens);
        }
        match date.tomorrow() {
            Ok(next) => date = next,
            Err(_) => return at,
        }
    }
    at
}

/// Days in which windows that meet at all have met: each has had all its days.
const MEET_WITHIN_DAYS: i64 = 16;

/// The first instant from `at` on at which all of these windows are open; `None` if they never are together.
pub fn next_allowed_by_all(windows: &[&SendingWindow], contact_zone: Option<&str>, at: Time) -> Option<Time> {
    let mut time = at;
    loop {
        let next = windows.iter().map(|window| next_allowed(window, contact_zone, time)).max().unwrap_or(time);
        if next == time {
            return Some(time);
        }
        if next > at.plus_days(MEET_WITHIN_DAYS) {
            return None;
        }
        time = next;
    }
}

/// The day that `at` falls on in a zone (UTC if `None` or unknown), as `2026-01-31`.
pub fn day_of(zone_name: Option<&str>, at: Time) -> String {
    local(at, &zone(zone_name)).date().to_string()
}

/// The first instant of the day that comes `days` after the one that `at` falls on; `at` itself if `days` is 0.
pub fn start_of_day(zone_name: Option<&str>, at: Time, days: u32) -> Time {
    if days == 0 {
        return at;
    }
    let zone = zone(zone_name);
    let date = local(at, &zone).date().checked_add(jiff::Span::new().days(i64::from(days)));
    let start = date.ok().and_then(|date| date.to_zoned(zone).ok());
    start.map_or(at, |start| Time::from_millis(start.timestamp().as_millisecond()))
}

/// How many messages an identity may send on a day, `age_days` days after its warm-up began (0 on the first day); `None` for any number.
pub fn allowance(daily_limit: Option<u32>, warmup: Option<Warmup>, age_days: u32) -> Option<u64> {
    let limit = daily_limit.map(u64::from);
    let Some(Warmup { start, step, max }) = warmup else { return limit };
    let ramp = u64::from(start) + u64::from(step) * u64::from(age_days);
    if ramp >= u64::from(max) {
        return Some(limit.unwrap_or(u64::from(max)));
    }
    Some(limit.map_or(ramp, |limit| limit.min(ramp)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn window(zone: &str, days: &[Weekday], from: &str, to: &str) -> SendingWindow {
        SendingWindow { timezone: zone.to_owned(), days: days.to_vec(), from: from.to_owned(), to: to.to_owned() }
    }

    const WORK: [Weekday; 5] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];

    // 2026-01-30 is a Friday.
    #[rstest]
    #[case("UTC", None, "2026-01-30T12:00:00Z", "2026-01-30T12:00:00Z")]
    #[case("UTC", None, "2026-01-30T08:59:59Z", "2026-01-30T09:00:00Z")]
    #[case("UTC", None, "2026-01-30T16:59:59.999Z", "2026-01-30T16:59:59.999Z")]
    #[case("UTC", None, "2026-01-30T17:00:00Z", "2026-02-02T09:00:00Z")]
    #[case("America/New_York", None, "2026-01-30T09:00:00Z", "2026-01-30T14:00:00Z")]
    #[case("contact", Some("Asia/Tokyo"), "2026-01-30T09:00:00Z", "2026-02-02T00:00:00Z")]
    #[case("contact", None, "2026-01-30T09:00:00Z", "2026-01-30T09:00:00Z")]
    #[case("contact", Some("Not/AZone"), "2026-01-30T09:00:00Z", "2026-01-30T09:00:00Z")]
    // In London the clocks go forward on 29 March 2026.
    #[case("Europe/London", None, "2026-03-27T18:00:00Z", "2026-03-30T08:00:00Z")]
    fn windows(#[case] zone: &str, #[case] contact: Option<&str>, #[case] at: Time, #[case] expected: Time) {
        assert_eq!(next_allowed(&window(zone, &WORK, "09:00", "17:00"), contact, at), expected);
    }

    #[test]
    fn windows_that_meet_and_windows_that_never_do() {
        let at: Time = "2026-01-30T12:00:00Z".parse().unwrap();
        let work = window("UTC", &WORK, "09:00", "17:00");
        let mondays = window("America/New_York", &[Weekday::Mon], "08:00", "20:00");
        let nights = window("UTC", &WORK, "18:00", "20:00");
        let expected = |text: &str| Some(text.parse::<Time>().unwrap());
        assert_eq!(next_allowed_by_all(&[], None, at), Some(at));
        assert_eq!(next_allowed_by_all(&[&work], None, at), Some(at));
        assert_eq!(next_allowed_by_all(&[&work, &mondays], None, at), expected("2026-02-02T13:00:00Z"));
        assert_eq!(next_allowed_by_all(&[&mondays, &nights], None, at), expected("2026-02-02T18:00:00Z"));
        assert_eq!(next_allowed_by_all(&[&work, &nights], None, at), None);
    }

    #[rstest]
    #[case(None, None, 0, None)]
    #[case(Some(100), None, 5, Some(100))]
    #[case(None, Some((10, 5, 30)), 0, Some(10))]
    #[case(None, Some((10, 5, 30)), 3, Some(25))]
    #[case(None, Some((10, 5, 30)), 4, Some(30))]
    #[case(None, Some((10, 5, 30)), 400, Some(30))]
    #[case(Some(500), Some((10, 5, 30)), 3, Some(25))]
    #[case(Some(500), Some((10, 5, 30)), 4, Some(500))]
    #[case(Some(8), Some((10, 5, 30)), 0, Some(8))]
    fn allowances(
        #[case] limit: Option<u32>,
        #[case] warmup: Option<(u32, u32, u32)>,
        #[case] age: u32,
        #[case] expected: Option<u64>,
    ) {
        let warmup = warmup.map(|(start, step, max)| Warmup { start, step, max });
        assert_eq!(allowance(limit, warmup, age), expected);
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let at: Time = "2026-01-30T23:30:00Z".parse().unwrap();
        assert_eq!((day_of(None, at), day_of(Some("Asia/Tokyo"), at)), ("2026-01-30".to_owned(), "2026-01-31".to_owned()));
        assert_eq!(start_of_day(None, at, 0), at);
        assert_eq!(start_of_day(None, at, 1), "2026-01-31T00:00:00Z".parse().unwrap());
        assert_eq!(start_of_day(Some("Asia/Tokyo"), at, 2), "2026-02-01T15:00:00Z".parse().unwrap());
    }

    proptest! {
        #[test]
        fn never_earlier_always_inside_and_stable(secs in 0_i64..4_000_000_000, from in 0_u32..23, len in 1_u32..12, first in 0_usize..7) {
            let all = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
            let to = (from + len).min(23);
            prop_assume!(to > from);
            let window = window("America/Sao_Paulo", &all[first..=first], &format!("{from:02}:00"), &format!("{to:02}:00"));
            let at = Time::from_secs(secs);
            let next = next_allowed(&window, None, at);
            prop_assert!(next >= at && next.since(at) <= 9 * 86_400_000);
            prop_assert_eq!(next_allowed(&window, None, next), next);
        }
    }
}

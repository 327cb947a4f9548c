//! When a failed delivery is tried again, and when its endpoint is given up.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Waits before the second and every later attempt: ten attempts in some 76 hours.
pub const RETRY_DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// The longest `Retry-After` that is honoured; longer ones are cut to it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * HOUR);

/// An endpoint that has only failed for this long is disabled. Longer than one delivery's whole schedule, so that one
/// undeliverable event never disables an endpoint.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * HOUR);

/// A wait is up to this share longer or shorter than its table entry, so that deliveries which failed together do not come
/// back together.
const JITTER: f64 = 0.1;

/// The retry schedule of a deployment: [`RETRY_DELAYS`], compressed or stretched by one factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    scale: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

impl Schedule {
    /// A schedule whose waits, and whose patience with an endpoint, are multiplied by `scale`: 1 in production, below in local
    /// and test stacks. `None` unless `0 < scale <= 100`.
    pub fn scaled(scale: f64) -> Option<Self> {
        (scale > 0.0 && scale <= 100.0).then_some(Self { scale })
    }

    /// How long to wait after attempt number `attempt` (the first is 1) has failed; `None` when that was the last one.
    ///
    /// `random` is any uniformly random number, for the jitter of ±10 %. `retry_after`, if the receiver asked for a time,
    /// can make the wait longer but not shorter, or a careless receiver would use up its attempts in seconds. It is
    /// a real time, so it is not scaled, and jitter only adds to it.
    pub fn wait(self, attempt: u32, random: u64, retry_after: Option<Duration>) -> Option<Duration> {
        let entry = usize::try_from(attempt.max(1) - 1).ok()?;
        let base = RETRY_DELAYS.get(entry)?;
        // 53 bits are what a float holds exactly: a number from 0 up to, not including, 1.
        let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
        let own = base.mul_f64(self.scale * (1.0 + JITTER * (2.0 * unit - 1.0)));
        let asked = retry_after.map(|asked| asked.min(MAX_RETRY_AFTER).mul_f64(1.0 + JITTER * unit).min(MAX_RETRY_AFTER));
        Some(own.max(asked.unwrap_or_default()))
    }

    /// Whether an endpoint is to be disabled at a failure at `now`, having answered nothing with success since the failure
    /// at `failing_since`.
    pub fn gives_up(self, failing_since: Timestamp, now: Timestamp) -> bool {
        let failing_for = now.duration_since(failing_since);
        Duration::try_from(failing_for).is_ok_and(|time| time >= DISABLE_AFTER.mul_f64(self.scale))
    }
}

/// Reads `Retry-After`: seconds, or an HTTP date (RFC 9110, 10.2.3) taken relative to `now`. A date gone by is zero, anything
/// beyond [`MAX_RETRY_AFTER`] is that, anything unreadable is `None`.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a long time, too.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn ten_attempts_then_none() {
        let schedule = Schedule::default();
        for (attempt, base) in (1..).zip(RETRY_DELAYS) {
            assert!(schedule.wait(attempt, 0, None).unwrap() >= base.mul_f64(0.899), "{attempt}");
            assert!(schedule.wait(attempt, u64::MAX, None).unwrap() <= base.mul_f64(1.101), "{attempt}");
        }
        assert_eq!(schedule.wait(10, 0, None), None);
        assert_eq!(schedule.wait(10, 0, Some(seconds(60))), None);
        assert_eq!(schedule.wait(u32::MAX, 0, None), None);
        // There is no attempt 0; it is read as the first.
        assert_eq!(schedule.wait(0, 5, None), schedule.wait(1, 5, None));
    }

    #[test]
    fn one_delivery_alone_never_disables() {
        let whole: Duration = RETRY_DELAYS.iter().sum();
        assert!(whole.mul_f64(1.0 + JITTER) < DISABLE_AFTER);
    }

    #[test]
    fn retry_after_only_lengthens() {
        let schedule = Schedule::default();
        let plain = schedule.wait(2, 0, None).unwrap();
        assert_eq!(schedule.wait(2, 0, Some(seconds(1))), Some(plain));
        assert_eq!(schedule.wait(1, 0, Some(seconds(60))), Some(seconds(60)));
        assert!(schedule.wait(1, u64::MAX, Some(seconds(60))).unwrap() < seconds(67));
        assert_eq!(schedule.wait(1, u64::MAX, Some(MAX_RETRY_AFTER * 9)), Some(MAX_RETRY_AFTER));
        // What the receiver asks for is a real time, also on a compressed stack.
        assert_eq!(Schedule::scaled(0.001).unwrap().wait(1, 0, Some(seconds(2))), Some(seconds(2)));
    }

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(100.1)]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    fn senseless_scales(#[case] scale: f64) {
        assert_eq!(Schedule::scaled(scale), None);
    }

    #[rstest]
    #[case("0", Some(0))]
    #[case("120", Some(120))]
    #[case(" 120 ", Some(120))]
    #[case("86400", Some(86_400))]
    #[case("86401", Some(86_400))]
    #[case("99999999999999999999999", Some(86_400))]
    #[case("Sun, 06 Nov 1994 08:50:37 GMT", Some(60))]
    #[case("Sun, 06 Nov 1994 08:49:37 GMT", Some(0))]
    #[case("Sun, 06 Nov 1994 08:00:00 GMT", Some(0))]
    #[case("Wed, 09 Nov 2094 08:00:00 GMT", None)] // not that weekday: unreadable
    #[case("Tue, 09 Nov 2094 08:00:00 GMT", Some(86_400))]
    #[case("", None)]
    #[case("-5", None)]
    #[case("+5", None)]
    #[case("1.5", None)]
    #[case("soon", None)]
    #[case("１２", None)]
    fn retry_after_values(#[case] value: &str, #[case] expected: Option<u64>) {
        let now = at("1994-11-06T08:49:37Z");
        assert_eq!(parse_retry_after(value, now), expected.map(seconds), "{value}");
    }

    #[rstest]
    #[case("2026-01-05T23:59:59Z", 1.0, false)]
    #[case("2026-01-06T00:00:00Z", 1.0, true)]
    #[case("2026-02-01T00:00:00Z", 1.0, true)]
    #[case("2025-12-31T00:00:00Z", 1.0, false)] // clocks differ
    #[case("2026-01-01T01:11:59Z", 0.01, false)]
    #[case("2026-01-01T01:12:00Z", 0.01, true)]
    fn giving_up(#[case] now: &str, #[case] scale: f64, #[case] expected: bool) {
        let schedule = Schedule::scaled(scale).unwrap();
        assert_eq!(schedule.gives_up(at("2026-01-01T00:00:00Z"), at(now)), expected);
    }

    proptest! {
        #[test]
        fn waits_stay_within_jitter(attempt in 1_u32..=9, random in any::<u64>(), scale in 0.0001_f64..100.0) {
            let wait = Schedule::scaled(scale).unwrap().wait(attempt, random, None).unwrap();
            let base = RETRY_DELAYS[attempt as usize - 1].as_secs_f64() * scale;
            prop_assert!((wait.as_secs_f64() / base - 1.0).abs() <= JITTER + 1e-4);
        }

        #[test]
        fn never_earlier_than_asked(attempt in 1_u32..=9, random in any::<u64>(), asked in 0_u64..200_000) {
            let wait = Schedule::default().wait(attempt, random, Some(seconds(asked))).unwrap();
            prop_assert!(wait >= seconds(asked).min(MAX_RETRY_AFTER));
        }

        #[test]
        fn parsing_never_panics(value in "\\PC*") {
            let _ = parse_retry_after(&value, Timestamp::UNIX_EPOCH);
        }
    }
}

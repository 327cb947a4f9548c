//! When a message that a provider did not take for the moment is offered again.

use std::time::Duration;

/// Waits before the second and every later attempt: six attempts in some eleven hours.
const WAITS: [u64; 5] = [30, 120, 900, 7_200, 32_400];

/// Attempts before a message is given up.
pub const MAX_ATTEMPTS: u32 = 6;

/// The longest wait that a provider can ask for.
const MAX_ASKED: Duration = Duration::from_secs(12 * 3_600);

/// How long to wait after attempt number `attempt` (the first is 1); `None` when that was the last one. `random` is uniform and makes
/// the wait up to a fifth longer, so that what failed together does not come back together; a provider's own wish (`asked`) can only
/// make it longer.
pub fn retry_wait(attempt: u32, random: u64, asked: Option<Duration>) -> Option<Duration> {
    let base = WAITS.get(usize::try_from(attempt.max(1) - 1).ok()?)?;
    let own = Duration::from_millis(base * 1_000 + random % (base * 200));
    Some(own.max(asked.unwrap_or_default().min(MAX_ASKED)))
}

/// Which limit of the account a message came up against. That says nothing about the message, so it is no attempt of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// Messages a second.
    Rate,
    /// Messages a day, over the last 24 hours.
    Day,
}

/// How long a message may have been due before a limit counts as a failed attempt like any other: mail servers give up after four or five
/// days (RFC 5321, 4.5.4.1).
const PATIENCE: Duration = Duration::from_secs(4 * 86_400);

/// How long to wait before a message is offered again that came up against a limit of the account; `None` when it has been due for too
/// long. The longer it has been due (`overdue`), the longer it waits: each offer costs some twenty write units, and very many messages at
/// a small limit would otherwise mostly pay for being told to wait. `random` is uniform.
pub fn throttle_wait(throttle: Throttle, overdue: Duration, random: u64) -> Option<Duration> {
    let due = u64::try_from(overdue.as_millis()).ok().filter(|_| overdue < PATIENCE)?;
    let (least, most) = match throttle {
        Throttle::Rate => (5_000, 60_000.max(due / 4).min(900_000)),
        Throttle::Day => (900_000, 1_800_000.max(due / 4).min(4 * 3_600_000)),
    };
    Some(Duration::from_millis(least + random % (most - least)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_waited_for_ever_more_patiently_and_not_for_ever() {
        let wait =
            |throttle, overdue, random| throttle_wait(throttle, Duration::from_secs(overdue), random).map(|wait| wait.as_secs());
        assert_eq!(wait(Throttle::Rate, 0, 0), Some(5));
        assert_eq!(wait(Throttle::Rate, 0, 54_999), Some(59));
        assert_eq!(wait(Throttle::Rate, 1_200, 294_999), Some(299));
        assert_eq!(wait(Throttle::Day, 0, 0), Some(900));
        for random in [0, 1, 77_777, u64::MAX / 3, u64::MAX] {
            for overdue in [0, 60, 3_600, 86_400, 4 * 86_400 - 1] {
                assert!((5..900).contains(&wait(Throttle::Rate, overdue, random).unwrap_or_default()));
                assert!((900..4 * 3_600).contains(&wait(Throttle::Day, overdue, random).unwrap_or_default()));
            }
        }
        assert_eq!(wait(Throttle::Rate, 4 * 86_400, 0), None);
        assert_eq!(wait(Throttle::Day, u64::MAX, 0), None);
    }

    #[test]
    fn six_attempts_ever_further_apart() {
        let waits: Vec<_> = (1..MAX_ATTEMPTS).map(|attempt| retry_wait(attempt, u64::MAX, None)).collect();
        assert!(waits.iter().all(Option::is_some) && waits.is_sorted());
        assert_eq!(retry_wait(MAX_ATTEMPTS, 0, None), None);
        assert_eq!(retry_wait(1, 0, None), Some(Duration::from_secs(30)));
        assert!(retry_wait(1, u64::MAX, None) < Some(Duration::from_secs(36)));
        assert_eq!(retry_wait(1, 0, Some(Duration::from_secs(90))), Some(Duration::from_secs(90)));
        assert_eq!(retry_wait(1, 0, Some(Duration::from_secs(u64::MAX))), Some(MAX_ASKED));
        assert_eq!(retry_wait(2, 0, Some(Duration::ZERO)), Some(Duration::from_secs(120)));
    }
}

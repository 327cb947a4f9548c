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

#[cfg(test)]
mod tests {
    use super::*;

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

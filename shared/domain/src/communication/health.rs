//! How sending goes, in numbers that can be added up: what service levels are judged by.

use std::collections::BTreeMap;

use crate::slo::{duration_class, p95};

/// Latencies beyond this many seconds are counted as this many: more than two days.
const LATENCY_MAX: u64 = 200_000;

/// The class of a latency, by its seconds, rounded up: exact up to 7 s, then at most an eighth wide.
pub fn latency_class(latency_ms: u64) -> u32 {
    duration_class(latency_ms.div_ceil(1_000).clamp(1, LATENCY_MAX))
}

/// What became of the messages of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryNumbers {
    /// Handed to their providers.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
    /// Came back for good after they were sent.
    pub bounced: u64,
    /// Messages sent by how long they had been due, in the classes of [`latency_class`].
    pub latencies: BTreeMap<u32, u64>,
}

impl DeliveryNumbers {
    /// The share of messages that did not arrive, as far as anybody has told; `None` when there were none.
    pub fn failure_rate(&self) -> Option<f64> {
        let all = self.sent + self.failed;
        // A bounce may be of a message that was sent before the span began.
        (all > 0).then(|| ((self.failed + self.bounced) as f64 / all as f64).min(1.0))
    }

    /// Seconds within which 95 of 100 messages were sent once they were due: the upper end of their class, so never too good.
    /// `None` when nothing was sent.
    pub fn latency_p95_seconds(&self) -> Option<u64> {
        p95(self.latencies.iter().map(|(class, count)| (*class, *count)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn nothing_sent_has_no_rate() {
        let none = DeliveryNumbers::default();
        assert_eq!((none.failure_rate(), none.latency_p95_seconds()), (None, None));
    }

    #[rstest]
    #[case(&[(500, 100)], 1)]
    #[case(&[(500, 95), (60_000, 5)], 1)]
    #[case(&[(0, 1)], 1)]
    #[case(&[(500, 94), (60_000, 6)], 63)]
    #[case(&[(3_000, 1)], 3)]
    #[case(&[(3_001, 1)], 4)]
    // No breach of a promise of 60 s.
    #[case(&[(35_000, 1)], 35)]
    #[case(&[(59_000, 1)], 59)]
    #[case(&[(500, 19), (9_000_000_000, 2)], 212_991)]
    fn percentiles(#[case] sent: &[(u64, u64)], #[case] p95: u64) {
        let mut numbers = DeliveryNumbers::default();
        for (ms, count) in sent {
            *numbers.latencies.entry(latency_class(*ms)).or_default() += count;
        }
        assert_eq!(numbers.latency_p95_seconds(), Some(p95));
    }

    #[test]
    fn failures_and_bounces_count_once_each() {
        let numbers = DeliveryNumbers { sent: 90, failed: 10, bounced: 5, ..DeliveryNumbers::default() };
        assert_eq!(numbers.failure_rate(), Some(0.15));
        let late = DeliveryNumbers { sent: 1, bounced: 5, ..DeliveryNumbers::default() };
        assert_eq!(late.failure_rate(), Some(1.0));
    }
}

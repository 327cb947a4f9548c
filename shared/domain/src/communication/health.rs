//! How sending goes, in numbers that can be added up: what service levels are judged by.

/// Latencies are counted in this many classes: up to 1 s, up to 2 s, up to 4 s and so on; the last has no upper end.
pub const LATENCY_BUCKETS: usize = 18;

/// The class of a latency.
pub fn latency_bucket(latency_ms: u64) -> usize {
    let secs = latency_ms.div_ceil(1_000).max(1);
    let class = usize::try_from(secs.next_power_of_two().trailing_zeros()).unwrap_or(LATENCY_BUCKETS);
    class.min(LATENCY_BUCKETS - 1)
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
    /// Messages sent by how long they had been due, in the classes of [`latency_bucket`].
    pub latencies: [u64; LATENCY_BUCKETS],
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
        let all: u64 = self.latencies.iter().sum();
        let wanted = (all * 95).div_ceil(100);
        let mut seen = 0;
        let class = self.latencies.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        (all > 0).then(|| 1 << class.unwrap_or(LATENCY_BUCKETS - 1))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0)]
    #[case(1_000, 0)]
    #[case(1_001, 1)]
    #[case(2_000, 1)]
    #[case(2_001, 2)]
    #[case(60_000, 6)]
    #[case(86_400_000, 17)]
    #[case(u64::MAX, 17)]
    fn classes(#[case] ms: u64, #[case] class: usize) {
        assert_eq!(latency_bucket(ms), class);
    }

    #[test]
    fn nothing_sent_has_no_rate() {
        let none = DeliveryNumbers::default();
        assert_eq!((none.failure_rate(), none.latency_p95_seconds()), (None, None));
    }

    #[rstest]
    #[case(&[(500, 100)], 1)]
    #[case(&[(500, 95), (60_000, 5)], 1)]
    #[case(&[(500, 94), (60_000, 6)], 64)]
    #[case(&[(3_000, 1)], 4)]
    #[case(&[(500, 19), (9_000_000_000, 2)], 131_072)]
    fn percentiles(#[case] sent: &[(u64, u64)], #[case] p95: u64) {
        let mut numbers = DeliveryNumbers::default();
        for (ms, count) in sent {
            numbers.latencies[latency_bucket(*ms)] += count;
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

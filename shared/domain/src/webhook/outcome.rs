//! What follows from one delivery attempt.

use std::time::Duration;

use super::retry::Schedule;

/// How one attempt ended, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver answered.
    Answered {
        /// HTTP status code; redirects are not followed, so it may be a 3xx.
        status: u16,
        /// `Retry-After`, already parsed. Only looked at for 429 and 503.
        retry_after: Option<Duration>,
    },
    /// No answer: refused by our own rules, no connection, or a timeout. All may pass, so all are tried again.
    Failed,
}

/// What to do with the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: done.
    Delivered,
    /// Try again after this wait.
    Retry {
        /// Time from now to the next attempt.
        after: Duration,
    },
    /// 410: the receiver wants no more. The delivery is dead and the endpoint is to be disabled.
    Gone,
    /// The last attempt failed.
    Dead,
}

/// Judges attempt number `number` (the first is 1). `random` is a uniformly random number for the jitter.
pub fn judge(attempt: Attempt, number: u32, schedule: Schedule, random: u64) -> Outcome {
    let asked = match attempt {
        Attempt::Answered { status: 200..=299, .. } => return Outcome::Delivered,
        Attempt::Answered { status: 410, .. } => return Outcome::Gone,
        Attempt::Answered { status: 429 | 503, retry_after } => retry_after,
        Attempt::Answered { .. } | Attempt::Failed => None,
    };
    match schedule.wait(number, random, asked) {
        Some(after) => Outcome::Retry { after },
        None => Outcome::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MINUTE: Duration = Duration::from_secs(60);

    fn answered(status: u16) -> Attempt {
        Attempt::Answered { status, retry_after: None }
    }

    fn judged(attempt: Attempt, number: u32) -> Outcome {
        judge(attempt, number, Schedule::default(), 1 << 63)
    }

    #[rstest]
    #[case(200, Outcome::Delivered)]
    #[case(204, Outcome::Delivered)]
    #[case(299, Outcome::Delivered)]
    #[case(410, Outcome::Gone)]
    fn final_answers(#[case] status: u16, #[case] expected: Outcome) {
        for number in [1, 10] {
            assert_eq!(judged(answered(status), number), expected);
        }
    }

    #[rstest]
    #[case(answered(100))]
    #[case(answered(199))]
    #[case(answered(300))]
    #[case(answered(301))]
    #[case(answered(307))]
    #[case(answered(400))]
    #[case(answered(401))]
    #[case(answered(404))]
    #[case(answered(429))]
    #[case(answered(500))]
    #[case(answered(503))]
    #[case(answered(999))]
    #[case(Attempt::Failed)]
    fn everything_else_is_tried_ten_times(#[case] attempt: Attempt) {
        assert_eq!(judged(attempt, 1), Outcome::Retry { after: Duration::from_secs(5) });
        assert_eq!(judged(attempt, 9), Outcome::Retry { after: Duration::from_secs(86_400) });
        assert_eq!(judged(attempt, 10), Outcome::Dead);
    }

    #[rstest]
    #[case(429, 60)]
    #[case(503, 60)]
    #[case(500, 5)]
    #[case(302, 5)]
    fn retry_after_counts_for_429_and_503(#[case] status: u16, #[case] at_least: u64) {
        let attempt = Attempt::Answered { status, retry_after: Some(MINUTE) };
        let Outcome::Retry { after } = judged(attempt, 1) else { panic!("no retry") };
        assert!(after.as_secs() >= at_least && after.as_secs() < at_least + 7, "{after:?}");
    }

    #[test]
    fn retry_after_does_not_revive_the_last_attempt() {
        let attempt = Attempt::Answered { status: 503, retry_after: Some(MINUTE) };
        assert_eq!(judged(attempt, 10), Outcome::Dead);
    }
}

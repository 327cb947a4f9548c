//! Service levels: what is promised of one's own operation, and whether it is kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Faults, Input, Time};

/// Longest window: what happened is counted by the minute for a little longer.
pub const MAX_WINDOW_MINUTES: u32 = 1_440;
/// Highest threshold, of seconds or milliseconds.
pub const MAX_THRESHOLD: f64 = 1e9;
/// Characters of a name.
pub const MAX_NAME: usize = 64;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Seconds within which 95 of 100 messages are sent once they are due.
    #[serde(rename = "outbox_latency_p95_seconds")]
    OutboxLatencyP95Seconds,
    /// The share of messages that fail or bounce.
    DeliveryFailureRate,
    /// The share of agents' executions that succeed.
    AgentSuccessRate,
    /// Milliseconds within which 95 of 100 agents' executions end.
    #[serde(rename = "agent_duration_p95_ms")]
    AgentDurationP95Ms,
    /// The share of webhook deliveries that succeed.
    WebhookSuccessRate,
}
crate::text::text_enum!(
    Objective,
    OutboxLatencyP95Seconds = "outbox_latency_p95_seconds",
    DeliveryFailureRate = "delivery_failure_rate",
    AgentSuccessRate = "agent_success_rate",
    AgentDurationP95Ms = "agent_duration_p95_ms",
    WebhookSuccessRate = "webhook_success_rate"
);

impl Objective {
    /// Whether a value keeps what the threshold promises: success rates are to reach it, everything else is not to exceed it.
    pub fn is_met(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AgentSuccessRate | Self::WebhookSuccessRate => value >= threshold,
            Self::OutboxLatencyP95Seconds | Self::DeliveryFailureRate | Self::AgentDurationP95Ms => value <= threshold,
        }
    }

    /// Whether it is a share, from 0 to 1.
    pub const fn is_rate(self) -> bool {
        matches!(self, Self::DeliveryFailureRate | Self::AgentSuccessRate | Self::WebhookSuccessRate)
    }
}

/// How a service level stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SloState {
    Ok,
    Breached,
    /// Nothing happened in the window that could be judged.
    NoData,
}
crate::text::text_enum!(SloState, Ok = "ok", Breached = "breached", NoData = "no_data");

/// What is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SloInput {
    pub objective: Objective,
    /// Seconds, milliseconds or a share from 0 to 1, by the objective; six decimal places are kept.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 0.05)]
    pub threshold: f64,
    /// What is judged is what happened in so many minutes up to now.
    #[schema(minimum = 1, maximum = 1_440, example = 60)]
    pub window_minutes: u32,
}

impl Input for SloInput {
    fn note_faults(&self, faults: &mut Faults) {
        if !(0.0..=MAX_THRESHOLD).contains(&self.threshold) {
            faults.add("/threshold", "must be from 0 to 1000000000");
        } else if self.objective.is_rate() && self.threshold > 1.0 {
            faults.add("/threshold", "must be from 0 to 1: it is a share");
        }
        if !(1..=MAX_WINDOW_MINUTES).contains(&self.window_minutes) {
            faults.add("/window_minutes", format!("must be from 1 to {MAX_WINDOW_MINUTES}"));
        }
    }
}

impl SloInput {
    /// The threshold as it is kept.
    pub fn rounded_threshold(&self) -> f64 {
        rounded(self.threshold)
    }
}

/// With six decimal places: what the table holds exactly.
pub fn rounded(value: f64) -> f64 {
    // Adding 0 makes minus 0 plain.
    (value * 1e6).round() / 1e6 + 0.0
}

/// Whether a text can be a service level's name: lower-case letters, digits, `_`, `-` and `.`, beginning with a letter or digit.
pub fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = |b: u8| good(b) || matches!(b, b'_' | b'-' | b'.');
    name.len() <= MAX_NAME && name.bytes().next().is_some_and(good) && name.bytes().all(inner)
}

/// What a judgement changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Violated,
    Recovered,
}

/// Judges a value; none means that there was nothing to judge. A breach goes on while there is nothing to judge, and ends with the first
/// value that is good: so each has one beginning and one end.
pub fn judge(objective: Objective, threshold: f64, value: Option<f64>, breached: bool) -> (SloState, Option<Turn>) {
    match value.map(|value| objective.is_met(value, threshold)) {
        None => (SloState::NoData, None),
        Some(true) => (SloState::Ok, breached.then_some(Turn::Recovered)),
        Some(false) => (SloState::Breached, (!breached).then_some(Turn::Violated)),
    }
}

/// When to judge again: each minute for windows up to an hour, less often for longer ones, which change as slowly as they are long.
pub fn next_check(now: Time, window_minutes: u32) -> Time {
    let minutes = i64::from((window_minutes / 60).max(1));
    // Half a minute early, so that a sweep that is a moment early does not miss it.
    now.plus_secs(minutes * 60 - 30)
}

/// Classes of durations: exact up to 7, then eight for each doubling, so that a class is at most an eighth wide.
pub fn duration_class(ms: u64) -> u32 {
    let Some(exponent) = ms.checked_ilog2().filter(|exponent| *exponent >= 3) else { return u32::try_from(ms).unwrap_or(0) };
    let step = u32::try_from(ms >> (exponent - 3)).unwrap_or(8);
    (exponent - 2) * 8 + (step - 8)
}

/// The longest duration of a class.
pub fn class_end(class: u32) -> u64 {
    if class < 8 {
        return u64::from(class);
    }
    let (exponent, step) = (class / 8 + 2, u128::from(class % 8 + 8));
    u64::try_from(((step + 1) << (exponent - 3)) - 1).unwrap_or(u64::MAX)
}

/// The value that 95 of 100 do not exceed, as the end of its class: never too good, and at most an eighth too bad. `counts` are by class,
/// in their order.
pub fn p95(counts: impl Iterator<Item = (u32, u64)> + Clone) -> Option<u64> {
    let all: u64 = counts.clone().map(|(_, count)| count).sum();
    let wanted = (all * 95).div_ceil(100);
    let mut seen = 0;
    let mut reached = counts.skip_while(|(_, count)| {
        seen += count;
        seen < wanted
    });
    reached.next().filter(|_| all > 0).map(|(class, _)| class_end(class))
}

/// What became of agents' executions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionNumbers {
    pub succeeded: u64,
    pub failed: u64,
    /// Counts by [`duration_class`].
    pub durations: std::collections::BTreeMap<u32, u64>,
}

impl ExecutionNumbers {
    pub fn success_rate(&self) -> Option<f64> {
        let all = self.succeeded + self.failed;
        (all > 0).then(|| self.succeeded as f64 / all as f64)
    }

    pub fn duration_p95_ms(&self) -> Option<u64> {
        p95(self.durations.iter().map(|(class, count)| (*class, *count)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Objective::AgentSuccessRate, 0.9, 0.9, true)]
    #[case(Objective::AgentSuccessRate, 0.89, 0.9, false)]
    #[case(Objective::WebhookSuccessRate, 1.0, 0.99, true)]
    #[case(Objective::DeliveryFailureRate, 0.05, 0.05, true)]
    #[case(Objective::DeliveryFailureRate, 0.06, 0.05, false)]
    #[case(Objective::OutboxLatencyP95Seconds, 64.0, 60.0, false)]
    #[case(Objective::AgentDurationP95Ms, 500.0, 1_000.0, true)]
    fn promises(#[case] objective: Objective, #[case] value: f64, #[case] threshold: f64, #[case] kept: bool) {
        assert_eq!(objective.is_met(value, threshold), kept);
    }

    proptest! {
        #[test]
        fn each_breach_begins_once_and_ends_once(values in prop::collection::vec(prop::option::of(0.0_f64..1.0), 0..50)) {
            let (mut breached, mut turns) = (false, Vec::new());
            for value in &values {
                let (state, turn) = judge(Objective::DeliveryFailureRate, 0.5, *value, breached);
                prop_assert_eq!(state == SloState::NoData, value.is_none());
                prop_assert!(state != SloState::Breached || value.unwrap() > 0.5);
                breached = match turn { Some(Turn::Violated) => true, Some(Turn::Recovered) => false, None => breached };
                prop_assert!(state == SloState::NoData || breached == (state == SloState::Breached));
                turns.extend(turn);
            }
            let expected = [Turn::Violated, Turn::Recovered].into_iter().cycle().take(turns.len());
            prop_assert!(turns.iter().copied().eq(expected));
        }

        #[test]
        fn a_class_holds_its_durations(ms in any::<u64>()) {
            let class = duration_class(ms);
            prop_assert!(ms <= class_end(class));
            prop_assert!(class == 0 || ms > class_end(class - 1));
            prop_assert!(class_end(class) - ms <= ms / 8);
        }

        #[test]
        fn a_percentile_is_the_true_one_or_the_end_of_its_class(mut durations in prop::collection::vec(0_u64..100_000, 1..200)) {
            let mut numbers = ExecutionNumbers::default();
            durations.iter().for_each(|ms| *numbers.durations.entry(duration_class(*ms)).or_default() += 1);
            durations.sort_unstable();
            let wanted = durations[(durations.len() * 95).div_ceil(100) - 1];
            prop_assert_eq!(numbers.duration_p95_ms(), Some(class_end(duration_class(wanted))));
        }

        #[test]
        fn what_is_kept_of_a_threshold_stays_as_it_is(threshold in 0.0_f64..MAX_THRESHOLD) {
            let kept = rounded(threshold);
            prop_assert!((kept - threshold).abs() <= 1e-6);
            prop_assert_eq!(rounded(kept), kept);
        }
    }

    #[rstest]
    #[case("latency", true)]
    #[case("outbox-latency_p95.eu", true)]
    #[case("9lives", true)]
    #[case("", false)]
    #[case("-x", false)]
    #[case("Latency", false)]
    #[case("a b", false)]
    #[case("a/b", false)]
    fn names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(is_name(name), good);
        assert!(!is_name(&"a".repeat(MAX_NAME + 1)) && is_name(&"a".repeat(MAX_NAME)));
    }

    #[rstest]
    #[case(0.5, 60, &[])]
    #[case(1.5, 60, &["/threshold"])]
    #[case(-0.1, 0, &["/threshold", "/window_minutes"])]
    #[case(f64::NAN, 1_441, &["/threshold", "/window_minutes"])]
    fn faults(#[case] threshold: f64, #[case] window_minutes: u32, #[case] wrong: &[&str]) {
        let mut faults = Faults::new();
        SloInput { objective: Objective::DeliveryFailureRate, threshold, window_minutes }.note_faults(&mut faults);
        let found: Vec<String> = faults.check().err().unwrap_or_default().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(found, wrong);
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!((ExecutionNumbers::default().success_rate(), ExecutionNumbers::default().duration_p95_ms()), (None, None));
        assert_eq!(rounded(-0.0).to_string(), "0");
    }

    #[rstest]
    #[case(1, 30)]
    #[case(60, 30)]
    #[case(119, 30)]
    #[case(120, 90)]
    #[case(1_440, 24 * 60 - 30)]
    fn checks(#[case] window: u32, #[case] secs: i64) {
        assert_eq!(next_check(Time::from_secs(1_000), window).since(Time::from_secs(1_000)), secs * 1_000);
    }
}

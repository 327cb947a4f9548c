//! Intent: dated signs that a company is about to buy. A sign is worth half as much after its half-life.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Decaying, Model};
use super::{Evidence, Inputs};
use crate::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    Funding,
    Hiring,
    Migration,
}

crate::text::text_enum!(SignalKind, Funding = "funding", Hiring = "hiring", Migration = "migration");

/// Something that happened at a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub kind: SignalKind,
    /// When it happened; one dated later than now counts as of today.
    pub at: Time,
    /// What happened, in a few words.
    pub what: String,
}

const DAY_MS: i64 = 86_400_000;

/// What is left of `points` after `age_ms`: halved for each half-life, straight lines between. Whole points, never rising with age.
fn decayed(Decaying { points, half_life_days, .. }: Decaying, age_ms: i64) -> u32 {
    let half = i64::from(half_life_days.max(1)) * DAY_MS;
    let age = age_ms.max(0);
    let (halvings, rest) = (age / half, age % half);
    if halvings >= 31 {
        return 0;
    }
    // points / 2^halvings * (1 - rest / (2 * half)), in one division.
    let left = i128::from(points) * i128::from(2 * half - rest) / (i128::from(2 * half) << halvings);
    u32::try_from(left).unwrap_or(0)
}

pub(super) fn judge(model: &Model, inputs: &Inputs<'_>) -> Vec<Evidence> {
    let mut found: Vec<(u32, &Signal)> = Vec::new();
    for (kind, weight) in &model.intent.kinds {
        let of_kind = inputs.signals.iter().filter(|signal| signal.kind == *kind);
        let mut worth: Vec<(u32, &Signal)> = of_kind.map(|s| (decayed(*weight, inputs.now.since(s.at)), s)).collect();
        // In an order that does not depend on the one that they came in.
        worth.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| y.at.cmp(&x.at)).then_with(|| x.what.cmp(&y.what)));
        worth.truncate(weight.at_most);
        found.extend(worth);
    }
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| (x.kind, y.at, &x.what).cmp(&(y.kind, x.at, &y.what))));
    let mut room = model.intent.max;
    let mut evidence = Vec::new();
    for (points, signal) in found {
        let points = points.min(room);
        room -= points;
        if points > 0 {
            let factor = format!("intent.{}", signal.kind.as_str());
            evidence.push(Evidence { factor, points, value: signal.what.clone().into(), as_of: Some(signal.at.min(inputs.now)) });
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_at_each_half_life_and_never_rises() {
        let weight = Decaying { points: 12, half_life_days: 90, at_most: 1 };
        let after = |days: i64| decayed(weight, days * DAY_MS);
        assert_eq!([after(0), after(45), after(90), after(180), after(270), after(3_000)], [12, 9, 6, 3, 1, 0]);
        assert_eq!(after(-5), 12);
        assert!((0..2_000).all(|day| after(day + 1) <= after(day)));
    }
}

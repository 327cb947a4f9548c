//! Sums of costs, and their division by day, campaign or agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CostCategory, CostUnit};
use crate::{CampaignId, Date, Micros};

/// What was spent by category, and on how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub amounts: BTreeMap<CostCategory, Micros>,
    pub units: BTreeMap<CostUnit, i64>,
}

impl Sums {
    pub fn add(&mut self, other: &Self) {
        for (category, amount) in &other.amounts {
            self.amounts.entry(*category).or_default().0 += amount.0;
        }
        for (unit, count) in &other.units {
            *self.units.entry(*unit).or_default() += count;
        }
    }

    pub fn amount(&self, category: CostCategory) -> Micros {
        self.amounts.get(&category).copied().unwrap_or(Micros::ZERO)
    }

    pub fn total(&self) -> Micros {
        Micros(self.amounts.values().map(|amount| amount.0).sum())
    }

    pub fn count(&self, unit: CostUnit) -> i64 {
        self.units.get(&unit).copied().unwrap_or(0)
    }

    /// The total divided by a count, rounded to the nearest micro-unit; `None` for a count of 0.
    pub fn per(&self, unit: CostUnit) -> Option<Micros> {
        let (total, count) = (i128::from(self.total().0), i128::from(self.count(unit)));
        (count > 0).then(|| {
            let rounded = (total * 2 + count).div_euclid(count * 2);
            Micros(i64::try_from(rounded).unwrap_or(i64::MAX))
        })
    }
}

/// What costs are divided by in a breakdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    Agent,
    Campaign,
    Day,
}
crate::text::text_enum!(Grouping, Agent = "agent", Campaign = "campaign", Day = "day");

/// The part of the costs that a group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The agent, campaign or day; none for costs that have no such thing.
    pub key: Option<String>,
    pub sums: Sums,
}

/// The sums of all rows, and of each group: days in their order, others by what they cost, dearest first. Each row is in exactly one group,
/// so the groups add up to the total.
pub fn add_up<'a>(
    rows: impl IntoIterator<Item = (Date, Option<CampaignId>, Option<&'a str>, &'a Sums)>,
    grouping: Option<Grouping>,
) -> (Sums, Vec<Group>) {
    let (mut total, mut groups) = (Sums::default(), BTreeMap::<Option<String>, Sums>::new());
    for (day, campaign, agent, sums) in rows {
        total.add(sums);
        let key = match grouping {
            None => continue,
            Some(Grouping::Day) => Some(day.to_string()),
            Some(Grouping::Campaign) => campaign.map(|id| id.to_string()),
            Some(Grouping::Agent) => agent.map(str::to_owned),
        };
        groups.entry(key).or_default().add(sums);
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(key, sums)| Group { key, sums }).collect();
    if grouping != Some(Grouping::Day) {
        // Stable, so equal costs stay in the order of their keys.
        groups.sort_by_key(|group| std::cmp::Reverse(group.sums.total()));
    }
    (total, groups)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    type Row = (Date, Option<CampaignId>, Option<&'static str>, Sums);

    fn any_row() -> impl Strategy<Value = Row> {
        let sums = (
            prop::collection::vec((0_usize..4, -1_000_000_i64..1_000_000_000), 0..4),
            prop::collection::vec((0_usize..3, 0_i64..100), 0..3),
        );
        let agents = prop::sample::select(vec![None, Some("writer"), Some("researcher")]);
        (0_i64..40, prop::option::of(0_u128..4), agents, sums).prop_map(|(day, campaign, agent, (amounts, units))| {
            let first: Date = "2026-01-31".parse().unwrap();
            let mut sums = Sums::default();
            for (category, micros) in amounts {
                sums.amounts.insert(CostCategory::ALL[category], Micros(micros));
            }
            for (unit, count) in units {
                sums.units.insert(CostUnit::ALL[unit], count);
            }
            (first.plus_days(day), campaign.map(|n| CampaignId::from_uuid(Uuid::from_u128(n))), agent, sums)
        })
    }

    proptest! {
        #[test]
        fn groups_add_up_exactly_however_they_are_made(rows in prop::collection::vec(any_row(), 0..60)) {
            let given = || rows.iter().map(|(day, campaign, agent, sums)| (*day, *campaign, *agent, sums));
            let (total, none) = add_up(given(), None);
            prop_assert!(none.is_empty());
            let spent: i64 = rows.iter().map(|row| row.3.amounts.values().map(|m| m.0).sum::<i64>()).sum();
            prop_assert_eq!(total.total(), Micros(spent));
            for grouping in Grouping::ALL {
                let (same, groups) = add_up(given(), Some(*grouping));
                prop_assert_eq!(&same, &total);
                let mut back = Sums::default();
                groups.iter().for_each(|group| back.add(&group.sums));
                prop_assert_eq!(&back, &total);
                let mut keys: Vec<_> = groups.iter().map(|group| group.key.clone()).collect();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), groups.len());
            }
        }

        #[test]
        fn a_share_is_never_off_by_more_than_half_a_micro_unit(total in -1_000_000_i64..10_000_000_000, count in 1_i64..1_000_000) {
            let mut sums = Sums::default();
            sums.amounts.insert(CostCategory::ChannelCosts, Micros(total));
            sums.units.insert(CostUnit::Sent, count);
            let share = i128::from(sums.per(CostUnit::Sent).unwrap().0);
            prop_assert!((share * i128::from(count) - i128::from(total)).abs() * 2 <= i128::from(count));
        }
    }

    #[rstest]
    #[case(100, 0, None)]
    #[case(100, 3, Some(33))]
    #[case(200, 3, Some(67))]
    #[case(1, 2, Some(1))]
    #[case(0, 5, Some(0))]
    fn shares(#[case] total: i64, #[case] count: i64, #[case] share: Option<i64>) {
        let mut sums = Sums::default();
        sums.amounts.insert(CostCategory::AiInference, Micros(total));
        sums.units.insert(CostUnit::Meeting, count);
        assert_eq!(sums.per(CostUnit::Meeting), share.map(Micros));
        assert_eq!(sums.per(CostUnit::Reply), None);
    }
}

//! How a lead's status follows what happens: only ever forwards.

use super::LeadStatus;
use super::LeadStatus::{Bounced, Contacted, Converted, Enriched, Meeting, New, Replied, Scored, Unsubscribed};

impl LeadStatus {
    /// The status of a lead that has this one when something happens that stands for `next`; `None` if it stays as it is.
    ///
    /// The way is new, enriched, scored, contacted, replied, meeting, converted, and nothing leads back on it. `unsubscribed` and `bounced`
    /// end it: no message of ours leads out of them, only what the person does (whoever answers is reached after all, and who books a
    /// meeting wants one). A customer who unsubscribes stays a customer; the suppression list keeps messages from them. A dead
    /// address takes nothing from a meeting that was agreed.
    pub const fn advanced(self, next: Self) -> Option<Self> {
        let moves = match (self, next) {
            (Unsubscribed, Meeting | Converted) | (Bounced, Replied | Meeting | Converted | Unsubscribed) => true,
            (Unsubscribed | Bounced, _) => false,
            (Converted, Unsubscribed) | (Meeting | Converted, Bounced) => false,
            (_, Unsubscribed | Bounced) => true,
            _ => next.place() > self.place(),
        };
        if moves { Some(next) } else { None }
    }

    const fn place(self) -> u8 {
        match self {
            New => 0,
            Enriched => 1,
            Scored => 2,
            Contacted => 3,
            Replied => 4,
            Meeting => 5,
            Converted => 6,
            // Not on the way.
            Unsubscribed | Bounced => 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// For each status, those that it becomes when they happen.
    #[rstest]
    #[case(New, &[Enriched, Scored, Contacted, Replied, Meeting, Converted, Unsubscribed, Bounced])]
    #[case(Enriched, &[Scored, Contacted, Replied, Meeting, Converted, Unsubscribed, Bounced])]
    #[case(Scored, &[Contacted, Replied, Meeting, Converted, Unsubscribed, Bounced])]
    #[case(Contacted, &[Replied, Meeting, Converted, Unsubscribed, Bounced])]
    #[case(Replied, &[Meeting, Converted, Unsubscribed, Bounced])]
    #[case(Meeting, &[Converted, Unsubscribed])]
    #[case(Converted, &[])]
    #[case(Unsubscribed, &[Meeting, Converted])]
    #[case(Bounced, &[Replied, Meeting, Converted, Unsubscribed])]
    fn every_pair(#[case] from: LeadStatus, #[case] to: &[LeadStatus]) {
        for next in LeadStatus::ALL {
            assert_eq!(from.advanced(*next), to.contains(next).then_some(*next), "{from} -> {next}");
        }
    }

    #[test]
    fn whatever_happens_in_whatever_order_it_comes_to_rest() {
        for a in LeadStatus::ALL {
            for b in LeadStatus::ALL {
                // Told twice is told once.
                let after = |from: LeadStatus, next: LeadStatus| from.advanced(next).unwrap_or(from);
                let once = after(after(New, *a), *b);
                assert_eq!(after(once, *b), once, "{a}, {b}, {b}");
            }
        }
    }
}

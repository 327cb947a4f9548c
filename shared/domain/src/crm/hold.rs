//! What won deals do to their company.

use serde::{Deserialize, Serialize};

use super::CompanyStatus;

/// How many won deals hold a company, and what it was before the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub won: u32,
    pub before: CompanyStatus,
}

impl Hold {
    /// One more won deal: the company is active.
    pub fn take(hold: Option<Self>, status: CompanyStatus) -> (Option<Self>, CompanyStatus) {
        let before = hold.map_or(status, |h| h.before);
        let won = hold.map_or(0, |h| h.won) + 1;
        (Some(Self { won, before }), CompanyStatus::Active)
    }

    /// One won deal less: with the last one the company is what it was before, unless somebody has said since what it is.
    pub fn release(hold: Option<Self>, status: CompanyStatus) -> (Option<Self>, CompanyStatus) {
        match hold {
            Some(Self { won, before }) if won > 1 => (Some(Self { won: won - 1, before }), status),
            Some(Self { before, .. }) if status == CompanyStatus::Active => (None, before),
            _ => (None, status),
        }
    }

    /// What a company is once another one, and what holds that, is merged into it.
    pub fn join(hold: Option<Self>, status: CompanyStatus, other: Option<Self>) -> (Option<Self>, CompanyStatus) {
        let Some(other) = other else { return (hold, status) };
        let (won, before) = hold.map_or((0, status), |h| (h.won, h.before));
        (Some(Self { won: won + other.won, before }), CompanyStatus::Active)
    }
}

#[cfg(test)]
mod tests {
    use super::CompanyStatus::{Active, Inactive, Prospect};
    use super::*;

    #[test]
    fn the_last_one_gives_back_what_the_first_one_took() {
        for before in [Prospect, Inactive, Active] {
            let (one, status) = Hold::take(None, before);
            assert_eq!(status, Active);
            let (two, status) = Hold::take(one, status);
            let (one, status) = Hold::release(two, status);
            assert_eq!((one.map(|h| h.won), status), (Some(1), Active));
            assert_eq!(Hold::release(one, status), (None, before));
        }
    }

    #[test]
    fn a_merged_company_brings_its_wins() {
        let held = |won, before| Some(Hold { won, before });
        assert_eq!(Hold::join(None, Prospect, None), (None, Prospect));
        assert_eq!(Hold::join(None, Prospect, held(2, Inactive)), (held(2, Prospect), Active));
        assert_eq!(Hold::join(held(1, Inactive), Active, held(2, Prospect)), (held(3, Inactive), Active));
    }

    #[test]
    fn what_somebody_said_meanwhile_stays() {
        let (one, _) = Hold::take(None, Prospect);
        assert_eq!(Hold::release(one, Inactive), (None, Inactive));
        assert_eq!(Hold::release(None, Active), (None, Active));
        // A win after that is a win like the first.
        let (two, status) = Hold::take(one, Inactive);
        assert_eq!((two.map(|h| (h.won, h.before)), status), (Some((2, Prospect)), Active));
    }
}

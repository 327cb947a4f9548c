//! The stages of a deal.

use super::names::words;

words! {
    /// Where a deal stands. Every stage can be left for every other one.
    Stage {
        New = "new",
        Contacted = "contacted",
        Qualified = "qualified",
        Proposal = "proposal",
        Negotiation = "negotiation",
        Won = "won",
        Lost = "lost",
    }
}

impl Stage {
    /// Neither won nor lost.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Won | Self::Lost)
    }

    /// The chance of winning, in percent, of a deal for which nobody said another.
    pub const fn default_probability(self) -> u8 {
        match self {
            Self::New => 10,
            Self::Contacted => 20,
            Self::Qualified => 40,
            Self::Proposal => 60,
            Self::Negotiation => 80,
            Self::Won => 100,
            Self::Lost => 0,
        }
    }

    /// The chance of winning, in percent. What somebody said counts as long as the deal is open.
    pub fn probability(self, said: Option<u8>) -> u8 {
        said.filter(|_| self.is_open()).unwrap_or(self.default_probability())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_further_a_deal_the_likelier() {
        let open: Vec<u8> = Stage::ALL.iter().filter(|s| s.is_open()).map(|s| s.default_probability()).collect();
        assert_eq!(open, [10, 20, 40, 60, 80]);
        assert_eq!(Stage::ALL.iter().filter(|s| !s.is_open()).count(), 2);
    }

    #[test]
    fn a_closed_deal_is_certain() {
        for (stage, said, shown) in [
            (Stage::Proposal, None, 60),
            (Stage::Proposal, Some(5), 5),
            (Stage::New, Some(0), 0),
            (Stage::Won, Some(5), 100),
            (Stage::Won, None, 100),
            (Stage::Lost, Some(95), 0),
        ] {
            assert_eq!(stage.probability(said), shown, "{stage} {said:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(*stage));
            assert_eq!(serde_json::to_value(stage).ok(), Some(stage.as_str().into()));
        }
        assert!("WON".parse::<Stage>().is_err());
    }
}

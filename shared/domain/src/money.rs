//! Money as whole micro-units (a millionth of the currency's major unit): sums are exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount in micro-units. In JSON answers a decimal string in major units (`"0.0042"`), in requests that or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

#[derive(Debug, thiserror::Error)]
#[error("must be an amount with at most six decimal places, such as \"12.50\"")]
pub struct NotAnAmount;

impl Micros {
    pub const ZERO: Self = Self(0);
    const UNIT: i64 = 1_000_000;
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, abs) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, part) = (abs / Self::UNIT.unsigned_abs(), abs % Self::UNIT.unsigned_abs());
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Micros {
    type Err = NotAnAmount;
    fn from_str(s: &str) -> Result<Self, NotAnAmount> {
        let (negative, digits) = s.strip_prefix('-').map_or((false, s), |rest| (true, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || part.len() > 6 {
            return Err(NotAnAmount);
        }
        let whole: i64 = whole.parse().map_err(|_| NotAnAmount)?;
        let part: i64 = format!("{part:0<6}").parse().map_err(|_| NotAnAmount)?;
        let total = whole.checked_mul(Self::UNIT).and_then(|w| w.checked_add(part)).ok_or(NotAnAmount)?;
        Ok(Self(if negative { -total } else { total }))
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        match Form::deserialize(d)? {
            Form::Text(s) => s.parse(),
            // The shortest text of the number is what the caller wrote; arithmetic on the float would not be.
            Form::Number(n) => n.to_string().parse(),
        }
        .map_err(de::Error::custom)
    }
}

crate::text::string_schema!(Micros, "Money", "decimal", "12.50");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trips_exactly() {
        for (text, micros, shown) in
            [("0.0042", 4_200, "0.0042"), ("12.50", 12_500_000, "12.5"), ("7", 7_000_000, "7"), ("-0.000001", -1, "-0.000001")]
        {
            let m: Micros = text.parse().unwrap();
            assert_eq!((m.0, m.to_string().as_str()), (micros, shown));
        }
        assert_eq!(serde_json::from_str::<Micros>("0.1").unwrap(), Micros(100_000));
        assert_eq!(serde_json::to_string(&Micros(100_000)).unwrap(), "\"0.1\"");
        for bad in ["", "1.", ".5", "1.0000001", "1e3", "ten", "99999999999999999999"] {
            assert!(bad.parse::<Micros>().is_err(), "{bad}");
        }
    }
}

//! Currencies by their ISO 4217 codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The codes in use (ISO 4217 list one, without metals, funds and test codes), sorted.
const CODES: &str = "\
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP \
CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD \
JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// A currency in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// A text names no currency.
#[derive(Debug, thiserror::Error)]
#[error("is not an ISO 4217 currency code, such as EUR")]
pub struct NotACurrency;

impl Currency {
    /// What an amount is in when its currency is not said.
    pub const DEFAULT: Self = Self(*b"USD");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("USD")
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(s: &str) -> Result<Self, NotACurrency> {
        let code = s.trim().to_ascii_uppercase();
        let found = CODES.split(' ').find(|known| *known == code).and_then(|known| known.as_bytes().try_into().ok());
        found.map(Self).ok_or(NotACurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

crate::text::string_schema!(Currency, "Currency", "iso-4217", "EUR");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_in_any_case() {
        assert!(CODES.split(' ').all(|code| code.len() == 3) && CODES.split(' ').is_sorted());
        assert_eq!(" eur".parse::<Currency>().ok().map(|c| c.to_string()).as_deref(), Some("EUR"));
        assert_eq!("USD".parse::<Currency>().ok(), Some(Currency::DEFAULT));
        for bad in ["", "EURO", "US", "XXX", "ABC", "EUR USD", "€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}

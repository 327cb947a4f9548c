//! Addresses that a person can be reached at, in one normal form each, so that equal addresses are equal texts.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $format:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = AddressError;
            fn try_from(value: String) -> Result<Self, AddressError> {
                Self::parse(&value)
            }
        }
        crate::text::string_schema!($name, stringify!($name), $format, $example);
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is not a valid e-mail address")]
    Email,
    #[error("is not a valid phone number; write it with its country code, such as +14155550123")]
    Phone,
    #[error("is not a LinkedIn profile URL, such as https://www.linkedin.com/in/name")]
    Linkedin,
    #[error("is not a domain name, such as example.com")]
    Domain,
    #[error("is not an http or https URL")]
    Url,
}

address!(
    /// An e-mail address (RFC 5321 limits: 64 + 1 + 254 characters at most), lower-cased whole: no mail system that
    /// matters tells local parts apart by case, and people are found twice when we do.
    Email, "email", "ada@example.com"
);

impl Email {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Email)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
        let domain = Domain::parse_host(domain).ok_or(AddressError::Email)?;
        if !local_ok || text.len() > 254 {
            return Err(AddressError::Email);
        }
        Ok(Self(format!("{}@{domain}", local.to_lowercase())))
    }

    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

address!(
    /// A phone number in E.164 form (`+14155550123`).
    Phone, "phone", "+14155550123"
);

impl Phone {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let international = text.strip_prefix("00").map(|rest| format!("+{rest}"));
        let text = international.as_deref().unwrap_or(text);
        if !text.starts_with('+') || text.len() > 40 {
            return Err(AddressError::Phone);
        }
        // The library knows each country's trunk prefixes and separators. Numbers that it has no plan for (new ranges, test
        // numbers) still are E.164 when they have the bare form.
        let parsed = phonenumber::parse(None, text).map(|n| n.format().mode(phonenumber::Mode::E164).to_string());
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
        let e164 = parsed.ok().filter(|e164| is_e164(e164)).unwrap_or(digits);
        if !is_e164(&e164) {
            return Err(AddressError::Phone);
        }
        Ok(Self(e164))
    }
}

/// ITU-T E.164: a country code that does not begin with 0, at most 15 digits; no subscriber anywhere has fewer than 7.
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

address!(
    /// A LinkedIn profile URL as `https://www.linkedin.com/in/<name>`: host, scheme, query and case differ between copies
    /// of the same link.
    LinkedinUrl, "uri", "https://www.linkedin.com/in/ada-lovelace"
);

impl LinkedinUrl {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = url::Url::parse(&with_scheme).map_err(|_| AddressError::Linkedin)?;
        let host = url.host_str().unwrap_or_default();
        let known_host = host == "linkedin.com" || host.ends_with(".linkedin.com");
        let mut parts = url.path_segments().into_iter().flatten().filter(|s| !s.is_empty());
        let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !known_host || !matches!(url.scheme(), "http" | "https") || name.is_empty() || name.len() > 200 {
            return Err(AddressError::Linkedin);
        }
        match kind.to_ascii_lowercase().as_str() {
            kind @ ("in" | "pub") => Ok(Self(format!("https://www.linkedin.com/{kind}/{}", name.to_lowercase()))),
            _ => Err(AddressError::Linkedin),
        }
    }
}

address!(
    /// A domain name in its ASCII (punycode) lower-case form, without scheme, path or leading `www.`.
    Domain, "hostname", "example.com"
);

impl Domain {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let host = text.split_once("://").map_or(text, |(_, rest)| rest);
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = host.split_once(':').map_or((host, None), |(h, p)| (h, Some(p)));
        let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok());
        // An explicit port is kept: it names a site on the local network, reachable only where that is allowed.
        let host = Self::parse_host(host).filter(|_| port_ok).ok_or(AddressError::Domain)?;
        let host = host.strip_prefix("www.").filter(|h| h.contains('.')).unwrap_or(&host);
        Ok(Self(port.map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"))))
    }

    /// A bare host name of at least two labels, normalised.
    fn parse_host(host: &str) -> Option<String> {
        let host = host.trim_end_matches('.');
        let ascii = match url::Host::parse(host).ok()? {
            url::Host::Domain(name) => name,
            _ => return None,
        };
        let labels_ok = ascii.split('.').all(|l| {
            (1..=63).contains(&l.len())
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
        (labels_ok && ascii.contains('.') && ascii.len() <= 253).then_some(ascii)
    }
}

/// An absolute http(s) URL of at most 2,048 characters.
pub fn parse_url(text: &str) -> Result<String, AddressError> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&with_scheme).map_err(|_| AddressError::Url)?;
    let ok = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| h.contains('.') || h == "localhost");
    if !ok || with_scheme.len() > 2048 { Err(AddressError::Url) } else { Ok(url.into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn emails() {
        for (text, normal) in [
            (" Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"),
            ("o'brien+tag@mail.example.co.uk", "o'brien+tag@mail.example.co.uk"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), normal);
        }
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "ada@localhost",
            ".a@example.com",
            "a..b@example.com",
            "ada@exa mple.com",
            "ada@-x.com",
            "ada@127.0.0.1",
            "a@b@example.com",
            "ada\r\n@example.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn phones() {
        for (text, normal) in
            [("+1 (415) 555-0123", "+14155550123"), ("0044 20 7946 0958", "+442079460958"), ("+910000000000", "+910000000000")]
        {
            assert_eq!(Phone::parse(text).unwrap().as_str(), normal);
        }
        for bad in ["", "4155550123", "+1", "+abc", "+123456789012345678"] {
            assert!(Phone::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn linkedin_urls() {
        for text in [
            "https://www.linkedin.com/in/Ada-Lovelace/",
            "http://uk.linkedin.com/in/ada-lovelace?trk=x",
            "linkedin.com/in/ada-lovelace#top",
        ] {
            assert_eq!(LinkedinUrl::parse(text).unwrap().as_str(), "https://www.linkedin.com/in/ada-lovelace");
        }
        for bad in ["", "https://example.com/in/ada", "https://linkedin.com/company/x", "https://linkedin.com.evil.example/in/a"]
        {
            assert!(LinkedinUrl::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn domains() {
        for (text, normal) in [
            ("https://www.Example.com/about?x=1", "example.com"),
            ("EXAMPLE.co.uk.", "example.co.uk"),
            ("site.test:8080", "site.test:8080"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), normal);
        }
        for bad in ["", "localhost", "10.0.0.1", "not a domain", "-a.com", "example.com:99999"] {
            assert!(Domain::parse(bad).is_err(), "{bad:?}");
        }
    }
}

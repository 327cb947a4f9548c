//! What a webhook's URL, or any URL that a tenant asks us to call, may look like.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::address::NetworkPolicy;

/// Longest URL accepted, in bytes.
pub const MAX_URL_LENGTH: usize = 2048;

/// Names that never belong to a public host; a suffix covers the name itself too.
const LOCAL_SUFFIXES: &[&str] = &["localhost", "local", "localdomain", "internal", "home.arpa", "lan"];

/// A URL that may be called under the policy it was parsed with.
///
/// That its host is a name says nothing yet about the addresses behind it: those are checked when a connection is made.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    text: String,
    url: Url,
}

/// Why a URL is refused; displays as a sentence for the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Longer than [`MAX_URL_LENGTH`].
    #[error("the URL is longer than {MAX_URL_LENGTH} bytes")]
    TooLong,
    /// Not an absolute URL, or one with blanks or control characters in it.
    #[error("this is not a valid absolute URL")]
    Invalid,
    /// Another scheme than https (or http, with local targets allowed).
    #[error("the URL must begin with https://")]
    Scheme,
    /// `user:password@` in the URL.
    #[error("the URL must not contain a user name or password")]
    Credentials,
    /// `#...` in the URL: it would never be sent.
    #[error("the URL must not contain a fragment (#)")]
    Fragment,
    /// A port other than 443.
    #[error("the URL must use port 443")]
    Port,
    /// A name that only means something inside a network.
    #[error("the host name is local: a public host is needed")]
    LocalName,
    /// An address literal in a range that must not be reached.
    #[error("the host is not a public internet address")]
    Address,
}

impl EndpointUrl {
    /// Checks `text` against the rules: https on port 443 (any port and http with local targets allowed), a public host, no
    /// credentials, no fragment, at most [`MAX_URL_LENGTH`] bytes.
    ///
    /// Numeric spellings of IPv4 addresses (`2130706433`, `0177.0.0.1`, `0x7f.1`) are read as the addresses they are, the
    /// way browsers and HTTP clients do (WHATWG URL).
    pub fn parse(text: &str, policy: NetworkPolicy) -> Result<Self, UrlFault> {
        if text.len() > MAX_URL_LENGTH {
            return Err(UrlFault::TooLong);
        }
        // The parser would quietly drop tabs and newlines, and what is stored would not be what is called.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(UrlFault::Invalid);
        }
        let url = Url::parse(text).map_err(|_| UrlFault::Invalid)?;
        check(&url, policy)?;
        Ok(Self { text: text.to_owned(), url })
    }

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The address, where the host is a literal one and no name has to be resolved.
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Shows the host only: paths and queries of webhook URLs often hold tokens.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({}://{}/..)", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }
}

fn check(url: &Url, policy: NetworkPolicy) -> Result<(), UrlFault> {
    match url.scheme() {
        "https" => {}
        "http" if policy.allow_local => {}
        _ => return Err(UrlFault::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlFault::Fragment);
    }
    // The parser drops the scheme's own port, so `Some` is always another one.
    match url.port() {
        None => {}
        Some(port) if policy.allow_local && port != 0 => {}
        Some(_) => return Err(UrlFault::Port),
    }
    match url.host().ok_or(UrlFault::Invalid)? {
        Host::Domain(name) => check_name(name, policy),
        Host::Ipv4(ip) => check_address(ip.into(), policy),
        Host::Ipv6(ip) => check_address(ip.into(), policy),
    }
}

fn check_address(ip: IpAddr, policy: NetworkPolicy) -> Result<(), UrlFault> {
    if policy.permits(ip) { Ok(()) } else { Err(UrlFault::Address) }
}

/// `name` is lower-case ASCII already: the URL parser has applied IDNA to it.
fn check_name(name: &str, policy: NetworkPolicy) -> Result<(), UrlFault> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // RFC 1035: 253 characters, labels of 1 to 63. Refused here because no resolver would answer.
    let labels_fit = name.split('.').all(|label| (1..=63).contains(&label.len()));
    if name.len() > 253 || !labels_fit {
        return Err(UrlFault::Invalid);
    }
    if policy.allow_local {
        return Ok(());
    }
    // A name without a dot would be completed with the network's own search domains.
    let local = !name.contains('.')
        || LOCAL_SUFFIXES
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    if local { Err(UrlFault::LocalName) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn public(text: &str) -> Result<EndpointUrl, UrlFault> {
        EndpointUrl::parse(text, NetworkPolicy::PUBLIC_ONLY)
    }

    #[rstest]
    #[case("https://example.com")]
    #[case("https://example.com/")]
    #[case("https://example.com:443/hook?a=b")]
    #[case("https://hooks.example.co.uk./x")]
    #[case("HTTPS://EXAMPLE.com/Hook")]
    #[case("https://8.8.8.8/")]
    #[case("https://[2606:4700:4700::1111]/")]
    #[case("https://bücher.example/")]
    #[case("https://notlocal.com/")]
    #[case("https://internal.example.com/")]
    #[case("https://mylocalhost.io/")]
    fn accepted(#[case] text: &str) {
        assert_eq!(public(text).unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", UrlFault::Invalid)]
    #[case("example.com/hook", UrlFault::Invalid)]
    #[case("/hook", UrlFault::Invalid)]
    #[case("https://", UrlFault::Invalid)]
    #[case("https://exa mple.com/", UrlFault::Invalid)]
    #[case(" https://example.com/", UrlFault::Invalid)]
    #[case("https://exam\nple.com/", UrlFault::Invalid)]
    #[case("https://example.com/\u{0}", UrlFault::Invalid)]
    #[case("https://a..b.example/", UrlFault::Invalid)]
    #[case("https://[fe80::1%25eth0]/", UrlFault::Invalid)]
    #[case("https://[fe80::1%eth0]/", UrlFault::Invalid)]
    #[case("https://256.256.256.256/", UrlFault::Invalid)]
    #[case("https://1.2.3.4.5/", UrlFault::Invalid)]
    #[case("http://example.com/", UrlFault::Scheme)]
    #[case("ftp://example.com/", UrlFault::Scheme)]
    #[case("file:///etc/passwd", UrlFault::Scheme)]
    #[case("gopher://example.com/", UrlFault::Scheme)]
    #[case("javascript:alert(1)", UrlFault::Scheme)]
    #[case("https://user@example.com/", UrlFault::Credentials)]
    #[case("https://user:pass@example.com/", UrlFault::Credentials)]
    #[case("https://:pass@example.com/", UrlFault::Credentials)]
    #[case("https://8.8.8.8@127.0.0.1/", UrlFault::Credentials)]
    #[case("https://example.com/#frag", UrlFault::Fragment)]
    #[case("https://example.com/#", UrlFault::Fragment)]
    #[case("https://example.com:80/", UrlFault::Port)]
    #[case("https://example.com:8443/", UrlFault::Port)]
    #[case("https://example.com:0/", UrlFault::Port)]
    #[case("https://localhost/", UrlFault::LocalName)]
    #[case("https://LOCALHOST/", UrlFault::LocalName)]
    #[case("https://localhost./", UrlFault::LocalName)]
    #[case("https://a.localhost/", UrlFault::LocalName)]
    #[case("https://printer.local/", UrlFault::LocalName)]
    #[case("https://PRINTER.Local./", UrlFault::LocalName)]
    #[case("https://metadata.google.internal/", UrlFault::LocalName)]
    #[case("https://ip-10-0-0-1.eu-west-1.compute.internal/", UrlFault::LocalName)]
    #[case("https://localhost.localdomain/", UrlFault::LocalName)]
    #[case("https://router.home.arpa/", UrlFault::LocalName)]
    #[case("https://intranet/", UrlFault::LocalName)]
    #[case("https://ｌｏｃａｌｈｏｓｔ/", UrlFault::LocalName)]
    #[case("https://127.0.0.1/", UrlFault::Address)]
    #[case("https://127.0.0.1./", UrlFault::Address)]
    #[case("https://127.1/", UrlFault::Address)]
    #[case("https://2130706433/", UrlFault::Address)]
    #[case("https://017700000001/", UrlFault::Address)]
    #[case("https://0177.0.0.1/", UrlFault::Address)]
    #[case("https://0x7f000001/", UrlFault::Address)]
    #[case("https://0x7F.0.0.0x1/", UrlFault::Address)]
    #[case("https://0/", UrlFault::Address)]
    #[case("https://１２７.0.0.1/", UrlFault::Address)]
    #[case("https://127。0。0。1/", UrlFault::Address)]
    #[case("https://%31%32%37.0.0.1/", UrlFault::Address)]
    #[case("https://169.254.169.254/latest/meta-data/", UrlFault::Address)]
    #[case("https://10.1.2.3/", UrlFault::Address)]
    #[case("https://[::1]/", UrlFault::Address)]
    #[case("https://[::]/", UrlFault::Address)]
    #[case("https://[::ffff:127.0.0.1]/", UrlFault::Address)]
    #[case("https://[::ffff:7f00:1]/", UrlFault::Address)]
    #[case("https://[0:0:0:0:0:FFFF:A9FE:A9FE]/", UrlFault::Address)]
    #[case("https://[fd00:ec2::254]/", UrlFault::Address)]
    #[case("https://[fe80::1]/", UrlFault::Address)]
    #[case("https://[64:ff9b::10.0.0.1]/", UrlFault::Address)]
    fn refused(#[case] text: &str, #[case] fault: UrlFault) {
        assert_eq!(public(text), Err(fault), "{text}");
    }

    #[test]
    fn length_is_limited() {
        let url = |n: usize| format!("https://example.com/{}", "a".repeat(n - 20));
        assert!(public(&url(MAX_URL_LENGTH)).is_ok());
        assert_eq!(public(&url(MAX_URL_LENGTH + 1)), Err(UrlFault::TooLong));
    }

    #[rstest]
    #[case("http://127.0.0.1:9000/hook", None)]
    #[case("http://localhost:9000/", None)]
    #[case("https://[::1]:8443/", None)]
    #[case("http://receiver:80/", None)]
    #[case("https://example.com/", None)]
    #[case("http://10.0.0.1/", Some(UrlFault::Address))]
    #[case("http://169.254.169.254/", Some(UrlFault::Address))]
    #[case("http://0.0.0.0:9000/", Some(UrlFault::Address))]
    #[case("http://127.0.0.1:0/", Some(UrlFault::Port))]
    #[case("ftp://127.0.0.1/", Some(UrlFault::Scheme))]
    #[case("http://u:p@127.0.0.1/", Some(UrlFault::Credentials))]
    fn with_local_targets(#[case] text: &str, #[case] fault: Option<UrlFault>) {
        assert_eq!(EndpointUrl::parse(text, NetworkPolicy::WITH_LOCAL).err(), fault, "{text}");
    }

    #[test]
    fn debug_hides_the_path() {
        let url = public("https://example.com/T000/token?key=hunter2").unwrap();
        assert_eq!(format!("{url:?}"), "EndpointUrl(https://example.com/..)");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = public(&text);
            let _ = public(&format!("https://{text}"));
        }

        #[test]
        fn every_spelling_of_an_address_gets_the_same_verdict(bits in any::<u32>()) {
            let dotted = std::net::Ipv4Addr::from_bits(bits);
            let verdict = public(&format!("https://{dotted}/")).err();
            for spelling in [format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"), format!("{dotted}.")] {
                prop_assert_eq!(public(&format!("https://{spelling}/")).err(), verdict, "{}", spelling);
            }
        }
    }
}

//! Why a call brought no answer, in words that may be shown to the tenant: nothing about our own network in them.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use axle_domain::webhook::UrlFault;
use rustls::{CertificateError, Error as TlsError};

use super::resolver::ResolveError;

/// Why a call was not made at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The URL itself breaks a rule.
    #[error("{0}")]
    Url(#[from] UrlFault),
    /// The host's name leads to a forbidden address.
    #[error("the host does not resolve to public internet addresses only")]
    Address,
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Our own rules forbid the call; nothing was sent.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The name does not resolve (now).
    #[error("the host name does not resolve")]
    Dns,
    /// No connection came about.
    #[error("could not connect: {0}")]
    Connect(&'static str),
    /// Nothing, or not everything, arrived in time.
    #[error("no answer within {}", seconds(*.0))]
    Timeout(Duration),
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(&'static str),
    /// The body exceeds [`BodyLimit::Whole`](super::BodyLimit::Whole).
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Anything else, such as an answer that is not HTTP.
    #[error("{0}")]
    Other(&'static str),
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::Dns,
            ResolveError::Forbidden => Refusal::Address.into(),
        }
    }
}

/// Sorts reqwest's errors by the causes inside them.
pub(super) fn classify(error: &reqwest::Error, connect_timeout: Duration) -> Error {
    if let Some(cause) = find::<ResolveError>(error) {
        return match cause {
            ResolveError::NotFound => Error::Dns,
            ResolveError::Forbidden => Refusal::Address.into(),
        };
    }
    if let Some(cause) = find::<TlsError>(error) {
        return Error::Tls(tls_cause(cause));
    }
    // The only timeout that reqwest itself keeps is the one for connecting.
    if error.is_timeout() {
        return Error::Timeout(connect_timeout);
    }
    let io_kind = find::<io::Error>(error).map(io::Error::kind);
    if error.is_connect() {
        return Error::Connect(match io_kind {
            Some(io::ErrorKind::ConnectionRefused) => "connection refused",
            Some(io::ErrorKind::ConnectionReset) => "connection reset",
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "host unreachable",
            Some(io::ErrorKind::UnexpectedEof) => "the connection was closed during the handshake",
            _ => "no connection",
        });
    }
    Error::Other(if error.is_builder() {
        "the request is not valid HTTP"
    } else if io_kind.is_some() {
        "the connection broke off before the answer was complete"
    } else {
        "the answer is not valid HTTP"
    })
}

fn tls_cause(error: &TlsError) -> &'static str {
    match error {
        TlsError::InvalidCertificate(cause) => match cause {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "the certificate is not valid yet",
            CertificateError::UnknownIssuer => "the certificate's issuer is not trusted",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another host name"
            }
            CertificateError::Revoked => "the certificate has been revoked",
            _ => "the certificate is not valid",
        },
        TlsError::InvalidMessage(_) => "the server does not speak TLS on this port",
        TlsError::AlertReceived(_) => "the server broke off the handshake",
        TlsError::PeerIncompatible(_) => "no TLS version or cipher in common",
        _ => "the handshake failed",
    }
}

/// The first error of type `T` in the chain. Looks inside `io::Error`s too, which pass over what they wrap when asked
/// for their source.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn causes_are_found_inside_nested_io_errors() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, TlsError::InvalidCertificate(CertificateError::Expired));
        let outer = io::Error::other(inner);
        let found: &TlsError = find(&outer).unwrap();
        assert_eq!(tls_cause(found), "the certificate has expired");
        assert!(find::<ResolveError>(&outer).is_none());
    }

    #[test]
    fn messages() {
        let cases = [
            (Error::from(Refusal::Address), "refused: the host does not resolve to public internet addresses only"),
            (Error::from(Refusal::Url(UrlFault::Scheme)), "refused: the URL must begin with https://"),
            (Error::Timeout(Duration::from_secs(15)), "no answer within 15 s"),
            (Error::Timeout(Duration::from_millis(250)), "no answer within 250 ms"),
            (Error::TooLarge(10), "the answer is larger than 10 bytes"),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}

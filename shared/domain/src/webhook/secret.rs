//! The shared secret with which an endpoint's deliveries are signed.

use std::fmt;

use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use subtle::ConstantTimeEq as _;

/// Fewest bytes of a signing secret (Standard Webhooks 1.0).
pub const MIN_SECRET_BYTES: usize = 24;
/// Most bytes of a signing secret (Standard Webhooks 1.0).
pub const MAX_SECRET_BYTES: usize = 64;
/// Bytes of the secrets that are made here: as many as the hash has.
pub const NEW_SECRET_BYTES: usize = 32;

const PREFIX: &str = "whsec_";
/// Writes padding, and reads with or without: senders' libraries differ.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A symmetric signing secret, `whsec_` and the base64 of 24 to 64 bytes.
///
/// Never printed by `Debug`; [`reveal`](Self::reveal) is the one way to its text.
#[derive(Clone)]
pub struct SigningSecret(Vec<u8>);

/// Why a text is not a signing secret. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// No `whsec_` in front.
    #[error("a signing secret begins with whsec_")]
    Prefix,
    /// Not base64 after the prefix.
    #[error("a signing secret is whsec_ followed by standard base64")]
    Encoding,
    /// Too few or too many bytes.
    #[error("a signing secret holds {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes before base64, this one {0}")]
    Length(usize),
}

impl SigningSecret {
    /// Reads a secret from its text.
    pub fn parse(text: &str) -> Result<Self, SecretFault> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretFault::Prefix)?;
        Self::from_bytes(BASE64.decode(encoded).map_err(|_| SecretFault::Encoding)?)
    }

    /// Makes a secret of bytes that came from a cryptographic random source.
    pub fn generate(random: [u8; NEW_SECRET_BYTES]) -> Self {
        Self(random.to_vec())
    }

    /// Makes a secret of 24 to 64 raw bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretFault> {
        if (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretFault::Length(bytes.len()))
        }
    }

    /// The text form, to be shown to the tenant or sealed; never to be logged.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The key bytes of the HMAC.
    pub(super) fn key(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

/// In constant time for secrets of equal length.
impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SigningSecret {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[test]
    fn text_round_trips() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(SigningSecret::parse(text).unwrap().reveal(), text);
        let made = SigningSecret::generate([7; NEW_SECRET_BYTES]);
        assert_eq!(made.reveal(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(SigningSecret::parse(&made.reveal()).unwrap(), made);
    }

    #[test]
    fn padding_is_optional() {
        let padded = SigningSecret::generate([9; NEW_SECRET_BYTES]);
        let bare = padded.reveal().trim_end_matches('=').to_owned();
        assert_eq!(SigningSecret::parse(&bare).unwrap(), padded);
    }

    #[rstest]
    #[case("", SecretFault::Prefix)]
    #[case("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretFault::Prefix)]
    #[case("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretFault::Prefix)]
    #[case("whsec_", SecretFault::Length(0))]
    #[case("whsec_c2hvcnQ=", SecretFault::Length(5))]
    #[case("whsec_not base64!", SecretFault::Encoding)]
    #[case("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", SecretFault::Encoding)]
    fn bad_secrets(#[case] text: &str, #[case] fault: SecretFault) {
        assert_eq!(SigningSecret::parse(text).err(), Some(fault));
    }

    #[test]
    fn length_bounds() {
        for (length, fits) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(SigningSecret::from_bytes(vec![1; length]).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn debug_is_redacted() {
        let secret = SigningSecret::generate([65; NEW_SECRET_BYTES]);
        assert_eq!(format!("{secret:?}"), "SigningSecret(..)");
    }

    proptest! {
        #[test]
        fn any_bytes_of_fitting_length_round_trip(bytes in proptest::collection::vec(any::<u8>(), 24..=64)) {
            let secret = SigningSecret::from_bytes(bytes).unwrap();
            prop_assert_eq!(SigningSecret::parse(&secret.reveal()).unwrap(), secret);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = SigningSecret::parse(&text);
            let _ = SigningSecret::parse(&format!("whsec_{text}"));
        }
    }
}

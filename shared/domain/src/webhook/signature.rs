//! Signing and verifying messages as Standard Webhooks 1.0 lays down.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::secret::SigningSecret;

/// How far a message's timestamp may be from the receiver's clock, either way.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(5 * 60);

const VERSION: &str = "v1";
const TAG_BYTES: usize = 32;

/// The value of `webhook-signature`: one `v1,<base64>` for each secret in the order given, separated by spaces.
///
/// `timestamp` is that of this attempt, in unix seconds, and must be sent as `webhook-timestamp`; `id` as `webhook-id`.
/// While a secret is rotated, pass the new one first and the old one after it.
pub fn sign(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets
        .iter()
        .filter_map(|secret| mac(secret, id, &timestamp.to_string(), body))
        .map(|mac| format!("{VERSION},{}", STANDARD.encode(mac.finalize().into_bytes())))
        .collect();
    signatures.join(" ")
}

/// Why a signed message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// `webhook-timestamp` is not a number of unix seconds.
    #[error("the timestamp is not a number of unix seconds")]
    Timestamp,
    /// Older than the tolerance: perhaps replayed.
    #[error("the message is too old")]
    TooOld,
    /// Further ahead of our clock than the tolerance.
    #[error("the message's timestamp is in the future")]
    TooNew,
    /// No signature fits any of the secrets.
    #[error("no signature matches")]
    NoMatch,
}

/// Checks a message that somebody else signed: `id`, `timestamp` and `signatures` are the three headers as received, `now` is
/// in unix seconds.
///
/// One match of any `v1` signature with any secret is enough; signatures of other versions are passed over. Comparisons take
/// constant time.
pub fn verify(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: i64,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let sent_at: i64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let age = i128::from(now) - i128::from(sent_at);
    let tolerance = i128::from(tolerance.as_secs());
    if age > tolerance {
        return Err(VerifyError::TooOld);
    }
    if age < -tolerance {
        return Err(VerifyError::TooNew);
    }
    let matches = signatures.split(' ').filter_map(decode_signature).any(|tag| {
        // The timestamp is signed as it was written, not as it was understood.
        let fits = |secret| mac(secret, id, timestamp, body).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        secrets.iter().any(fits)
    });
    if matches { Ok(()) } else { Err(VerifyError::NoMatch) }
}

fn decode_signature(text: &str) -> Option<[u8; TAG_BYTES]> {
    let encoded = text.strip_prefix(VERSION)?.strip_prefix(',')?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// HMAC-SHA256 over `{id}.{timestamp}.{body}`. It accepts keys of any length, so there is always one.
fn mac(secret: &SigningSecret, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.key()).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    // The vector that the reference libraries of Standard Webhooks share.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> SigningSecret {
        SigningSecret::parse(SECRET).unwrap()
    }

    fn other() -> SigningSecret {
        SigningSecret::generate([3; 32])
    }

    fn check(signatures: &str, timestamp: &str, now: i64) -> Result<(), VerifyError> {
        verify(&[secret()], ID, timestamp, signatures, BODY, now, DEFAULT_TOLERANCE)
    }

    #[test]
    fn reference_vector() {
        assert_eq!(sign(&[secret()], ID, AT, BODY), SIGNATURE);
        assert_eq!(check(SIGNATURE, &AT.to_string(), AT), Ok(()));
    }

    #[test]
    fn one_signature_a_secret_in_order() {
        let header = sign(&[secret(), other()], ID, AT, BODY);
        let [first, second] = header.split(' ').collect::<Vec<_>>()[..] else { panic!("{header}") };
        assert_eq!(first, SIGNATURE);
        assert_eq!(second, sign(&[other()], ID, AT, BODY));
        assert_eq!(sign(&[], ID, AT, BODY), "");
    }

    #[rstest]
    #[case(format!("v1,AAAA {SIGNATURE}"), Ok(()))]
    #[case(format!("v1a,{SIGNATURE} {SIGNATURE}"), Ok(()))]
    #[case(SIGNATURE.replace("v1,", "v2,"), Err(VerifyError::NoMatch))]
    #[case(SIGNATURE.replace("v1,", ""), Err(VerifyError::NoMatch))]
    #[case(SIGNATURE.replace('=', ""), Err(VerifyError::NoMatch))]
    #[case(format!("v1,{}", "A".repeat(43) + "="), Err(VerifyError::NoMatch))]
    #[case("v1,".to_owned(), Err(VerifyError::NoMatch))]
    #[case(String::new(), Err(VerifyError::NoMatch))]
    fn headers(#[case] signatures: String, #[case] expected: Result<(), VerifyError>) {
        assert_eq!(check(&signatures, &AT.to_string(), AT), expected, "{signatures}");
    }

    #[rstest]
    #[case(0, Ok(()))]
    #[case(300, Ok(()))]
    #[case(301, Err(VerifyError::TooOld))]
    #[case(-300, Ok(()))]
    #[case(-301, Err(VerifyError::TooNew))]
    fn clock(#[case] late: i64, #[case] expected: Result<(), VerifyError>) {
        assert_eq!(check(SIGNATURE, &AT.to_string(), AT + late), expected);
    }

    #[rstest]
    #[case("", VerifyError::Timestamp)]
    #[case("now", VerifyError::Timestamp)]
    #[case("1614265330.0", VerifyError::Timestamp)]
    #[case("99999999999999999999", VerifyError::Timestamp)]
    #[case("-9223372036854775808", VerifyError::TooOld)]
    #[case("9223372036854775807", VerifyError::TooNew)]
    #[case("01614265330", VerifyError::NoMatch)] // the same instant, but not what was signed
    fn timestamps(#[case] timestamp: &str, #[case] expected: VerifyError) {
        assert_eq!(check(SIGNATURE, timestamp, AT), Err(expected));
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_under_either_secret_and_no_other(
            id in "[a-z0-9_-]{1,40}",
            at in 0_i64..4_000_000_000,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = sign(&[secret(), other()], &id, at, &body);
            for key in [secret(), other()] {
                prop_assert_eq!(verify(&[key], &id, &at.to_string(), &header, &body, at, DEFAULT_TOLERANCE), Ok(()));
            }
            let stranger = SigningSecret::generate([4; 32]);
            let refused = Err(VerifyError::NoMatch);
            prop_assert_eq!(verify(&[stranger], &id, &at.to_string(), &header, &body, at, DEFAULT_TOLERANCE), refused);
            let mut longer = body.clone();
            longer.push(0);
            prop_assert_eq!(verify(&[secret()], &id, &at.to_string(), &header, &longer, at, DEFAULT_TOLERANCE), refused);
        }

        #[test]
        fn verifying_never_panics(timestamp in "\\PC*", header in "\\PC*", now in any::<i64>()) {
            let _ = verify(&[secret()], ID, &timestamp, &header, BODY, now, DEFAULT_TOLERANCE);
        }
    }
}

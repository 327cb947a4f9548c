//! The API key's form: `ak_<id>_<secret><checksum>`.
//!
//! 12 base62 characters of id, 32 of secret (190 bits), then 6 base62 characters, zero-padded, of the CRC-32 (IEEE) of
//! everything before them. The checksum lets secret scanners recognise a key and a typing error be refused without a
//! look-up; it protects nothing. What is stored is HMAC-SHA256 of the whole token under a pepper kept elsewhere.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID: usize = 12;
const SECRET: usize = 32;
const CHECK: usize = 6;
const PREFIX: &str = "ak_";

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an API key")]
pub struct NotAKey;

/// The public part of a key: 12 base62 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// A new id from random bytes.
    pub fn generate(random: [u8; 16]) -> Self {
        Self(base62(&random, ID))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for KeyId {
    type Err = NotAKey;
    fn from_str(s: &str) -> Result<Self, NotAKey> {
        let ok = s.len() == ID && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if ok { Ok(Self(s.to_owned())) } else { Err(NotAKey) }
    }
}
impl TryFrom<String> for KeyId {
    type Error = NotAKey;
    fn try_from(s: String) -> Result<Self, NotAKey> {
        s.parse()
    }
}
impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0
    }
}
crate::text::string_schema!(KeyId, "KeyId", "api-key-id", "7Gk2mQ9xTb4L");

/// A whole, well-formed key. It is a secret: it has no `Display`, and its `Debug` shows the id only.
#[derive(Clone)]
pub struct ApiKeyToken {
    id: KeyId,
    token: String,
}

impl ApiKeyToken {
    /// A new key; `secret` are 48 random bytes, of which 190 bits survive the base62 form.
    pub fn generate(id: KeyId, secret: &[u8; 48]) -> Self {
        let body = format!("{PREFIX}{id}_{}", base62(secret, SECRET));
        let token = format!("{body}{}", checksum(&body));
        Self { id, token }
    }

    /// Reads a key, refusing anything whose form or checksum is wrong.
    ///
    /// # Errors
    /// [`NotAKey`], for every reason alike.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let (id, rest) = text.strip_prefix(PREFIX).and_then(|t| t.split_once('_')).ok_or(NotAKey)?;
        let id: KeyId = id.parse()?;
        let form = rest.len() == SECRET + CHECK && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let (body, check) = text.split_at_checked(text.len().saturating_sub(CHECK)).ok_or(NotAKey)?;
        if !form || checksum(body) != check {
            return Err(NotAKey);
        }
        Ok(Self { id, token: text.to_owned() })
    }

    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is stored in the key's place.
    pub fn hash(&self, pepper: &[u8]) -> KeyHash {
        // HMAC takes keys of any length, so this cannot fail.
        let mac = Hmac::<Sha256>::new_from_slice(pepper).map(|mut mac| {
            mac.update(self.token.as_bytes());
            mac.finalize().into_bytes()
        });
        KeyHash(mac.map(|bytes| bytes.iter().map(|b| format!("{b:02x}")).collect()).unwrap_or_default())
    }

    /// The key itself, to be shown once to whom it was made for.
    pub fn reveal(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyToken({})", self.id)
    }
}

/// The keyed hash of a key, in hex.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyHash(String);

impl KeyHash {
    /// Compares in constant time; an empty hash equals nothing.
    pub fn matches(&self, other: &Self) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// `len` base62 digits from random bytes: bytes of 248 and above are skipped, so that every digit is equally likely, and the
/// rest of the digits come from a hash of the bytes in the rare case that too many were skipped.
fn base62(random: &[u8], len: usize) -> String {
    use sha2::Digest;
    let digit = |b: &u8| (*b < 248).then(|| char::from(ALPHABET[usize::from(*b) % 62]));
    let mut out: String = random.iter().filter_map(digit).take(len).collect();
    let mut more = Sha256::digest(random);
    while out.len() < len {
        out.extend(more.iter().filter_map(digit).take(len - out.len()));
        more = Sha256::digest(more);
    }
    out
}

fn checksum(body: &str) -> String {
    let mut n = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(n % 62) as usize];
        n /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key() -> ApiKeyToken {
        ApiKeyToken::generate(KeyId::generate([7; 16]), &[200; 48])
    }

    #[test]
    fn form_and_round_trip() {
        let token = key().reveal().to_owned();
        assert_eq!(token.len(), 3 + 12 + 1 + 32 + 6);
        let read = ApiKeyToken::parse(&token).unwrap();
        assert_eq!(read.id(), key().id());
        assert!(read.hash(b"pepper").matches(&key().hash(b"pepper")));
        assert!(!read.hash(b"pepper").matches(&key().hash(b"salt")));
        assert!(!format!("{read:?}").contains(&token[16..]));
    }

    #[test]
    fn the_checksum_is_crc32_ieee_in_base62_zero_padded() {
        // CRC-32/ISO-HDLC check value of "123456789" is 0xCBF43926 = 3421780262.
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("123456789"), "3jZRME");
    }

    #[test]
    fn every_single_character_error_is_caught() {
        let token = key().reveal().to_owned();
        for at in 0..token.len() {
            let mut typo = token.clone().into_bytes();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert!(ApiKeyToken::parse(std::str::from_utf8(&typo).unwrap()).is_err(), "position {at}");
        }
        for bad in ["", "ak_", "ak_short_x", "Bearer", "ak__", "ak_é"] {
            assert!(ApiKeyToken::parse(bad).is_err());
        }
    }
}

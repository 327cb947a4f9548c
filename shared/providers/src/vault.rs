//! Sealing of secrets that tenants entrust to us and that must be read back, such as webhook signing secrets.

use std::sync::Arc;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::secrets::{SecretError, Secrets};

/// Tells sealing formats apart, should there ever be a second one.
const VERSION: &str = "v1.";
const NONCE_BYTES: usize = 12;
/// Fewest bytes of the deployment's secret from which a 256-bit key may be derived.
const MIN_SECRET_BYTES: usize = 32;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The deployment's secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The deployment's secret is too short to be one.
    #[error("the vault's secret must have at least {MIN_SECRET_BYTES} bytes")]
    WeakSecret,
    /// The system gave no random numbers.
    #[error("no random numbers to be had")]
    Random,
    /// Not something this vault has sealed for this place, or changed since.
    #[error("the sealed text does not open")]
    Broken,
}

/// Seals texts with AES-256-GCM under a key derived from a secret in Secrets Manager (HKDF-SHA256), read at first use.
///
/// Nonces are random, which is safe for 2^32 seals under one key.
pub struct Vault {
    secrets: Arc<Secrets>,
    secret_id: String,
    cipher: OnceCell<Aes256Gcm>,
}

impl Vault {
    /// A vault on the secret with this name or ARN (`AXLE_VAULT_SECRET`).
    pub fn new(secrets: Arc<Secrets>, secret_id: impl Into<String>) -> Self {
        Self { secrets, secret_id: secret_id.into(), cipher: OnceCell::new() }
    }

    /// Seals `plain`: `v1.` and base64url of nonce, ciphertext and tag. `place` says where the result is kept, such as
    /// `webhook/<id>/secret`: it opens for the same place only, so that nobody who can write the table can move it elsewhere.
    pub async fn seal(&self, plain: &str, place: &str) -> Result<String, VaultError> {
        let cipher = self.cipher().await?;
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).map_err(|_| VaultError::Random)?;
        let payload = Payload { msg: plain.as_bytes(), aad: place.as_bytes() };
        let text = cipher.encrypt(Nonce::from_slice(&sealed), payload).map_err(|_| VaultError::Broken)?;
        sealed.extend(text);
        Ok(format!("{VERSION}{}", BASE64.encode(sealed)))
    }

    /// Opens what [`seal`](Self::seal) has sealed for the same `place`.
    pub async fn open(&self, sealed: &str, place: &str) -> Result<SecretString, VaultError> {
        let cipher = self.cipher().await?;
        let encoded = sealed.strip_prefix(VERSION).ok_or(VaultError::Broken)?;
        let bytes = BASE64.decode(encoded).map_err(|_| VaultError::Broken)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_BYTES).ok_or(VaultError::Broken)?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let plain = cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| VaultError::Broken)?;
        let plain = String::from_utf8(plain).map_err(|_| VaultError::Broken)?;
        Ok(plain.into())
    }

    async fn cipher(&self) -> Result<&Aes256Gcm, VaultError> {
        let make = || async {
            let secret = self.secrets.get(&self.secret_id).await?;
            derive(secret.expose_secret())
        };
        self.cipher.get_or_try_init(make).await
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// HKDF-SHA256 (RFC 5869) with one block of output, which is as long as the key.
fn derive(secret: &str) -> Result<Aes256Gcm, VaultError> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(VaultError::WeakSecret);
    }
    let extracted = hmac(b"axle vault", &[secret.as_bytes()]);
    let key = hmac(&extracted, &[b"aes-256-gcm v1", &[1]]);
    Ok(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&key)))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error exists for other MACs.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else { unreachable!("HMAC takes any key") };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn vault(secret: &str) -> Vault {
        Vault::new(Arc::new(Secrets::fixed([("vault", secret)])), "vault")
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[tokio::test]
    async fn opens_what_it_sealed_also_in_another_process() {
        let sealed = vault(SECRET).seal("whsec_abc", "webhook/1").await.unwrap();
        assert!(sealed.starts_with("v1.") && !sealed.contains("whsec_abc"));
        assert_eq!(vault(SECRET).open(&sealed, "webhook/1").await.unwrap().expose_secret(), "whsec_abc");
    }

    // Made by another implementation (Python `cryptography`: HKDF, AESGCM) from the same secret.
    #[tokio::test]
    async fn format_is_stable() {
        let sealed = "v1.AAECAwQFBgcICQoLk_2rlSDTKgvRyuhE6fpYmiEXqcC-7kayXQ";
        assert_eq!(vault(SECRET).open(sealed, "webhook/1").await.unwrap().expose_secret(), "whsec_abc");
    }

    #[tokio::test]
    async fn never_the_same_twice() {
        let vault = vault(SECRET);
        assert_ne!(vault.seal("x", "p").await.unwrap(), vault.seal("x", "p").await.unwrap());
    }

    #[tokio::test]
    async fn another_place_or_key_does_not_open() {
        let sealed = vault(SECRET).seal("whsec_abc", "webhook/1").await.unwrap();
        assert!(matches!(vault(SECRET).open(&sealed, "webhook/2").await, Err(VaultError::Broken)));
        let other = vault(&SECRET.replace('0', "1"));
        assert!(matches!(other.open(&sealed, "webhook/1").await, Err(VaultError::Broken)));
    }

    #[tokio::test]
    async fn weak_or_absent_secret() {
        assert!(matches!(vault("short").seal("x", "p").await, Err(VaultError::WeakSecret)));
        let absent = Vault::new(Arc::new(Secrets::fixed([])), "vault");
        assert!(matches!(absent.seal("x", "p").await, Err(VaultError::Secret(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_round_trips_and_any_flipped_bit_is_noticed(plain in "\\PC{0,80}", place in "\\PC{0,20}", bit in any::<usize>()) {
            block_on(async {
                let vault = vault(SECRET);
                let sealed = vault.seal(&plain, &place).await.unwrap();
                let opened = vault.open(&sealed, &place).await.unwrap();
                prop_assert_eq!(opened.expose_secret(), plain.as_str());
                let mut bytes = BASE64.decode(&sealed[VERSION.len()..]).unwrap();
                let at = bit % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
                let changed = format!("{VERSION}{}", BASE64.encode(bytes));
                prop_assert!(matches!(vault.open(&changed, &place).await, Err(VaultError::Broken)));
                Ok(())
            })?;
        }

        #[test]
        fn garbage_does_not_open(text in "(v1\\.)?[A-Za-z0-9_-]{0,60}") {
            prop_assert!(matches!(block_on(vault(SECRET).open(&text, "p")), Err(VaultError::Broken)));
        }
    }
}

//! Where a provider is, and with what key.

use std::sync::Arc;

use axle_domain::mail::Secret;
use secrecy::ExposeSecret as _;

use super::ModelErrorKind;
use super::conversation::Failure;
use super::request::ModelCredentials;
use crate::secrets::{SecretError, Secrets};

/// A provider as the deployment reaches it.
pub(super) struct Endpoint {
    pub(super) base_url: String,
    /// The provider's own address, with its own peculiarities.
    pub(super) default_url: &'static str,
    pub(super) secrets: Arc<Secrets>,
    /// Name or ARN of the secret that holds the key.
    pub(super) key_secret: Option<String>,
}

/// What one call takes.
pub(super) struct Access {
    pub(super) base_url: String,
    pub(super) api_key: Option<Secret>,
    /// Whether this is the provider's own address.
    pub(super) is_default: bool,
}

impl Endpoint {
    /// The tenant's own access, else the deployment's: never the one's address with the other's key.
    pub(super) async fn access(&self, own: Option<&ModelCredentials>, provider: &'static str) -> Result<Access, Failure> {
        if let Some(own) = own {
            let base_url = own.base_url.as_deref().unwrap_or(&self.base_url);
            return Ok(self.at(base_url, own.api_key.clone()));
        }
        let key = match &self.key_secret {
            None => None,
            Some(id) => match self.secrets.get(id).await {
                Ok(key) => Some(Secret::new(key.expose_secret())),
                Err(error @ SecretError::Missing(_)) => {
                    tracing::error!(error = %error, "a model provider's key is missing");
                    let reason = "the deployment's key for it is missing".to_owned();
                    return Err(Failure::Final(ModelErrorKind::Unconfigured { provider, reason }));
                }
                Err(error @ SecretError::Unavailable { .. }) => {
                    tracing::warn!(error = %error, "a model provider's key could not be read");
                    let kind = ModelErrorKind::Unavailable { provider, reason: "its key could not be read".to_owned() };
                    return Err(Failure::Again { kind, after: None });
                }
            },
        };
        let access = self.at(&self.base_url, key);
        if access.is_default && access.api_key.is_none() {
            let reason = "no key is configured for it".to_owned();
            return Err(Failure::Final(ModelErrorKind::Unconfigured { provider, reason }));
        }
        Ok(access)
    }

    fn at(&self, base_url: &str, api_key: Option<Secret>) -> Access {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Access { is_default: base_url == self.default_url, base_url, api_key }
    }
}

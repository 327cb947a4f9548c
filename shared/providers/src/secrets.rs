//! Secrets Manager, read lazily: each secret once in an execution environment's life.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::aws::AwsFailure;
use crate::lazy::Lazy;

/// Why a secret could not be had. Failures are not remembered: the next call tries again.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused or did not answer.
    #[error("secret {id} could not be read: {cause}")]
    Unavailable {
        /// Name or ARN that was asked for.
        id: String,
        /// What the service said.
        cause: AwsFailure,
    },
    /// There is no such secret, or it is binary or empty.
    #[error("secret {0} does not exist or has no text")]
    Missing(String),
}

/// A source of secrets with a cache in front.
///
/// A secret's new version is seen by new execution environments only; rotate by deploying, or keep old and new valid
/// together.
pub struct Secrets {
    source: Box<dyn Source>,
    cache: Mutex<HashMap<String, Arc<OnceCell<SecretString>>>>,
}

impl Secrets {
    /// Reads from Secrets Manager.
    pub fn aws(client: Lazy<Client>) -> Self {
        Self::over(client)
    }

    /// Knows these secrets, by name, and no others. For tests.
    pub fn fixed<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let known: HashMap<String, SecretString> =
            secrets.into_iter().map(|(id, value)| (id.to_owned(), SecretString::from(value))).collect();
        Self::over(known)
    }

    fn over(source: impl Source + 'static) -> Self {
        Self { source: Box::new(source), cache: Mutex::default() }
    }

    /// The secret's text. Concurrent first callers share one request.
    pub async fn get(&self, id: &str) -> Result<SecretString, SecretError> {
        let cell = {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.entry(id.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.source.fetch(id)).await.cloned()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

#[async_trait]
trait Source: Send + Sync {
    async fn fetch(&self, id: &str) -> Result<SecretString, SecretError>;
}

#[async_trait]
impl Source for Lazy<Client> {
    async fn fetch(&self, id: &str) -> Result<SecretString, SecretError> {
        let answer = self.get().await.get_secret_value().secret_id(id).send().await;
        let answer = answer.map_err(|error| {
            let missing = error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception());
            if missing {
                SecretError::Missing(id.to_owned())
            } else {
                SecretError::Unavailable { id: id.to_owned(), cause: AwsFailure::call(&error) }
            }
        })?;
        match answer.secret_string {
            Some(text) if !text.is_empty() => Ok(text.into()),
            _ => Err(SecretError::Missing(id.to_owned())),
        }
    }
}

#[async_trait]
impl Source for HashMap<String, SecretString> {
    async fn fetch(&self, id: &str) -> Result<SecretString, SecretError> {
        HashMap::get(self, id).cloned().ok_or_else(|| SecretError::Missing(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use wiremock::matchers::{body_json, header};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn secrets(server: &MockServer) -> Secrets {
        let uri = server.uri();
        Secrets::aws(Lazy::new(move || {
            Client::from_conf(
                aws_sdk_secretsmanager::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new("eu-west-1"))
                    .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                    .retry_config(RetryConfig::disabled())
                    .endpoint_url(uri.clone())
                    .build(),
            )
        }))
    }

    fn asks_for(id: &str) -> wiremock::MockBuilder {
        Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue")).and(body_json(json!({"SecretId": id})))
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_request() {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_json(json!({"SecretString": "pepper"}));
        asks_for("arn:key").respond_with(answer.set_delay(Duration::from_millis(50))).expect(1).mount(&server).await;
        let secrets = secrets(&server);
        let (a, b, c) = tokio::join!(secrets.get("arn:key"), secrets.get("arn:key"), secrets.get("arn:key"));
        for secret in [a, b, c, secrets.get("arn:key").await] {
            assert_eq!(secret.unwrap().expose_secret(), "pepper");
        }
    }

    #[tokio::test]
    async fn failures_are_not_remembered() {
        let server = MockServer::start().await;
        asks_for("arn:key").respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&server).await;
        let answer = ResponseTemplate::new(200).set_body_json(json!({"SecretString": "pepper"}));
        asks_for("arn:key").respond_with(answer).mount(&server).await;
        let secrets = secrets(&server);
        assert!(matches!(secrets.get("arn:key").await, Err(SecretError::Unavailable { .. })));
        assert_eq!(secrets.get("arn:key").await.unwrap().expose_secret(), "pepper");
    }

    #[tokio::test]
    async fn missing_binary_and_empty_secrets() {
        let server = MockServer::start().await;
        let not_found = json!({"__type": "ResourceNotFoundException", "Message": "no such secret"});
        asks_for("absent").respond_with(ResponseTemplate::new(400).set_body_json(not_found)).mount(&server).await;
        let binary = json!({"SecretBinary": "AAAA"});
        asks_for("binary").respond_with(ResponseTemplate::new(200).set_body_json(binary)).mount(&server).await;
        let empty = json!({"SecretString": ""});
        asks_for("empty").respond_with(ResponseTemplate::new(200).set_body_json(empty)).mount(&server).await;
        let secrets = secrets(&server);
        for id in ["absent", "binary", "empty"] {
            assert!(matches!(secrets.get(id).await, Err(SecretError::Missing(_))), "{id}");
        }
    }

    #[tokio::test]
    async fn fixed_secrets() {
        let secrets = Secrets::fixed([("a", "1"), ("b", "2")]);
        assert_eq!(secrets.get("b").await.unwrap().expose_secret(), "2");
        assert!(matches!(secrets.get("c").await, Err(SecretError::Missing(_))));
    }
}

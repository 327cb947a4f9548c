//! Access tokens by OAuth 2.0 refresh tokens (RFC 6749, section 6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axle_domain::mail::{OAuthCredentials, Secret};
use serde::Deserialize;

use super::http::{call, quoted, retry_after};
use super::outcome::{Blame, SendError};
use super::{AccountKey, http};
use crate::outbound::{Client, Request, Response};

/// A token this close to its end is not used any more.
const MARGIN: Duration = Duration::from_secs(60);
/// Most tokens kept in one execution environment.
const MAX_TOKENS: usize = 256;

/// Where one provider gives out tokens, and those it gave. Kept by wall-clock time: monotonic clocks may stand still while an
/// execution environment is frozen.
pub(super) struct Tokens {
    pub(super) client: Arc<Client>,
    pub(super) service: &'static str,
    pub(super) url: String,
    /// Sent along where the provider wants one.
    pub(super) scope: Option<&'static str>,
    pub(super) kept: Mutex<HashMap<AccountKey, (Secret, SystemTime)>>,
}

/// An access token, and the refresh token that took the place of the one that was used.
pub(super) struct Token {
    pub(super) access: Secret,
    pub(super) rotated: Option<Secret>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default = "an_hour")]
    expires_in: u64,
    #[serde(default)]
    refresh_token: Option<String>,
}

fn an_hour() -> u64 {
    3600
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Denied {
    error: String,
    error_description: String,
}

impl Tokens {
    pub(super) async fn get(
        &self,
        key: AccountKey,
        credentials: &OAuthCredentials,
        timeout: Duration,
    ) -> Result<Token, SendError> {
        let kept = self.kept().get(&key).filter(|(_, until)| *until > SystemTime::now()).map(|(token, _)| token.clone());
        match kept {
            Some(access) => Ok(Token { access, rotated: None }),
            None => self.refresh(key, credentials, timeout).await,
        }
    }

    /// Forgets a token that the provider did not take.
    pub(super) fn forget(&self, key: AccountKey) {
        self.kept().remove(&key);
    }

    pub(super) async fn refresh(
        &self,
        key: AccountKey,
        credentials: &OAuthCredentials,
        timeout: Duration,
    ) -> Result<Token, SendError> {
        let request = Request::post(&self.url, self.form(credentials))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            // Leaves most of the time to what the token is for.
            .timeout(timeout / 3);
        // Nothing has been sent yet, however this call ends.
        let answer = call(&self.client, request, self.service).await.map_err(|error| SendError::transient(error.reason))?;
        if !answer.is_success() {
            return Err(self.denied(&answer));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| SendError::transient(format!("{}: the answer to a token request cannot be read", self.service)))?;
        let until = SystemTime::now() + Duration::from_secs(granted.expires_in).saturating_sub(MARGIN);
        let access = Secret::new(granted.access_token);
        let mut kept = self.kept();
        if kept.len() >= MAX_TOKENS {
            kept.clear();
        }
        kept.insert(key, (access.clone(), until));
        let rotated = granted.refresh_token.map(Secret::new).filter(|token| *token != credentials.refresh_token);
        Ok(Token { access, rotated })
    }

    fn form(&self, credentials: &OAuthCredentials) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", &credentials.client_id)
            .append_pair("client_secret", credentials.client_secret.reveal())
            .append_pair("refresh_token", credentials.refresh_token.reveal());
        if let Some(scope) = self.scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }

    fn denied(&self, answer: &Response) -> SendError {
        let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = quoted(if denied.error_description.is_empty() { &denied.error } else { &denied.error_description });
        let reason = format!("{}: access was not granted ({} {said})", self.service, answer.status);
        match (answer.status, denied.error.as_str()) {
            (429 | 500.., _) | (_, "temporarily_unavailable" | "server_error") => {
                SendError::transient_after(retry_after(answer), reason)
            }
            // invalid_grant: revoked or expired; invalid_client: wrong secret; and whatever else is wrong with what was entered.
            _ => SendError::permanent(Blame::Identity, reason),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<AccountKey, (Secret, SystemTime)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls with an access token, and once more with a fresh one if that was not taken: an answer of 401 means that nothing was done.
pub(super) async fn authorized(
    tokens: &Tokens,
    key: AccountKey,
    credentials: &OAuthCredentials,
    timeout: Duration,
    request: Request,
) -> Result<(Response, Option<Secret>), SendError> {
    let token = tokens.get(key, credentials, timeout).await?;
    let bearer = |token: &Secret| request.clone().header("authorization", format!("Bearer {}", token.reveal()));
    let answer = http::call(&tokens.client, bearer(&token.access), tokens.service).await?;
    if answer.status != 401 {
        return Ok((answer, token.rotated));
    }
    tokens.forget(key);
    let renewed = OAuthCredentials {
        refresh_token: token.rotated.clone().unwrap_or(credentials.refresh_token.clone()),
        ..credentials.clone()
    };
    let second = tokens.refresh(key, &renewed, timeout).await?;
    let answer = http::call(&tokens.client, bearer(&second.access), tokens.service).await?;
    Ok((answer, second.rotated.or(token.rotated)))
}

//! All providers behind one sender.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::address::Email;
use axle_domain::mail::Credentials;
use lettre::transport::smtp::client::Certificate;

use super::google::Gmail;
use super::message::{OutgoingEmail, OutgoingPost, OutgoingSms};
use super::microsoft::{Outlook, SCOPE};
use super::mime::compose;
use super::oauth::Tokens;
use super::outcome::{Accepted, SendError, Verification};
use super::ses::Ses;
use super::smtp::Smtp;
use super::sns::Sns;
use super::{Account, Sender, post};
use crate::{Lazy, outbound};

/// Where the providers are found. The defaults are the real ones; others are for tests, whose peers are local.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The SES configuration set whose event destination reports bounces and complaints.
    pub ses_configuration_set: Option<String>,
    pub google_token_url: String,
    pub google_api_url: String,
    pub microsoft_token_url: String,
    pub microsoft_graph_url: String,
    /// Certificates in PEM that SMTP servers may show beside those that the system trusts.
    pub smtp_roots: Vec<String>,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            ses_configuration_set: None,
            google_token_url: "https://oauth2.googleapis.com/token".to_owned(),
            google_api_url: "https://gmail.googleapis.com".to_owned(),
            microsoft_token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token".to_owned(),
            microsoft_graph_url: "https://graph.microsoft.com".to_owned(),
            smtp_roots: Vec::new(),
        }
    }
}

/// Sends by the provider that each account names. Cheap to make: clients, connections and tokens come with their first use.
pub struct Mailers {
    ses: Ses,
    sns: Sns,
    smtp: Smtp,
    gmail: Gmail,
    outlook: Outlook,
    outbound: Arc<outbound::Client>,
}

impl Mailers {
    pub fn new(
        settings: MailSettings,
        ses: Lazy<aws_sdk_sesv2::Client>,
        sns: Lazy<aws_sdk_sns::Client>,
        outbound: Arc<outbound::Client>,
    ) -> Self {
        let base = |url: String| url.trim_end_matches('/').to_owned();
        let tokens = |service, url, scope| Tokens { client: Arc::clone(&outbound), service, url, scope, kept: Mutex::default() };
        // One that is no certificate is as good as none: the handshake that needs it fails.
        let roots = settings.smtp_roots.iter().filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok()).collect();
        Self {
            ses: Ses { client: ses, configuration_set: settings.ses_configuration_set.filter(|name| !name.is_empty()) },
            sns: Sns { client: sns },
            smtp: Smtp { guard: Arc::clone(&outbound), roots, idle: Mutex::new(HashMap::new()) },
            gmail: Gmail { tokens: tokens("Google", settings.google_token_url, None), api: base(settings.google_api_url) },
            outlook: Outlook {
                tokens: tokens("Microsoft", settings.microsoft_token_url, Some(SCOPE)),
                api: base(settings.microsoft_graph_url),
            },
            outbound,
        }
    }
}

impl std::fmt::Debug for Mailers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailers(..)")
    }
}

#[async_trait]
impl Sender for Mailers {
    async fn email(&self, account: &Account, message: &OutgoingEmail, timeout: Duration) -> Result<Accepted, SendError> {
        let raw = compose(message)?;
        let key = account.key();
        match &account.credentials {
            Credentials::Ses => unknown_when_late(timeout, self.ses.send(message, raw)).await,
            Credentials::Smtp(server) => {
                let handed_over = AtomicBool::new(false);
                let sending = self.smtp.send(key, server, message, &raw, &handed_over);
                match tokio::time::timeout(timeout, sending).await {
                    Ok(outcome) => outcome,
                    Err(_) if handed_over.load(Ordering::Relaxed) => {
                        Err(SendError::unknown("the SMTP server did not confirm the message in time"))
                    }
                    Err(_) => Err(SendError::transient("the SMTP server was too slow")),
                }
            }
            Credentials::Gmail(oauth) => unknown_when_late(timeout, self.gmail.send(key, oauth, &raw, timeout)).await,
            Credentials::Outlook(oauth) => unknown_when_late(timeout, self.outlook.send(key, oauth, &raw, timeout)).await,
        }
    }

    async fn sms(&self, message: &OutgoingSms, timeout: Duration) -> Result<Accepted, SendError> {
        unknown_when_late(timeout, self.sns.send(message)).await
    }

    async fn post(&self, message: &OutgoingPost, timeout: Duration) -> Result<Accepted, SendError> {
        post::send(&self.outbound, message, timeout).await
    }

    async fn verify(&self, account: &Account, from: &Email, timeout: Duration) -> Result<Verification, SendError> {
        let key = account.key();
        let verifying = async {
            match &account.credentials {
                Credentials::Ses => return self.ses.verify(from).await,
                Credentials::Smtp(server) => self.smtp.verify(server, from).await?,
                // That a token is granted shows that client and consent are still good.
                Credentials::Gmail(oauth) => drop(self.gmail.tokens.refresh(key, oauth, timeout).await?),
                Credentials::Outlook(oauth) => drop(self.outlook.tokens.refresh(key, oauth, timeout).await?),
            }
            Ok(Verification::Verified)
        };
        let late = || Err(SendError::transient("the provider did not answer in time"));
        tokio::time::timeout(timeout, verifying).await.unwrap_or_else(|_| late())
    }
}

/// A call that is cut off may have been on its way for any length of time.
async fn unknown_when_late(
    timeout: Duration,
    sending: impl Future<Output = Result<Accepted, SendError>>,
) -> Result<Accepted, SendError> {
    let late = || Err(SendError::unknown("the provider did not answer in time"));
    tokio::time::timeout(timeout, sending).await.unwrap_or_else(|_| late())
}

#[cfg(test)]
#[path = "mailers_tests.rs"]
mod tests;

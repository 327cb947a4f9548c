//! SMTP submission (RFC 6409), step by step: only who knows how far a conversation came knows whether the message may have gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axle_domain::address::Email;
use axle_domain::mail::{SmtpCredentials, SmtpTls};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, timeout};

use super::AccountKey;
use super::message::OutgoingEmail;
use super::mime::address;
use super::outcome::{Accepted, Blame, Provider, SendError};
use crate::outbound;

/// Shorter than common servers keep idle connections.
const KEEP_IDLE: Duration = Duration::from_secs(20);
/// A connection that has rested this long is tried before it is used.
const TRUST: Duration = Duration::from_millis(500);
/// Time for such a trial.
const TRIAL: Duration = Duration::from_secs(2);
/// Most idle connections in one execution environment.
const MAX_IDLE: usize = 4;

pub(super) struct Smtp {
    pub(super) guard: Arc<outbound::Client>,
    /// Certificates trusted beside the system's.
    pub(super) roots: Vec<Certificate>,
    pub(super) idle: Mutex<HashMap<AccountKey, (AsyncSmtpConnection, Instant)>>,
}

impl Smtp {
    pub(super) async fn send(
        &self,
        key: AccountKey,
        server: &SmtpCredentials,
        message: &OutgoingEmail,
        raw: &[u8],
        handed_over: &AtomicBool,
    ) -> Result<Accepted, SendError> {
        let mut connection = match self.rested(key).await {
            Some(mut connection) => match begin(&mut connection, message, raw).await {
                Ok(()) => connection,
                // The server has tired of this connection, or of something that an older message left on it.
                Err(_) => self.begun(server, message, raw).await?,
            },
            None => self.begun(server, message, raw).await?,
        };
        let to = address(&message.to.address, Blame::Recipient)?;
        connection.command(Rcpt::new(to, vec![])).await.map_err(|error| refused(&error, Step::Recipient))?;
        connection.command(Data).await.map_err(|error| refused(&error, Step::Message))?;
        handed_over.store(true, Ordering::Relaxed);
        let answer = connection.message(raw).await.map_err(|error| refused(&error, Step::Content))?;
        handed_over.store(false, Ordering::Relaxed);
        let id = queue_id(&answer);
        self.rest(key, connection);
        Ok(Accepted { provider: Provider::Smtp, provider_message_id: id, message_id: None, renewed: None })
    }

    /// Connects and signs in, and sends nothing.
    pub(super) async fn verify(&self, server: &SmtpCredentials, from: &Email) -> Result<(), SendError> {
        let mut connection = self.connect(server, from).await?;
        let _ = connection.quit().await;
        Ok(())
    }

    async fn begun(
        &self,
        server: &SmtpCredentials,
        message: &OutgoingEmail,
        raw: &[u8],
    ) -> Result<AsyncSmtpConnection, SendError> {
        let mut connection = self.connect(server, &message.from.address).await?;
        begin(&mut connection, message, raw).await?;
        Ok(connection)
    }

    async fn connect(&self, server: &SmtpCredentials, from: &Email) -> Result<AsyncSmtpConnection, SendError> {
        if server.tls == SmtpTls::None && !self.guard.policy().allow_local {
            return Err(SendError::permanent(Blame::Identity, "this deployment sends nothing in the clear"));
        }
        // The connection goes to an address that has been checked, never to a name that could lead elsewhere by then.
        let addresses = self.guard.resolve(&server.host, server.port).await.map_err(|error| unreachable(&error))?;
        let hello = ClientId::Domain(from.domain().to_owned());
        let tls = || self.tls(&server.host);
        let wrapped = if server.tls == SmtpTls::Tls { Some(tls()?) } else { None };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(outbound::CONNECT_TIMEOUT), &hello, wrapped, None);
        let mut connection = connecting.await.map_err(|error| refused(&error, Step::Connect))?;
        if server.tls == SmtpTls::Starttls {
            if !connection.can_starttls() {
                return Err(SendError::permanent(Blame::Identity, "the SMTP server offers no STARTTLS"));
            }
            connection.starttls(tls()?, &hello).await.map_err(|error| refused(&error, Step::Connect))?;
        }
        if let (Some(username), Some(password)) = (&server.username, &server.password) {
            let credentials = Credentials::new(username.clone(), password.reveal().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(|error| refused(&error, Step::SignIn))?;
        }
        Ok(connection)
    }

    /// The certificate has to be for the name that the tenant gave, whichever address it led to.
    fn tls(&self, host: &str) -> Result<TlsParameters, SendError> {
        let mut builder = TlsParameters::builder(host.to_owned());
        for root in &self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        builder.build_rustls().map_err(|_| SendError::transient("TLS cannot be set up"))
    }

    /// A connection left over from an earlier message, if it still works.
    async fn rested(&self, key: AccountKey) -> Option<AsyncSmtpConnection> {
        let (mut connection, since) = self.idle().remove(&key)?;
        let rest = since.elapsed();
        if rest > KEEP_IDLE || connection.has_broken() {
            return None;
        }
        let works = rest < TRUST || timeout(TRIAL, connection.test_connected()).await.unwrap_or(false);
        works.then_some(connection)
    }

    fn rest(&self, key: AccountKey, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        idle.retain(|_, (_, since)| since.elapsed() <= KEEP_IDLE);
        if idle.len() < MAX_IDLE {
            idle.insert(key, (connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<AccountKey, (AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `MAIL FROM`, with what the message needs.
async fn begin(connection: &mut AsyncSmtpConnection, message: &OutgoingEmail, raw: &[u8]) -> Result<(), SendError> {
    let lacks = |feature| !connection.server_info().supports_feature(feature);
    let mut parameters = Vec::new();
    if !message.from.address.as_str().is_ascii() || !message.to.address.as_str().is_ascii() {
        if lacks(Extension::SmtpUtfEight) {
            return Err(SendError::permanent(Blame::Recipient, "the SMTP server takes no addresses beyond ASCII"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !raw.is_ascii() {
        if lacks(Extension::EightBitMime) {
            return Err(SendError::permanent(Blame::Message, "the SMTP server takes no content beyond ASCII"));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let from = address(&message.from.address, Blame::Identity)?;
    connection.command(Mail::new(Some(from), parameters)).await.map_err(|error| refused(&error, Step::Sender))?;
    Ok(())
}

/// Most servers say under which id they queue a message: `250 2.0.0 Ok: queued as 4XyZ`.
fn queue_id(answer: &Response) -> Option<String> {
    let text = answer.message().collect::<Vec<_>>().join(" ");
    let id = text.split_once("queued as ").map(|(_, rest)| rest.split([' ', ';', ',']).next().unwrap_or(rest));
    id.map(|id| id.chars().take(200).collect::<String>()).filter(|id| !id.is_empty())
}

/// How far the conversation had come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    SignIn,
    Sender,
    Recipient,
    Message,
    Content,
}

fn unreachable(error: &outbound::Error) -> SendError {
    match error {
        outbound::Error::Refused(_) => SendError::permanent(Blame::Identity, format!("SMTP server {error}")),
        _ => SendError::transient(format!("SMTP server: {error}")),
    }
}

/// What a failed step means (RFC 5321, section 4.2; RFC 3463).
fn refused(error: &Error, step: Step) -> SendError {
    let said = source_text(error);
    let Some(code) = error.status() else {
        return match step {
            Step::Content => SendError::unknown("the connection to the SMTP server broke off before it confirmed the message"),
            // A mechanism both know is missing, or the like: our own conclusion from what the server offers.
            _ if error.is_client() => SendError::permanent(Blame::Identity, format!("SMTP: {said}")),
            _ if error.is_tls() => SendError::transient(format!("SMTP: TLS failed: {said}")),
            _ if error.is_timeout() => SendError::transient("the SMTP server does not answer"),
            _ => SendError::transient("the connection to the SMTP server failed"),
        };
    };
    let reason = format!("SMTP: {code} {said}");
    if error.is_transient() {
        return SendError::transient(reason);
    }
    let blame = match (step, enhanced(&said)) {
        (Step::Connect | Step::SignIn, _) => Blame::Identity,
        // Too big, whoever sends it.
        (Step::Sender, Some((3, 4) | (2, 3))) => Blame::Message,
        (Step::Sender, _) => Blame::Identity,
        // No such mailbox, host or user; moved; disabled; a host that takes no mail at all.
        (_, Some((1, 1 | 2 | 3 | 6 | 10) | (2, 1))) => Blame::Recipient,
        (_, Some((7, 8))) => Blame::Identity,
        (_, Some(_)) => Blame::Message,
        (Step::Recipient, None) => match u16::from(code) {
            550 | 551 | 553 => Blame::Recipient,
            530 | 535 => Blame::Identity,
            _ => Blame::Message,
        },
        (_, None) => Blame::Message,
    };
    SendError::permanent(blame, reason)
}

/// What the server said, in one line of bounded length.
fn source_text(error: &Error) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    axle_domain::mail::HeaderText::clean(&said).as_str().chars().take(300).collect()
}

/// Subject and detail of an enhanced status code in front of a text: (1, 1) of `5.1.1 no such user`.
fn enhanced(said: &str) -> Option<(u16, u16)> {
    let mut parts = said.split_whitespace().next()?.splitn(3, '.');
    let class: u16 = parts.next()?.parse().ok()?;
    let code = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (class == 5 || class == 4).then_some(code)
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;

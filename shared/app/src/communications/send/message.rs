//! A message as its provider gets it.

use std::time::Duration;

use axle_domain::address::{Email, Phone};
use axle_domain::communication::{Category, MessageChannel};
use axle_domain::mail::{Header, HeaderText, ListUnsubscribe, Mailbox, MessageId, Purpose, Ticket};
use axle_providers::mail::{Accepted, Account, Blame, OutgoingEmail, OutgoingPost, OutgoingSms, SendError};
use axle_store::communications::{CommunicationRecord, ContentRecord};
use axle_store::identities::IdentityRecord;
use serde_json::json;

use super::super::{identities, secrets};
use crate::context::App;

/// Hands a claimed message to its provider. Whatever keeps it from being handed over is a failure of the message.
pub(super) async fn hand_over(
    app: &App,
    record: &CommunicationRecord,
    content: &ContentRecord,
    identity: Option<&IdentityRecord>,
    timeout: Duration,
) -> Result<Accepted, SendError> {
    match record.channel {
        MessageChannel::Email => {
            let account = match identity {
                None => Account::default_ses(),
                Some(identity) => identities::account(app, identity).await.map_err(|e| SendError::transient(internal(&e)))?,
            };
            let message = email(app, record, content, identity).await?;
            app.sender().email(&account, &message, timeout).await
        }
        MessageChannel::Sms => {
            let to = Phone::parse(&record.to).map_err(|e| SendError::permanent(Blame::Recipient, e.to_string()))?;
            let text = content.text.clone().unwrap_or_default();
            let message = OutgoingSms { to, text, marketing: record.category == Category::Marketing };
            app.sender().sms(&message, timeout).await
        }
        MessageChannel::Webhook => {
            let body = json!({"id": record.id, "subject": record.subject, "text": content.text, "html": content.html, "category": record.category});
            let secrets = secrets::signing_posts(app, record.entity_id).await.map_err(|e| SendError::transient(internal(&e)))?;
            let message = OutgoingPost { url: record.to.clone(), id: record.id, at: app.now(), body: body.to_string(), secrets };
            app.sender().post(&message, timeout).await
        }
    }
}

fn internal(error: &crate::Error) -> String {
    tracing::error!(error = error.for_the_log(), "a message could not be made ready");
    "the message could not be made ready".to_owned()
}

/// The `Message-ID` of a message from this address: the same on every attempt.
pub(super) fn message_id(record: &CommunicationRecord, from: &Email) -> MessageId {
    MessageId::of(record.id, from)
}

async fn email(
    app: &App,
    record: &CommunicationRecord,
    content: &ContentRecord,
    identity: Option<&IdentityRecord>,
) -> Result<OutgoingEmail, SendError> {
    let from = sender(app, identity).ok_or_else(|| SendError::permanent(Blame::Identity, "there is no sender address"))?;
    let to = Email::parse(&record.to).map_err(|e| SendError::permanent(Blame::Recipient, e.to_string()))?;
    let named =
        |name: &str| content.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let list_unsubscribe = match record.category {
        Category::Transactional => None,
        Category::Marketing => Some(way_out(app, record, &from).await?),
    };
    Ok(OutgoingEmail {
        entity_id: record.entity_id,
        communication_id: record.id,
        message_id: message_id(record, &from.address),
        date: app.now(),
        to: Mailbox::new(to, record.to_name.as_deref()),
        reply_to: named("reply-to").and_then(|value| Email::parse(value).ok()).map(|address| Mailbox::new(address, None)),
        subject: HeaderText::clean(record.subject.as_deref().unwrap_or_default()),
        text: content.text.clone(),
        html: content.html.clone(),
        headers: content.headers.iter().filter_map(|(name, value)| Header::parse(name, value).ok()).collect(),
        in_reply_to: named("in-reply-to").and_then(|value| MessageId::list(value).into_iter().next()),
        references: named("references").map(MessageId::list).unwrap_or_default(),
        list_unsubscribe,
        from,
    })
}

fn sender(app: &App, identity: Option<&IdentityRecord>) -> Option<Mailbox> {
    match identity {
        None => app.config().sender.clone(),
        Some(identity) => Some(Mailbox::new(Email::parse(&identity.from).ok()?, identity.name.as_deref())),
    }
}

async fn way_out(app: &App, record: &CommunicationRecord, from: &Mailbox) -> Result<ListUnsubscribe, SendError> {
    let key = app.link_key().await.map_err(|e| SendError::transient(internal(&e)))?;
    let ticket = key.issue(&Ticket::new(Purpose::Unsubscribe, record.entity_id, record.id));
    let url = key.unsubscribe_url(&app.config().base_url, record.entity_id, record.id);
    let url = url::Url::parse(&url)
        .map_err(|_| SendError::permanent(Blame::Message, "this deployment has no base URL for unsubscribe links"))?;
    // Where SES takes in mail for us, the request is heard for sure; else it goes where replies go.
    let inbox = app.config().inbound_address("unsubscribe");
    Ok(ListUnsubscribe::new(&url, Some((inbox.as_ref().unwrap_or(&from.address), &ticket))))
}

//! E-mail to the people of deals, and the connections that it goes out by.

use axle_domain::communication::{CommunicationInput, MessageChannel, Track};
use axle_domain::crm::outbound::{ConnectionInput, OutboundEmailInput, connection_fault, identity_change};
use axle_domain::crm::timeline::Told;
use axle_domain::{Fault, Faults, Input, SendingIdentityId};
use axle_store::Versioned;
use axle_store::communications::CommunicationRecord;
use axle_store::identities::IdentityRecord;
use serde_json::Value;

use super::{deals, stages};
use crate::PageRequest;
use crate::answer::Answer;
use crate::communications::{self, MAX_IDENTITIES};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Queues an e-mail to the person of a deal, by the same way as every message, and writes it into the deal's timeline. Opens and clicks
/// are measured, for that timeline.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] if the address is on the suppression list now. It is looked at again when the
/// message is sent.
pub async fn send(
    app: &App,
    ctx: &Ctx,
    input: OutboundEmailInput,
    answer: impl FnOnce(&CommunicationRecord) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    let contact = match deals::get(app, ctx, input.lead_id).await {
        Ok(deal) if deal.value.contact_id.is_none() => {
            faults.add("/leadId", "the lead has no contact to write to");
            None
        }
        Ok(deal) => deal.value.contact_id,
        Err(Error::NotFound(_)) => {
            faults.add("/leadId", "no lead has this id");
            None
        }
        Err(e) => return Err(e),
    };
    let connection = app.table().await.sending_identity(ctx.entity_id, input.connection_id, ctx.now).await?;
    match connection.map(|connection| connection.value.kind) {
        None => faults.add("/connectionId", "no connection has this id"),
        Some(kind) if kind != input.channel => {
            faults.add("/channel", format!("the connection is of the channel {}", kind.as_str()))
        }
        Some(_) => {}
    }
    faults.check().map_err(Error::Invalid)?;
    let mail = CommunicationInput {
        channel: MessageChannel::Email,
        to: None,
        lead_id: None,
        contact_id: contact,
        campaign_id: None,
        identity_id: Some(input.connection_id),
        category: None,
        subject: Some(input.subject),
        text: None,
        html: Some(input.html_body),
        send_at: None,
        headers: std::collections::BTreeMap::new(),
        track: Track { opens: true, clicks: true },
        idempotency_key: None,
    };
    let mut prepared = communications::prepare(app, ctx, mail).await.map_err(of_email)?;
    prepared.record.deal_id = Some(input.lead_id);
    if communications::is_suppressed(app, ctx.entity_id, &prepared.record.to).await?.is_some() {
        return Err(Error::Conflict("the lead's contact is on the suppression list: they are not written to".to_owned()));
    }
    let answer = answer(&prepared.record)?;
    let mut tx = app.table().await.tx();
    prepared.put(&mut tx);
    let subject = prepared.record.subject.as_deref().unwrap_or_default();
    stages::tell_timeline(ctx, &mut tx, input.lead_id, ctx.now, Told::queued_email(prepared.record.id, subject));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// What is wrong with the message in the words of this surface.
fn of_email(error: Error) -> Error {
    let Error::Invalid(faults) = error else { return error };
    let renamed = faults.into_iter().map(|fault| {
        let pointer = match fault.pointer.as_str() {
            "/html" | "/text" => "/htmlBody",
            "/contact_id" | "/to" => "/leadId",
            "/identity_id" => "/connectionId",
            other => other,
        };
        Fault::new(pointer, fault.detail)
    });
    Error::Invalid(renamed.collect())
}

fn of_connection(error: Error) -> Error {
    match error {
        Error::Invalid(faults) => Error::Invalid(faults.into_iter().map(connection_fault).collect()),
        Error::NotFound(_) => Error::NotFound("connection"),
        other => other,
    }
}

/// Creates a connection. It is unverified at first.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] at [`MAX_IDENTITIES`].
pub async fn connect(
    app: &App,
    ctx: &Ctx,
    input: ConnectionInput,
    answer: impl FnOnce(&Versioned<IdentityRecord>) -> Result<Answer>,
) -> Result<Answer> {
    communications::create_identity(app, ctx, input.into_identity(), answer).await.map_err(of_connection)
}

/// Every connection, newest first: there are [`MAX_IDENTITIES`] at most.
pub async fn connections(app: &App, ctx: &Ctx) -> Result<Vec<Versioned<IdentityRecord>>> {
    Ok(communications::identities(app, ctx, PageRequest { cursor: None, limit: MAX_IDENTITIES }).await?.items)
}

pub async fn connection(app: &App, ctx: &Ctx, id: SendingIdentityId) -> Result<Versioned<IdentityRecord>> {
    communications::get_identity(app, ctx, id).await.map_err(of_connection)
}

/// Changes a connection by a merge patch (RFC 7396). Credentials are replaced as a whole.
pub async fn change_connection(
    app: &App,
    ctx: &Ctx,
    id: SendingIdentityId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<IdentityRecord>> {
    communications::patch_identity(app, ctx, id, &identity_change(change), if_match).await.map_err(of_connection)
}

/// Deletes a connection. What still waits to go out by it fails.
pub async fn disconnect(app: &App, ctx: &Ctx, id: SendingIdentityId, if_match: Option<u64>) -> Result<()> {
    communications::delete_identity(app, ctx, id, if_match).await.map_err(of_connection)
}

//! Mail that comes in: replies to messages, notices of absence, requests to be taken off the list.
//!
//! It comes by Amazon SES, or is posted by whoever runs the mailbox. Either way it is matched to the message that it answers: by the ids
//! that it names, else, if its tenant is known, by being from somebody to whom a message went last.

use axle_domain::communication::MessageChannel;
use axle_domain::cost::CostUnit;
use axle_domain::event::EventType;
use axle_domain::lead::LeadStatus;
use axle_domain::mail::{Feedback, FeedbackKind, InboundMail, InboundPost, MessageId, Purpose, Receipt, ReceivedMail};
use axle_domain::reply::{self, Classification};
use axle_domain::{Actor, CommunicationId, EntityId, Faults};
use axle_store::communications::CommunicationRecord;
use axle_store::costs::CostPlace;
use axle_store::replies::ReplyRecord;
use axle_store::{CommitError, Versioned};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::feedback::{Noted, tenant_of};
use super::secrets::{SignedHeaders, verify_inbound};
use super::{engagement, event};
use crate::context::App;
use crate::error::{Error, Result};
use crate::outreach::status;

/// Attempts against others who change the same message at the same moment.
const RACES: usize = 8;
/// Message ids of a mail that are looked up.
const IDS_TRIED: usize = 12;
/// Replies to one message from which on those of programs are not kept, and replies by people from which on no more are: two programs that
/// answer each other do not stop by themselves.
const REPLIES_KEPT: u32 = 100;
/// Bytes of a reply's text that are kept.
const TEXT_MAX: usize = 20_000;
/// Bytes of a stored mail that are read; SES takes 40 MB, of which the text comes first.
const RAW_MAX: usize = 10 * 1024 * 1024;
/// A class is told from here on.
const CONFIDENT: f64 = 0.7;
/// Where the receipt rule stores mail.
pub const INBOUND_PREFIX: &str = "inbound/";
/// Name space of replies' ids (a UUIDv4 made for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x2b6d_91f4_70c3_4d1b_8e57_c4f0_9a3e_5d28);

/// A mail, and what is known of how it came.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub mail: InboundMail,
    /// Whose mailbox it came to, if that is known for sure.
    pub entity: Option<EntityId>,
    /// Whether its sender is who it says: only then does the sender's address alone make it a reply.
    pub authentic: bool,
    /// Names the mail if it does not do so itself.
    pub key: String,
}

/// What a mail that came in was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboundOutcome {
    /// A person's answer to a message.
    Reply,
    /// An answer by a program, such as a notice of absence.
    Automatic,
    /// Its sender was taken off: no more messages go there.
    Unsubscribed,
    /// No answer to any message; nothing was kept.
    Unmatched,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InboundAnswer {
    pub outcome: InboundOutcome,
    /// The message that it answers.
    pub communication_id: Option<CommunicationId>,
}

const UNMATCHED: InboundAnswer = InboundAnswer { outcome: InboundOutcome::Unmatched, communication_id: None };

/// Takes a mail that was posted for a tenant.
///
/// # Errors
/// [`Error::Unauthenticated`] before anything else is looked at; then [`Error::Malformed`] and [`Error::Invalid`].
pub async fn post(
    app: &App,
    entity: EntityId,
    headers: &SignedHeaders,
    body: &[u8],
    read: impl FnOnce() -> Result<InboundPost>,
) -> Result<InboundAnswer> {
    verify_inbound(app, entity, headers, body).await?;
    let mut faults = Faults::new();
    let mail = read()?.into_mail(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let mail = mail.ok_or_else(|| Error::Internal("a mail without faults that cannot be read".to_owned()))?;
    // Whoever has the secret vouches for the sender.
    take(app, Inbound { mail, entity: Some(entity), authentic: true, key: headers.id.clone() }).await
}

/// Takes a mail that SES has received: in its report, or stored in our bucket.
///
/// A stored one is emptied when that is done: what was kept of it is in the table, where an erasure finds it. It is not deleted, as
/// whoever may not list a bucket cannot tell an object that is gone from one that it may not read, and a report can come twice.
///
/// # Errors
/// [`Error::Unavailable`] if it has to be handed out again.
pub async fn receive(app: &App, report: &Feedback) -> Result<Noted> {
    let FeedbackKind::Receipt(receipt) = &report.kind else { return Ok(Noted::Passed) };
    let noted = if receipt.refused { Noted::Passed } else { received(app, report, receipt).await? };
    if let Some(key) = stored_key(receipt) {
        let emptied = app.objects().put(key, "message/rfc822", Bytes::new()).await;
        emptied.map_err(|e| Error::Unavailable(e.to_string()))?;
    }
    Ok(noted)
}

async fn received(app: &App, report: &Feedback, receipt: &Receipt) -> Result<Noted> {
    let Some(raw) = raw_of(app, receipt).await? else { return Ok(Noted::Passed) };
    let Ok(mail) = InboundMail::parse(&raw, report.at) else {
        tracing::warn!("a received mail cannot be read");
        return Ok(Noted::Passed);
    };
    let entity = receipt.recipients.iter().find_map(|recipient| tenant_of(recipient));
    let inbound = Inbound { mail, entity, authentic: receipt.authentic, key: report.ses_message_id.clone() };
    let answer = take(app, inbound).await?;
    Ok(if answer.outcome == InboundOutcome::Unmatched { Noted::Passed } else { Noted::Recorded })
}

/// Where a mail is stored. Another key would be another kind of object: nobody's mail.
fn stored_key(receipt: &Receipt) -> Option<&str> {
    match &receipt.mail {
        ReceivedMail::Stored { key, .. } => Some(key.as_str()).filter(|key| key.starts_with(INBOUND_PREFIX)),
        ReceivedMail::Inline(_) | ReceivedMail::Absent => None,
    }
}

async fn raw_of(app: &App, receipt: &Receipt) -> Result<Option<Vec<u8>>> {
    match (&receipt.mail, stored_key(receipt)) {
        (ReceivedMail::Inline(raw), _) => Ok(Some(raw.clone())),
        (_, Some(key)) => stored(app, key).await,
        (_, None) => Ok(None),
    }
}

async fn stored(app: &App, key: &str) -> Result<Option<Vec<u8>>> {
    use axle_providers::objects::ObjectError;
    let failed = |e: ObjectError| Error::Unavailable(e.to_string());
    let mut stream = match app.objects().get_stream(key, 0, None).await {
        Ok(stream) => stream,
        Err(ObjectError::NotFound(_)) => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut raw = Vec::new();
    while let Some(part) = stream.try_next().await.map_err(failed)? {
        raw.extend_from_slice(&part);
        if raw.len() >= RAW_MAX {
            raw.truncate(RAW_MAX);
            break;
        }
    }
    // One that was read before.
    Ok(Some(raw).filter(|raw| !raw.is_empty()))
}

/// Takes a mail in.
async fn take(app: &App, inbound: Inbound) -> Result<InboundAnswer> {
    if let Some(answer) = unsubscribed(app, &inbound).await? {
        return Ok(answer);
    }
    for _ in 0..RACES {
        let Some(found) = find(app, &inbound).await? else { return Ok(UNMATCHED) };
        if let Some(answer) = record(app, &inbound, found).await? {
            return Ok(answer);
        }
    }
    Err(Error::Unavailable("a reply met too many others".to_owned()))
}

/// A mail to the address of `List-Unsubscribe`: its subject is the ticket, and that is the credential.
async fn unsubscribed(app: &App, inbound: &Inbound) -> Result<Option<InboundAnswer>> {
    let ticket = app.link_key().await?.find_unsubscribe(&inbound.mail.subject);
    let Some(ticket) = ticket.filter(|ticket| ticket.purpose == Purpose::Unsubscribe) else { return Ok(None) };
    if inbound.entity.is_some_and(|entity| entity != ticket.entity) {
        return Ok(None);
    }
    match engagement::unsubscribe_by(app, &ticket, "unsubscribe-mail").await {
        Ok(()) => {
            let communication_id = Some(ticket.communication());
            Ok(Some(InboundAnswer { outcome: InboundOutcome::Unsubscribed, communication_id }))
        }
        Err(Error::NotFound(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The message that a mail answers.
async fn find(app: &App, inbound: &Inbound) -> Result<Option<Versioned<CommunicationRecord>>> {
    let (table, now, mail) = (app.table().await, app.now(), &inbound.mail);
    for id in mail.replies_to().take(IDS_TRIED) {
        let found = match table.message_ref(id.as_str(), now).await? {
            Some(known) if inbound.entity.is_some_and(|entity| entity != known.entity_id) => None,
            Some(known) => table.communication(known.entity_id, known.communication_id, now).await?,
            // A provider that puts its own id in place of ours may keep ours among the references.
            None => match (inbound.entity, our_own(id)) {
                (Some(entity), Some(own)) => table.communication(entity, own, now).await?,
                _ => None,
            },
        };
        if let Some(found) = found.filter(|found| is_answer(&found.value, mail)) {
            return Ok(Some(found));
        }
    }
    let Some(entity) = inbound.entity.filter(|_| inbound.authentic) else { return Ok(None) };
    let latest = latest_to(app, entity, mail.from.address.as_str()).await?;
    Ok(latest.filter(|found| is_answer(&found.value, mail)))
}

/// The latest e-mail that went to an address.
pub(crate) async fn latest_to(app: &App, entity: EntityId, address: &str) -> Result<Option<Versioned<CommunicationRecord>>> {
    let (table, hash) = (app.table().await, app.address_hash(entity, address).await?);
    let Some(latest) = table.latest_sent_to(entity, &hash).await? else { return Ok(None) };
    Ok(table.communication(entity, latest, app.now()).await?)
}

/// The message in an id of our making.
fn our_own(id: &MessageId) -> Option<CommunicationId> {
    id.as_str().split_once('@')?.0.parse().ok()
}

/// Not our own message or its follow-up, as a mailbox that is read whole would show them: those go *to* the recipient.
fn is_answer(record: &CommunicationRecord, mail: &InboundMail) -> bool {
    let from_recipient = mail.from.address.as_str() == record.to;
    let to_recipient = mail.to.iter().any(|to| to.as_str() == record.to);
    record.channel == MessageChannel::Email && (from_recipient || !to_recipient)
}

/// What a reply comes to, if that can be told; kept with it, told with its event, and shown as `classification`. What a program wrote is
/// `automatic`, whatever it says; what a person wrote is left without a class rather than given a doubtful one.
fn classify(mail: &InboundMail, text: &str) -> Option<String> {
    if mail.automatic {
        return Some("automatic".to_owned());
    }
    let Classification { class, confidence, .. } = reply::classify(&mail.subject, text);
    (confidence >= CONFIDENT).then(|| class.as_str().to_owned())
}

fn reply_of(inbound: &Inbound, record: &CommunicationRecord, now: axle_domain::Time) -> ReplyRecord {
    let mail = &inbound.mail;
    let message_id = mail.message_id.as_ref().map(|id| id.as_str().to_owned());
    let name = format!("{}/{}", record.entity_id, message_id.as_deref().unwrap_or(&inbound.key));
    let text = mail.latest_text();
    ReplyRecord {
        entity_id: record.entity_id,
        communication_id: record.id,
        id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        from: mail.from.address.as_str().to_owned(),
        from_name: mail.from.name.as_ref().map(|name| name.as_str().to_owned()),
        subject: mail.subject.clone(),
        text: text[..text.floor_char_boundary(TEXT_MAX)].to_owned(),
        automatic: mail.automatic,
        classification: classify(mail, text),
        message_id,
        received_at: mail.received_at.min(now),
        created_at: now,
    }
}

/// Keeps a reply beside its message, with everything that follows from it; `None` if somebody changed the message meanwhile.
async fn record(app: &App, inbound: &Inbound, found: Versioned<CommunicationRecord>) -> Result<Option<InboundAnswer>> {
    let (mut record, version) = (found.value, found.version);
    let (table, now) = (app.table().await, app.now());
    let reply = reply_of(inbound, &record, now);
    let outcome = if reply.automatic { InboundOutcome::Automatic } else { InboundOutcome::Reply };
    let answer = Some(InboundAnswer { outcome, communication_id: Some(record.id) });
    // What programs wrote keeps no person's word out.
    let so_far = if reply.automatic { record.replies_kept } else { record.engagement.replies };
    if so_far >= REPLIES_KEPT {
        tracing::info!(entity_id = %record.entity_id, communication_id = %record.id, "one more reply to a message was not kept");
        return Ok(answer);
    }
    record.replies_kept += 1;
    let mut tx = table.tx();
    tx.create("reply", &reply);
    if !reply.automatic {
        record.engagement.replied_at.get_or_insert(reply.received_at);
        record.engagement.replies = record.engagement.replies.saturating_add(1);
        record.updated_at = now;
        let subject = reply.id.as_u128();
        let (entity_id, campaign_id) = (record.entity_id, record.campaign_id);
        tx.cost_unit(&CostPlace { entity_id, at: now, subject, campaign_id, agent_id: None }, CostUnit::Reply);
        status::advance(app, &mut tx, record.entity_id, record.lead_id, LeadStatus::Replied, now).await?;
        let data = json!({"class": reply.classification});
        let told = event(&record, EventType::CommunicationReplied, Actor::system("inbound"), now, data);
        tx.emit(&told, app.config().event_retention_days);
    }
    tx.replace("message", &record, version);
    match tx.commit().await {
        Ok(()) => Ok(answer),
        // It came before.
        Err(CommitError::Condition { label: "reply", .. }) => Ok(answer),
        Err(CommitError::Condition { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

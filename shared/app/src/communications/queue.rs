//! Queueing a message. One function, whoever wants it sent.

use axle_domain::campaign::Messaging;
use axle_domain::communication::{CommunicationInput, CommunicationStatus, MessageChannel, next_allowed_by_all};
use axle_domain::mail::IdentityKind;
use axle_domain::trace::SpanId;
use axle_domain::{CommunicationId, Faults, Input};
use axle_store::Tx;
use axle_store::communications::{CommunicationEntry, CommunicationRecord, ContentRecord, Engagement};
use axle_store::identities::IdentityRecord;

use super::send::NEVER_OPEN;
use super::{content, recipient};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::require_campaign;

/// A message that is ready to be queued.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub record: CommunicationRecord,
    pub content: ContentRecord,
    /// The step that it follows from; none for one that begins a trace.
    pub parent_span: Option<SpanId>,
    /// Who will be given it, as prices name them.
    pub(crate) provider: &'static str,
}

impl Prepared {
    /// Queues it with the transaction that wants it sent. At most 5 items: message, content, entry under lead or campaign, link from its
    /// trace, count.
    pub fn put(&self, tx: &mut Tx<'_>) {
        tx.create("message", &self.record);
        tx.create("content", &self.content);
        if let Some(entry) = CommunicationEntry::of(&self.record) {
            tx.create("entry", &entry);
        }
        tx.trace_message(&self.record, self.parent_span);
        tx.count_communication(&self.record, None);
    }
}

/// Checks a message and makes it ready.
///
/// # Errors
/// [`Error::Invalid`] with every fault.
pub async fn prepare(app: &App, ctx: &Ctx, input: CommunicationInput) -> Result<Prepared> {
    prepare_as(app, ctx, CommunicationId::new_at(ctx.now), input, None).await
}

/// The same for a message whose id says what it is, so that it cannot be queued twice, and which goes out in
/// the window and the language of a campaign.
pub(crate) async fn prepare_as(
    app: &App,
    ctx: &Ctx,
    id: CommunicationId,
    input: CommunicationInput,
    campaign: Option<&Messaging>,
) -> Result<Prepared> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    input.check_time(ctx.now, &mut faults);
    let recipient = recipient::resolve(app, ctx, &input, &mut faults).await?;
    let identity = find_identity(app, ctx, &input, &mut faults).await?;
    match require_campaign(app, ctx, "/campaign_id", input.campaign_id).await {
        Err(Error::Invalid(found)) => faults.extend(found),
        other => other?,
    }
    faults.check().map_err(Error::Invalid)?;
    let recipient = recipient.ok_or_else(|| Error::Internal("a message without a recipient".to_owned()))?;
    let wanted = input.send_at.unwrap_or(ctx.now).max(ctx.now);
    let timezone = recipient.timezone;
    let own = identity.as_ref().and_then(|identity| identity.sending_window.as_ref());
    let windows: Vec<_> = own.into_iter().chain(campaign.and_then(|campaign| campaign.sending_window.as_ref())).collect();
    let opens = next_allowed_by_all(&windows, timezone.as_deref(), wanted);
    let scheduled_send_time = opens.ok_or_else(|| Error::invalid("/identity_id", NEVER_OPEN))?;
    let record = CommunicationRecord {
        entity_id: ctx.entity_id,
        id,
        channel: input.channel,
        category: input.category(),
        status: CommunicationStatus::Pending,
        to: recipient.to,
        to_name: recipient.name,
        lead_id: input.lead_id,
        contact_id: input.contact_id,
        // In the timeline of a deal stand e-mails.
        deal_id: recipient.deal_id.filter(|_| input.channel == MessageChannel::Email),
        agent_id: None,
        campaign_id: input.campaign_id,
        identity_id: input.identity_id,
        subject: input.subject.clone(),
        track: input.track,
        scheduled_send_time,
        due_since: None,
        timezone,
        attempts: Vec::new(),
        tries: 0,
        due_at: None,
        claim: None,
        claimed_until: None,
        place: None,
        provider: None,
        provider_message_id: None,
        message_id: None,
        sent_at: None,
        error: None,
        outcome_unknown: false,
        engagement: Engagement::default(),
        replies_kept: 0,
        actor: ctx.actor.clone(),
        trace_id: ctx.trace_id,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let content = content::prepare(app, &record, input, campaign.and_then(|campaign| campaign.language.as_deref())).await?;
    let later = record.scheduled_send_time > ctx.now;
    let due_at = later.then_some(record.scheduled_send_time);
    let provider = provider(record.channel, identity.as_ref().map(|identity| identity.kind));
    Ok(Prepared { record: CommunicationRecord { due_at, ..record }, content, parent_span: None, provider })
}

/// Queues a message. `answer` is given it as it is stored.
///
/// # Errors
/// [`Error::Invalid`] with every fault.
pub async fn queue(
    app: &App,
    ctx: &Ctx,
    input: CommunicationInput,
    answer: impl FnOnce(&CommunicationRecord) -> Result<Answer>,
) -> Result<Answer> {
    let prepared = prepare(app, ctx, input).await?;
    let answer = answer(&prepared.record)?;
    let mut tx = app.table().await.tx();
    prepared.put(&mut tx);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// Who is given a message, as prices name them.
pub(crate) fn provider(channel: MessageChannel, identity: Option<IdentityKind>) -> &'static str {
    match channel {
        MessageChannel::Email => identity.unwrap_or(IdentityKind::Ses).as_str(),
        MessageChannel::Sms => "sns",
        MessageChannel::Webhook => "webhook",
    }
}

/// The identity that an e-mail names, or the fault noted. An e-mail without one needs the deployment's own sender address.
async fn find_identity(app: &App, ctx: &Ctx, input: &CommunicationInput, faults: &mut Faults) -> Result<Option<IdentityRecord>> {
    let Some(id) = input.identity_id else {
        if input.channel == MessageChannel::Email && app.config().sender.is_none() {
            faults.add("/identity_id", "is required: this deployment has no sender address of its own");
        }
        return Ok(None);
    };
    if input.channel != MessageChannel::Email {
        faults.add("/identity_id", "is for e-mail only");
        return Ok(None);
    }
    let found = app.table().await.sending_identity(ctx.entity_id, id, ctx.now).await?;
    if found.is_none() {
        faults.add("/identity_id", "no sending identity has this id");
    }
    Ok(found.map(|found| found.value))
}

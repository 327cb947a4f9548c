//! Messages read back, cancelled, and tried again by hand.

use axle_domain::CommunicationId;
use axle_domain::communication::{CommunicationStatus, MessageChannel};
use axle_domain::event::EventType;
use axle_domain::id::{entropy, v7_at};
use axle_store::communications::{CommunicationQuery, CommunicationRecord, ContentRecord, NudgeRecord};
use axle_store::replies::ReplyRecord;
use axle_store::{CommitError, Versioned};
use serde_json::json;

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged};

/// Attempts against others who change the same message at the same moment.
const RACES: usize = 8;

pub async fn find(app: &App, ctx: &Ctx, id: CommunicationId) -> Result<Versioned<CommunicationRecord>> {
    app.table().await.communication(ctx.entity_id, id, ctx.now).await?.ok_or(Error::NotFound("communication"))
}

/// Replies that are shown with a message.
const REPLIES_SHOWN: usize = 20;

/// A message with what it says, and the latest of what came back as mail to it, oldest first.
pub async fn get(
    app: &App,
    ctx: &Ctx,
    id: CommunicationId,
) -> Result<(Versioned<CommunicationRecord>, ContentRecord, Vec<ReplyRecord>)> {
    let record = find(app, ctx, id).await?;
    let content = app.table().await.communication_content(ctx.entity_id, id, ctx.now).await?;
    let content = content.ok_or_else(|| Error::Internal("a message without content".to_owned()))?;
    let mut replies = match record.value.channel {
        MessageChannel::Email => app.table().await.replies(ctx.entity_id, id).await?,
        MessageChannel::Sms | MessageChannel::Webhook => Vec::new(),
    };
    let replies = replies.split_off(replies.len().saturating_sub(REPLIES_SHOWN));
    Ok((record, content, replies))
}

/// A page of messages, newest first.
pub async fn list(
    app: &App,
    ctx: &Ctx,
    query: CommunicationQuery,
    page: PageRequest,
) -> Result<Paged<Versioned<CommunicationRecord>>> {
    let name = format!("communications?{query:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.communications(ctx.entity_id, &query, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

/// Cancels a message that has not been handed to its provider.
///
/// # Errors
/// [`Error::Conflict`] once a worker has it.
pub async fn cancel(
    app: &App,
    ctx: &Ctx,
    id: CommunicationId,
    answer: impl Fn(&CommunicationRecord) -> Result<Answer>,
) -> Result<Answer> {
    for _ in 0..RACES {
        let Versioned { value: mut record, version } = find(app, ctx, id).await?;
        let from = record.status;
        if from != CommunicationStatus::Pending {
            return Err(Error::Conflict(format!("the message is {from}; only a pending one can be cancelled")));
        }
        record.status = CommunicationStatus::Cancelled;
        record.due_at = None;
        record.updated_at = ctx.now;
        let place = record.place.take();
        let made = answer(&record)?;
        let mut tx = app.table().await.tx();
        tx.replace("message", &record, version);
        tx.count_communication(&record, Some(from));
        // It follows from this call, not from the one that queued the message.
        let told = super::event(&record, EventType::CommunicationCancelled, ctx.actor.clone(), ctx.now, json!({}));
        tx.emit(&told.trace(ctx.trace_id), app.config().event_retention_days);
        ctx.keep(&mut tx, &made);
        match tx.commit().await {
            Ok(()) => {
                super::send::give_back(app, &record, place).await;
                return Ok(made);
            }
            Err(CommitError::Condition { label: "message", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("the message was changed at the same moment; try again".to_owned()))
}

/// Queues a message again that failed or was suppressed. Whoever retries one of unknown outcome accepts that it may arrive twice.
///
/// # Errors
/// [`Error::Conflict`] unless it failed or was suppressed; for a message of a campaign's sequence also then, unless its outcome is unknown:
/// what others took of the budget and of the day was given back, while such a one still has its own.
pub async fn retry(
    app: &App,
    ctx: &Ctx,
    id: CommunicationId,
    answer: impl Fn(&CommunicationRecord) -> Result<Answer>,
) -> Result<Answer> {
    for _ in 0..RACES {
        let Versioned { value: mut record, version } = find(app, ctx, id).await?;
        let from = record.status;
        if !from.may_become(CommunicationStatus::Pending) || from == CommunicationStatus::Processing {
            return Err(Error::Conflict(format!("the message is {from}; only a failed or suppressed one can be tried again")));
        }
        if crate::outreach::campaigns::is_of_sequence(&record) && !record.outcome_unknown {
            return Err(Error::Conflict(
                "the message is of a campaign's sequence, which has ended for the lead, and what it took was given back; clone the \
                 campaign to write to the lead again"
                    .to_owned(),
            ));
        }
        record.status = CommunicationStatus::Pending;
        record.scheduled_send_time = ctx.now;
        record.due_at = Some(ctx.now);
        record.due_since = None;
        record.tries = 0;
        record.error = None;
        record.outcome_unknown = false;
        record.updated_at = ctx.now;
        let made = answer(&record)?;
        let nudge =
            NudgeRecord { entity_id: ctx.entity_id, id: v7_at(ctx.now, entropy()), communication_id: id, created_at: ctx.now };
        let mut tx = app.table().await.tx();
        tx.replace("message", &record, version);
        tx.create("nudge", &nudge);
        tx.count_communication(&record, Some(from));
        ctx.keep(&mut tx, &made);
        match tx.commit().await {
            Ok(()) => return Ok(made),
            Err(CommitError::Condition { label: "message", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("the message was changed at the same moment; try again".to_owned()))
}

//! The list of addresses that are not written to.

use axle_domain::communication::{SuppressionInput, SuppressionOrigin};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{CommunicationId, EntityId, Faults, Input, Time};
use axle_store::suppressions::SuppressionRecord;
use axle_store::{CommitError, Tx};
use serde_json::json;

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::{PageRequest, Paged};

/// Puts an address on the list. One that is there already stays as it is, with its first reason and origin.
///
/// # Errors
/// [`Error::Invalid`]
pub async fn suppress(
    app: &App,
    ctx: &Ctx,
    input: SuppressionInput,
    answer: impl Fn(&SuppressionRecord) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let address = SuppressionInput::normal(&input.address).unwrap_or_default();
    let record = record(app, ctx.entity_id, address, input.reason, SuppressionOrigin::Manual, None, ctx.now).await?;
    let made = answer(&record)?;
    let table = app.table().await;
    let mut tx = table.tx();
    tx.create("suppression", &record);
    audit::note(ctx, &mut tx, "suppression.created", &record.id, json!({"origin": "manual"}));
    ctx.keep(&mut tx, &made);
    match tx.commit().await {
        Ok(()) => Ok(made),
        Err(CommitError::Condition { label: "suppression", .. }) => {
            let known = table.suppression(ctx.entity_id, &record.id, ctx.now).await?;
            let known = known
                .ok_or_else(|| Error::Conflict("the address was taken off the list at the same moment; try again".to_owned()))?;
            answer(&known.value)
        }
        Err(e) => Err(e.into()),
    }
}

pub(super) async fn record(
    app: &App,
    entity_id: EntityId,
    address: String,
    reason: Option<String>,
    origin: SuppressionOrigin,
    communication_id: Option<CommunicationId>,
    now: Time,
) -> Result<SuppressionRecord> {
    let id = app.address_hash(entity_id, &address).await?;
    Ok(SuppressionRecord { entity_id, id, address, reason, origin, communication_id, created_at: now })
}

/// Whether an address is on the list at this moment.
pub(crate) async fn is_suppressed(app: &App, entity: EntityId, address: &str) -> Result<Option<SuppressionRecord>> {
    let hash = app.address_hash(entity, address).await?;
    Ok(app.table().await.suppression(entity, &hash, app.now()).await?.map(|found| found.value))
}

/// Adds a suppression to a transaction unless the address is on the list already.
pub(super) async fn join(app: &App, tx: &mut Tx<'_>, record: SuppressionRecord) -> Result<bool> {
    let known = app.table().await.suppression(record.entity_id, &record.id, app.now()).await?;
    if known.is_none() {
        tx.create("suppression", &record);
    }
    Ok(known.is_none())
}

/// A page of the list, newest first.
pub async fn list(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<SuppressionRecord>> {
    let after = ctx.open_cursor(app, "suppressions", page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.suppressions(ctx.entity_id, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "suppressions", next).await? })
}

/// Takes an address off the list.
///
/// # Errors
/// [`Error::NotFound`] if it is not on it.
pub async fn remove(app: &App, ctx: &Ctx, address: &str) -> Result<()> {
    let address = SuppressionInput::normal(address).ok_or(Error::NotFound("suppression"))?;
    let hash = app.address_hash(ctx.entity_id, &address).await?;
    let table = app.table().await;
    let found = table.suppression(ctx.entity_id, &hash, ctx.now).await?.ok_or(Error::NotFound("suppression"))?;
    let mut tx = table.tx();
    tx.delete("suppression", SuppressionRecord::key_of(ctx.entity_id, &hash), found.version);
    audit::note(ctx, &mut tx, "suppression.deleted", &hash, json!({"origin": found.value.origin}));
    match tx.commit().await {
        Ok(()) => Ok(()),
        Err(CommitError::Condition { .. }) => Err(Error::NotFound("suppression")),
        Err(e) => Err(e.into()),
    }
}

/// Says that a person asked for no more messages.
pub(super) fn unsubscribed_event(ctx: &Ctx, record: &SuppressionRecord, channel: &str) -> Event {
    let data = json!({"channel": channel, "origin": record.origin.as_str()});
    Event::new(
        EventType::ContactUnsubscribed,
        ctx.entity_id,
        ctx.now,
        ctx.actor.clone(),
        Subject::new("suppression", &record.id),
        data,
    )
}

//! Sending again what was sent, or should have been.

use axle_domain::id::{entropy, v7_at};
use axle_domain::webhook::{DeliveryStatus, EndpointStatus, ReplayInput, ReplayOnly};
use axle_domain::{DeliveryId, Time, WebhookId};
use axle_store::deliveries::{DeliveryRecord, ReplayRecord};
use axle_store::webhooks::WebhookRecord;
use axle_store::{Key, Table, Versioned};
use futures_util::{StreamExt, stream};

use super::endpoints;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Deliveries that one call can replay.
pub const MAX_REPLAY: usize = 10_000;
/// Deliveries whose messages one record carries.
const GROUP: usize = 100;
/// Writes at a time.
const SIDE_BY_SIDE: usize = 32;

/// Starts a new round of attempts for one delivery, whatever became of it: the receiver sees the same `webhook-id` again.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if its endpoint is gone or disabled, its event is no longer kept, or an attempt is
/// being made right now.
pub async fn replay(app: &App, ctx: &Ctx, id: DeliveryId, answer: impl FnOnce(u64) -> Result<Answer>) -> Result<Answer> {
    let table = app.table().await;
    let found = table.get::<DeliveryRecord>(&DeliveryRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    let Versioned { value: mut delivery, version } = found.ok_or(Error::NotFound("delivery"))?;
    match endpoints::get(app, ctx, delivery.webhook_id).await {
        Ok(endpoint) => require_enabled(&endpoint.value)?,
        Err(Error::NotFound(_)) => return Err(Error::Conflict("the delivery's endpoint was deleted".to_owned())),
        Err(e) => return Err(e),
    }
    if table.event(ctx.entity_id, delivery.event_id, ctx.now).await?.is_none() {
        return Err(Error::Conflict("the delivery's event is no longer kept".to_owned()));
    }
    if delivery.claimed_until.is_some_and(|until| until > ctx.now) {
        return Err(Error::Conflict("an attempt is being made right now; try again in a moment".to_owned()));
    }
    delivery.restart(ctx.now);
    let answer = answer(1)?;
    let mut tx = table.tx();
    tx.replace("delivery", &delivery, version);
    tx.create("replay", &messages(ctx, vec![id]));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

fn require_enabled(endpoint: &WebhookRecord) -> Result<()> {
    match endpoint.status {
        EndpointStatus::Enabled => Ok(()),
        EndpointStatus::Disabled => Err(Error::Conflict("the endpoint is disabled; enable it first".to_owned())),
    }
}

/// The record whose messages set the deliverer to work.
fn messages(ctx: &Ctx, deliveries: Vec<DeliveryId>) -> ReplayRecord {
    ReplayRecord { entity_id: ctx.entity_id, id: v7_at(ctx.now, entropy()), deliveries, created_at: ctx.now }
}

/// Starts a new round of attempts for an endpoint's deliveries of a span of time; answers how many. Deliveries that wait for
/// their first attempt, and those that an attempt is being made for, are left alone.
///
/// Breaking off in the middle leaves the rest for another call: what was replayed is not failed any more.
///
/// # Errors
/// [`Error::Invalid`] for an empty span; [`Error::Conflict`] if the endpoint is disabled, or for more than [`MAX_REPLAY`]
/// deliveries: nothing is replayed then.
pub async fn replay_range(app: &App, ctx: &Ctx, id: WebhookId, range: &ReplayInput) -> Result<u64> {
    use DeliveryStatus::{Dead, Delivered, Failed};
    require_enabled(&endpoints::get(app, ctx, id).await?.value)?;
    let until = range.until.unwrap_or_else(|| ctx.now.plus_millis(1));
    if range.since >= until {
        return Err(Error::invalid("/since", "must be before `until`, and not in the future"));
    }
    let statuses: &[DeliveryStatus] = match range.only {
        ReplayOnly::Failed => &[Failed, Dead],
        ReplayOnly::All => &[Failed, Dead, Delivered],
    };
    let table = app.table().await;
    let ids = table.delivery_ids(ctx.entity_id, id, statuses, range.since, until, MAX_REPLAY).await?;
    if ids.len() > MAX_REPLAY {
        let text = format!("more than {MAX_REPLAY} deliveries lie in this range; replay it in shorter ones");
        return Err(Error::Conflict(text));
    }
    let mut replayed = 0;
    for group in ids.chunks(GROUP) {
        let restarted = restart(table, ctx, group, statuses).await?;
        replayed += restarted.len() as u64;
        if !restarted.is_empty() {
            // Only for speed: restarted deliveries are due, and the scheduler would find them.
            table.put_new(&messages(ctx, restarted)).await?;
        }
    }
    Ok(replayed)
}

/// Restarts those of the group that still are in one of the states.
async fn restart(table: &Table, ctx: &Ctx, group: &[DeliveryId], statuses: &[DeliveryStatus]) -> Result<Vec<DeliveryId>> {
    let keys: Vec<Key> = group.iter().map(|id| DeliveryRecord::key_of(ctx.entity_id, *id)).collect();
    let found = table.get_many::<DeliveryRecord>(&keys, ctx.now).await?;
    let fit = found.into_iter().filter(|delivery| fits(&delivery.value, statuses, ctx.now));
    let restarts = fit.map(async |Versioned { value: mut delivery, version }| {
        delivery.restart(ctx.now);
        let done = table.put_delivery(&delivery, version).await?;
        Ok::<_, Error>(done.map(|_| delivery.id))
    });
    let outcomes: Vec<Result<Option<DeliveryId>>> = stream::iter(restarts).buffer_unordered(SIDE_BY_SIDE).collect().await;
    outcomes.into_iter().filter_map(Result::transpose).collect()
}

fn fits(delivery: &DeliveryRecord, statuses: &[DeliveryStatus], now: Time) -> bool {
    statuses.contains(&delivery.status) && delivery.claimed_until.is_none_or(|until| until <= now)
}

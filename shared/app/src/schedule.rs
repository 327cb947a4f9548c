//! What has fallen due: each minute it is sent to those who do it.

use std::time::{Duration, Instant};

use axle_domain::{DeliveryId, Time};
use axle_providers::queue::Message;
use axle_store::Record;
use axle_store::deliveries::{DeliverJob, DeliveryRecord, Due};

use crate::context::App;
use crate::error::{Error, Result};

/// Things due for less than this are left alone, in seconds: short waits have a delayed message on its way as well, which
/// mostly comes first.
const GRACE_SECS: i64 = 30;
/// Entries of the due-index that are read and sent on at a time.
const PAGE: usize = 500;
/// Time that one page may take; a sweep stops when it has less.
const PAGE_TIME: Duration = Duration::from_secs(5);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages sent.
    pub sent: u64,
    /// Whether time ran out before everything was looked at; the next sweep begins with the oldest again.
    pub unfinished: bool,
}

/// Sends a message for everything on the due-index that is due, oldest first, until `deadline` draws near.
///
/// It changes nothing itself: an entry stays until the work is done, and the worker decides whether it still is to be done. So
/// sweeps may come late, twice or side by side.
///
/// # Errors
/// [`Error::Unavailable`] when not all could be sent; the next sweep sends them.
pub async fn sweep(app: &App, deadline: Instant) -> Result<Swept> {
    let table = app.table().await;
    let before = app.now().plus_secs(-GRACE_SECS);
    let (mut swept, mut after) = (Swept::default(), None);
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            return Ok(Swept { unfinished: true, ..swept });
        }
        let (due, next) = table.due(before, after.as_deref(), PAGE).await?;
        swept.sent += send(app, &due, before).await?;
        match next {
            Some(_) => after = next,
            None => return Ok(swept),
        }
    }
}

/// Sends the messages of a page.
async fn send(app: &App, due: &[Due], before: Time) -> Result<u64> {
    let mut deliveries = Vec::new();
    for entry in due {
        match entry.kind.as_str() {
            DeliveryRecord::TYPE => deliveries.push(deliver_message(entry)?),
            other => tracing::error!(kind = other, due_before = %before, "nobody does what is due"),
        }
    }
    let count = deliveries.len() as u64;
    let sent = app.deliver_queue().send_batch(deliveries).await;
    sent.map_err(|e| Error::Unavailable(e.to_string()))?;
    Ok(count)
}

fn deliver_message(entry: &Due) -> Result<Message> {
    let job = DeliverJob { entity_id: entry.entity_id, delivery_id: DeliveryId::from_uuid(entry.id), trace_id: None };
    let body = serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Message::now(body))
}

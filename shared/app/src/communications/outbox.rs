//! How the outbox is doing: exact counts, throughput, and how long the oldest message waits.

use std::collections::BTreeMap;

use axle_domain::EntityId;
use axle_domain::communication::{CommunicationStatus, DeliveryNumbers};
use axle_store::communications::BOARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::{App, Ctx};
use crate::error::Result;

/// Minutes over which throughput is measured, the running one included.
const MINUTES: i64 = 5;

/// Messages sent, as rates over the last minutes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Throughput {
    pub per_minute: f64,
    pub per_hour: f64,
    /// What the rates were measured over: four whole minutes and the running one.
    #[schema(example = 283)]
    pub window_seconds: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OutboxStatus {
    /// Messages by status, of all times; changed in the same write as the message itself.
    #[schema(example = json!({"pending": 3, "processing": 1, "sent": 1200, "failed": 2, "cancelled": 0, "suppressed": 7}))]
    pub counts: BTreeMap<&'static str, i64>,
    pub throughput: Throughput,
    /// How long the message that waits longest has been overdue; 0 when none is due.
    #[schema(example = 0)]
    pub oldest_pending_age_seconds: i64,
}

/// Costs some 5 read units.
pub async fn outbox(app: &App, ctx: &Ctx) -> Result<OutboxStatus> {
    let table = app.table().await;
    let (numbers, lately, oldest) = (
        table.tally(ctx.entity_id, BOARD).await?,
        table.delivery_numbers(ctx.entity_id, ctx.now, MINUTES).await?,
        table.oldest_waiting(ctx.entity_id).await?,
    );
    let sent = i64::try_from(lately.sent).unwrap_or(i64::MAX);
    let counts =
        CommunicationStatus::ALL.iter().map(|status| (status.as_str(), numbers.get(status.as_str()).copied().unwrap_or(0)));
    let window_seconds = (MINUTES - 1) * 60 + ctx.now.secs().rem_euclid(60) + 1;
    let rate = |secs: i64| (sent * secs * 100 / window_seconds) as f64 / 100.0;
    Ok(OutboxStatus {
        counts: counts.collect(),
        throughput: Throughput { per_minute: rate(60), per_hour: rate(3_600), window_seconds },
        oldest_pending_age_seconds: oldest.map_or(0, |at| ctx.now.since(at).max(0) / 1_000),
    })
}

/// What service levels of the outbox are judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxHealth {
    /// How long the message that waits longest has been overdue; 0 when none is due.
    pub oldest_pending_age_seconds: i64,
    /// Counts over the window: [`DeliveryNumbers::failure_rate`] and [`DeliveryNumbers::latency_p95_seconds`] follow from them.
    pub numbers: DeliveryNumbers,
}

/// How a tenant's sending went in the last `minutes` (a day at most). Costs some 2 read units, and one for each ten minutes.
pub async fn health(app: &App, entity: EntityId, minutes: i64) -> Result<OutboxHealth> {
    let (table, now) = (app.table().await, app.now());
    let (numbers, oldest) = tokio::try_join!(table.delivery_numbers(entity, now, minutes), table.oldest_waiting(entity))?;
    Ok(OutboxHealth { oldest_pending_age_seconds: oldest.map_or(0, |at| now.since(at).max(0) / 1_000), numbers })
}

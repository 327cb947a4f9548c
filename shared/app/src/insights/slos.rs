//! Service levels: promised, judged each minute, and told of when a breach begins and ends.

use std::time::{Duration, Instant};

use axle_domain::event::{Event, EventType, Subject};
use axle_domain::slo::{Objective, SloInput, SloState, Turn, is_name, judge, next_check, rounded};
use axle_domain::{Actor, EntityId, Faults, Input, Time};
use axle_store::Versioned;
use axle_store::slos::SloRecord;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use uuid::Uuid;

use crate::communications;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Service levels that a tenant can have: all of them are judged again and again.
pub const MAX_SLOS: usize = 50;
/// Attempts against others who change the same one at the same moment.
const RACES: usize = 8;
/// Service levels that are judged at the same time.
const SIDE_BY_SIDE: usize = 16;
/// How long one may take: a tenant's twenty thousand deliveries of each endpoint must not keep all the others waiting.
const JUDGING: Duration = Duration::from_secs(10);
/// What is left of the time when no more are begun.
const MARGIN: Duration = Duration::from_secs(1);

/// Makes or changes the service level of a name; answers whether it is new. What is known of it stays until it is judged anew, within a
/// minute: a breach that goes on ends then, or not, by the new promise.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] at [`MAX_SLOS`].
pub async fn put(app: &App, ctx: &Ctx, name: &str, input: &SloInput) -> Result<(SloRecord, bool)> {
    let mut faults = Faults::new();
    if !is_name(name) {
        faults.add("?name", "must be 1 to 64 lower-case letters, digits, `_`, `-` or `.`, beginning with a letter or digit");
    }
    input.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let (table, id) = (app.table().await, SloRecord::id_of(ctx.entity_id, name));
    for _ in 0..RACES {
        let known = table.slo(ctx.entity_id, id, ctx.now).await?;
        let slo = wanted(ctx, name, input, known.as_ref().map(|known| &known.value));
        let mut tx = table.tx();
        match &known {
            Some(known) => tx.replace("slo", &slo, known.version),
            None if table.slos(ctx.entity_id).await?.len() >= MAX_SLOS => {
                return Err(Error::Conflict(format!("there can be {MAX_SLOS} service levels at most; delete one first")));
            }
            None => tx.create("slo", &slo),
        }
        if tx.try_commit().await? {
            return Ok((slo, known.is_none()));
        }
    }
    Err(Error::Unavailable("a service level keeps changing".to_owned()))
}

fn wanted(ctx: &Ctx, name: &str, input: &SloInput, known: Option<&SloRecord>) -> SloRecord {
    let same = known.filter(|known| known.objective == input.objective);
    SloRecord {
        entity_id: ctx.entity_id,
        id: SloRecord::id_of(ctx.entity_id, name),
        name: name.to_owned(),
        objective: input.objective,
        threshold: input.rounded_threshold(),
        window_minutes: input.window_minutes,
        status: same.map_or(SloState::NoData, |known| known.status),
        value: same.and_then(|known| known.value),
        evaluated_at: same.and_then(|known| known.evaluated_at),
        breached_since: known.and_then(|known| known.breached_since),
        check_at: ctx.now,
        created_at: known.map_or(ctx.now, |known| known.created_at),
        updated_at: ctx.now,
    }
}

/// All of a tenant, by name.
pub async fn list(app: &App, ctx: &Ctx) -> Result<Vec<SloRecord>> {
    Ok(app.table().await.slos(ctx.entity_id).await?.into_iter().map(|slo| slo.value).collect())
}

/// Takes a promise back.
///
/// # Errors
/// [`Error::NotFound`] if there is none of this name.
pub async fn delete(app: &App, ctx: &Ctx, name: &str) -> Result<()> {
    let (table, id) = (app.table().await, SloRecord::id_of(ctx.entity_id, name));
    for _ in 0..RACES {
        let Some(known) = table.slo(ctx.entity_id, id, ctx.now).await? else { break };
        let mut tx = table.tx();
        tx.delete("slo", SloRecord::key_of(ctx.entity_id, id), known.version);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::NotFound("service level"))
}

/// What became of the service levels that were due.
#[derive(Debug, Default)]
pub struct Judged {
    pub judged: u64,
    /// Whether time ran out before all were looked at.
    pub unfinished: bool,
    pub errors: Vec<Error>,
}

/// Judges service levels side by side until `deadline` draws near. One that fails, or that takes too long, does not hold up the others.
pub async fn evaluate_all(app: &App, due: Vec<(EntityId, Uuid)>, deadline: Instant) -> Judged {
    let outcomes = stream::iter(due).map(async |(entity, id)| {
        let left = deadline.saturating_duration_since(Instant::now()).checked_sub(MARGIN)?;
        let judged = tokio::time::timeout(left.min(JUDGING), evaluate(app, entity, id)).await;
        Some(judged.unwrap_or_else(|_| Err(Error::Unavailable(format!("the service level {id} takes too long to judge")))))
    });
    let outcomes: Vec<Option<Result<bool>>> = outcomes.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let mut all = Judged::default();
    for outcome in outcomes {
        match outcome {
            Some(Ok(judged)) => all.judged += u64::from(judged),
            Some(Err(error)) => all.errors.push(error),
            None => all.unfinished = true,
        }
    }
    all
}

/// Judges a service level that is due; answers whether it was. The judgement is written under the version that was read, together with the
/// event of a breach that begins or ends: whoever sweeps at the same moment, or late, or again, finds it judged.
///
/// # Errors
/// [`Error::Unavailable`]: the next sweep judges it.
pub async fn evaluate(app: &App, entity: EntityId, id: Uuid) -> Result<bool> {
    let (table, now) = (app.table().await, app.now());
    let Some(found) = table.slo(entity, id, now).await? else { return Ok(false) };
    if found.value.check_at > now {
        return Ok(false);
    }
    let value = measure(app, &found.value, now).await?.map(rounded);
    let Versioned { value: known, version } = found;
    let (status, turn) = judge(known.objective, known.threshold, value, known.breached_since.is_some());
    let breached_since = match turn {
        Some(Turn::Violated) => Some(now),
        Some(Turn::Recovered) => None,
        None => known.breached_since,
    };
    let check_at = next_check(now, known.window_minutes);
    let slo = SloRecord { status, value, evaluated_at: Some(now), breached_since, check_at, ..known };
    let Some((turn, value)) = turn.zip(value) else { return Ok(table.put_slo(&slo, version).await?) };
    let mut tx = table.tx();
    tx.replace("slo", &slo, version);
    tx.emit(&told(&slo, turn, value, now), app.config().event_retention_days);
    Ok(tx.try_commit().await?)
}

fn told(slo: &SloRecord, turn: Turn, value: f64, now: Time) -> Event {
    let event_type = match turn {
        Turn::Violated => EventType::SloViolated,
        Turn::Recovered => EventType::SloRecovered,
    };
    let data = json!({"name": slo.name, "objective": slo.objective, "threshold": slo.threshold, "value": value});
    Event::new(event_type, slo.entity_id, now, Actor::system("scheduler"), Subject::new("slo", &slo.name), data)
}

/// The objective's value over the window up to now; `None` if nothing happened in it.
async fn measure(app: &App, slo: &SloRecord, now: Time) -> Result<Option<f64>> {
    let (table, entity, minutes) = (app.table().await, slo.entity_id, i64::from(slo.window_minutes));
    Ok(match slo.objective {
        Objective::OutboxLatencyP95Seconds => {
            let health = communications::health(app, entity, minutes).await?;
            health.numbers.latency_p95_seconds().map(|secs| secs as f64)
        }
        Objective::DeliveryFailureRate => communications::health(app, entity, minutes).await?.numbers.failure_rate(),
        Objective::AgentSuccessRate => table.execution_numbers(entity, now, minutes).await?.success_rate(),
        Objective::AgentDurationP95Ms => {
            table.execution_numbers(entity, now, minutes).await?.duration_p95_ms().map(|ms| ms as f64)
        }
        Objective::WebhookSuccessRate => {
            let (good, bad) = table.delivery_outcomes(entity, now.plus_secs(-60 * minutes), now.plus_millis(1)).await?;
            (good + bad > 0).then(|| good as f64 / (good + bad) as f64)
        }
    })
}

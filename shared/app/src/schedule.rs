//! What has fallen due: each minute it is sent to those who do it.

use std::time::{Duration, Instant};

use axle_domain::{CampaignRunId, CommunicationId, DeliveryId, EntityId, RunContactId, TaskId, Time};
use axle_providers::queue::Message;
use axle_store::Record;
use axle_store::agent_runs::{AgentMessage, AgentTask, RunContactRecord};
use axle_store::communications::{CommunicationRecord, OutboxJob};
use axle_store::crm::tasks::TaskRecord;
use axle_store::deliveries::{DeliverJob, DeliveryRecord, Due};
use axle_store::runs::{RunJob, RunRecord};
use axle_store::slos::SloRecord;
use futures_util::{StreamExt, stream};

use crate::context::App;
use crate::crm::tasks;
use crate::error::{Error, Result};
use crate::insights::slos;

/// Deliveries due for less than this are left alone, in seconds: short waits have a delayed message on its way as well, which
/// mostly comes first.
const GRACE_SECS: i64 = 30;
/// Entries of the due-index that are read and sent on at a time.
const PAGE: usize = 500;
/// Reminders that are given at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Time that one page may take; a sweep stops when it has less.
const PAGE_TIME: Duration = Duration::from_secs(5);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages sent, reminders given and service levels judged.
    pub sent: u64,
    /// Whether time ran out before everything was looked at; the next sweep begins with the oldest again.
    pub unfinished: bool,
}

/// Sends a message for everything on the due-index that is due, oldest first, until `deadline` draws near.
///
/// An entry stays until the work is done, and who does it decides whether it still is to be done. So sweeps may come late, twice or
/// side by side. Reminders and service levels are small enough to be seen to here, service levels last: to judge them can take long.
///
/// # Errors
/// [`Error::Unavailable`] when not all could be sent; the next sweep sends them. What fails does not keep the rest from being sent.
pub async fn sweep(app: &App, deadline: Instant) -> Result<Swept> {
    let table = app.table().await;
    let now = app.now();
    let (mut swept, mut after) = (Swept::default(), None);
    let (mut slos, mut failure) = (Vec::new(), None);
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            swept.unfinished = true;
            break;
        }
        let (due, next) = table.due(now.plus_millis(1), after.as_deref(), PAGE).await?;
        let of_slo = due.iter().filter(|entry| entry.kind == SloRecord::TYPE);
        slos.extend(of_slo.map(|entry| (entry.entity_id, entry.id)));
        match send(app, &due, now).await {
            Ok(sent) => swept.sent += sent,
            Err(error) => note(&mut failure, error),
        }
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    let judged = slos::evaluate_all(app, slos, deadline).await;
    swept.sent += judged.judged;
    swept.unfinished |= judged.unfinished;
    judged.errors.into_iter().for_each(|error| note(&mut failure, error));
    failure.map_or(Ok(swept), Err)
}

/// Keeps the first error of a sweep, which is its outcome, and logs the others.
fn note(failure: &mut Option<Error>, error: Error) {
    match failure {
        None => *failure = Some(error),
        Some(_) => tracing::warn!(error = error.for_the_log(), "more of a sweep failed"),
    }
}

/// Sends the messages of a page and gives its reminders.
async fn send(app: &App, due: &[Due], now: Time) -> Result<u64> {
    let (mut deliveries, mut communications, mut agents, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut reminders = Vec::new();
    let graced = now.plus_secs(-GRACE_SECS).to_string();
    for entry in due {
        match entry.kind.as_str() {
            DeliveryRecord::TYPE if entry.position >= graced => {}
            DeliveryRecord::TYPE => deliveries.push(deliver_message(entry)?),
            CommunicationRecord::TYPE if entry.position >= graced => {}
            CommunicationRecord::TYPE => communications.push(outbox_message(entry)?),
            // Who decided a moment ago has a message on its way as well; a claim that ran out has nobody at it.
            RunContactRecord::TYPE => agents.push(agent_message(entry)?),
            RunRecord::TYPE if entry.position >= graced => {}
            RunRecord::TYPE => runs.push(run_message(entry)?),
            TaskRecord::TYPE => reminders.push((entry.entity_id, TaskId::from_uuid(entry.id))),
            // Judged when everything is sent.
            SloRecord::TYPE => {}
            other => tracing::error!(kind = other, position = entry.position, "nobody does what is due"),
        }
    }
    let count = (deliveries.len() + communications.len() + agents.len() + runs.len()) as u64;
    // One queue's failure must not keep the other's messages from being sent.
    let sent = [
        app.deliver_queue().send_batch(deliveries).await.map_err(|e| Error::Unavailable(e.to_string())),
        app.outbox_queue().send_batch(communications).await.map_err(|e| Error::Unavailable(e.to_string())),
        app.agents_queue().send_batch(agents).await.map_err(|e| Error::Unavailable(e.to_string())),
        app.campaign_queue().send_batch(runs).await.map_err(|e| Error::Unavailable(e.to_string())),
    ];
    let reminded = remind(app, reminders).await;
    sent.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(count + reminded?)
}

/// Gives reminders side by side: one write each, so no queue stands between. One that fails does not hold up the others.
async fn remind(app: &App, reminders: Vec<(EntityId, TaskId)>) -> Result<u64> {
    let given = stream::iter(reminders).map(async |(entity, id)| tasks::remind(app, entity, id).await);
    let given: Vec<Result<bool>> = given.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let given: Result<Vec<bool>> = given.into_iter().collect();
    Ok(given?.into_iter().filter(|given| *given).count() as u64)
}

fn deliver_message(entry: &Due) -> Result<Message> {
    let job = DeliverJob { entity_id: entry.entity_id, delivery_id: DeliveryId::from_uuid(entry.id), trace_id: None };
    let body = serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Message::now(body))
}

fn run_message(entry: &Due) -> Result<Message> {
    let job = RunJob { entity_id: entry.entity_id, run_id: CampaignRunId::from_uuid(entry.id), trace_id: None };
    let body = serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Message::now(body))
}

fn outbox_message(entry: &Due) -> Result<Message> {
    let job = OutboxJob { entity_id: entry.entity_id, communication_id: CommunicationId::from_uuid(entry.id) };
    let body = serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Message::now(body))
}

fn agent_message(entry: &Due) -> Result<Message> {
    let task = AgentTask::Work(RunContactId::from_uuid(entry.id));
    let message = AgentMessage { entity_id: entry.entity_id, task, trace_id: None };
    let body = serde_json::to_string(&message).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Message::now(body))
}

//! From the table's stream to the bus and the queues.
//!
//! A use case commits its change, the events that tell of it and the jobs that follow from it in one write. The relay reads
//! the stream of those writes, publishes the events and sends the jobs. It is the only one who does, so nothing is published
//! that was not committed, and nothing that was committed is forgotten.
//!
//! What could not be sent makes the whole batch fail, and the stream hands it out again: an event may be published twice, but
//! is never passed over. Reporting single records (`batchItemFailures`) would not help: a stream resumes at the *first* one
//! reported, so all behind it would be repeated as well, and not every emulator of Lambda heeds the report. A batch that keeps
//! failing is halved by `BisectBatchOnFunctionError` until the record at fault stands alone.

use std::sync::Arc;
use std::time::Duration;

use axle_domain::TraceId;
use axle_providers::queue::{Message, Queue};
use axle_telemetry::{Line, metric};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use crate::bus::{Bus, Publication};

/// Entries of one `PutEvents` (quota).
const MAX_ENTRIES: usize = 10;
/// Bytes of one `PutEvents`, and so of one event. EventBridge takes more by now, but not everywhere.
const MAX_BYTES: usize = 256 * 1024;
/// The first wait before what was refused is offered again; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How often something is offered before the batch is given up. Some 6 s in all: an outage that lasts is better waited out by
/// the stream's own retries.
const ATTEMPTS: u32 = 8;

/// What could not be sent; the batch has to be handed out again.
#[derive(Debug, thiserror::Error)]
#[error("{count} of the batch's events and jobs were not sent; one of them: {reason}")]
pub struct Unsent {
    pub count: usize,
    pub reason: String,
}

/// A batch of the table's stream. Only what the relay needs is read: both images of every change are in it.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<StreamRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRecord {
    event_name: String,
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(rename = "NewImage", default)]
    new: Image,
    /// When it was written, in seconds since 1970.
    #[serde(rename = "ApproximateCreationDateTime", default)]
    written_at: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Image {
    r#type: Text,
    event_type: Text,
    body: Text,
    job: Text,
    job_body: Text,
}

#[derive(Debug, Default, Deserialize)]
struct Text {
    #[serde(rename = "S", default)]
    s: Option<String>,
}

/// Sends on what the stream brings.
pub struct Relay {
    bus: Arc<dyn Bus>,
    queues: Vec<(&'static str, Arc<dyn Queue>)>,
}

impl Relay {
    /// A relay that publishes to `bus` and sends jobs to the queues by the names that records call them by (`job`).
    pub fn new(bus: impl Bus + 'static, queues: impl IntoIterator<Item = (&'static str, Arc<dyn Queue>)>) -> Self {
        Self { bus: Arc::new(bus), queues: queues.into_iter().collect() }
    }

    /// Sends on everything in the batch. What is refused is offered again, alone, until `deadline`.
    ///
    /// # Errors
    /// [`Unsent`] if anything is left.
    pub async fn run(&self, event: StreamEvent, deadline: std::time::Instant) -> Result<(), Unsent> {
        let deadline = Instant::from_std(deadline);
        let ages = ages(&event, axle_telemetry::now_ms());
        let (events, jobs) = sort(event);
        let counts = (events.len(), jobs.iter().map(|(_, messages)| messages.len()).sum());
        let mut sends = Vec::new();
        for (name, messages) in jobs {
            let queue = self.queues.iter().find(|(known, _)| *known == name).map(|(_, queue)| Arc::clone(queue));
            sends.push(Outlet::Queue { name, queue, messages });
        }
        sends.push(Outlet::Bus { bus: Arc::clone(&self.bus), events });
        let unsent = join_all(sends.into_iter().map(|outlet| drain(outlet, deadline))).await;
        let unsent: Vec<Unsent> = unsent.into_iter().flatten().collect();
        let count = unsent.iter().map(|left| left.count).sum();
        axle_telemetry::write(&line(&ages, counts, count));
        match unsent.into_iter().next() {
            Some(first) => Err(Unsent { count, ..first }),
            None => Ok(()),
        }
    }
}

/// How old each record is, in milliseconds.
fn ages(event: &StreamEvent, now_ms: u64) -> Vec<f64> {
    let written = event.records.iter().filter_map(|record| record.dynamodb.written_at);
    written.map(|at| (now_ms as f64 - at * 1_000.0).max(0.0).round()).collect()
}

/// The line about a batch of so many events and jobs, of which some are left.
fn line(ages: &[f64], (events, jobs): (usize, usize), unsent: usize) -> Line<'static> {
    let line = Line::new("batch").number("records", ages.len() as u64);
    let mut line = line.number("events", events as u64).number("jobs", jobs as u64).number("unsent", unsent as u64);
    ages.iter().for_each(|age| line.add(metric::STREAM_AGE, *age));
    line
}

/// The trace that an event tells of.
fn trace_of(detail: &str) -> Option<TraceId> {
    #[derive(Deserialize)]
    struct Traced {
        trace_id: Option<TraceId>,
    }
    serde_json::from_str::<Traced>(detail).ok()?.trace_id
}

type Jobs = Vec<(String, Vec<String>)>;

/// Events and, by queue, jobs of a batch.
fn sort(event: StreamEvent) -> (Vec<Publication>, Jobs) {
    let (mut events, mut jobs): (Vec<Publication>, Jobs) = (Vec::new(), Vec::new());
    for record in event.records.into_iter().filter(|record| record.event_name == "INSERT") {
        let Image { r#type, event_type, body, job, job_body } = record.dynamodb.new;
        if let (Some("event"), Some(event_type), Some(detail)) = (r#type.s.as_deref(), event_type.s, body.s) {
            let event = Publication { event_type, detail };
            if event.size() <= MAX_BYTES {
                events.push(event);
            } else {
                // Nobody could ever publish it, and it must not hold up all that comes after. It stays in the event log.
                let trace_id = trace_of(&event.detail).map(tracing::field::display);
                tracing::error!(
                    trace_id,
                    event_type = event.event_type,
                    bytes = event.size(),
                    "an event is too large for the bus"
                );
            }
        }
        if let (Some(queue), Some(body)) = (job.s, job_body.s) {
            let messages = messages_of(body);
            match jobs.iter_mut().find(|(name, _)| *name == queue) {
                Some((_, known)) => known.extend(messages),
                None => jobs.push((queue, messages)),
            }
        }
    }
    (events, jobs)
}

/// A job's body is one message, or an array with one message an element.
fn messages_of(body: String) -> Vec<String> {
    match serde_json::from_str::<Vec<serde_json::Value>>(&body) {
        Ok(elements) => elements.iter().map(ToString::to_string).collect(),
        Err(_) => vec![body],
    }
}

/// Something to be sent, and where.
enum Outlet {
    Bus { bus: Arc<dyn Bus>, events: Vec<Publication> },
    Queue { name: String, queue: Option<Arc<dyn Queue>>, messages: Vec<String> },
}

/// Offers everything, then again what was refused, until nothing or no time is left.
async fn drain(mut outlet: Outlet, deadline: Instant) -> Option<Unsent> {
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let unsent = outlet.offer().await?;
        if attempt == ATTEMPTS || Instant::now() + wait >= deadline {
            return Some(unsent);
        }
        tracing::warn!(count = unsent.count, reason = unsent.reason, attempt, "not everything was taken; trying again");
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    None
}

impl Outlet {
    /// Offers all that is left and keeps what was refused; `None` when nothing was.
    async fn offer(&mut self) -> Option<Unsent> {
        match self {
            Self::Bus { bus, events } => {
                let batches: Vec<&[Publication]> = divide(events);
                let refused = join_all(batches.iter().map(|batch| bus.publish(batch))).await;
                let mut left = Vec::new();
                for (batch, refused) in batches.into_iter().zip(refused) {
                    left.extend(refused.into_iter().filter_map(|(index, reason)| Some((batch.get(index)?.clone(), reason))));
                }
                let reason = left.first().map(|(_, reason)| reason.clone())?;
                *events = left.into_iter().map(|(event, _)| event).collect();
                Some(Unsent { count: events.len(), reason })
            }
            Self::Queue { name, queue, messages } => {
                let Some(queue) = queue else {
                    // Perhaps a newer version of the relay knows it; dropping the job would be for ever.
                    return Some(Unsent { count: messages.len(), reason: format!("there is no queue `{name}`") });
                };
                let refused = queue.send_batch(messages.iter().map(Message::now).collect()).await.err()?;
                let reason = refused.to_string();
                let left: Vec<usize> = refused.failed.into_iter().map(|(index, _)| index).collect();
                *messages = left.into_iter().filter_map(|index| messages.get(index).cloned()).collect();
                Some(Unsent { count: messages.len(), reason })
            }
        }
    }
}

/// Consecutive batches within both quotas.
fn divide(events: &[Publication]) -> Vec<&[Publication]> {
    let (mut batches, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, event) in events.iter().enumerate() {
        if index - start == MAX_ENTRIES || (index > start && bytes + event.size() > MAX_BYTES) {
            batches.push(&events[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += event.size();
    }
    if start < events.len() {
        batches.push(&events[start..]);
    }
    batches
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;

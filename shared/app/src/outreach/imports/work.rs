//! The worker: takes an import up where it was left, and on as far as the time allows.

use std::time::{Duration, Instant};

use axle_domain::TraceId;
use axle_domain::event::{Event, EventType, Subject};
use axle_providers::queue::Message;
use axle_store::imports::{ImportCounts, ImportJob, ImportRecord, ImportStatus};
use axle_store::{CommitError, Table, Versioned};
use serde_json::json;
use uuid::Uuid;

use super::chunk::Chunk;
use super::file::File;
use super::refused;
use super::write::Writer;
use crate::context::App;
use crate::error::{Error, Result};

/// What an invocation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkOutcome {
    /// The import is completed, or has failed as a whole.
    Ended,
    /// The time was up; a message that makes another worker go on is on the queue.
    Continued,
    /// Another worker is at the same import and was faster.
    Superseded,
    /// There is no such import, or it had ended before.
    NothingToDo,
}

/// What an invocation did, also when it could not go on.
#[derive(Debug)]
pub struct Worked {
    /// The request's that started the import.
    pub trace_id: Option<TraceId>,
    /// Rows that this invocation settled for good. What it did beyond its last checkpoint is done again, and counted then.
    pub rows: ImportCounts,
    /// An error when something that is needed is away: the message should be delivered again.
    pub outcome: Result<WorkOutcome>,
}

impl Worked {
    fn nothing(outcome: Result<WorkOutcome>) -> Self {
        Self { trace_id: None, rows: ImportCounts::default(), outcome }
    }
}

/// Why an invocation stops before the import's end.
#[derive(Debug)]
pub(super) enum Halt {
    Superseded,
    OutOfTime,
    FileMissing,
    /// The file as a whole cannot be imported; a sentence for whoever sent it.
    Unusable(String),
    Error(Error),
}

impl Halt {
    pub(super) fn fault(text: &str) -> Self {
        Self::Error(Error::Internal(text.to_owned()))
    }
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(e: E) -> Self {
        Self::Error(e.into())
    }
}

/// The time an invocation has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    stop: Instant,
    half: Instant,
}

impl Budget {
    /// Leaves a fifth of the time, at most 15 s, for the chunk that is being written when the rest is over.
    fn until(deadline: Instant) -> Self {
        let now = Instant::now();
        let all = deadline.saturating_duration_since(now);
        let margin = (all / 5).min(Duration::from_secs(15));
        Self { stop: deadline.checked_sub(margin).unwrap_or(now), half: now + all / 2 }
    }

    pub(super) fn is_spent(&self) -> bool {
        Instant::now() >= self.stop
    }

    fn is_half_spent(&self) -> bool {
        Instant::now() >= self.half
    }
}

/// For so long, in milliseconds, a file that is not there is looked for again: it was there when the import began, and S3 tells
/// a missing object and a missing permission apart only to those who may list the bucket.
const LOOKED_FOR_MS: i64 = 3_600_000;
/// Refused rows that are put together within seconds, in bytes.
const QUICKLY_MERGED: u64 = 64 * 1024 * 1024;

/// One invocation's work on one import.
pub(super) struct Run<'a> {
    pub(super) app: &'a App,
    table: &'a Table,
    pub(super) import: ImportRecord,
    version: u64,
    id: String,
    /// What the import's record says by now.
    saved: ImportCounts,
    pub(super) budget: Budget,
}

/// Does an import, or as much of it as can be done until the `deadline`, at which the invocation would be killed. May be
/// called any number of times for the same import, also at the same time.
pub async fn work(app: &App, job: ImportJob, deadline: Instant) -> Worked {
    let table = app.table().await;
    let key = ImportRecord::key_of(job.entity_id, job.import_job_id);
    let Versioned { value: import, version } = match table.get::<ImportRecord>(&key, app.now()).await {
        Ok(Some(found)) if !found.value.status.is_final() => found,
        Ok(_) => return Worked::nothing(Ok(WorkOutcome::NothingToDo)),
        Err(e) => return Worked::nothing(Err(e.into())),
    };
    let (id, before) = (Uuid::new_v4().simple().to_string(), import.counts);
    let mut run = Run { app, table, import, version, id, saved: before, budget: Budget::until(deadline) };
    let outcome = run_to_its_end(&mut run, &job).await;
    Worked { trace_id: Some(run.import.trace_id), rows: run.saved.since(before), outcome }
}

async fn run_to_its_end(run: &mut Run<'_>, job: &ImportJob) -> Result<WorkOutcome> {
    let app = run.app;
    let done = match run.go().await {
        Err(Halt::FileMissing) if app.now().since(run.import.created_at) > LOOKED_FOR_MS => {
            run.fail("the file is no longer there; import it again".to_owned()).await
        }
        Err(Halt::Unusable(reason)) => run.fail(reason).await,
        done => done,
    };
    match done {
        Ok(()) => Ok(WorkOutcome::Ended),
        Err(Halt::Superseded) => Ok(WorkOutcome::Superseded),
        Err(Halt::OutOfTime) => {
            let body = serde_json::to_string(job).map_err(|e| Error::Internal(e.to_string()))?;
            app.import_queue().send(Message::now(body)).await.map_err(|e| Error::Unavailable(e.to_string()))?;
            Ok(WorkOutcome::Continued)
        }
        Err(Halt::FileMissing) => Err(Error::Unavailable(format!("{} is not there", run.import.source))),
        Err(Halt::Unusable(reason)) => Err(Error::Internal(reason)),
        Err(Halt::Error(e)) => Err(e),
    }
}

impl Run<'_> {
    async fn go(&mut self) -> Result<(), Halt> {
        if self.import.started_at.is_none() {
            self.import.started_at = Some(self.app.now());
            if self.import.status == ImportStatus::Queued {
                self.import.status = ImportStatus::Processing;
            }
            self.save().await?;
        }
        if self.import.status == ImportStatus::Validating {
            self.validate().await?;
        }
        self.process().await?;
        self.complete().await
    }

    /// The checkpoint: what was done becomes true, unless another worker's did.
    pub(super) async fn save(&mut self) -> Result<(), Halt> {
        self.import.run = Some(self.id.clone());
        if !self.table.save_import(&self.import, self.version).await? {
            return Err(Halt::Superseded);
        }
        self.version += 1;
        self.saved = self.import.counts;
        Ok(())
    }

    async fn process(&mut self) -> Result<(), Halt> {
        let (Some(format), Some(columns)) = (self.import.format.clone(), self.import.columns.clone()) else {
            return Err(Halt::fault("an import without format and columns"));
        };
        let mut position = self.import.position.or(self.import.data_start).unwrap_or_default();
        let mut file = File::open(self.app.objects(), &self.import, &format, position).await?;
        loop {
            let chunk = Chunk::read(&mut file, &columns, self.import.options.dedupe, position).await?;
            let (first_row, is_last) = (chunk.first_row, chunk.is_last);
            position = chunk.end;
            let (counts, refused) = chunk.write(&Writer::new(self.app, self.table, &self.import)).await?;
            refused::keep(self.app.objects(), &mut self.import, first_row, &self.id, &refused).await?;
            self.import.counts.add(counts);
            self.import.position = Some(position);
            if is_last {
                // What the last chunk came to is written with the end of the import.
                return Ok(());
            }
            self.save().await?;
            if self.budget.is_spent() {
                return Err(Halt::OutOfTime);
            }
        }
    }

    /// The end of the import and the event that tells of it, in one write: exactly one worker's.
    async fn complete(&mut self) -> Result<(), Halt> {
        if !self.import.error_parts.is_empty() {
            if refused::size(&self.import) > QUICKLY_MERGED && self.budget.is_half_spent() {
                self.save().await?;
                return Err(Halt::OutOfTime);
            }
            refused::merge(self.app.objects(), &self.import, &self.import.errors_key()).await?;
        }
        let now = self.app.now();
        self.import.status = ImportStatus::Completed;
        self.import.row_count = Some(self.import.counts.processed());
        self.import.finished_at = Some(now);
        self.import.run = Some(self.id.clone());
        let mut tx = self.table.tx();
        tx.replace("import", &self.import, self.version);
        tx.emit(&imported(&self.import, now), self.app.config().event_retention_days);
        match tx.commit().await {
            Ok(()) => self.saved = self.import.counts,
            Err(CommitError::Condition { label: "import", .. }) => return Err(Halt::Superseded),
            Err(e) => return Err(e.into()),
        }
        let counts = self.import.counts;
        tracing::info!(
            entity_id = %self.import.entity_id, import_job_id = %self.import.id, trace_id = %self.import.trace_id,
            created = counts.created, updated = counts.updated, skipped = counts.skipped, failed = counts.failed,
            duration_ms = self.import.started_at.map(|start| now.since(start)), "import completed"
        );
        Ok(())
    }

    async fn fail(&mut self, reason: String) -> Result<(), Halt> {
        self.import.status = ImportStatus::Failed;
        self.import.error = Some(reason);
        self.import.finished_at = Some(self.app.now());
        self.save().await?;
        tracing::info!(
            entity_id = %self.import.entity_id, import_job_id = %self.import.id, trace_id = %self.import.trace_id, "import failed"
        );
        Ok(())
    }
}

fn imported(import: &ImportRecord, now: axle_domain::Time) -> Event {
    let counts = import.counts;
    let data = json!({
        "import_job_id": import.id, "row_count": counts.processed(), "created": counts.created, "updated": counts.updated,
        "skipped": counts.skipped, "failed": counts.failed,
    });
    let subject = Subject::new("import", import.id);
    Event::new(EventType::LeadImported, import.entity_id, now, import.actor.clone(), subject, data)
        .campaign(import.options.campaign_id)
        .trace(import.trace_id)
}

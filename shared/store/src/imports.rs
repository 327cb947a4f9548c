//! Import jobs: where they stand, and how far the worker has come.

use std::collections::BTreeMap;

use axle_domain::csv::{Columns, Format, Position};
use axle_domain::{Actor, CampaignId, EntityId, ImportJobId, Time, TraceId};
use serde::{Deserialize, Serialize};

use crate::item::{Job, Placement, Record};
use crate::key::Key;

/// Import jobs and their files are kept this long.
pub const KEEP_DAYS: i64 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Waits for the worker.
    Queued,
    /// An uploaded file is being read through and counted.
    Validating,
    Processing,
    Completed,
    /// The file cannot be imported at all; `error` says why.
    Failed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    #[default]
    Skip,
    Update,
}

/// How many rows came to which end. The four add up to `processed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    pub created: u64,
    pub updated: u64,
    pub skipped: u64,
    pub failed: u64,
}

impl ImportCounts {
    pub fn processed(&self) -> u64 {
        self.created + self.updated + self.skipped + self.failed
    }
    pub fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// How the rows are to be read and what to do with duplicates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportOptions {
    pub dedupe: bool,
    pub on_duplicate: OnDuplicate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportRecord {
    pub entity_id: EntityId,
    pub id: ImportJobId,
    pub status: ImportStatus,
    /// The file's object key.
    pub source: String,
    /// The file's size in bytes.
    pub size: u64,
    pub options: ImportOptions,
    /// Known once the file's beginning was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Known once the file was read through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<u64>,
    /// Data rows counted so far while validating.
    #[serde(default)]
    pub counted: u64,
    #[serde(default)]
    pub counts: ImportCounts,
    /// Where the next unread row begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub actor: Actor,
    pub trace_id: TraceId,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl ImportRecord {
    pub fn key_of(entity: EntityId, id: ImportJobId) -> Key {
        Key::thing(entity, "IMPORT", id)
    }
}

/// The message that makes the worker go on with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    pub entity_id: EntityId,
    pub import_job_id: ImportJobId,
}

impl Record for ImportRecord {
    const TYPE: &'static str = "import";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let body = serde_json::json!({"entity_id": self.entity_id, "import_job_id": self.id}).to_string();
        Placement {
            job: Some(Job { queue: "import", body }),
            expires_at: Some(self.created_at.plus_days(KEEP_DAYS)),
            ..Placement::default()
        }
    }
}

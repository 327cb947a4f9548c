//! Import jobs: where they stand, and how far the worker has come.

use std::collections::{BTreeMap, HashMap};

use axle_domain::csv::{Columns, Format, Position};
use axle_domain::lead::{IdentityKey, lead_id};
use axle_domain::{Actor, CampaignId, EntityId, ImportJobId, Time, TraceId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Item, Job, Placement, Record, from_item, text};
use crate::key::Key;
use crate::leads::{LeadRecord, Slot};
use crate::table::Table;
use crate::tx::CommitError;

pub use axle_domain::lead::{ImportStatus, OnDuplicate};

/// Import jobs and their files are kept this long.
pub const KEEP_DAYS: i64 = 30;
/// Keys of one `BatchGetItem` (DynamoDB's limit).
const BATCH: usize = 100;
/// Far more than one identity ever goes through.
const MAX_GENERATIONS: u32 = 64;

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
    /// What has come since an earlier state.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            created: self.created.saturating_sub(earlier.created),
            updated: self.updated.saturating_sub(earlier.updated),
            skipped: self.skipped.saturating_sub(earlier.skipped),
            failed: self.failed.saturating_sub(earlier.failed),
        }
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

/// What an uploaded file's rows say about its encoding, as far as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodingTally {
    /// Rows with letters beyond ASCII that are right as UTF-8.
    pub right: u64,
    /// Rows that are not UTF-8.
    pub wrong: u64,
    /// The file says itself what it is (a byte order mark), or is no UTF-8 anyway.
    pub settled: bool,
}

/// A stored piece of the CSV of refused rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPart {
    /// The name of its object; see [`ImportRecord::error_part_key`].
    pub name: String,
    /// How often it was put together from smaller pieces.
    pub level: u8,
    pub bytes: u64,
}

/// An import: what is to be done, and the checkpoint of how far it is done. What counts is in this one item, so that a
/// chunk's counts, its refused rows and the position behind it become true in one write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportRecord {
    pub entity_id: EntityId,
    pub id: ImportJobId,
    pub status: ImportStatus,
    /// The file's object key.
    pub source: String,
    /// The version of an uploaded object that is imported; its sender could replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The file's size in bytes.
    pub size: u64,
    pub options: ImportOptions,
    /// Known once the file's beginning was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Right behind the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_start: Option<Position>,
    /// Known once the file was read through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<u64>,
    /// Data rows counted so far while validating.
    #[serde(default)]
    pub counted: u64,
    #[serde(default)]
    pub tally: EncodingTally,
    #[serde(default)]
    pub counts: ImportCounts,
    /// Where the next unread row begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The refused rows so far, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_parts: Vec<ErrorPart>,
    /// The worker's invocation that wrote last. It recognises its own write by it when an answer was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
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

    /// Object key of the file of an import whose request brought it along.
    pub fn source_key(entity: EntityId, id: ImportJobId) -> String {
        format!("imports/{entity}/{id}.csv")
    }

    /// Object key of a piece of the CSV of refused rows.
    pub fn error_part_key(&self, name: &str) -> String {
        format!("imports/{}/{}/errors/{name}.csv", self.entity_id, self.id)
    }

    /// Object key of the whole CSV of refused rows, there once the import is completed and any were refused.
    pub fn errors_key(&self) -> String {
        format!("imports/{}/{}/errors.csv", self.entity_id, self.id)
    }
}

/// The message that makes the worker go on with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    pub entity_id: EntityId,
    pub import_job_id: ImportJobId,
    /// For the log: what a message that cannot be handled belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

impl Record for ImportRecord {
    const TYPE: &'static str = "import";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let body =
            serde_json::json!(ImportJob { entity_id: self.entity_id, import_job_id: self.id, trace_id: Some(self.trace_id) })
                .to_string();
        Placement {
            job: Some(Job { queue: "import", body }),
            expires_at: Some(self.created_at.plus_days(KEEP_DAYS)),
            ..Placement::default()
        }
    }
}

impl Table {
    /// Writes an import that was read at `version`; false if somebody else wrote it meanwhile.
    pub async fn save_import(&self, import: &ImportRecord, version: u64) -> Result<bool> {
        let mut tx = self.tx();
        tx.replace("import", import, version);
        match tx.commit_alone().await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition { existing, .. }) => {
                let there = existing.map(|item| from_item::<ImportRecord>(item, None)).transpose()?.flatten();
                // The answer to our own first request got lost, and the client library asked again.
                Ok(there
                    .is_some_and(|there| there.version == version + 1 && import.run.is_some() && there.value.run == import.run))
            }
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Writes a lead that was read at `version`; false if that is not its version any more.
    pub async fn save_lead(&self, lead: &LeadRecord, version: u64) -> Result<bool> {
        let mut tx = self.tx();
        tx.replace("lead", lead, version);
        match tx.commit_alone().await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition { .. }) => Ok(false),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Which of these identities leads have, in the order given. Eventually consistent: for counts that are shown, never for
    /// decisions. Half a read unit each.
    pub async fn held_identities(&self, entity: EntityId, identities: &[IdentityKey]) -> Result<Vec<bool>> {
        let keys: Vec<Key> = identities.iter().map(|identity| LeadRecord::key_of(entity, lead_id(entity, identity, 0))).collect();
        let mut found: HashMap<String, Item> = HashMap::new();
        // Eight batches at a time: quick, without taking every connection.
        for wave in keys.chunks(8 * BATCH) {
            let reads = wave.chunks(BATCH).map(|chunk| self.batch_get(chunk, Some("pk, created_at, moved, target"), false));
            for item in futures_util::future::try_join_all(reads).await?.into_iter().flatten() {
                found.extend(text(&item, "pk").map(str::to_owned).map(|pk| (pk, item)));
            }
        }
        let mut held = Vec::with_capacity(keys.len());
        for (key, identity) in keys.iter().zip(identities) {
            held.push(match found.get(&key.pk) {
                None => false,
                // A lead where it was made, or an alias of one.
                Some(item) if item.contains_key("target") => true,
                Some(item) if item.contains_key("created_at") && !item.contains_key("moved") => true,
                Some(_) => self.is_held(entity, identity).await?,
            });
        }
        Ok(held)
    }

    /// Whether a lead has an identity that others had before.
    async fn is_held(&self, entity: EntityId, identity: &IdentityKey) -> Result<bool> {
        for generation in 0..MAX_GENERATIONS {
            match self.slot(entity, lead_id(entity, identity, generation)).await? {
                Slot::Free => return Ok(false),
                slot if slot.holder(identity).is_some() => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

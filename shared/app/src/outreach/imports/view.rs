//! An import as its owner sees it.

use std::time::Duration;

use axle_domain::{ImportJobId, Time};
use axle_providers::objects::read_all;
use axle_store::Versioned;
use axle_store::imports::{ImportRecord, ImportStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{refused, stored};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// How far an import is. `created`, `updated`, `skipped` and `failed` add up to `processed`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ImportView {
    pub import_job_id: ImportJobId,
    pub status: ImportStatus,
    /// Data rows in the file; null until it was read through.
    #[schema(example = 10_000)]
    pub row_count: Option<u64>,
    #[schema(example = 10_000)]
    pub processed: u64,
    #[schema(example = 8_200)]
    pub created: u64,
    #[schema(example = 0)]
    pub updated: u64,
    #[schema(example = 1_500)]
    pub skipped: u64,
    #[schema(example = 300)]
    pub failed: u64,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    /// Rows a second since `started_at`; null before anything was processed.
    #[schema(example = 1234.5)]
    pub rows_per_second: Option<f64>,
    /// Why the file as a whole could not be imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The CSV of refused rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorsCsv {
    Inline(Vec<u8>),
    /// Too large for an answer: to be downloaded from here within 15 minutes.
    Redirect(String),
}

/// The longest CSV that is answered directly, in bytes: what Lambda's limit of 6 MB holds after encoding.
const INLINE_MAX: u64 = 4 * 1024 * 1024;
const DOWNLOAD_TTL: Duration = Duration::from_secs(15 * 60);

async fn find(app: &App, ctx: &Ctx, id: ImportJobId) -> Result<Versioned<ImportRecord>> {
    let found = app.table().await.get::<ImportRecord>(&ImportRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("import"))
}

/// Where an import stands. One strongly consistent read.
pub async fn get(app: &App, ctx: &Ctx, id: ImportJobId) -> Result<ImportView> {
    let import = find(app, ctx, id).await?.value;
    let (counts, processed) = (import.counts, import.counts.processed());
    let seconds = import.started_at.map(|start| import.finished_at.unwrap_or(ctx.now).since(start).max(1) as f64 / 1000.0);
    let rate = seconds.filter(|_| processed > 0).map(|seconds| (processed as f64 / seconds * 10.0).round() / 10.0);
    Ok(ImportView {
        import_job_id: import.id,
        status: import.status,
        row_count: import.row_count,
        processed,
        created: counts.created,
        updated: counts.updated,
        skipped: counts.skipped,
        failed: counts.failed,
        started_at: import.started_at,
        finished_at: import.finished_at,
        rows_per_second: rate,
        error: import.error,
    })
}

/// The refused rows with their reasons, as a CSV that can be corrected and imported again; while the import runs, those so far.
/// Its first columns are the row's number and the reason, the others those of the file.
pub async fn errors(app: &App, ctx: &Ctx, id: ImportJobId) -> Result<ErrorsCsv> {
    let Versioned { value: import, version } = find(app, ctx, id).await?;
    let objects = app.objects();
    if refused::size(&import) <= INLINE_MAX {
        return Ok(ErrorsCsv::Inline(match import.status {
            ImportStatus::Completed if !import.error_parts.is_empty() => {
                read_all(objects, &import.errors_key(), INLINE_MAX).await.map_err(stored)?
            }
            _ => refused::read(objects, &import).await?,
        }));
    }
    let key = match import.status {
        ImportStatus::Completed => import.errors_key(),
        _ => {
            let key = import.error_part_key(&format!("until-{version}"));
            refused::merge(objects, &import, &key).await?;
            key
        }
    };
    let file_name = format!("import-{id}-errors.csv");
    Ok(ErrorsCsv::Redirect(objects.presign_get(&key, &file_name, DOWNLOAD_TTL).await.map_err(stored)?))
}

//! Starting an import.

use axle_domain::{Faults, ImportJobId, UploadId};
use axle_store::imports::{ImportCounts, ImportOptions, ImportRecord, ImportStatus};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::check::{Checked, RowError, check, check_mapping};
use super::{CSV, stored, upload};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// How the request brought the file along: it decides which encodings are looked for, and what faults point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAs {
    /// As the body, `text/csv`, with the options in the query. The gateway hands text over as UTF-8.
    Body,
    /// As the part `file` of a multipart form.
    Form,
    /// As the text `csv` of a JSON object.
    Json,
}

impl SentAs {
    fn file(self) -> &'static str {
        match self {
            Self::Body => "",
            Self::Form => "/file",
            Self::Json => "/csv",
        }
    }
}

/// The file to import.
#[derive(Clone, Debug)]
pub enum Source {
    Inline {
        bytes: Bytes,
        sent_as: SentAs,
    },
    /// One that was sent under the URL of [`create_upload`](super::create_upload).
    Upload(UploadId),
}

#[derive(Clone, Debug)]
pub struct ImportRequest {
    pub source: Source,
    pub options: ImportOptions,
}

/// What is known of an import when it starts. The counts are null for an upload until the worker has read it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Started {
    pub import_job_id: ImportJobId,
    /// `queued`, or `validating` for an upload.
    pub status: ImportStatus,
    /// Data rows: the valid and the invalid ones.
    #[schema(example = 10_000)]
    pub row_count: Option<u64>,
    #[schema(example = 9_700)]
    pub valid_row_count: Option<u64>,
    /// Valid rows whose lead is there already, in the table or further up in the file.
    #[schema(example = 1_500)]
    pub duplicate_count: Option<u64>,
    #[schema(example = 300)]
    pub invalid_row_count: Option<u64>,
    /// The first 20 invalid rows.
    pub errors: Vec<RowError>,
}

/// Starts an import; the worker does it.
///
/// # Errors
/// [`Error::Invalid`] with every fault: the file is no CSV, has no rows or no identifying column; the mapping, campaign or
/// upload does not exist. [`Error::Conflict`] for a campaign that is no draft.
pub async fn start(
    app: &App,
    ctx: &Ctx,
    request: ImportRequest,
    answer: impl FnOnce(&Started) -> Result<Answer>,
) -> Result<Answer> {
    let ImportRequest { source, options } = request;
    let mut faults = Faults::new();
    let in_query = matches!(source, Source::Inline { sent_as: SentAs::Body, .. });
    let campaign = if in_query { "?campaign_id" } else { "/campaign_id" };
    note(&mut faults, super::super::campaigns::require_attachable(app, ctx, campaign, options.campaign_id).await)?;
    if options.mapping.as_ref().is_some_and(|mapping| !check_mapping(mapping, &mut faults)) {
        return Err(Error::Invalid(faults.into_vec()));
    }
    let import = new_record(ctx, options);
    let (import, started) = match source {
        Source::Inline { bytes, sent_as } => inline(app, ctx, import, bytes, sent_as, faults).await?,
        Source::Upload(id) => uploaded(app, import, id, faults).await?,
    };
    let answer = answer(&started)?;
    if let Some(campaign) = import.options.campaign_id {
        // From here on the campaign is for attached leads only, also before the first of them is there.
        app.table().await.note_attached(ctx.entity_id, campaign).await?;
    }
    let mut tx = app.table().await.tx();
    tx.create("import", &import);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// Collects an error's faults; any other error ends the request.
fn note<T>(faults: &mut Faults, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Invalid(found)) => {
            faults.extend(found);
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn new_record(ctx: &Ctx, options: ImportOptions) -> ImportRecord {
    ImportRecord {
        entity_id: ctx.entity_id,
        id: ImportJobId::new_at(ctx.now),
        status: ImportStatus::Queued,
        source: String::new(),
        etag: None,
        size: 0,
        options,
        format: None,
        columns: None,
        data_start: None,
        row_count: None,
        counted: 0,
        tally: axle_store::imports::EncodingTally::default(),
        counts: ImportCounts::default(),
        position: None,
        error_parts: Vec::new(),
        run: None,
        error: None,
        actor: ctx.actor.clone(),
        trace_id: ctx.trace_id,
        created_at: ctx.now,
        started_at: None,
        finished_at: None,
    }
}

async fn inline(
    app: &App,
    ctx: &Ctx,
    mut import: ImportRecord,
    bytes: Bytes,
    sent_as: SentAs,
    mut faults: Faults,
) -> Result<(ImportRecord, Started)> {
    let checked = check(&bytes, sent_as != SentAs::Form, import.options.mapping.as_ref());
    let checked = checked.map_err(|e| faults.extend([e.fault(sent_as.file())]));
    faults.check().map_err(Error::Invalid)?;
    let Ok(checked) = checked else { return Err(Error::Internal("a file error without a fault".to_owned())) };
    let duplicates = match import.options.dedupe {
        true => checked.duplicates(app.table().await, ctx.entity_id).await?,
        false => 0,
    };
    let Checked { format, columns, data_start, valid, invalid, errors, .. } = checked;
    import.source = ImportRecord::source_key(ctx.entity_id, import.id);
    import.size = bytes.len() as u64;
    import.format = Some(format);
    import.columns = Some(columns);
    import.data_start = Some(data_start);
    import.position = Some(data_start);
    import.row_count = Some(valid + invalid);
    // Before the record: an object that no import knows does no harm, an import without its file does.
    app.objects().put(&import.source, CSV, bytes).await.map_err(stored)?;
    let started = Started {
        import_job_id: import.id,
        status: import.status,
        row_count: import.row_count,
        valid_row_count: Some(valid),
        duplicate_count: Some(duplicates),
        invalid_row_count: Some(invalid),
        errors,
    };
    Ok((import, started))
}

async fn uploaded(app: &App, mut import: ImportRecord, id: UploadId, mut faults: Faults) -> Result<(ImportRecord, Started)> {
    import.source = upload::key(import.entity_id, id);
    match app.objects().head(&import.source).await.map_err(stored)? {
        None => faults.add("/upload_id", "no upload has this id, or its file has not been sent yet"),
        Some(info) if info.bytes == 0 => faults.add("/upload_id", "the uploaded file is empty"),
        Some(info) => {
            import.size = info.bytes;
            import.etag = Some(info.etag).filter(|etag| !etag.is_empty());
        }
    }
    faults.check().map_err(Error::Invalid)?;
    import.status = ImportStatus::Validating;
    let started = Started {
        import_job_id: import.id,
        status: import.status,
        row_count: None,
        valid_row_count: None,
        duplicate_count: None,
        invalid_row_count: None,
        errors: Vec::new(),
    };
    Ok((import, started))
}

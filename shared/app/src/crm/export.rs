//! Everything of one kind as a file: written to the object store piece by piece, and answered as a link.

use std::time::Duration;

use axle_domain::Time;
use axle_domain::crm::ExportFormat;
use axle_domain::csv::{protect, write_record};
use axle_providers::objects::{ObjectError, ObjectWriter};
use axle_store::crm::companies::{CompanyQuery, CompanyRecord};
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::deals::{DealQuery, DealRecord};
use axle_store::{Key, Record, Versioned};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::shared::{Linked, show_current};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// How long the link is good.
const TTL: Duration = Duration::from_secs(3600);
/// Records that are read at once.
const CHUNK: usize = 100;
/// Reads that are on their way at the same time.
const SIDE_BY_SIDE: usize = 8;

/// A file that was written.
#[derive(Clone, Debug)]
pub struct Export {
    pub url: String,
    pub expires_at: Time,
    pub rows: u64,
    pub bytes: u64,
}

/// Every company, newest first, in the form that `out` gives it.
pub async fn companies(
    app: &App,
    ctx: &Ctx,
    format: ExportFormat,
    columns: &[&str],
    out: impl Fn(&Versioned<CompanyRecord>) -> Result<Value> + Send,
) -> Result<Export> {
    let ids = app.table().await.company_ids(ctx.entity_id, &CompanyQuery::default()).await?;
    let keys = ids.into_iter().map(|id| CompanyRecord::key_of(ctx.entity_id, id)).collect();
    let file = File::begin(app, ctx, "companies", format, columns).await?;
    write(app, ctx, file, keys, |company: &CompanyRecord| company.merged_into.is_none(), out).await
}

/// Every contact, newest first, in the form that `out` gives them.
pub async fn contacts(
    app: &App,
    ctx: &Ctx,
    format: ExportFormat,
    columns: &[&str],
    out: impl Fn(&Versioned<ContactRecord>) -> Result<Value> + Send,
) -> Result<Export> {
    let ids = app.table().await.contact_ids(ctx.entity_id).await?;
    let keys = ids.into_iter().map(|id| ContactRecord::key_of(ctx.entity_id, id)).collect();
    let file = File::begin(app, ctx, "contacts", format, columns).await?;
    write(app, ctx, file, keys, |contact: &ContactRecord| contact.merged_into.is_none(), out).await
}

/// Every deal, newest first, in the form that `out` gives it.
pub async fn deals(
    app: &App,
    ctx: &Ctx,
    format: ExportFormat,
    columns: &[&str],
    out: impl Fn(&Versioned<DealRecord>) -> Result<Value> + Send,
) -> Result<Export> {
    let ids = app.table().await.deal_ids(ctx.entity_id, &DealQuery::default()).await?;
    let keys = ids.into_iter().map(|id| DealRecord::key_of(ctx.entity_id, id)).collect();
    let file = File::begin(app, ctx, "leads", format, columns).await?;
    write(app, ctx, file, keys, |_: &DealRecord| true, out).await
}

/// Writes the records at these keys that `keep` lets through: read a hundred at a time, side by side, and written in order.
async fn write<T: Record + Linked>(
    app: &App,
    ctx: &Ctx,
    mut file: File<'_>,
    keys: Vec<Key>,
    keep: impl Fn(&T) -> bool + Send,
    out: impl Fn(&Versioned<T>) -> Result<Value> + Send,
) -> Result<Export> {
    let (table, now) = (app.table().await, ctx.now);
    let chunks: Vec<Vec<Key>> = keys.chunks(CHUNK).map(<[_]>::to_vec).collect();
    let reads = chunks.into_iter().map(|keys| async move { table.get_many::<T>(&keys, now).await });
    let mut found = futures_util::stream::iter(reads).buffered(SIDE_BY_SIDE);
    while let Some(mut records) = found.try_next().await? {
        show_current(app, ctx, &mut records).await?;
        for record in records.iter().filter(|record| keep(&record.value)) {
            file.add(&out(record)?);
        }
        file.flush().await?;
    }
    file.finish(app, ctx).await
}

/// A file in the making.
struct File<'a> {
    key: String,
    name: String,
    format: ExportFormat,
    columns: &'a [&'a str],
    writer: Box<dyn ObjectWriter>,
    pending: Vec<u8>,
    rows: u64,
}

impl<'a> File<'a> {
    async fn begin(app: &App, ctx: &Ctx, what: &str, format: ExportFormat, columns: &'a [&'a str]) -> Result<Self> {
        let id = axle_domain::id::v7_at(ctx.now, axle_domain::id::entropy());
        let key = format!("exports/{}/{id}.{format}", ctx.entity_id);
        let writer = app.objects().writer(&key, format.content_type()).await.map_err(stored)?;
        let mut pending = Vec::new();
        if format == ExportFormat::Csv {
            write_record(&mut pending, columns);
        }
        Ok(Self { key, name: format!("{what}.{format}"), format, columns, writer, pending, rows: 0 })
    }

    fn add(&mut self, record: &Value) {
        self.rows += 1;
        match self.format {
            ExportFormat::Ndjson => {
                self.pending.extend_from_slice(record.to_string().as_bytes());
                self.pending.push(b'\n');
            }
            ExportFormat::Csv => {
                let cells: Vec<String> = self.columns.iter().map(|name| cell(&record[*name])).collect();
                write_record(&mut self.pending, &cells);
            }
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.writer.write(&pending).await.map_err(stored)
    }

    async fn finish(mut self, app: &App, ctx: &Ctx) -> Result<Export> {
        self.flush().await?;
        let bytes = self.writer.finish().await.map_err(stored)?;
        let url = app.objects().presign_get(&self.key, &self.name, TTL).await.map_err(stored)?;
        let expires_at = ctx.now.plus_secs(i64::try_from(TTL.as_secs()).unwrap_or(0));
        Ok(Export { url, expires_at, rows: self.rows, bytes })
    }
}

/// A value as one cell, so that no spreadsheet runs it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(entries) if entries.iter().all(Value::is_string) => {
            entries.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    };
    protect(&text).into_owned()
}

fn stored(e: ObjectError) -> Error {
    match e {
        ObjectError::Failed { .. } => Error::Unavailable(e.to_string()),
        _ => Error::Internal(e.to_string()),
    }
}

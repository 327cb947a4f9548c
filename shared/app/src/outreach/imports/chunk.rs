//! A stretch of the file: small enough for the memory, large enough that the checkpoint behind it costs little.

use std::collections::HashMap;

use axle_domain::csv::{Columns, Position, Row};
use axle_domain::lead::IdentityKey;
use axle_store::imports::ImportCounts;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::check::is_data;
use super::file::File;
use super::refused::Refused;
use super::rows::{RowLead, judge};
use super::work::Halt;
use super::write::{Outcome, Writer};
use crate::error::Result;

/// Data rows in a chunk.
const ROWS: usize = 500;
/// Bytes of text in a chunk, and one row more: rows can have a megabyte.
const BYTES: usize = 4 * 1024 * 1024;
/// Rows looked at for a chunk, blank ones included.
const SEEN: usize = 50_000;
/// Leads written at the same time.
const WRITES: usize = 32;

/// Rows that have been read and judged.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Rows of the same lead stay together, in the order of the file; different leads have nothing to do with each other.
    leads: Vec<Vec<(Row, RowLead)>>,
    refused: Vec<Refused>,
    pub(super) first_row: u64,
    /// Where the next chunk begins.
    pub(super) end: Position,
    /// The file ends here.
    pub(super) is_last: bool,
}

impl Chunk {
    pub(super) async fn read(file: &mut File, columns: &Columns, dedupe: bool, start: Position) -> Result<Self, Halt> {
        let mut chunk = Self { leads: Vec::new(), refused: Vec::new(), first_row: start.row + 1, end: start, is_last: false };
        let mut places: HashMap<IdentityKey, usize> = HashMap::new();
        let (mut rows, mut bytes, mut seen) = (0, 0, 0);
        while rows < ROWS && bytes < BYTES && seen < SEEN {
            let mut row = Row::default();
            if !file.read(&mut row).await? {
                chunk.is_last = true;
                break;
            }
            chunk.end = row.end;
            seen += 1;
            if !is_data(&row) {
                continue;
            }
            rows += 1;
            bytes += row.iter().map(str::len).sum::<usize>();
            match judge(columns, &row) {
                Err(refusal) => chunk.refused.push(Refused { row, reason: refusal.line() }),
                Ok(lead) => {
                    let place = match dedupe {
                        true => *places.entry(lead.identity.clone()).or_insert(chunk.leads.len()),
                        false => chunk.leads.len(),
                    };
                    if place == chunk.leads.len() {
                        chunk.leads.push(Vec::with_capacity(1));
                    }
                    chunk.leads[place].push((row, lead));
                }
            }
        }
        Ok(chunk)
    }

    /// Brings every row to its end; answers with how many came to which, and the refused ones in order.
    pub(super) async fn write(self, writer: &Writer<'_>) -> Result<(ImportCounts, Vec<Refused>)> {
        let writes = stream::iter(self.leads).map(|rows| write_in_turn(writer, rows)).buffer_unordered(WRITES);
        let written: Vec<(ImportCounts, Vec<Refused>)> = writes.try_collect().await?;
        let mut refused = self.refused;
        let mut counts = ImportCounts::default();
        for (each, failed) in written {
            counts.add(each);
            refused.extend(failed);
        }
        refused.sort_unstable_by_key(|refused| refused.row.number);
        counts.failed = refused.len() as u64;
        Ok((counts, refused))
    }
}

async fn write_in_turn(writer: &Writer<'_>, rows: Vec<(Row, RowLead)>) -> Result<(ImportCounts, Vec<Refused>)> {
    let (mut counts, mut refused) = (ImportCounts::default(), Vec::new());
    for (row, lead) in rows {
        match writer.write(row.number, &lead).await? {
            Outcome::Created => counts.created += 1,
            Outcome::Updated => counts.updated += 1,
            Outcome::Skipped => counts.skipped += 1,
            Outcome::Failed(reason) => refused.push(Refused { row, reason }),
        }
    }
    Ok((counts, refused))
}

//! The first pass over an uploaded file: what it is, and how many rows it has. No lead is made before its end.

use axle_domain::csv::{Columns, Encoding, Format, Position, Row, RowFault};
use axle_providers::objects::ObjectStore;
use axle_store::imports::{EncodingTally, ImportRecord, ImportStatus};

use super::check::{FileError, is_data};
use super::file::{File, beginning};
use super::work::{Halt, Run};

/// Bytes that a file is judged by.
const SAMPLE: usize = 64 * 1024;
/// Rows between two looks at the clock.
const STEP: u64 = 10_000;
/// Rows that a worker's death makes the next one count again.
const CHECKPOINT: u64 = 500_000;

impl Run<'_> {
    /// Reads the file through, or on from where an earlier worker stopped.
    pub(super) async fn validate(&mut self) -> Result<(), Halt> {
        let objects = self.app.objects();
        if self.import.columns.is_none() {
            recognise(objects, &mut self.import).await?;
        }
        let Some(format) = self.import.format.clone() else { return Err(Halt::fault("an import without a format")) };
        let start = self.import.position.unwrap_or_default();
        let mut file = File::open(objects, &self.import, &format, start).await?;
        let (mut row, mut seen) = (Row::default(), 0_u64);
        while file.read(&mut row).await? {
            self.import.position = Some(row.end);
            if is_data(&row) {
                self.import.counted += 1;
                note_encoding(&mut self.import.tally, &row);
            }
            seen += 1;
            if seen.is_multiple_of(STEP) && self.budget.is_spent() {
                self.save().await?;
                return Err(Halt::OutOfTime);
            }
            if seen.is_multiple_of(CHECKPOINT) {
                self.save().await?;
            }
        }
        if self.import.counted == 0 {
            return Err(Halt::Unusable(FileError::NoRows.to_string()));
        }
        self.import.format = Some(Format { encoding: settle(&self.import.tally, format.encoding), ..format });
        self.import.row_count = Some(self.import.counted);
        self.import.position = self.import.data_start;
        self.import.status = ImportStatus::Processing;
        self.save().await
    }
}

/// Judges the file by its beginning and reads its header.
async fn recognise(objects: &dyn ObjectStore, import: &mut ImportRecord) -> Result<(), Halt> {
    let unusable = |e: FileError| Halt::Unusable(e.to_string());
    let (sample, whole) = beginning(objects, import, SAMPLE).await?;
    let format = Format::sniff(&sample, false, whole).map_err(|e| unusable(e.into()))?;
    let mut header = Row::default();
    if !File::open(objects, import, &format, Position::default()).await?.read(&mut header).await? {
        return Err(unusable(axle_domain::csv::SniffError::Empty.into()));
    }
    import.columns = Some(Columns::map(&header, import.options.mapping.as_ref()).map_err(|e| unusable(e.into()))?);
    import.data_start = Some(header.end);
    import.position = Some(header.end);
    let settled = format.encoding != Encoding::Utf8 || sample.starts_with(b"\xEF\xBB\xBF");
    import.tally = EncodingTally { settled, ..EncodingTally::default() };
    note_encoding(&mut import.tally, &header);
    import.format = Some(format);
    Ok(())
}

fn note_encoding(tally: &mut EncodingTally, row: &Row) {
    if tally.settled {
        return;
    }
    match row.fault {
        Some(RowFault::InvalidUtf8) => tally.wrong += 1,
        None => tally.right += u64::from(row.iter().any(|cell| !cell.is_ascii())),
        Some(_) => {}
    }
}

/// A file whose beginning is ASCII may turn out to be in Windows-1252 later on. Rows that are UTF-8 by accident are rare, so
/// twice as many right ones as wrong ones make it UTF-8 with broken rows, as in `Format::sniff`. The rows end at the same
/// bytes either way, and so their number stays.
fn settle(tally: &EncodingTally, encoding: Encoding) -> Encoding {
    let garbled = !tally.settled && tally.wrong > 0 && tally.right <= 2 * tally.wrong;
    if garbled { Encoding::Windows1252 } else { encoding }
}

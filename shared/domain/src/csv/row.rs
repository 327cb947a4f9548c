//! One record of the file, where it ends, and what may be wrong with it.

use serde::{Deserialize, Serialize};

use super::reader::{MAX_CELLS, MAX_RECORD_BYTES};

/// Where reading can continue: always a record boundary. The default is the beginning of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Offset of the next record in the source file, in raw bytes and counting a byte order mark.
    pub byte: u64,
    /// Records read so far; the header counts as one, blank lines do not count.
    pub row: u64,
}

/// Why a row cannot be used. Displays as a clause that fits behind "row 7:".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RowFault {
    /// Bytes that are no text in the file's encoding. The cells hold U+FFFD in their place.
    #[error("row contains bytes that are not valid text in the encoding of the file; save the file as UTF-8")]
    InvalidUtf8,
    /// Over [`MAX_RECORD_BYTES`] or [`MAX_CELLS`]. The row has no cells: they were skipped, not kept.
    #[error("row is longer than {MAX_RECORD_BYTES} bytes or {MAX_CELLS} cells; check for a quote that is never closed")]
    TooLong,
    /// The file ends inside a quoted cell. Without cells if what was swallowed is also too long.
    #[error("row opens a quote that is not closed before the end of the file")]
    UnclosedQuote,
    /// More cells than the header has columns, so it is unclear which cell belongs to which.
    #[error("row has {cells} cells, the header has {columns}")]
    ExtraCells {
        /// Cells in the row.
        cells: usize,
        /// Columns in the header.
        columns: usize,
    },
}

/// A record: its number, its cells as the file has them (untrimmed, unquoted), and where the next one begins.
///
/// The cells share one buffer, so a row costs two allocations however wide it is, and none with
/// [`Reader::read`](super::Reader::read).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Counts from 1, the header; a record of several lines is one row.
    pub number: u64,
    /// Right behind this record and its line break.
    pub end: Position,
    /// A faulty row still counts and is still reported.
    pub fault: Option<RowFault>,
    pub(super) text: String,
    pub(super) ends: Vec<usize>,
}

impl Row {
    /// A row made by hand, for what does not come from a file.
    pub fn from_cells<S: AsRef<str>>(number: u64, cells: &[S]) -> Row {
        let mut row = Row { number, ..Row::default() };
        for cell in cells {
            row.text.push_str(cell.as_ref());
            row.ends.push(row.text.len());
        }
        row
    }

    /// The cell at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = match index {
            0 => 0,
            _ => *self.ends.get(index - 1)?,
        };
        self.text.get(start..end)
    }

    /// The cells in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// No cells at all, as in a row that was too long.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Nothing but white space in every cell, like the `,,,` that spreadsheets leave at the end.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

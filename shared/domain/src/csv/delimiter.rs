//! Judging which character stands between the cells.

use super::aliases;
use super::format::{Encoding, Format};
use super::reader::Reader;

/// In the order they are preferred where nothing else decides.
pub(super) const CANDIDATES: [u8; 4] = *b",;\t|";

/// Enough rows to tell a delimiter from a character in the text, few enough to be quick.
const ROWS: usize = 20;
/// As much of the sample as is looked at.
const BYTES: usize = 64 * 1024;

/// How well a delimiter explains the sample, the most telling first.
#[derive(Default, PartialEq, PartialOrd)]
struct Fit {
    /// Header cells that name a field we know.
    known: usize,
    /// Share of the rows with as many cells as the header, in thousandths.
    regular: usize,
    /// Cells in the header.
    cells: usize,
}

/// Reads the sample with each candidate and takes the one that fits best; comma for a single column.
pub(super) fn judge(text: &str, whole: bool) -> u8 {
    let cut = text.floor_char_boundary(BYTES);
    let whole = whole && cut == text.len();
    let mut best = (CANDIDATES[0], Fit::default());
    for delimiter in CANDIDATES {
        let fit = fit(&text[..cut], delimiter, whole);
        if fit > best.1 {
            best = (delimiter, fit);
        }
    }
    best.0
}

fn fit(text: &str, delimiter: u8, whole: bool) -> Fit {
    let mut reader = Reader::new(&Format { encoding: Encoding::Utf8, bom_len: 0, delimiter });
    reader.push(text.as_bytes());
    let mut rows: Vec<_> = reader.by_ref().take(ROWS).collect();
    if rows.len() < ROWS && (whole || rows.is_empty()) {
        // A sample's last row is cut off and says nothing, unless it is all there is.
        reader.finish();
        rows.extend(reader);
    }
    let Some((header, rows)) = rows.split_first() else {
        return Fit::default();
    };
    if header.len() < 2 {
        return Fit::default();
    }
    let is_known = |cell: &&str| aliases::find(&aliases::fold(cell)).is_some();
    let regular = rows.iter().filter(|row| row.len() == header.len()).count();
    Fit {
        known: header.iter().filter(is_known).count(),
        regular: if rows.is_empty() { 1000 } else { regular * 1000 / rows.len() },
        cells: header.len(),
    }
}

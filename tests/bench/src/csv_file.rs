//! A lead CSV of any size that is never held in memory: every row is equally long, so any byte range can be written out
//! from its offset alone.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;

/// Wide rows carry four free-text columns of this many bytes, so that a file of 500 MB has about 250,000 rows: the
/// reader's memory is what is measured there, not the table's patience.
const NOTE_BYTES: usize = 450;
const NOTES: usize = 4;

/// Bytes handed over at a time.
const CHUNK: u64 = 64 * 1024;

const PLAIN_HEADER: &str = "Email,First Name,Last Name,Job Title,Company,Company Domain,Country\r\n";
const WIDE_HEADER: &str = "Email,First Name,Last Name,Job Title,Company,Company Domain,Country,Note 1,Note 2,Note 3,Note 4\r\n";

/// A file of distinct leads. `tag` makes its addresses differ from those of other files.
#[derive(Clone, Debug)]
pub struct CsvFile {
    tag: String,
    rows: u64,
    wide: bool,
    row_bytes: u64,
}

impl CsvFile {
    pub fn with_rows(tag: &str, rows: u64) -> Self {
        Self::new(tag, rows, false)
    }

    /// A file of wide rows, as near to `bytes` as whole rows come without going below it.
    pub fn with_bytes(tag: &str, bytes: u64) -> Self {
        let one = Self::new(tag, 1, true);
        Self { rows: bytes.saturating_sub(WIDE_HEADER.len() as u64).div_ceil(one.row_bytes), ..one }
    }

    fn new(tag: &str, rows: u64, wide: bool) -> Self {
        let mut file = Self { tag: tag.to_owned(), rows, wide, row_bytes: 0 };
        file.row_bytes = file.row(0).len() as u64;
        file
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn len(&self) -> u64 {
        self.header().len() as u64 + self.rows * self.row_bytes
    }

    /// The bytes of `range` (which must lie within the file), chunk by chunk.
    pub fn chunks(self, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let chunk = self.read(at, (range.end - at).min(CHUNK));
            at += chunk.len() as u64;
            Some(chunk)
        })
    }

    fn header(&self) -> &'static str {
        if self.wide { WIDE_HEADER } else { PLAIN_HEADER }
    }

    /// Every number is zero-padded, so that all rows are of one length.
    fn row(&self, number: u64) -> Vec<u8> {
        let tag = &self.tag;
        let company = number % 1000;
        let mut row = format!(
            "{tag}.{number:09}@company{company:03}.example,First{number:09},Last{number:09},Head of Sales,\
             Company {company:03},company{company:03}.example,DE"
        )
        .into_bytes();
        if self.wide {
            for note in 0..NOTES {
                // Quoted, with a comma, a doubled quote and a line break: what exported notes look like.
                let start = row.len();
                let _ = write!(row, ",\"Note {note} on {number:09}, \"\"quoted\"\",\nand more: ");
                let written = row.len() - start;
                row.resize(row.len() + NOTE_BYTES.saturating_sub(written + 1), b'n');
                row.push(b'"');
            }
        }
        row.extend_from_slice(b"\r\n");
        row
    }

    fn read(&self, from: u64, length: u64) -> Bytes {
        let header = self.header().as_bytes();
        let mut out = Vec::with_capacity((length + 2 * self.row_bytes) as usize);
        let skip = if from < header.len() as u64 {
            out.extend_from_slice(header);
            from
        } else {
            (from - header.len() as u64) % self.row_bytes
        };
        let mut number = from.saturating_sub(header.len() as u64) / self.row_bytes;
        while (out.len() as u64) < skip + length && number < self.rows {
            out.extend_from_slice(&self.row(number));
            number += 1;
        }
        Bytes::from(out).slice(skip as usize..(skip + length) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::CsvFile;

    fn all(file: &CsvFile, range: std::ops::Range<u64>) -> Vec<u8> {
        file.clone().chunks(range).flat_map(|chunk| chunk.to_vec()).collect()
    }

    #[test]
    fn any_range_is_the_same_bytes() {
        for file in [CsvFile::with_rows("a", 1000), CsvFile::with_bytes("b", 300_000)] {
            let whole = all(&file, 0..file.len());
            assert_eq!(whole.len() as u64, file.len());
            for (from, to) in [(0, 1), (5, 90), (60, 75), (71, 72), (100, 150_000), (file.len() - 1, file.len())] {
                let to = u64::min(to, file.len());
                assert_eq!(all(&file, from..to), whole[from as usize..to as usize], "{from}..{to}");
            }
        }
    }

    #[test]
    fn sizes_are_kept() {
        assert_eq!(CsvFile::with_rows("a", 50_000).rows(), 50_000);
        let file = CsvFile::with_bytes("b", 500_000_000);
        assert!((500_000_000..500_010_000).contains(&file.len()), "{}", file.len());
        assert!((200_000..300_000).contains(&file.rows()), "{}", file.rows());
    }
}

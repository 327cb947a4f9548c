//! The push parser: chunks in, rows out.

use csv_core::ReadRecordResult;
use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::format::{Encoding, Format};
use super::row::{Position, Row, RowFault};

/// The longest record that is kept, in bytes of the text as UTF-8 (Windows-1252: as stored), quotes included.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// The most cells a record may have: the width of the widest spreadsheet.
pub const MAX_CELLS: usize = 16_384;

/// Stands for a code unit of UTF-16 that is no character. It is never valid UTF-8, so the row's check finds it.
const NOT_TEXT: u8 = 0xFF;

/// A resumable CSV parser fed with chunks of any size, cut anywhere.
///
/// Call [`push`](Reader::push) with the next bytes, take rows with [`read`](Reader::read) or `next()` until there are
/// none, repeat; at the end of the file call [`finish`](Reader::finish) and take the rest. The iterator is not fused:
/// `None` means "push more" until `finish` was called.
///
/// The grammar is RFC 4180 as `csv-core` reads it: doubled quotes, quoted line breaks, CRLF, LF and CR; blank lines are
/// skipped. Rows do not depend on how the chunks are cut, and reading from any row's `end` gives the same remaining
/// rows. Memory: what was pushed and not yet read, plus one record of at most [`MAX_RECORD_BYTES`].
pub struct Reader {
    core: csv_core::Reader,
    encoding: Encoding,
    decoder: Option<Decoder>,
    /// Raw bytes before the first record (byte order mark) still to be dropped.
    prelude: u64,
    /// Unread bytes are `chunk[at..]`; UTF-8, or Windows-1252 as it came.
    chunk: Vec<u8>,
    at: usize,
    record: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    cells: usize,
    /// Bytes the current record took from `chunk`.
    length: usize,
    too_long: bool,
    state: State,
    /// Raw offset of `chunk[at]`, and of the end of what was pushed.
    position: u64,
    pushed: u64,
    rows: u64,
    finished: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Between,
    InRecord,
    /// The record ended with CR: whether LF belongs to it is only known with the next byte.
    AfterCr,
}

impl Reader {
    /// Reads from the beginning of the file, whose first bytes (with any byte order mark) are pushed first.
    pub fn new(format: &Format) -> Reader {
        Reader::resume(format, Position::default())
    }

    /// Reads on from a row's `end`: the first byte pushed is the one at `position.byte` of the file.
    pub fn resume(format: &Format, position: Position) -> Reader {
        let mut core = csv_core::ReaderBuilder::new().delimiter(format.delimiter).build();
        // csv-core strips a byte order mark from its first input, which on resuming may be the text of a cell.
        // A blank line up front changes nothing and ends that.
        let _ = core.read_record(b"\n", &mut [0], &mut [0]);
        let decoder = match format.encoding {
            Encoding::Utf8 | Encoding::Windows1252 => None,
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_without_bom_handling()),
        };
        Reader {
            core,
            encoding: format.encoding,
            decoder,
            prelude: u64::from(format.bom_len).saturating_sub(position.byte),
            chunk: Vec::new(),
            at: 0,
            record: vec![0; 4096],
            filled: 0,
            ends: vec![0; 64],
            cells: 0,
            length: 0,
            too_long: false,
            state: State::Between,
            position: position.byte,
            pushed: position.byte,
            rows: position.row,
            finished: false,
        }
    }

    /// Takes the next raw bytes of the file. Ignored after [`finish`](Reader::finish).
    pub fn push(&mut self, raw: &[u8]) {
        if self.finished {
            return;
        }
        self.pushed += raw.len() as u64;
        let dropped = usize::try_from(self.prelude).unwrap_or(usize::MAX).min(raw.len());
        self.prelude -= dropped as u64;
        self.position += dropped as u64;
        self.chunk.drain(..self.at);
        self.at = 0;
        self.take(&raw[dropped..], false);
    }

    /// Says that the file has ended: a last record without a line break becomes available.
    pub fn finish(&mut self) {
        if !self.finished {
            self.take(&[], true);
            self.finished = true;
        }
    }

    /// Puts the next record into `row`, whose buffers are reused. False if more bytes are needed, or after
    /// [`finish`](Reader::finish) if there are no more records; `row` is then unchanged.
    pub fn read(&mut self, row: &mut Row) -> bool {
        loop {
            let state = self.state;
            match state {
                State::Between => {
                    let rest = &self.chunk[self.at..];
                    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                    let more = blank < rest.len();
                    self.advance(blank);
                    if !more {
                        return false;
                    }
                    (self.filled, self.cells, self.length, self.too_long) = (0, 0, 0, false);
                    self.state = State::InRecord;
                }
                State::InRecord if self.parse() => {
                    if self.chunk.get(self.at.wrapping_sub(1)) != Some(&b'\r') {
                        return self.emit(row, false);
                    }
                    self.state = State::AfterCr;
                }
                State::InRecord if self.finished => {
                    let unclosed = self.close();
                    self.position = self.pushed;
                    return self.emit(row, unclosed);
                }
                State::AfterCr if self.at < self.chunk.len() => {
                    if self.chunk[self.at] == b'\n' {
                        self.advance(1);
                    }
                    return self.emit(row, false);
                }
                State::AfterCr if self.finished => return self.emit(row, false),
                State::InRecord | State::AfterCr => return false,
            }
        }
    }

    /// Bytes of memory held, for those who budget it.
    pub fn capacity(&self) -> usize {
        self.chunk.capacity() + self.record.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Appends raw bytes to the chunk in the form csv-core can read, where every structural character is one byte.
    fn take(&mut self, mut raw: &[u8], last: bool) {
        let Some(decoder) = &mut self.decoder else {
            self.chunk.extend_from_slice(raw);
            return;
        };
        loop {
            let start = self.chunk.len();
            let room = decoder.max_utf8_buffer_length_without_replacement(raw.len()).unwrap_or(raw.len());
            self.chunk.resize(start + room.max(16), 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(raw, &mut self.chunk[start..], last);
            self.chunk.truncate(start + written);
            raw = &raw[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.chunk.push(NOT_TEXT),
            }
        }
    }

    /// Moves over bytes of the chunk, keeping the raw offset in step.
    fn advance(&mut self, count: usize) {
        let bytes = &self.chunk[self.at..self.at + count];
        self.position += match self.encoding {
            Encoding::Utf8 | Encoding::Windows1252 => count as u64,
            Encoding::Utf16Le | Encoding::Utf16Be => 2 * utf16_units(bytes),
        };
        self.at += count;
    }

    /// Parses on in the current record; true at its end, false if more bytes are needed.
    fn parse(&mut self) -> bool {
        while self.at < self.chunk.len() {
            self.make_room();
            let (result, read, written, ended) =
                self.core.read_record(&self.chunk[self.at..], &mut self.record[self.filled..], &mut self.ends[self.cells..]);
            self.advance(read);
            self.length = self.length.saturating_add(read);
            self.filled += written;
            self.cells += ended;
            self.too_long |= self.length > MAX_RECORD_BYTES || self.cells > MAX_CELLS;
            if self.too_long {
                (self.filled, self.cells) = (0, 0);
            }
            match result {
                ReadRecordResult::Record => return true,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return false,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            }
        }
        false
    }

    /// csv-core needs room for one byte and one cell. Growth ends by itself: a full buffer of the greatest size is a
    /// record that is too long, and what is too long is not kept.
    fn make_room(&mut self) {
        if self.filled == self.record.len() {
            self.record.resize((self.filled * 2).min(MAX_RECORD_BYTES + 2), 0);
        }
        if self.cells == self.ends.len() {
            self.ends.resize((self.cells * 2).min(MAX_CELLS + 2), 0);
        }
    }

    /// Ends the record at the end of the file; true if that is inside a quoted cell. csv-core does not tell, but a
    /// line break ends every record except there, where it is text.
    fn close(&mut self) -> bool {
        self.make_room();
        let (result, _, _, ended) = self.core.read_record(b"\n", &mut self.record[self.filled..], &mut self.ends[self.cells..]);
        self.cells += ended;
        if result == ReadRecordResult::Record {
            self.too_long |= self.cells > MAX_CELLS;
            return false;
        }
        // The open cell ends where the text did, before the line break just added.
        self.make_room();
        self.ends[self.cells] = self.filled;
        self.cells += 1;
        true
    }

    /// Hands over the finished record; always true.
    fn emit(&mut self, row: &mut Row, unclosed: bool) -> bool {
        self.state = State::Between;
        self.rows += 1;
        row.number = self.rows;
        row.end = Position { byte: self.position, row: self.rows };
        row.text.clear();
        row.ends.clear();
        row.fault = None;
        if !self.too_long {
            let valid = decode(&self.record[..self.filled], &self.ends[..self.cells], self.encoding, row);
            row.fault = (!valid).then_some(RowFault::InvalidUtf8);
        }
        if unclosed {
            row.fault = Some(RowFault::UnclosedQuote);
        } else if self.too_long {
            row.fault = Some(RowFault::TooLong);
        }
        true
    }
}

/// Not fused: see [`Reader`].
impl Iterator for Reader {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let mut row = Row::default();
        self.read(&mut row).then_some(row)
    }
}

/// Writes the cells as text into `row`; false if some of it is no text.
fn decode(record: &[u8], ends: &[usize], encoding: Encoding, row: &mut Row) -> bool {
    match std::str::from_utf8(record) {
        // Valid as a whole is not enough: a cell may end within a character that the next one completes.
        Ok(text)
            if ends.iter().all(|&end| text.is_char_boundary(end)) && (encoding != Encoding::Windows1252 || text.is_ascii()) =>
        {
            row.text.push_str(text);
            row.ends.extend_from_slice(ends);
            true
        }
        _ => {
            let mut start = 0;
            for &end in ends {
                let cell = &record[start..end];
                match encoding {
                    Encoding::Windows1252 => row.text.push_str(&WINDOWS_1252.decode_without_bom_handling(cell).0),
                    _ => row.text.push_str(&String::from_utf8_lossy(cell)),
                }
                row.ends.push(row.text.len());
                start = end;
            }
            encoding == Encoding::Windows1252
        }
    }
}

/// Code units of UTF-16 that these bytes of UTF-8 stand for. Counts first bytes only, so a character cut in two counts
/// once over both parts.
fn utf16_units(utf8: &[u8]) -> u64 {
    let count = |&byte: &u8| u64::from(byte & 0xC0 != 0x80) + u64::from(byte >= 0xF0 && byte != NOT_TEXT);
    utf8.iter().map(count).sum()
}

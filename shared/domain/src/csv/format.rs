//! Judging what a file is from its first bytes.

use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::{Deserialize, Serialize};

use super::delimiter;

/// How the bytes of a file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// UTF-8, and so ASCII.
    Utf8,
    /// UTF-16, low byte first: what Excel calls "Unicode text".
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// Windows-1252, of which the printable part of Latin-1 (ISO 8859-1) is a subset.
    Windows1252,
}

/// What [`Reader`](super::Reader) needs to know of a file. Found once, then kept with the import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The encoding of the whole file.
    pub encoding: Encoding,
    /// Raw bytes before the first record: a byte order mark, and a `sep=;` line as Excel writes it.
    pub bom_len: u8,
    /// Between cells: comma, semicolon, tab or bar.
    pub delimiter: u8,
}

/// Why a file is not read. Displays as a sentence for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SniffError {
    /// No bytes, or nothing but blank lines.
    #[error("the file is empty; send a CSV with a header row and at least one lead")]
    Empty,
    /// Not text.
    #[error("the file is not a CSV, it looks like {kind}; export the leads as CSV and import that file")]
    Binary {
        /// What the first bytes say it is.
        kind: &'static str,
    },
    /// The sender declared UTF-8, by the kind of request, and sent something else.
    #[error(
        "the text is not valid UTF-8 (first at byte {offset}); save the file as UTF-8, or send it as a multipart form \
         or an upload, where Latin-1 and UTF-16 are recognised"
    )]
    NotUtf8 {
        /// Offset of the first byte that is not UTF-8.
        offset: usize,
    },
}

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// First bytes of the files most often sent in place of a CSV.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Excel workbook (.xls)"),
    (b"%PDF-", "a PDF"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xFF\xD8\xFF", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1F\x8B", "a gzip archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\xFF\xFE\0\0", "UTF-32 text"),
    (b"\0\0\xFE\xFF", "UTF-32 text"),
    (b"{\\rtf", "an RTF document"),
];
const BINARY: SniffError = SniffError::Binary { kind: "binary data" };

impl Format {
    /// Judges a file by its first bytes; 64 KiB are plenty. Every answer is a judgement on the sample only: a file that
    /// is ASCII until later is read as UTF-8.
    ///
    /// - `declared_utf8`: the sender says it is UTF-8, so anything else is an error.
    /// - `whole`: the sample is the whole file, so a character cut off at the end is a fault.
    ///
    /// Without a byte order mark, text that is mostly UTF-8 stays UTF-8: the broken rows are refused one by one, where
    /// reading all as Windows-1252 would garble every name with an accent.
    pub fn sniff(sample: &[u8], declared_utf8: bool, whole: bool) -> Result<Format, SniffError> {
        if sample.is_empty() {
            return Err(SniffError::Empty);
        }
        if let Some(&(_, kind)) = SIGNATURES.iter().find(|(start, _)| sample.starts_with(start)) {
            return Err(SniffError::Binary { kind });
        }
        let (encoding, bom) = judge_encoding(sample, declared_utf8, whole)?;
        let text = decode(&sample[bom..], encoding, whole);
        if is_garbage(&text) {
            return Err(BINARY);
        }
        if whole && text.trim_matches(['\r', '\n', '\u{1A}']).is_empty() {
            return Err(SniffError::Empty);
        }
        let (delimiter, separator_line) = match separator_line(&text) {
            Some((delimiter, length)) => (delimiter, length),
            None => (delimiter::judge(&text, whole), 0),
        };
        let unit = if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) { 2 } else { 1 };
        // At most a byte order mark of 3 and a line of 7 characters: it fits.
        let bom_len = u8::try_from(bom + unit * separator_line).unwrap_or_default();
        Ok(Format { encoding, bom_len, delimiter })
    }
}

/// The encoding and the length of the byte order mark.
fn judge_encoding(sample: &[u8], declared_utf8: bool, whole: bool) -> Result<(Encoding, usize), SniffError> {
    let utf16 = match sample {
        [0xFF, 0xFE, ..] => Some((Encoding::Utf16Le, 2)),
        [0xFE, 0xFF, ..] => Some((Encoding::Utf16Be, 2)),
        _ => bare_utf16(sample).map(|encoding| (encoding, 0)),
    };
    if let Some(found) = utf16 {
        let first_bad = || std::str::from_utf8(sample).map_or_else(|error| error.valid_up_to(), |_| 1);
        return if declared_utf8 { Err(SniffError::NotUtf8 { offset: first_bad() }) } else { Ok(found) };
    }
    if sample.contains(&0) {
        return Err(BINARY);
    }
    let marked = sample.starts_with(UTF8_BOM);
    let bom = if marked { UTF8_BOM.len() } else { 0 };
    match first_not_utf8(sample, whole) {
        None => Ok((Encoding::Utf8, bom)),
        Some(offset) if declared_utf8 => {
            // Sent under a wrong name rather than in a wrong encoding: say that instead.
            if is_garbage(&decode(sample, Encoding::Windows1252, whole)) {
                Err(BINARY)
            } else {
                Err(SniffError::NotUtf8 { offset })
            }
        }
        Some(_) if marked || mostly_utf8(sample) => Ok((Encoding::Utf8, bom)),
        Some(_) => Ok((Encoding::Windows1252, 0)),
    }
}

/// UTF-16 without a byte order mark shows as NULs on one side of the pairs: the delimiters, line breaks and digits of
/// any CSV, and all of its Latin letters.
fn bare_utf16(sample: &[u8]) -> Option<Encoding> {
    let nuls = |skip: usize| sample.iter().skip(skip).step_by(2).filter(|&&byte| byte == 0).count();
    let (high, low) = (nuls(0), nuls(1));
    let encoding = if low > 4 * high { Encoding::Utf16Le } else { Encoding::Utf16Be };
    let clear = low > 4 * high || high > 4 * low;
    let enough = low.max(high) >= (sample.len() / 32).max(1);
    if !clear || !enough {
        return None;
    }
    let text = decode(sample, encoding, false);
    (!is_garbage(&text) && !text.contains('\u{FFFD}')).then_some(encoding)
}

/// Offset of the first byte that is no UTF-8; a character cut off by the end of a sample is none.
fn first_not_utf8(sample: &[u8], whole: bool) -> Option<usize> {
    let error = std::str::from_utf8(sample).err()?;
    (whole || error.error_len().is_some()).then(|| error.valid_up_to())
}

/// Sequences that are right by accident are rare in Windows-1252, so twice as many right ones as wrong ones decide.
fn mostly_utf8(sample: &[u8]) -> bool {
    let (mut right, mut wrong) = (0, 0);
    for part in sample.utf8_chunks() {
        right += part.valid().chars().filter(|char| !char.is_ascii()).count();
        wrong += usize::from(!part.invalid().is_empty());
    }
    right > 2 * wrong
}

/// The sample as text, without a character cut off at its end.
fn decode(sample: &[u8], encoding: Encoding, whole: bool) -> Cow<'_, str> {
    let utf16 = |encoding: &'static encoding_rs::Encoding| {
        let mut even = &sample[..sample.len() & !1];
        let last = |bytes: &[u8]| match (bytes.last_chunk::<2>(), encoding == UTF_16LE) {
            (Some(&pair), true) => u16::from_le_bytes(pair),
            (Some(&pair), false) => u16::from_be_bytes(pair),
            (None, _) => 0,
        };
        if !whole && (0xD800..0xDC00).contains(&last(even)) {
            even = &even[..even.len() - 2];
        }
        encoding.decode_without_bom_handling(even).0
    };
    match encoding {
        Encoding::Utf8 => match std::str::from_utf8(sample) {
            Err(error) if !whole && error.error_len().is_none() => String::from_utf8_lossy(&sample[..error.valid_up_to()]),
            _ => String::from_utf8_lossy(sample),
        },
        Encoding::Windows1252 => WINDOWS_1252.decode_without_bom_handling(sample).0,
        Encoding::Utf16Le => utf16(UTF_16LE),
        Encoding::Utf16Be => utf16(UTF_16BE),
    }
}

/// NULs, or more control characters than slip into text: one in fifty.
fn is_garbage(text: &str) -> bool {
    let odd = |char: &char| char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{1A}' | '\u{85}');
    let (mut count, mut controls) = (0_usize, 0_usize);
    for char in text.chars() {
        if char == '\0' {
            return true;
        }
        count += 1;
        controls += usize::from(odd(&char));
    }
    controls * 50 > count
}

/// Excel's own hint, a first line `sep=;`: the delimiter and the length of the line with its break.
fn separator_line(text: &str) -> Option<(u8, usize)> {
    let bytes = text.as_bytes();
    let (&delimiter, rest) = bytes.get(4..)?.split_first()?;
    let known = bytes[..4].eq_ignore_ascii_case(b"sep=") && delimiter::CANDIDATES.contains(&delimiter);
    match rest {
        [b'\r', b'\n', ..] if known => Some((delimiter, 7)),
        [b'\r' | b'\n', ..] if known => Some((delimiter, 6)),
        _ => None,
    }
}

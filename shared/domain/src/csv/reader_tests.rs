#![allow(clippy::unwrap_used, clippy::expect_used)]

use encoding_rs::WINDOWS_1252;

use super::*;

pub(super) const ENCODINGS: [Encoding; 4] = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Windows1252];

pub(super) fn format(encoding: Encoding, bom_len: u8, delimiter: u8) -> Format {
    Format { encoding, bom_len, delimiter }
}

fn utf8() -> Format {
    format(Encoding::Utf8, 0, b',')
}

pub(super) fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Encoding::Windows1252 => WINDOWS_1252.encode(text).0.into_owned(),
    }
}

/// All rows, with the bytes pushed in pieces of the given sizes, over and over.
fn rows(mut reader: Reader, mut bytes: &[u8], sizes: &[usize]) -> Vec<Row> {
    let mut rows = Vec::new();
    for size in sizes.iter().cycle() {
        let (piece, rest) = bytes.split_at((*size).clamp(1, bytes.len().max(1)).min(bytes.len()));
        reader.push(piece);
        rows.extend(reader.by_ref());
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    reader.finish();
    rows.extend(reader);
    rows
}

pub(super) fn all(format: &Format, bytes: &[u8]) -> Vec<Row> {
    rows(Reader::new(format), bytes, &[usize::MAX])
}

pub(super) fn cells(rows: &[Row]) -> Vec<Vec<&str>> {
    rows.iter().map(|row| row.iter().collect()).collect()
}

/// Every row boundary is a place to continue from, and every cut gives the same rows.
pub(super) fn check_boundaries(format: &Format, bytes: &[u8], sizes: &[usize]) {
    let expected = all(format, bytes);
    assert_eq!(rows(Reader::new(format), bytes, sizes), expected);
    for (index, row) in expected.iter().enumerate() {
        assert_eq!((row.number, row.end.row), (index as u64 + 1, index as u64 + 1));
        let rest = &bytes[usize::try_from(row.end.byte).unwrap()..];
        assert_eq!(rows(Reader::resume(format, row.end), rest, sizes), expected[index + 1..], "after row {}", row.number);
    }
}

#[test]
fn reads_the_grammar() {
    for (text, expected) in [
        ("a,b\r\nc,d\r\n", vec![vec!["a", "b"], vec!["c", "d"]]),
        ("a,b\nc,d", vec![vec!["a", "b"], vec!["c", "d"]]),
        ("a\rb\r\nc\nd\n\re", vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"], vec!["e"]]),
        ("\n\r\n\na,b\r\n\r\n\n\rc\n\n", vec![vec!["a", "b"], vec!["c"]]),
        ("\"a,b\",\"say \"\"hi\"\"\"\n", vec![vec!["a,b", "say \"hi\""]]),
        ("\"two\r\nlines\",\"and\n\n\rthree\"\nx", vec![vec!["two\r\nlines", "and\n\n\rthree"], vec!["x"]]),
        ("a,\n,\n,,", vec![vec!["a", ""], vec!["", ""], vec!["", "", ""]]),
        ("\"\"\nx", vec![vec![""], vec!["x"]]),
        (" \nx", vec![vec![" "], vec!["x"]]),
        ("5\" pipe,a\"b\n", vec![vec!["5\" pipe", "a\"b"]]),
        ("\u{FEFF}a\n\u{FEFF}b", vec![vec!["\u{FEFF}a"], vec!["\u{FEFF}b"]]),
        ("", vec![]),
        ("\r\n\r\n", vec![]),
    ] {
        let rows = all(&utf8(), text.as_bytes());
        assert_eq!(cells(&rows), expected, "{text:?}");
        assert!(rows.iter().all(|row| row.fault.is_none()), "{text:?}");
        for encoding in ENCODINGS {
            // Windows-1252 has no such character.
            let text = match encoding {
                Encoding::Windows1252 => text.replace('\u{FEFF}', ""),
                _ => text.to_owned(),
            };
            check_boundaries(&format(encoding, 0, b','), &encode(&text, encoding), &[1]);
        }
    }
}

#[test]
fn ends_right_behind_the_line_break() {
    for (text, ends) in
        [("a\r\nb\nc\rd", [3, 5, 7, 8]), ("a\r\n\r\nb\n\nc\r\rd\r", [3, 7, 10, 13]), ("\na\n\"b\n\"\nc\nd", [3, 8, 10, 11])]
    {
        for size in 1..=text.len() {
            let found: Vec<u64> = rows(Reader::new(&utf8()), text.as_bytes(), &[size]).iter().map(|row| row.end.byte).collect();
            assert_eq!(found, ends, "{text:?} by {size}");
        }
    }
}

#[test]
fn pushing_ahead_of_reading_loses_nothing() {
    let mut reader = Reader::new(&utf8());
    reader.push(b"a\nb\n");
    assert_eq!(reader.next().unwrap().get(0), Some("a"));
    reader.push(b"c\r");
    reader.push(b"\nd");
    reader.finish();
    reader.push(b"ignored");
    let rest: Vec<Row> = reader.by_ref().collect();
    assert_eq!(cells(&rest), [["b"], ["c"], ["d"]]);
    assert_eq!(rest[2].end, Position { byte: 8, row: 4 });
    assert_eq!(reader.next(), None);
}

#[test]
fn reads_every_encoding_with_its_mark() {
    let text = "name;ville\r\nJosé;\"Besançon\r\n€\"\r\n";
    let expected = [vec!["name", "ville"], vec!["José", "Besançon\r\n€"]];
    for (encoding, mark) in [
        (Encoding::Utf8, &b"\xEF\xBB\xBF"[..]),
        (Encoding::Utf16Le, b"\xFF\xFE"),
        (Encoding::Utf16Be, b"\xFE\xFF"),
        (Encoding::Windows1252, b""),
    ] {
        let bytes = [mark, &encode(text, encoding)].concat();
        let format = format(encoding, u8::try_from(mark.len()).unwrap(), b';');
        for size in 1..bytes.len() {
            let rows = rows(Reader::new(&format), &bytes, &[size]);
            assert_eq!(cells(&rows), expected, "{encoding:?} by {size}");
            assert_eq!(rows[1].end.byte, bytes.len() as u64);
            check_boundaries(&format, &bytes, &[size]);
        }
        if encoding != Encoding::Utf8 && encoding != Encoding::Windows1252 {
            let outside = [mark, &encode("a;𝒳\n🦀;b\n", encoding)].concat();
            assert_eq!(cells(&all(&format, &outside)), [["a", "𝒳"], ["🦀", "b"]]);
            check_boundaries(&format, &outside, &[1]);
        }
    }
}

#[test]
fn twenty_rows_of_quoted_line_breaks_resume_anywhere() {
    let mut text = String::from("email,notes\r\n");
    for row in 0..20 {
        text.push_str(&format!("p{row}@example.com,\"line one\r\nline \"\"two\"\", ü\n{row}\"\r\n"));
    }
    for encoding in ENCODINGS {
        let bytes = encode(&text, encoding);
        let rows = all(&format(encoding, 0, b','), &bytes);
        assert_eq!(rows.len(), 21);
        assert_eq!(rows[20].get(1), Some("line one\r\nline \"two\", ü\n19"));
        check_boundaries(&format(encoding, 0, b','), &bytes, &[7, 1, 64]);
    }
}

#[test]
fn reports_rows_that_are_not_text_and_reads_on() {
    let rows = all(&utf8(), b"a,b\n\xC3,\xA9\nfine,\xC3\xA9\nbad \xFF,x\n");
    assert_eq!(rows.iter().map(|row| row.fault.is_some()).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(rows[1].fault, Some(RowFault::InvalidUtf8));
    assert_eq!(cells(&rows[1..]), [["\u{FFFD}", "\u{FFFD}"], ["fine", "é"], ["bad \u{FFFD}", "x"]]);
    // A lone surrogate, then half a character at the end of the file.
    let utf16 = [encode("a\nb", Encoding::Utf16Le), vec![0x00, 0xD8], encode("c\nd\ne", Encoding::Utf16Le), vec![0x41]].concat();
    let format = format(Encoding::Utf16Le, 0, b',');
    let rows = all(&format, &utf16);
    assert_eq!(cells(&rows), [["a"], ["b\u{FFFD}c"], ["d"], ["e\u{FFFD}"]]);
    assert_eq!(rows.iter().filter(|row| row.fault == Some(RowFault::InvalidUtf8)).count(), 2);
    check_boundaries(&format, &utf16, &[1]);
}

#[test]
fn reports_a_quote_that_is_never_closed() {
    for (text, last) in [
        ("a,b\n1,\"two\nthree,3", vec!["1", "two\nthree,3"]),
        ("a,b\n1,\"", vec!["1", ""]),
        ("a,b\n\"", vec![""]),
        ("a,b\n1,\"x\n", vec!["1", "x\n"]),
        ("a,b\n1,\"x\"\"", vec!["1", "x\""]),
    ] {
        let rows = all(&utf8(), text.as_bytes());
        assert_eq!(rows[1].fault, Some(RowFault::UnclosedQuote), "{text:?}");
        assert_eq!(cells(&rows[1..]), [last]);
        check_boundaries(&utf8(), text.as_bytes(), &[1]);
    }
    assert_eq!(all(&utf8(), b"a,\"b\"")[0].fault, None);
}

#[test]
fn skips_what_is_too_long_and_reads_on() {
    let long = "x".repeat(MAX_RECORD_BYTES);
    let line = |length: usize| format!("{}\n", &long[..length]);
    let wide = |cells: usize| format!("{}\n", ",".repeat(cells - 1));
    for (record, kept) in [
        (line(MAX_RECORD_BYTES - 1), true),
        (line(MAX_RECORD_BYTES), false),
        (format!("\"{long}\n\"\n"), false),
        (wide(MAX_CELLS), true),
        (wide(MAX_CELLS + 1), false),
        (wide(MAX_RECORD_BYTES), false),
    ] {
        let text = format!("a,b\n{record}c,d\n");
        let rows = all(&utf8(), text.as_bytes());
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1].fault, (!kept).then_some(RowFault::TooLong));
        assert_eq!(rows[1].is_empty(), !kept);
        assert_eq!(rows[2].iter().collect::<Vec<_>>(), ["c", "d"]);
        check_boundaries(&utf8(), text.as_bytes(), &[100_003]);
    }
    let unended = format!("a{}", ",".repeat(MAX_CELLS));
    assert_eq!(all(&utf8(), unended.as_bytes())[0].fault, Some(RowFault::TooLong));
    // As long without a line break at the end of the file; blank lines belong to no record.
    assert_eq!(all(&utf8(), long.as_bytes())[0].fault, None);
    assert_eq!(all(&utf8(), format!("{long}x").as_bytes())[0].fault, Some(RowFault::TooLong));
    assert_eq!(cells(&all(&utf8(), format!("{}a", "\n".repeat(2 * MAX_RECORD_BYTES)).as_bytes())), [["a"]]);
}

/// Pushes an endless quoted cell and answers the most memory held, and the rows.
fn flood(megabytes: usize) -> (usize, Vec<Row>) {
    let chunk = vec![b'x'; 1 << 20];
    let mut reader = Reader::new(&utf8());
    reader.push(b"a,b\n1,\"");
    let mut rows: Vec<Row> = reader.by_ref().collect();
    let mut most = 0;
    for _ in 0..megabytes {
        reader.push(&chunk);
        rows.extend(reader.by_ref());
        most = most.max(reader.capacity());
    }
    reader.finish();
    rows.extend(reader);
    (most, rows)
}

#[test]
fn an_endless_quoted_cell_stays_bounded() {
    let (most, rows) = flood(1024);
    assert!(most < 4 * MAX_RECORD_BYTES, "held {most} bytes");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].fault, Some(RowFault::UnclosedQuote));
    assert_eq!(rows[1].end, Position { byte: 7 + (1024 << 20), row: 2 });
}

#[test]
fn positions_and_formats_survive_a_checkpoint() {
    let position = Position { byte: u64::MAX >> 11, row: 7 };
    assert_eq!(serde_json::from_str::<Position>(&serde_json::to_string(&position).unwrap()).unwrap(), position);
    let format = format(Encoding::Windows1252, 3, b'\t');
    assert_eq!(serde_json::from_str::<Format>(&serde_json::to_string(&format).unwrap()).unwrap(), format);
}

//! What must hold for any file: rows depend neither on how it is cut nor on where reading started.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::reader_tests::{ENCODINGS, all, cells, check_boundaries, encode, format};
use super::*;

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop::sample::select(&ENCODINGS[..])
}

/// Bytes that mean something to CSV or to an encoding, and now and then any other.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(&b"\"\",,;\r\r\n\n\0\0abc\xC3\xA9\xEF\xBB\xBF\xD8\xDC\xF0\x9F\xA6\x80\xFF\xFE"[..]);
    vec(prop_oneof![9 => telling, 1 => any::<u8>()], 0..120)
}

proptest! {
    #[test]
    fn any_bytes_resume_at_every_row_and_in_any_chunks(
        bytes in hostile_bytes(),
        encoding in any_encoding(),
        bom_len in 0_u8..4,
        sizes in vec(1_usize..9, 1..5),
    ) {
        check_boundaries(&format(encoding, bom_len, b','), &bytes, &sizes);
        let _ = Format::sniff(&bytes, sizes[0] == 1, bom_len == 0);
    }

    #[test]
    fn what_is_written_is_read_back(
        records in vec(vec("[a-z\"',;|\t \r\n=éüÿ€]{0,12}", 1..5), 1..8),
        encoding in any_encoding(),
        sizes in vec(1_usize..9, 1..5),
    ) {
        let mut text = Vec::new();
        for record in &records {
            write_record(&mut text, record);
        }
        let bytes = encode(std::str::from_utf8(&text).unwrap(), encoding);
        let format = format(encoding, 0, b',');
        let rows = all(&format, &bytes);
        prop_assert_eq!(cells(&rows), records);
        check_boundaries(&format, &bytes, &sizes);
    }

    #[test]
    fn a_reused_row_holds_nothing_of_the_last(bytes in hostile_bytes(), encoding in any_encoding()) {
        let format = format(encoding, 0, b',');
        let mut reader = Reader::new(&format);
        reader.push(&bytes);
        reader.finish();
        reader.finish();
        let mut row = Row::default();
        for expected in all(&format, &bytes) {
            prop_assert!(reader.read(&mut row));
            prop_assert_eq!(&row, &expected);
        }
        prop_assert!(!reader.read(&mut row));
    }
}

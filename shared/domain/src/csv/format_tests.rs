#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn sniff(sample: impl AsRef<[u8]>) -> Result<(Encoding, u8, char), SniffError> {
    Format::sniff(sample.as_ref(), false, true).map(|found| (found.encoding, found.bom_len, char::from(found.delimiter)))
}

#[test]
fn judges_the_encoding() {
    let text = "email;prénom\nann@example.com;Zoë\n";
    for (sample, expected) in [
        (text.as_bytes().to_vec(), (Encoding::Utf8, 0, ';')),
        ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), (Encoding::Utf8, 3, ';')),
        ([&b"\xFF\xFE"[..], &utf16(text, true)].concat(), (Encoding::Utf16Le, 2, ';')),
        ([&b"\xFE\xFF"[..], &utf16(text, false)].concat(), (Encoding::Utf16Be, 2, ';')),
        (utf16(text, true), (Encoding::Utf16Le, 0, ';')),
        (utf16(text, false), (Encoding::Utf16Be, 0, ';')),
        (utf16("email,名前,会社\na@b.jp,山田太郎,株式会社山田太郎商店東京本社\n", true), (Encoding::Utf16Le, 0, ',')),
        (b"email;pr\xE9nom\nann@example.com;Zo\xEB\n".to_vec(), (Encoding::Windows1252, 0, ';')),
        (b"email;co\xFBt\nann@example.com;5 \x80\n".to_vec(), (Encoding::Windows1252, 0, ';')),
        // One broken row in a UTF-8 file does not turn the others into "ZoÃ«".
        ([text.as_bytes(), "Zoë;Zoë\n".as_bytes(), b"bad;\xFF\n"].concat(), (Encoding::Utf8, 0, ';')),
        (b"\xEF\xBB\xBFemail;x\nbad;\xFF\n".to_vec(), (Encoding::Utf8, 3, ';')),
    ] {
        assert_eq!(sniff(&sample), Ok(expected), "{:?}", String::from_utf8_lossy(&sample));
    }
}

#[test]
fn a_sample_may_end_within_a_character() {
    for encoded in ["email,name\na@b.c,Zo\u{EB}", "email,name\na@b.c,\u{1F980}"] {
        for cut in 1..=encoded.len() {
            let found = Format::sniff(&encoded.as_bytes()[..cut], true, false).unwrap();
            assert_eq!(found.encoding, Encoding::Utf8);
        }
        for cut in 8..utf16(encoded, true).len() {
            let found = Format::sniff(&utf16(encoded, true)[..cut], false, false).unwrap();
            assert_eq!(found.encoding, Encoding::Utf16Le, "{cut}");
        }
    }
    let cut = b"email\nZo\xC3";
    assert!(Format::sniff(cut, true, false).is_ok());
    assert_eq!(Format::sniff(cut, true, true), Err(SniffError::NotUtf8 { offset: 8 }));
}

#[test]
fn what_is_declared_utf8_must_be() {
    let offset = |sample: &[u8]| match Format::sniff(sample, true, true) {
        Err(SniffError::NotUtf8 { offset }) => offset,
        other => panic!("{other:?}"),
    };
    assert_eq!(offset(b"email,x\na@b.c,Zo\xEB\n"), 16);
    assert_eq!(offset(b"\xEF\xBB\xBFemail\n\xFF"), 9);
    assert_eq!(offset(&[&b"\xFF\xFE"[..], &utf16("email\n", true)].concat()), 0);
    assert_eq!(offset(&utf16("email\na@b.c", true)), 1);
    assert!(Format::sniff("\u{FEFF}email,x\na@b.c,Zoë".as_bytes(), true, true).is_ok());
}

#[test]
fn refuses_what_is_no_csv() {
    for sample in [&b""[..], b"\n\r\n", b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xEF\xBB\xBF\r\n"] {
        assert_eq!(sniff(sample), Err(SniffError::Empty), "{sample:?}");
    }
    for (sample, kind) in [
        (&b"PK\x03\x04\x14\0\x06\0"[..], "Excel"),
        (b"\x89PNG\r\n\x1A\n\0\0", "PNG"),
        (b"%PDF-1.7\n%\xE2\xE3\xCF\xD3", "PDF"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0", "Excel"),
        (b"\x1F\x8B\x08\0", "gzip"),
        (b"\xFF\xFE\0\0e\0\0\0", "UTF-32"),
        (b"email\0name\na@b.c\0\0Ann\n", "binary"),
        (b"\0\0\0\0\0\0", "binary"),
        (b"\x7FELF\x02\x01\x01\x03\x04", "binary"),
        (b"e\0\0\0m\0\0\0a\0\0\0", "binary"),
    ] {
        match sniff(sample) {
            Err(SniffError::Binary { kind: found }) => assert!(found.contains(kind), "{found}"),
            other => panic!("{sample:?}: {other:?}"),
        }
    }
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect();
    assert_eq!(sniff(&noise), Err(SniffError::Binary { kind: "binary data" }));
    assert_eq!(Format::sniff(&noise, true, false), Err(SniffError::Binary { kind: "binary data" }));
}

#[test]
fn judges_the_delimiter() {
    for (text, expected) in [
        ("email,name\na@b.c,Ann\n", ','),
        ("email;name\na@b.c;Ann\n", ';'),
        ("email\tname\na@b.c\tAnn\n", '\t'),
        ("email|name\na@b.c|Ann\n", '|'),
        ("email", ','),
        ("email\na@b.c\n", ','),
        // Other candidates in the text, in the header, in quotes.
        ("email;notes\na@b.c;one, two, three\nd@e.f;x, y, z\n", ';'),
        ("Email;Employees, total;Revenue, M\na@b.c;5,0;1,2\n", ';'),
        ("\"Name, full\";\"Email\"\n\"Lee, Ann\";a@b.c\n", ';'),
        ("\"a;b;c;d\",email\n1,a@b.c\n", ','),
        ("email,tags\na@b.c,x;y;z\nd@e.f,x;y\n", ','),
        ("email,tags\na@b.c,\"x;y\nz;w\"\nd@e.f,x|y\n", ','),
        // Headers that say nothing: the rows decide, then the number of cells.
        ("foo;bar, baz\n1;2\n3;4\n", ';'),
        ("foo;bar;baz\n1,0;2,0;3,0\n", ';'),
        ("foo\tbar baz\n", '\t'),
        ("\r\n\r\nemail;name\r\na@b.c;Ann\r\n", ';'),
        ("email;name\ra@b.c;Ann\r", ';'),
        ("email;name", ';'),
    ] {
        assert_eq!(sniff(text).unwrap().2, expected, "{text:?}");
        for sample in [utf16(text, true), utf16(text, false)] {
            assert_eq!(sniff(&sample).unwrap().2, expected, "{text:?} as UTF-16");
        }
    }
    let long = format!("email;notes\n{}", "a@b.c;x, y\n".repeat(20_000));
    assert_eq!(Format::sniff(&long.as_bytes()[..70_001], false, false).unwrap().delimiter, b';');
}

#[test]
fn takes_excels_hint_and_skips_its_line() {
    for (text, bom_len, delimiter) in
        [("sep=;\r\nemail;x\r\n", 7, ';'), ("SEP=,\nemail,x;y;z\n", 6, ','), ("\u{FEFF}sep=|\r\nemail|x", 10, '|')]
    {
        assert_eq!(sniff(text).unwrap(), (Encoding::Utf8, bom_len, delimiter));
    }
    let sample = [&b"\xFF\xFE"[..], &utf16("sep=\t\r\nemail\tx\r\n", true)].concat();
    let format = Format::sniff(&sample, false, true).unwrap();
    assert_eq!((format.bom_len, format.delimiter), (16, b'\t'));
    let mut reader = Reader::new(&format);
    reader.push(&sample);
    let header = reader.next().unwrap();
    assert_eq!(header.iter().collect::<Vec<_>>(), ["email", "x"]);
    assert_eq!((header.number, header.end.byte), (1, sample.len() as u64));
    assert_eq!(sniff("sep=;x\nemail\n").unwrap().1, 0);
}

#[test]
fn errors_say_what_to_do() {
    assert!(SniffError::Empty.to_string().contains("header row"));
    assert!(SniffError::NotUtf8 { offset: 9 }.to_string().contains("byte 9"));
    assert!(SniffError::Binary { kind: "a PDF" }.to_string().contains("looks like a PDF"));
}

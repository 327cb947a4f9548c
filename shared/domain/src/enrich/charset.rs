//! The text of a page, whatever it is encoded in.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Bytes in which a page declares its encoding (WHATWG: the first 1024).
const PRESCAN: usize = 1_024;

/// Decodes a page as browsers do: by its byte order mark, else the `charset` of its `Content-Type`, else what its first bytes declare, else as
/// UTF-8 if it is that, else as Windows-1252. What cannot be decoded becomes U+FFFD.
pub fn decode_page(body: &[u8], content_type: Option<&str>) -> String {
    let of_mark = Encoding::for_bom(body).map(|(encoding, _)| encoding);
    let named = content_type.and_then(charset_of).and_then(|name| Encoding::for_label(name.as_bytes()));
    let head = &body[..body.len().min(PRESCAN)];
    let declared = || {
        // Markup up to here is ASCII, whatever comes behind it.
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let at = head.find("charset")?;
        let value = head[at + "charset".len()..].trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(value.len());
        // A page that could be read this far is not UTF-16, whatever it says.
        Encoding::for_label(&value.as_bytes()[..end]).map(|found| if found.is_ascii_compatible() { found } else { UTF_8 })
    };
    let guessed = || if is_utf8(body) { UTF_8 } else { WINDOWS_1252 };
    let encoding = of_mark.or(named).or_else(declared).unwrap_or_else(guessed);
    encoding.decode(body).0.into_owned()
}

/// Whether this is UTF-8, but for a character that may be cut off at the end of a text that has others.
fn is_utf8(body: &[u8]) -> bool {
    let cut = |e: std::str::Utf8Error| e.error_len().is_none() && !body[..e.valid_up_to()].is_ascii();
    std::str::from_utf8(body).map_or_else(cut, |_| true)
}

fn charset_of(content_type: &str) -> Option<&str> {
    let parameter = |part: &&str| part.trim().get(..8).is_some_and(|name| name.eq_ignore_ascii_case("charset="));
    let found = content_type.split(';').skip(1).find(parameter)?;
    Some(found.trim()[8..].trim_matches(['"', '\'', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_browsers_do() {
        let latin = b"<meta charset=iso-8859-1><p>caf\xe9";
        let cyrillic = b"<p>\xcf\xf0\xe8\xe2\xe5\xf2";
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("<p>é".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for (body, content_type, text) in [
            (&latin[..], None, "<meta charset=iso-8859-1><p>café"),
            (&cyrillic[..], Some("text/html; Charset=\"windows-1251\""), "<p>Привет"),
            ("<p>é".as_bytes(), None, "<p>é"),
            (b"<p>caf\xe9", None, "<p>café"),
            (b"<p>caf\xe9", Some("text/html; charset=utf-8"), "<p>caf\u{fffd}"),
            (b"<p>caf\xe9", Some("text/html; charset=no-such"), "<p>café"),
            (&utf16, Some("text/html; charset=utf-8"), "<p>é"),
            ("<meta charset=\"utf-16\"><p>é".as_bytes(), None, "<meta charset=\"utf-16\"><p>é"),
            (b"\x93\xfa\x96{", Some("text/html;charset=shift_jis"), "日本"),
            (b"", None, ""),
        ] {
            assert_eq!(decode_page(body, content_type), text);
        }
        // A cut in the middle of a character does not make it another encoding.
        assert!(decode_page(&"äöü é".as_bytes()[..8], None).starts_with("äöü "));
    }
}

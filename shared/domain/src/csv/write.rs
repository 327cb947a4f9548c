//! Writing the refused rows back.

use std::borrow::Cow;

/// Appends one record as RFC 4180 has it: commas, doubled quotes where needed, CRLF.
///
/// Cells are written exactly as given, so a refused row can be corrected and imported again. That includes cells a
/// spreadsheet would run as a formula; pass the ones that are ours through [`protect`].
pub fn write_record<S: AsRef<str>>(out: &mut Vec<u8>, fields: &[S]) {
    for (index, field) in fields.iter().map(AsRef::as_ref).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        // A record of one empty cell would be a blank line, which readers skip.
        let quoted =
            field.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) || (fields.len() == 1 && field.is_empty());
        if quoted {
            out.push(b'"');
            for byte in field.bytes() {
                if byte == b'"' {
                    out.push(b'"');
                }
                out.push(byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(field.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Puts an apostrophe before text that a spreadsheet would run as a formula (OWASP, CSV injection): for the columns we
/// generate, like the reason, whose text may quote the file. The tenant's own cells are left byte-true.
pub fn protect(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[&str]) -> String {
        let mut out = Vec::new();
        write_record(&mut out, fields);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(written(&["a", "b c", ""]), "a,b c,\r\n");
        assert_eq!(
            written(&["a,b", "say \"hi\"", "two\nlines", "x\ry"]),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"x\ry\"\r\n"
        );
        assert_eq!(written(&["; \t|"]), "; \t|\r\n");
        assert_eq!(written(&[""]), "\"\"\r\n");
        assert_eq!(written(&["=1+1"]), "=1+1\r\n");
    }

    #[test]
    fn protects_formulas() {
        for hostile in ["=cmd()", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(protect(hostile), format!("'{hostile}"));
        }
        assert_eq!(protect("email is missing"), "email is missing");
    }
}

//! The `aws-chunked` encoding that SDKs use for streamed uploads:
//! `<hex length>[;chunk-signature=...]\r\n<bytes>\r\n ... 0\r\n<trailers>\r\n`.

use bytes::Bytes;

/// The payload without its framing, or `None` when the framing is broken.
pub fn decode(body: &[u8]) -> Option<Bytes> {
    let mut payload = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Some(Bytes::from(payload));
        }
        payload.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn strips_lengths_signatures_and_trailers() {
        let body = b"5;chunk-signature=abc\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:abc=\r\n\r\n";
        assert_eq!(decode(body).as_deref(), Some(b"hello world".as_slice()));
    }

    #[test]
    fn broken_framing_is_refused() {
        for body in [b"".as_slice(), b"hello", b"zz\r\nhello\r\n", b"9\r\nhello\r\n"] {
            assert_eq!(decode(body), None, "{body:?}");
        }
    }
}

//! Bodies as they were before compression, never more than a limit: a few kilobytes can unpack to gigabytes.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::Unreadable;

/// The body, decompressed, and cut at `max` bytes; so is what a broken compression gives up to where it breaks.
pub(super) fn unpack(body: &[u8], encoding: Option<&str>, max: usize) -> Result<Vec<u8>, Unreadable> {
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(body[..body.len().min(max)].to_vec()),
        "gzip" | "x-gzip" => Ok(first(MultiGzDecoder::new(body), max)),
        // Meant is zlib; some servers send it bare.
        "deflate" if body.first().is_some_and(|byte| byte & 0x0f == 8) => Ok(first(ZlibDecoder::new(body), max)),
        "deflate" => Ok(first(DeflateDecoder::new(body), max)),
        // Others were not asked for, nor one around another.
        _ => Err(Unreadable::Encoding),
    }
}

fn first(reader: impl Read, max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // What was read before an error stays.
    let _ = reader.take(u64::try_from(max).unwrap_or(u64::MAX)).read_to_end(&mut out);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    #[test]
    fn every_form_and_never_more_than_the_limit() {
        let plain = b"hello hello hello";
        let gzip = {
            let mut to = GzEncoder::new(Vec::new(), Compression::best());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        };
        let zlib = {
            let mut to = ZlibEncoder::new(Vec::new(), Compression::best());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        };
        let bare = {
            let mut to = DeflateEncoder::new(Vec::new(), Compression::best());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        };
        for (body, encoding) in
            [(&plain[..], None), (&gzip[..], Some("GZIP")), (&zlib[..], Some("deflate")), (&bare[..], Some("deflate"))]
        {
            assert_eq!(unpack(body, encoding, 100).unwrap(), plain);
            assert_eq!(unpack(body, encoding, 5).unwrap(), b"hello");
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; 5_000_000]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(unpack(&bomb, Some("gzip"), 1_000).unwrap().len(), 1_000);
        assert!(unpack(&gzip[..gzip.len() - 12], Some("gzip"), 100).is_ok());
        assert_eq!(unpack(b"not gzip", Some("gzip"), 100).unwrap(), b"");
        assert_eq!(unpack(plain, Some("br"), 100), Err(Unreadable::Encoding));
        assert_eq!(unpack(&gzip, Some("gzip, gzip"), 100), Err(Unreadable::Encoding));
    }
}

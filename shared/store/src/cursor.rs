//! Cursors: opaque, signed, and good only for the tenant and the query that they were given for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A cursor that was not given out for this query.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this query gave")]
pub struct BadCursor;

/// The key that cursors are signed with.
#[derive(Clone)]
pub struct CursorKey(Vec<u8>);

const MAC: usize = 16;

impl CursorKey {
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    fn mac(&self, scope: &str, position: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(b"cursor\0");
        mac.update(&(scope.len() as u64).to_be_bytes());
        mac.update(scope.as_bytes());
        mac.update(position);
        Some(mac)
    }

    /// The cursor of a position. `scope` names the tenant and the query.
    pub fn seal(&self, scope: &str, position: &str) -> String {
        let mut bytes = position.as_bytes().to_vec();
        if let Some(mac) = self.mac(scope, &bytes) {
            bytes.extend_from_slice(&mac.finalize().into_bytes()[..MAC]);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a cursor.
    ///
    /// # Errors
    /// [`BadCursor`] for anything that [`CursorKey::seal`] did not return for the same scope.
    pub fn open(&self, scope: &str, cursor: &str) -> Result<String, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
        let (position, tag) = bytes.split_at_checked(bytes.len().saturating_sub(MAC)).ok_or(BadCursor)?;
        let mac = self.mac(scope, position).ok_or(BadCursor)?;
        mac.verify_truncated_left(tag).map_err(|_| BadCursor)?;
        if tag.len() != MAC {
            return Err(BadCursor);
        }
        String::from_utf8(position.to_vec()).map_err(|_| BadCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_scope_opens_it() {
        let key = CursorKey::new(b"k");
        let cursor = key.seal("tenant/leads", "2026#x");
        assert_eq!(key.open("tenant/leads", &cursor).as_deref(), Ok("2026#x"));
        for (scope, text) in [
            ("other/leads", cursor.as_str()),
            ("tenant/leads", ""),
            ("tenant/leads", "AAAA"),
            ("tenant/leads", &cursor[1..]),
            ("tenant/leads", "é"),
        ] {
            assert_eq!(key.open(scope, text), Err(BadCursor));
        }
        assert_eq!(CursorKey::new(b"j").open("tenant/leads", &cursor), Err(BadCursor));
    }
}

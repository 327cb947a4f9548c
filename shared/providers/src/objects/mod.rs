//! Stored objects: S3, and a store in memory for tests.

mod memory;
mod multipart;
mod read;
mod s3;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;

use crate::aws::AwsFailure;

pub use memory::MemoryObjects;
pub use s3::S3Objects;

/// The largest object that one presigned PUT can bring (S3 quota): 5 GiB.
pub const MAX_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object, or (S3 does not say which) we may not read it.
    #[error("there is no object {0}")]
    NotFound(String),
    /// The object is no longer the one that reading began with.
    #[error("object {0} was replaced while it was read")]
    Changed(String),
    /// Larger than the caller allows.
    #[error("the object is larger than {0} bytes")]
    TooLarge(u64),
    /// The store refused or did not answer.
    #[error("object {key}: {cause}")]
    Failed {
        /// The object's key.
        key: String,
        /// What the store said.
        cause: AwsFailure,
    },
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub bytes: u64,
    /// Changes with the content.
    pub etag: String,
}

/// A request that somebody else can make, without credentials of their own, to upload an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where to PUT the body.
    pub url: String,
    /// Headers that must be sent with it, as they are signed.
    pub headers: BTreeMap<String, String>,
}

/// The bytes of an object, in pieces as they arrive.
pub type ByteStream = BoxStream<'static, Result<Bytes, ObjectError>>;

/// Somewhere to keep objects, under keys without a leading slash.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Writes an object that is in memory, replacing what was there.
    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<(), ObjectError>;

    /// Streams an object from a byte offset on; from its end on there is nothing. With `etag`, fails with
    /// [`ObjectError::Changed`] if it is not that version any more.
    async fn get_stream(&self, key: &str, from_byte: u64, etag: Option<&str>) -> Result<ByteStream, ObjectError>;

    /// Looks an object up; `None` when it is not there.
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError>;

    /// Lets somebody PUT the object within `ttl` (S3: at most 7 days, and no longer than the function's own credentials
    /// last). With `bytes`, the body must have exactly that length; otherwise up to [`MAX_PUT_BYTES`] are accepted, so a
    /// tighter limit has to be checked afterwards, by [`head`](Self::head).
    async fn presign_put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Option<u64>,
        ttl: Duration,
    ) -> Result<PresignedPut, ObjectError>;

    /// A URL under which the object can be downloaded within `ttl`, as a file of this name.
    async fn presign_get(&self, key: &str, file_name: &str, ttl: Duration) -> Result<String, ObjectError>;

    /// The keys that begin with `prefix`, at most a thousand, after the key `after`; in order.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, ObjectError>;

    /// Deletes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Begins an object that is written piece by piece. It appears, replacing what was there, when the writer is finished.
    async fn writer(&self, key: &str, content_type: &str) -> Result<Box<dyn ObjectWriter>, ObjectError>;
}

/// An object in the making. Dropped without [`finish`](Self::finish), it never appears; what was uploaded of it is
/// left to the bucket's lifecycle rule for incomplete uploads.
#[async_trait]
pub trait ObjectWriter: Send {
    /// Appends bytes. Memory is bounded however many there are.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectError>;

    /// Completes the object; answers with its length.
    async fn finish(self: Box<Self>) -> Result<u64, ObjectError>;

    /// Gives the object up.
    async fn abort(self: Box<Self>) -> Result<(), ObjectError>;
}

/// Reads a whole object of at most `max` bytes.
pub async fn read_all(store: &dyn ObjectStore, key: &str, max: u64) -> Result<Vec<u8>, ObjectError> {
    let mut stream = store.get_stream(key, 0, None).await?;
    let mut all = Vec::new();
    while let Some(bytes) = stream.try_next().await? {
        if (all.len() + bytes.len()) as u64 > max {
            return Err(ObjectError::TooLarge(max));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Appends a stored object to one in the making; answers with the number of bytes. Merging many is calling this for each.
pub async fn append(store: &dyn ObjectStore, key: &str, to: &mut dyn ObjectWriter) -> Result<u64, ObjectError> {
    let mut stream = store.get_stream(key, 0, None).await?;
    let mut appended = 0;
    while let Some(bytes) = stream.try_next().await? {
        to.write(&bytes).await?;
        appended += bytes.len() as u64;
    }
    Ok(appended)
}

/// A header value for downloads. Letters that a header cannot hold travel in the extended form (RFC 6266, RFC 8187).
fn attachment(file_name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    let ascii: String = file_name.chars().map(plain).collect();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let encoded: String =
        file_name.bytes().map(|b| if unreserved(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments() {
        assert_eq!(attachment("errors.csv"), "attachment; filename=\"errors.csv\"; filename*=UTF-8''errors.csv");
        let hostile = attachment("a\"\r\nb é.csv");
        assert_eq!(hostile, "attachment; filename=\"a___b _.csv\"; filename*=UTF-8''a%22%0D%0Ab%20%C3%A9.csv");
    }
}

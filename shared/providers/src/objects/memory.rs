//! Objects in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::{ByteStream, ObjectError, ObjectInfo, ObjectStore, ObjectWriter, PresignedPut};

/// Streams give out pieces of this size, awkward on purpose.
const PIECE: usize = 1021;

/// An object store in memory. Clones share their objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryObjects {
    objects: Arc<Mutex<BTreeMap<String, Stored>>>,
}

#[derive(Clone, Debug)]
struct Stored {
    content_type: String,
    body: Bytes,
    version: u64,
}

impl Stored {
    fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

impl MemoryObjects {
    /// The content type and bytes of an object.
    pub fn get(&self, key: &str) -> Option<(String, Bytes)> {
        self.objects().get(key).map(|stored| (stored.content_type.clone(), stored.body.clone()))
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.objects().keys().cloned().collect()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &str, content_type: &str, body: Bytes) {
        let mut objects = self.objects();
        let version = objects.get(key).map_or(0, |stored| stored.version) + 1;
        objects.insert(key.to_owned(), Stored { content_type: content_type.to_owned(), body, version });
    }
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<(), ObjectError> {
        self.insert(key, content_type, body);
        Ok(())
    }

    async fn get_stream(&self, key: &str, from_byte: u64, etag: Option<&str>) -> Result<ByteStream, ObjectError> {
        let stored = self.objects().get(key).cloned().ok_or_else(|| ObjectError::NotFound(key.to_owned()))?;
        if etag.is_some_and(|etag| etag != stored.etag()) {
            return Err(ObjectError::Changed(key.to_owned()));
        }
        let from = usize::try_from(from_byte).unwrap_or(usize::MAX).min(stored.body.len());
        let rest = stored.body.slice(from..);
        let pieces: Vec<_> = rest.chunks(PIECE).map(|piece| Ok(rest.slice_ref(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError> {
        let objects = self.objects();
        Ok(objects.get(key).map(|stored| ObjectInfo { bytes: stored.body.len() as u64, etag: stored.etag() }))
    }

    async fn presign_put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Option<u64>,
        ttl: Duration,
    ) -> Result<PresignedPut, ObjectError> {
        let mut headers = BTreeMap::from([("content-type".to_owned(), content_type.to_owned())]);
        headers.extend(bytes.map(|bytes| ("content-length".to_owned(), bytes.to_string())));
        Ok(PresignedPut { url: format!("https://objects.test/{key}?put&ttl={}", ttl.as_secs()), headers })
    }

    async fn presign_get(&self, key: &str, file_name: &str, ttl: Duration) -> Result<String, ObjectError> {
        Ok(format!("https://objects.test/{key}?get={file_name}&ttl={}", ttl.as_secs()))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, ObjectError> {
        let keys = self.keys().into_iter().filter(|key| key.starts_with(prefix));
        Ok(keys.filter(|key| after.is_none_or(|after| key.as_str() > after)).take(1_000).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.objects().remove(key);
        Ok(())
    }

    async fn writer(&self, key: &str, content_type: &str) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        Ok(Box::new(Writer {
            store: self.clone(),
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            written: Vec::new(),
        }))
    }
}

struct Writer {
    store: MemoryObjects,
    key: String,
    content_type: String,
    written: Vec<u8>,
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        let length = self.written.len() as u64;
        self.store.insert(&self.key, &self.content_type, self.written.into());
        Ok(length)
    }

    async fn abort(self: Box<Self>) -> Result<(), ObjectError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::objects::{append, read_all};

    #[tokio::test]
    async fn ranges_versions_and_limits() {
        let store = MemoryObjects::default();
        let body: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        store.put("a", "text/csv", body.clone().into()).await.unwrap();
        let info = store.head("a").await.unwrap().unwrap();
        assert_eq!(info.bytes, 5000);
        for from in [0, 1, 1021, 4999, 5000, 9999] {
            let pieces: Vec<_> = store.get_stream("a", from, Some(&info.etag)).await.unwrap().collect().await;
            let rest: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
            assert_eq!(rest, &body[body.len().min(from as usize)..]);
        }
        assert!(matches!(read_all(&store, "a", 4999).await, Err(ObjectError::TooLarge(4999))));
        store.put("a", "text/csv", Bytes::from_static(b"new")).await.unwrap();
        assert!(matches!(store.get_stream("a", 0, Some(&info.etag)).await, Err(ObjectError::Changed(_))));
        assert!(matches!(read_all(&store, "b", 1).await, Err(ObjectError::NotFound(_))));
        assert_eq!(store.head("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn merging() {
        let store = MemoryObjects::default();
        for (key, body) in [("1", "one,"), ("2", "two,"), ("3", "three")] {
            store.put(key, "text/csv", body.into()).await.unwrap();
        }
        let mut writer = store.writer("all", "text/csv").await.unwrap();
        for key in ["1", "2", "3"] {
            append(&store, key, &mut *writer).await.unwrap();
        }
        assert_eq!(store.get("all"), None, "nothing appears before the end");
        assert_eq!(writer.finish().await.unwrap(), 13);
        assert_eq!(read_all(&store, "all", 13).await.unwrap(), b"one,two,three");
        store.writer("gone", "text/csv").await.unwrap().abort().await.unwrap();
        assert_eq!(store.keys(), ["1", "2", "3", "all"]);
    }
}

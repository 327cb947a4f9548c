//! What the fake bucket holds: small objects as bytes, large files as the recipe that writes them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use crate::csv_file::CsvFile;

#[derive(Clone, Debug)]
pub enum Object {
    Bytes(Bytes),
    Csv(CsvFile),
}

impl Object {
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Csv(file) => file.len(),
        }
    }

    /// `range` lies within the object.
    pub fn body(&self, range: Range<u64>) -> Body {
        match self {
            Self::Bytes(bytes) => Body::from(bytes.slice(range.start as usize..range.end as usize)),
            Self::Csv(file) => {
                Body::from_stream(stream::iter(file.clone().chunks(range).map(Ok::<Bytes, std::convert::Infallible>)))
            }
        }
    }
}

#[derive(Default)]
pub struct Objects {
    stored: HashMap<String, Object>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    next_upload: u64,
}

impl Objects {
    pub fn put(&mut self, key: &str, object: Object) {
        self.stored.insert(key.to_owned(), object);
    }

    pub fn get(&self, key: &str) -> Option<Object> {
        self.stored.get(key).cloned()
    }

    pub fn delete(&mut self, key: &str) {
        self.stored.remove(key);
    }

    /// Begins a multipart upload and returns its id.
    pub fn begin(&mut self) -> String {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        self.uploads.insert(id.clone(), BTreeMap::new());
        id
    }

    /// False when there is no such upload.
    pub fn part(&mut self, upload: &str, number: u32, bytes: Bytes) -> bool {
        self.uploads.get_mut(upload).map(|parts| parts.insert(number, bytes)).is_some()
    }

    /// Puts the parts together in their order. False when there is no such upload.
    pub fn complete(&mut self, upload: &str, key: &str) -> bool {
        let Some(parts) = self.uploads.remove(upload) else {
            return false;
        };
        let whole: Vec<u8> = parts.into_values().flatten().collect();
        self.put(key, Object::Bytes(Bytes::from(whole)));
        true
    }

    pub fn abort(&mut self, upload: &str) {
        self.uploads.remove(upload);
    }
}

//! Credentials that were found good, for at most a minute: a revoked key dies within 60 seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axle_domain::Time;
use axle_domain::identity::KeyHash;
use axle_store::identity::ApiKeyRecord;

/// How long a credential is taken from the cache.
const KEEP_SECS: i64 = 60;
/// An environment serves few keys at a time; beyond this the cache starts anew.
const CAPACITY: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct CredentialCache(Mutex<HashMap<String, Entry>>);

#[derive(Clone, Debug)]
struct Entry {
    hash: KeyHash,
    record: ApiKeyRecord,
    good_until: Time,
}

impl CredentialCache {
    pub(crate) fn get(&self, id: &str, hash: &KeyHash, now: Time) -> Option<ApiKeyRecord> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = map.get(id)?;
        (entry.good_until > now && entry.hash.matches(hash)).then(|| entry.record.clone())
    }

    /// `expires` cuts the stay short for keys that end sooner.
    pub(crate) fn put(&self, hash: KeyHash, record: ApiKeyRecord, now: Time, expires: Option<Time>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CAPACITY {
            map.clear();
        }
        let good_until = now.plus_secs(KEEP_SECS);
        let good_until = expires.map_or(good_until, |e| e.min(good_until));
        map.insert(record.id.as_str().to_owned(), Entry { hash, record, good_until });
    }

    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

//! Unpacked segments, kept between the requests of an environment. A segment's version says whether it still is what the table has,
//! so nothing is ever shown that is older than the table; only reading and unpacking are saved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axle_domain::EntityId;

use super::packed::Segment;
use super::records::Kind;

/// Bytes that are kept at most: some 700,000 records. A function with less than 512 MB of memory has no searches.
const KEPT_MAX: usize = 96 << 20;

type Place = (EntityId, Kind, String);

struct Kept {
    version: u64,
    segment: Arc<Segment>,
    used: u64,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<Place, Kept>,
    weight: usize,
    clock: u64,
}

/// What was unpacked, by its place.
#[derive(Default)]
pub struct SegmentCache(Mutex<Inner>);

impl std::fmt::Debug for SegmentCache {
    /// It holds names of people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SegmentCache")
    }
}

impl SegmentCache {
    pub(super) fn get(&self, entity: EntityId, kind: Kind, from: &str, version: u64) -> Option<Arc<Segment>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let kept = inner.kept.get_mut(&(entity, kind, from.to_owned())).filter(|kept| kept.version >= version)?;
        kept.used = now;
        Some(Arc::clone(&kept.segment))
    }

    /// Keeps a segment, and lets go of those that were not used for the longest time if that is too much.
    pub(super) fn put(&self, entity: EntityId, kind: Kind, from: &str, version: u64, segment: &Arc<Segment>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let kept = Kept { version, segment: Arc::clone(segment), used: inner.clock };
        inner.weight += segment.weight();
        if let Some(old) = inner.kept.insert((entity, kind, from.to_owned()), kept) {
            inner.weight -= old.segment.weight();
        }
        while inner.weight > KEPT_MAX {
            let oldest = inner.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(place, _)| place.clone());
            let Some(gone) = oldest.and_then(|place| inner.kept.remove(&place)) else { return };
            inner.weight -= gone.segment.weight();
        }
    }
}

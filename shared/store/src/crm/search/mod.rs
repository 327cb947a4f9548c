//! Searches among very many records.
//!
//! No index finds parts of names, so a search looks at every name. Up to some thousands it reads them from the listing index. A tenant
//! with more gets *segments*: in the order of creation, some thousand records each, what lists filter by is packed and compressed
//! beside the index, at a tenth of the size, and functions keep what they unpacked. What is newer than the segments is read from the
//! index, as ever. What changes in them becomes a *patch*, which overrides its record's row until it is folded in.
//!
//! Who writes what, and why nothing gets lost:
//!
//! * A search that had to read too much asks for segments ([`SearchRecord::wish`]); `crm-aggregator` hears of it by the stream, seals a few,
//!   and hears of itself again until all is sealed that is some minutes old. Records in a segment are read by key, strongly consistent.
//! * Before a sealer reads, it says up to where ([`SearchRecord::patched_to`]). A change before that position becomes a patch. So a change
//!   is either older than what the sealer reads, or it becomes a patch.
//! * A patch is written in one transaction with a check that its record still is what the patch says. What the stream says twice or
//!   late finds another version, and is written as the record is now, or not at all. A deleted record can never come back by a patch.
//! * Whoever changes segments does so by version, rows and what they cover in one transaction. A sealer's also requires that nobody
//!   touched the [`SearchRecord`] since it began to read, so an erasure that touches it outruns every sealer.
//! * Readers take patches first and segments after, so what is folded in between is seen in one of them.

mod cache;
mod keep;
mod list;
mod mend;
mod packed;
mod patches;
mod read;
mod records;

pub use cache::SegmentCache;
pub use keep::Sealed;
pub(super) use list::{Wanted, still_matching};
pub use mend::Repaired;
pub use packed::{Criteria, Row, Segment, pack};
pub use patches::{Change, change_of, wish_of};
pub(super) use read::Newest;
pub use read::Order;
pub use records::{Kind, PatchRecord, RowsRecord, SearchRecord, Searchable, SegmentRecord, Wish};

/// How segments are kept. Tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct Searching {
    /// Index entries that a search reads before it asks for segments; `usize::MAX`: segments are neither asked for nor used.
    pub large: usize,
    /// Records before the end of a page that are read from the index although there are segments.
    pub shallow: usize,
    /// Records of a segment.
    pub rows: usize,
    /// Bytes of its texts. A record's are 2.4 KB at most, an item 400.
    pub text: usize,
    /// Segments that are sealed at a time.
    pub round: usize,
    /// Age of what is sealed, in seconds: longer than a write can take, with its retries and an index that lags.
    pub rest_secs: i64,
    /// Patches of a segment that are folded into it.
    pub fold: usize,
    /// One of so many changes looks whether there are that many.
    pub look: u128,
    /// Seconds until a search asks again.
    pub ask_again_secs: i64,
}

impl Default for Searching {
    fn default() -> Self {
        Self {
            large: 5_000,
            shallow: 1_000,
            rows: 3_000,
            text: 128 << 10,
            round: 4,
            rest_secs: 300,
            fold: 50,
            look: 8,
            ask_again_secs: 120,
        }
    }
}

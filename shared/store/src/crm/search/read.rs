//! A page of what a search finds.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use axle_domain::{EntityId, Time};
use futures_util::{StreamExt, TryStreamExt, stream};
use memchr::memmem::Finder;
use uuid::Uuid;

use super::list::Wanted;
use super::packed::{Criteria, Segment};
use super::records::{Kind, PatchRecord, RowsRecord, SearchRecord, SegmentRecord};
use crate::crm::companies::ORDERED_BY;
use crate::crm::numbered::{Reading, Row as Entry};
use crate::error::Result;
use crate::item::{Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// Segments of one request to the table: 16 are some 1.5 MB.
const AT_ONCE: usize = 16;
/// Requests at the same time.
const SIDE_BY_SIDE: usize = 6;
/// Readings until one meets no fold. The last one is taken as it is.
const READINGS: usize = 3;
/// Ends a name in its order: `Acme` comes before `Acme Corp`.
const BEFORE_SPACE: u8 = 0x1f;

/// The order of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
    Name,
}

/// The main listing's part of a search: what is newer than the segments.
pub(in crate::crm) struct Newest<'a> {
    pub(in crate::crm) listing: &'a Listing,
    pub(in crate::crm) filter: &'a Filter,
}

/// A record that was found.
struct Hit<'a> {
    created_at: Time,
    id: Uuid,
    q: &'a str,
}

impl Hit<'_> {
    fn by_name(&self, other: &Self) -> Ordering {
        // Bytes of text sort like its characters; ids in their text form like their bytes.
        let (a, b) = (ordering(self.q), ordering(other.q));
        let ended = |name: &'_ [u8], at: usize| name.get(at).copied().unwrap_or(BEFORE_SPACE);
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        if same == a.len() && same == b.len() {
            return self.id.cmp(&other.id);
        }
        ended(a, same).cmp(&ended(b, same)).then(b.len().cmp(&a.len()))
    }

    fn by_time(&self, other: &Self) -> Ordering {
        (self.created_at, self.id).cmp(&(other.created_at, other.id))
    }
}

/// The part of a name that decides its place.
fn ordering(q: &str) -> &[u8] {
    if q.len() <= ORDERED_BY {
        return q.as_bytes();
    }
    let end = q.char_indices().nth(ORDERED_BY).map_or(q.len(), |(at, _)| at);
    &q.as_bytes()[..end]
}

/// What was read at one moment.
struct Read {
    patches: Vec<Versioned<PatchRecord>>,
    segments: Vec<Arc<Segment>>,
    sealed_to: String,
}

impl Table {
    /// The ids on a page of what is found, and how many are found in all; none if the tenant has no segments.
    ///
    /// Read units: 0.5 for the state, 0.5 per 4 KB of patches, 1 per 4 KB (15 segments) of what they cover, 0.5 per 4 KB of each segment that is
    /// not kept unpacked, and what is newer than the segments as ever.
    pub(in crate::crm) async fn search(
        &self,
        entity: EntityId,
        wanted: &Wanted,
        newest: Newest<'_>,
        now: Time,
    ) -> Result<Option<(Vec<Uuid>, u64)>> {
        let Wanted { kind, order, page, ref criteria, .. } = *wanted;
        let Some(state) = self.read_raw(&SearchRecord::key_of(entity, kind), false).await? else { return Ok(None) };
        let mut consistent = false;
        let mut read = None;
        for _ in 0..READINGS {
            let Some((reading, torn)) = self.read_segments(entity, kind, consistent).await? else { return Ok(None) };
            read = Some(reading);
            if !torn {
                break;
            }
            consistent = true;
        }
        let Some(Read { patches, segments, sealed_to }) = read else { return Ok(None) };
        let span = Span { from: Some(sealed_to), to: None };
        let reading = Reading { span: &span, filter: newest.filter, at_most: None, named: order == Order::Name };
        let reads = newest.listing.partitions.iter().map(|partition| self.rows(newest.listing, partition, &reading));
        let tail = futures_util::future::try_join_all(reads).await?;
        let looked_at: usize = tail.iter().map(|(_, looked_at)| looked_at).sum();
        if looked_at >= self.searching.rows {
            self.ask_for_segments(entity, kind, from_item(state, None)?, now).await;
        }
        let tail: Vec<Entry> = tail.into_iter().flat_map(|(rows, _)| rows).collect();

        let mut hits = Vec::new();
        find_sealed(&segments, &patches, criteria, &mut hits);
        hits.extend(tail.iter().filter_map(|entry| {
            let (time, id) = entry.position.split_once('#')?;
            Some(Hit { created_at: time.parse().ok()?, id: id.parse().ok()?, q: entry.q.as_deref().unwrap_or_default() })
        }));
        let total = hits.len() as u64;
        let compare = |a: &Hit<'_>, b: &Hit<'_>| match order {
            Order::NewestFirst => b.by_time(a),
            Order::OldestFirst => a.by_time(b),
            Order::Name => a.by_name(b),
        };
        // Only the page has to be in order.
        let (skip, end) = (page.skip(), page.skip().saturating_add(page.size));
        if skip >= hits.len() {
            return Ok(Some((Vec::new(), total)));
        }
        if end < hits.len() {
            hits.select_nth_unstable_by(end, compare);
            hits.truncate(end);
        }
        if skip > 0 {
            hits.select_nth_unstable_by(skip, compare);
        }
        let mut hits = hits.split_off(skip);
        hits.sort_unstable_by(compare);
        Ok(Some((hits.into_iter().map(|hit| hit.id).collect(), total)))
    }

    /// Patches first, and segments after: what is folded in between is seen in one of them. Also says whether a segment was changed
    /// while it was read.
    async fn read_segments(&self, entity: EntityId, kind: Kind, consistent: bool) -> Result<Option<(Read, bool)>> {
        let everything = (SegmentRecord::BEGINNING, "\u{ffff}");
        let mut patches = self.patches(entity, kind, everything, consistent, usize::MAX).await?;
        let covers = self.segments_of(entity, kind).await?;
        let Some(sealed_to) = covers.last().map(|last| last.value.to.clone()) else { return Ok(None) };
        // Beyond the segments the listing itself is asked.
        patches.retain(|patch| patch.value.position() < sealed_to);
        let mut segments: Vec<Option<Arc<Segment>>> =
            covers.iter().map(|c| self.segments.get(entity, kind, &c.value.from, c.version)).collect();
        let missing: Vec<usize> = (0..covers.len()).filter(|place| segments[*place].is_none()).collect();
        let reads = stream::iter(missing.chunks(AT_ONCE).map(<[usize]>::to_vec)).map(async |places| {
            let keys: Vec<Key> =
                places.iter().map(|place| RowsRecord::key_of(entity, kind, &covers[*place].value.from)).collect();
            Ok::<_, crate::Error>((places, self.batch_get(&keys, None, consistent).await?))
        });
        let mut reads = reads.buffer_unordered(SIDE_BY_SIDE);
        let mut torn = false;
        while let Some((places, items)) = reads.try_next().await? {
            for item in items {
                let Some(Versioned { value, version }) = from_item::<RowsRecord>(item, None)? else { continue };
                let segment = Arc::new(Segment::unpack(&value.packed)?);
                self.segments.put(entity, kind, &value.from, version, &segment);
                if let Some(place) = places.iter().copied().find(|place| covers[*place].value.from == value.from) {
                    torn |= covers[place].version != version;
                    segments[place] = Some(segment);
                }
            }
        }
        torn |= segments.iter().any(Option::is_none);
        Ok(Some((Read { patches, segments: segments.into_iter().flatten().collect(), sealed_to }, torn)))
    }
}

/// What segments have and patches do not override, and what patches have.
fn find_sealed<'a>(
    segments: &'a [Arc<Segment>],
    patches: &'a [Versioned<PatchRecord>],
    criteria: &Criteria,
    hits: &mut Vec<Hit<'a>>,
) {
    let finder = criteria.q.as_deref().filter(|q| !q.is_empty()).map(Finder::new);
    let (mut rest, mut dead) = (patches, HashSet::new());
    for segment in segments {
        // Patches are in the order of their records. Those between two segments belong to neither's rows.
        let last = segment.len().checked_sub(1).map(|last| segment.order(last));
        let here = rest.partition_point(|patch| last.is_some_and(|last| patch.value.order() <= last));
        let (mine, others) = rest.split_at(here);
        rest = others;
        let mut overridden = HashSet::new();
        for patch in mine {
            if let Some(row) = segment.find(patch.value.created_at, patch.value.id) {
                if segment.version(row) > patch.version {
                    dead.insert(patch.value.id);
                } else {
                    overridden.insert(row);
                }
            }
        }
        segment.matching(criteria, finder.as_ref(), |row| {
            if !overridden.contains(&row) {
                let (created_at, id) = segment.order(row);
                hits.push(Hit { created_at, id, q: segment.q(row) });
            }
        });
    }
    let living = patches.iter().filter(|patch| !dead.contains(&patch.value.id) && patch.value.matches(criteria));
    hits.extend(living.map(|patch| {
        let Versioned { value, .. } = patch;
        Hit { created_at: value.created_at, id: value.id, q: value.q.as_deref().unwrap_or_default() }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_in_the_index() {
        let names = [
            "acme",
            "acme corp",
            "acme\u{1}",
            "acme!",
            "ünit",
            "unit",
            "",
            "zzz",
            &"a".repeat(300),
            &"a".repeat(200),
            &"é".repeat(250),
        ];
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let all: Vec<(&str, Uuid)> = names.iter().flat_map(|name| ids.map(|id| (*name, id))).collect();
        let key = |(name, id): &(&str, Uuid)| {
            let name: String = name.chars().take(ORDERED_BY).collect();
            format!("{name}\u{1f}{}", id.as_hyphenated())
        };
        for a in &all {
            for b in &all {
                let (x, y) =
                    (Hit { created_at: Time::default(), id: a.1, q: a.0 }, Hit { created_at: Time::default(), id: b.1, q: b.0 });
                assert_eq!(x.by_name(&y), key(a).cmp(&key(b)), "{a:?} {b:?}");
            }
        }
    }
}

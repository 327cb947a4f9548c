//! Making segments, and folding into them what changes.

use std::collections::{BTreeMap, BTreeSet};

use axle_domain::{EntityId, Time};
use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::packed::{Row, Segment, pack};
use super::patches::{Change, RACES};
use super::records::{Kind, PatchRecord, RowsRecord, SearchRecord, Searchable, SegmentRecord, Wish, key_of};
use crate::crm::companies::{self, CompanyRecord};
use crate::crm::contacts::{self, ContactRecord};
use crate::error::{Error, Result};
use crate::item::{Record, Versioned, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tx::CommitError;

/// Patches that are deleted at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Patches that are deleted in one transaction.
const DELETED_AT_ONCE: usize = 90;

/// What became of a call to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// There is more to seal.
    More,
    /// All that is old enough and fills a segment.
    All,
    /// Somebody else was at it.
    Lost,
}

pub(super) fn committed(result: Result<(), CommitError>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { .. }) => Ok(false),
        Err(CommitError::Store(e)) => Err(e),
    }
}

pub(super) fn main_listing(entity: EntityId, kind: Kind) -> Listing {
    use crate::crm::counted::Countable;
    let (collection, shards) = match kind {
        Kind::Companies => CompanyRecord::LISTED,
        Kind::Contacts => ContactRecord::LISTED,
    };
    let partitions = (0..shards).map(|shard| format!("E#{entity}#{collection}#{shard}")).collect();
    Listing { index: Some("gsi1"), partitions, ascending: true }
}

/// Rows in the order of their positions, cut where a segment is full. The last may not be.
fn cut(rows: &[Row], most: usize, text: usize) -> Vec<&[Row]> {
    let (mut pieces, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (i, row) in rows.iter().enumerate() {
        if i > from && (i - from >= most || bytes + row.q.len() > text) {
            pieces.push(&rows[from..i]);
            (from, bytes) = (i, 0);
        }
        bytes += row.q.len();
    }
    pieces.push(&rows[from..]);
    pieces
}

/// A segment with its rows.
pub(super) struct Open {
    pub(super) covers: SegmentRecord,
    pub(super) version: u64,
    pub(super) rows: Vec<Row>,
}

impl Table {
    /// Asks for segments, unless somebody did lately. A search goes on without: what fails here is only logged.
    pub(super) async fn ask_for_segments(&self, entity: EntityId, kind: Kind, state: Option<Versioned<SearchRecord>>, now: Time) {
        let again = now.plus_secs(-self.searching.ask_again_secs);
        let mut tx = self.tx();
        match state {
            Some(state) if state.value.asked_at > again => return,
            Some(Versioned { value, version }) => {
                tx.replace("search", &SearchRecord { wish: Some(Wish::Seal), asked_at: now, ..value }, version);
            }
            None => tx.create("search", &new_state(entity, kind, now)),
        }
        if let Err(CommitError::Store(e)) = tx.commit_alone().await {
            tracing::warn!(%entity, kind = kind.as_str(), error = %e, "could not ask for segments");
        }
    }

    /// Whether a tenant has so many records of a kind that searches are to go through segments.
    pub async fn wants_segments(&self, entity: EntityId, kind: Kind) -> Result<bool> {
        let board = match kind {
            Kind::Companies => companies::BOARD,
            Kind::Contacts => contacts::BOARD,
        };
        let count: i64 = self.tally(entity, board).await?.values().sum();
        Ok(usize::try_from(count).unwrap_or(0) >= self.searching.large || self.search_state(entity, kind).await?.is_some())
    }

    /// Seals some segments of what is old enough. May be called at any time, twice, or beside another call, and may die at any point.
    ///
    /// # Errors
    /// The table's.
    pub async fn seal_search(&self, entity: EntityId, kind: Kind, now: Time) -> Result<Sealed> {
        let to = now.plus_secs(-self.searching.rest_secs).to_string();
        let Some((state, version)) = self.announce(entity, kind, &to, now).await? else { return Ok(Sealed::Lost) };
        let from = self.segments_of(entity, kind).await?.pop();
        let from = from.map_or_else(|| SegmentRecord::BEGINNING.to_owned(), |last| last.value.to);
        let span = Span { from: Some(from.clone()), to: Some(to.clone()) };
        let wanted = self.searching.rows * self.searching.round;
        let page = self.page(&main_listing(entity, kind), &span, None, &Filter::default(), wanted).await?;
        let last = page.items.last().and_then(|item| text(item, "gsi1sk")).map(|last| format!("{last}#"));
        let to = last.clone().filter(|_| page.next.is_some()).unwrap_or(to);
        // Patches of an earlier announcement may be older than what happened since without one, and nobody reads them yet: they go before
        // their records are read. What is patched from here on stays.
        let Some(patched) = self.take_patches(entity, kind, (&from, &to), version).await? else { return Ok(Sealed::Lost) };
        let listed = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
        let ids: BTreeSet<Uuid> = listed.chain(patched).collect();
        let rows = self.rows_by_id(entity, kind, &ids.into_iter().collect::<Vec<_>>()).await?;
        let mut pieces = cut(&rows, self.searching.rows, self.searching.text);
        // Also after a record that is so late that it is in no index yet.
        let mut end = last.max(rows.last().map(|row| format!("{}#", row.position())));
        if pieces.len() > 1 || page.next.is_none() {
            // The last piece may be filled later.
            let full = |piece: &[Row]| piece.len() >= self.searching.rows;
            if let Some(open) = pieces.pop_if(|piece| !full(piece)) {
                end = open.first().map(Row::position).or(end);
            }
        }
        let mut tx = self.tx();
        let mut sealed_to = from;
        let count = pieces.len();
        for (i, piece) in pieces.iter().enumerate() {
            let next = pieces.get(i + 1).and_then(|next| next.first()).map(Row::position);
            let Some(to) = next.or_else(|| end.clone()) else { break };
            let from = std::mem::replace(&mut sealed_to, to.clone());
            tx.create("rows", &RowsRecord { entity_id: entity, kind, from: from.clone(), packed: pack(piece)? });
            tx.create("segment", &SegmentRecord { entity_id: entity, kind, from, to, rows: piece.len() });
        }
        let more = page.next.is_some() && !page.items.is_empty();
        // Until the next sealer comes, changes of what is newer need no patches.
        let patched_to = if more { state.patched_to.clone() } else { sealed_to };
        let state = SearchRecord { patched_to, wish: more.then_some(Wish::Seal), ..state };
        tx.replace("search", &state, version);
        if !committed(tx.commit().await)? {
            return Ok(Sealed::Lost);
        }
        tracing::info!(%entity, kind = kind.as_str(), segments = count, more, "sealed");
        Ok(if more { Sealed::More } else { Sealed::All })
    }

    /// Deletes the patches of a part that is about to be sealed, and answers whose they were; none if somebody else seals by now.
    async fn take_patches(&self, entity: EntityId, kind: Kind, range: (&str, &str), version: u64) -> Result<Option<Vec<Uuid>>> {
        let mut ids = Vec::new();
        for _ in 0..RACES {
            let patches = self.patches(entity, kind, range, true, usize::MAX).await?;
            let mut all = true;
            for some in patches.chunks(DELETED_AT_ONCE) {
                let mut tx = self.tx();
                tx.check("search", SearchRecord::key_of(entity, kind), Some(version));
                for patch in some {
                    tx.delete("patch", patch.value.key(), patch.version);
                }
                match tx.commit().await {
                    Ok(()) => ids.extend(some.iter().map(|patch| patch.value.id)),
                    Err(CommitError::Condition { label: "patch", .. }) => all = false,
                    Err(CommitError::Condition { .. }) => return Ok(None),
                    Err(CommitError::Store(e)) => return Err(e),
                }
            }
            if all {
                return Ok(Some(ids));
            }
        }
        Err(Error::Unavailable("patches keep changing".to_owned()))
    }

    /// Says up to where changes are to become patches, before anything is read.
    async fn announce(&self, entity: EntityId, kind: Kind, to: &str, now: Time) -> Result<Option<(SearchRecord, u64)>> {
        let mut tx = self.tx();
        let (state, version) = match self.search_state(entity, kind).await? {
            Some(Versioned { value, version }) => {
                let patched_to = value.patched_to.as_str().max(to).to_owned();
                let state = SearchRecord { patched_to, wish: Some(Wish::Sealing), asked_at: now, ..value };
                tx.replace("search", &state, version);
                (state, version + 1)
            }
            None => {
                let state = SearchRecord { patched_to: to.to_owned(), wish: Some(Wish::Sealing), ..new_state(entity, kind, now) };
                tx.create("search", &state);
                (state, 1)
            }
        };
        Ok(committed(tx.commit().await)?.then_some((state, version)))
    }

    /// What records are searched by, as they are now, in the order of their positions; without those that are in no list.
    pub(super) async fn rows_by_id(&self, entity: EntityId, kind: Kind, ids: &[Uuid]) -> Result<Vec<Row>> {
        let keys: Vec<Key> = ids.iter().map(|id| key_of(entity, kind, *id)).collect();
        let mut rows = match kind {
            Kind::Companies => rows_of(self.get_many_now::<CompanyRecord>(&keys, Time::default()).await?),
            Kind::Contacts => rows_of(self.get_many_now::<ContactRecord>(&keys, Time::default()).await?),
        };
        rows.sort_unstable_by_key(Row::order);
        Ok(rows)
    }

    /// A segment with its rows, both of the same version.
    pub(super) async fn open(&self, entity: EntityId, kind: Kind, position: &str) -> Result<Option<Open>> {
        for _ in 0..RACES {
            let Some(Versioned { value: covers, version }) = self.segment_at(entity, kind, position).await? else {
                return Ok(None);
            };
            let rows = self.get_raw(&RowsRecord::key_of(entity, kind, &covers.from)).await?;
            let rows = rows.map_or(Ok(None), |item| from_item::<RowsRecord>(item, None))?;
            match rows {
                Some(rows) if rows.version == version => {
                    let rows = Segment::unpack(&rows.value.packed)?.rows().collect();
                    return Ok(Some(Open { covers, version, rows }));
                }
                Some(_) => {}
                None => return Err(Error::Fault(format!("the segment from {} has no rows", covers.from))),
            }
        }
        Err(Error::Unavailable("a segment keeps changing".to_owned()))
    }

    /// Writes a segment anew, as several if it grew; false if somebody else did meanwhile.
    pub(super) async fn rewrite(&self, old: &Open, rows: &[Row]) -> Result<bool> {
        let SegmentRecord { entity_id, kind, from, to, .. } = old.covers.clone();
        let (most, bytes) = (self.searching.rows, self.searching.text);
        let mut pieces = cut(rows, most * 2, bytes * 2);
        if pieces.len() > 1 {
            pieces = cut(rows, most, bytes);
        }
        let mut tx = self.tx();
        let mut begin = from;
        for (i, piece) in pieces.iter().enumerate() {
            let next = pieces.get(i + 1).and_then(|next| next.first()).map(Row::position);
            let end = next.unwrap_or_else(|| to.clone());
            let from = std::mem::replace(&mut begin, end.clone());
            let packed = RowsRecord { entity_id, kind, from: from.clone(), packed: pack(piece)? };
            let covers = SegmentRecord { entity_id, kind, from, to: end, rows: piece.len() };
            if i == 0 {
                tx.replace("rows", &packed, old.version);
                tx.replace("segment", &covers, old.version);
            } else {
                tx.create("rows", &packed);
                tx.create("segment", &covers);
            }
        }
        committed(tx.commit().await)
    }

    /// Deletes patches, unless they were written anew.
    pub(super) async fn delete_patches(&self, patches: &[&Versioned<PatchRecord>]) -> Result<()> {
        let all: Vec<(Key, u64)> = patches.iter().map(|patch| (patch.value.key(), patch.version)).collect();
        let deletions = stream::iter(all).map(async |(key, version)| {
            let mut tx = self.tx();
            tx.delete("patch", key, version);
            committed(tx.commit_alone().await)
        });
        deletions.buffer_unordered(SIDE_BY_SIDE).try_for_each(|_| async { Ok(()) }).await
    }

    /// Folds the patches of a change's segment into it, if there are many. Looks for one of some changes only.
    pub async fn fold_search(&self, change: &Change) -> Result<bool> {
        let (entity, kind, position) = (change.entity, change.kind, change.position());
        if !(change.id.as_u128() ^ u128::from(change.version)).is_multiple_of(self.searching.look) {
            return Ok(false);
        }
        let Some(covers) = self.segment_at(entity, kind, &position).await? else { return Ok(false) };
        let range = (covers.value.from.as_str(), covers.value.to.as_str());
        if self.patches(entity, kind, range, false, self.searching.fold).await?.len() < self.searching.fold {
            return Ok(false);
        }
        for _ in 0..RACES {
            let Some(open) = self.open(entity, kind, &position).await? else { return Ok(false) };
            let range = (open.covers.from.as_str(), open.covers.to.as_str());
            let patches = self.patches(entity, kind, range, true, usize::MAX).await?;
            if patches.is_empty() || self.rewrite(&open, &overlaid(&open.rows, &patches)).await? {
                self.delete_patches(&patches.iter().collect::<Vec<_>>()).await?;
                return Ok(true);
            }
        }
        Err(Error::Unavailable("a segment keeps changing".to_owned()))
    }
}

fn new_state(entity: EntityId, kind: Kind, now: Time) -> SearchRecord {
    SearchRecord { entity_id: entity, kind, patched_to: String::new(), wish: Some(Wish::Seal), asked_at: now }
}

fn rows_of<T: Searchable>(records: Vec<Versioned<T>>) -> Vec<Row> {
    records.iter().filter_map(|record| record.value.row(record.version)).collect()
}

/// Rows as patches say; both are in order.
pub(super) fn overlaid(rows: &[Row], patches: &[Versioned<PatchRecord>]) -> Vec<Row> {
    let mut all: BTreeMap<(Time, Uuid), Row> = rows.iter().map(|row| (row.order(), row.clone())).collect();
    for patch in patches {
        let order = patch.value.order();
        if all.get(&order).is_some_and(|row| row.version > patch.version) {
            continue;
        }
        match patch.value.row(patch.version) {
            Some(row) => drop(all.insert(order, row)),
            None => drop(all.remove(&order)),
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_where_they_are_full() {
        let row = |n: u128, q: &str| Row {
            created_at: Time::from_millis(1),
            id: Uuid::from_u128(n),
            version: 1,
            status: None,
            owner: None,
            q: q.to_owned(),
        };
        let rows: Vec<Row> = (0..7).map(|n| row(n, "abc")).collect();
        let lengths = |most, text| cut(&rows, most, text).iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert_eq!(lengths(3, 100), [3, 3, 1]);
        assert_eq!(lengths(7, 100), [7]);
        assert_eq!(lengths(100, 6), [2, 2, 2, 1]);
        assert_eq!(lengths(100, 1), [1; 7], "a row that is too long stands alone");
        assert_eq!(cut(&[], 3, 100).len(), 1);
    }
}

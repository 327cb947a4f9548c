//! What the stream says of records that segments have.

use axle_domain::{EntityId, Time};
use uuid::Uuid;

use super::packed::Row;
use super::records::{Kind, PatchRecord, SearchRecord, Searchable, SegmentRecord, Wish, key_of};
use crate::crm::companies::CompanyRecord;
use crate::crm::contacts::ContactRecord;
use crate::crm::counted::StreamChange;
use crate::error::{Error, Result};
use crate::item::{Item, Record, Versioned, from_item};
use crate::listing::Stretch;
use crate::table::Table;
use crate::tx::CommitError;

/// Attempts against others who change the same record.
pub(super) const RACES: usize = 8;
/// The version of what is deleted: after every other, for it never comes back.
const GONE: u64 = i64::MAX as u64;

/// What a search goes by changed.
#[derive(Clone, Debug)]
pub struct Change {
    pub entity: EntityId,
    pub kind: Kind,
    pub id: Uuid,
    pub created_at: Time,
    pub version: u64,
    /// Whether the record is still there.
    exists: bool,
    /// None once it is in no list.
    row: Option<Row>,
}

impl Change {
    pub fn position(&self) -> String {
        format!("{}#{}", self.created_at, self.id.as_hyphenated())
    }

    /// A record as it is.
    pub(super) fn of<T: Searchable>(entity: EntityId, record: &Versioned<T>) -> Self {
        let Versioned { value, version } = record;
        let row = value.row(*version);
        Self { entity, kind: T::KIND, id: value.uuid(), created_at: value.created_at(), version: *version, exists: true, row }
    }
}

/// What a change is to searches; none if it is nothing to them.
///
/// # Errors
/// A record that does not have the form that its type promises.
pub fn change_of(change: &StreamChange) -> Result<Option<Change>> {
    match change.kind().as_deref() {
        Some(CompanyRecord::TYPE) => read::<CompanyRecord>(change),
        Some(ContactRecord::TYPE) => read::<ContactRecord>(change),
        _ => Ok(None),
    }
}

fn read<T: Searchable>(change: &StreamChange) -> Result<Option<Change>> {
    let (old, new) = change.before_and_after();
    let entity = |item: &Item| crate::item::text(item, "entity_id").and_then(|id| id.parse().ok());
    let Some(entity) = new.as_ref().or(old.as_ref()).and_then(entity) else { return Ok(None) };
    let record = |item: Option<Item>| item.map_or(Ok(None), |item| from_item::<T>(item, None));
    let (old, new) = (record(old)?, record(new)?);
    let row = |record: &Option<Versioned<T>>| record.as_ref().and_then(|r| r.value.row(r.version));
    let same = match (row(&old), row(&new)) {
        (Some(a), Some(b)) => (a.status, a.owner, a.q) == (b.status, b.owner, b.q),
        (None, None) => true,
        _ => false,
    };
    Ok(match (old, new) {
        _ if same => None,
        (_, Some(new)) => Some(Change::of(entity, &new)),
        (Some(old), None) => {
            let change = Change::of(entity, &old);
            Some(Change { version: GONE, exists: false, row: None, ..change })
        }
        (None, None) => None,
    })
}

/// The tenant whose segments somebody asks for.
///
/// # Errors
/// A record that does not have the form that its type promises.
pub fn wish_of(change: &StreamChange) -> Result<Option<(EntityId, Kind)>> {
    if change.kind().as_deref() != Some(SearchRecord::TYPE) {
        return Ok(None);
    }
    let (_, new) = change.before_and_after();
    let record = new.map_or(Ok(None), |item| from_item::<SearchRecord>(item, None))?;
    Ok(record.filter(|r| r.value.wish == Some(Wish::Seal)).map(|r| (r.value.entity_id, r.value.kind)))
}

impl Table {
    /// How a tenant's segments of a kind stand; none of a tenant that needs none.
    pub async fn search_state(&self, entity: EntityId, kind: Kind) -> Result<Option<Versioned<SearchRecord>>> {
        match self.get_raw(&SearchRecord::key_of(entity, kind)).await? {
            Some(item) => from_item(item, None),
            None => Ok(None),
        }
    }

    /// Writes what became of a record that a segment has. Says it as it is by now, if the change is not the latest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the record never rests long enough.
    pub async fn patch_search(&self, change: Change) -> Result<()> {
        let mut change = change;
        let key = key_of(change.entity, change.kind, change.id);
        for _ in 0..RACES {
            let row = change.row.clone();
            let patch = PatchRecord {
                entity_id: change.entity,
                kind: change.kind,
                id: change.id,
                created_at: change.created_at,
                status: row.as_ref().and_then(|row| row.status),
                owner: row.as_ref().and_then(|row| row.owner),
                q: row.map(|row| row.q),
            };
            let mut tx = self.tx();
            tx.check("record", key.clone(), change.exists.then_some(change.version));
            tx.put_at("patch", &patch, change.version);
            match tx.commit().await {
                Ok(()) => return Ok(()),
                Err(CommitError::Condition { .. }) => change = self.change_by_now(change).await?,
                Err(CommitError::Store(e)) => return Err(e),
            }
        }
        Err(Error::Unavailable("a record keeps changing".to_owned()))
    }

    async fn change_by_now(&self, change: Change) -> Result<Change> {
        let item = self.get_raw(&key_of(change.entity, change.kind, change.id)).await?;
        let now = match (item, change.kind) {
            (None, _) => None,
            (Some(item), Kind::Companies) => from_item::<CompanyRecord>(item, None)?.map(|r| Change::of(change.entity, &r)),
            (Some(item), Kind::Contacts) => from_item::<ContactRecord>(item, None)?.map(|r| Change::of(change.entity, &r)),
        };
        Ok(now.unwrap_or(Change { exists: false, row: None, version: GONE, ..change }))
    }

    /// The patches of a part of the positions, in order.
    pub(super) async fn patches(
        &self,
        entity: EntityId,
        kind: Kind,
        (from, to): (&str, &str),
        consistent: bool,
        limit: usize,
    ) -> Result<Vec<Versioned<PatchRecord>>> {
        let pk = PatchRecord::partition(entity, kind);
        let items = self.stretch(Stretch { pk: &pk, from, to, consistent, backwards: false, limit }).await?;
        let patches: Result<Vec<_>> = items.into_iter().map(|item| from_item::<PatchRecord>(item, None)).collect();
        Ok(patches?.into_iter().flatten().collect())
    }

    /// What the segments cover, in order; strongly consistent.
    pub(super) async fn segments_of(&self, entity: EntityId, kind: Kind) -> Result<Vec<Versioned<SegmentRecord>>> {
        let items = self.partition(&SegmentRecord::partition(entity, kind), "", true).await?;
        let segments: Result<Vec<_>> = items.into_iter().map(|item| from_item::<SegmentRecord>(item, None)).collect();
        Ok(segments?.into_iter().flatten().collect())
    }

    /// The segment that covers a position; strongly consistent.
    pub(super) async fn segment_at(
        &self,
        entity: EntityId,
        kind: Kind,
        position: &str,
    ) -> Result<Option<Versioned<SegmentRecord>>> {
        let (pk, to) = (SegmentRecord::partition(entity, kind), format!("{position}!"));
        let stretch = Stretch { pk: &pk, from: SegmentRecord::BEGINNING, to: &to, consistent: true, backwards: true, limit: 1 };
        match self.stretch(stretch).await?.pop() {
            Some(item) => Ok(from_item::<SegmentRecord>(item, None)?.filter(|s| position < s.value.to.as_str())),
            None => Ok(None),
        }
    }
}

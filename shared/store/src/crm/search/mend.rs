//! Making segments what the records are, and taking records out of them.

use std::collections::{BTreeMap, BTreeSet};

use axle_domain::{EntityId, Time};
use uuid::Uuid;

use super::keep::{committed, main_listing, overlaid};
use super::packed::Row;
use super::patches::RACES;
use super::records::{Kind, PatchRecord, SearchRecord, SegmentRecord, Wish};
use crate::error::{Error, Result};
use crate::item::{Versioned, text};
use crate::listing::{Filter, Span};
use crate::table::Table;

/// Entries that are read of the listing at a time.
const PAGE: usize = 2_000;

/// What a repair of a segment found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Whether there was one.
    pub found: bool,
    /// Rows that were missing, too many or not as their record is.
    pub wrong: usize,
    /// Where the next segment begins; none after the last.
    pub next: Option<String>,
}

impl Table {
    /// Makes one segment what its records are; `position` lies in it. Without segments there is nothing to repair.
    pub async fn repair_segment(&self, entity: EntityId, kind: Kind, position: Option<&str>) -> Result<Repaired> {
        let position = position.unwrap_or(SegmentRecord::BEGINNING);
        for _ in 0..RACES {
            let Some(open) = self.open(entity, kind, position).await? else {
                return Ok(Repaired { found: false, wrong: 0, next: None });
            };
            let SegmentRecord { from, to, .. } = &open.covers;
            let patches = self.patches(entity, kind, (from.as_str(), to.as_str()), true, usize::MAX).await?;
            let mut ids: BTreeSet<Uuid> = patches.iter().map(|patch| patch.value.id).collect();
            let (span, listing) = (Span { from: Some(from.clone()), to: Some(to.clone()) }, main_listing(entity, kind));
            let mut after = None;
            loop {
                let page = self.page(&listing, &span, after.as_deref(), &Filter::default(), PAGE).await?;
                ids.extend(page.items.iter().filter_map(|item| text(item, "id")?.parse::<Uuid>().ok()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let rows = self.rows_by_id(entity, kind, &ids.into_iter().collect::<Vec<_>>()).await?;
            let wrong = differences(&overlaid(&open.rows, &patches), &rows);
            let next = self.segment_at(entity, kind, to).await?.map(|next| next.value.from);
            if (wrong == 0 && patches.is_empty()) || self.rewrite(&open, &rows).await? {
                let at: BTreeMap<Uuid, u64> = rows.iter().map(|row| (row.id, row.version)).collect();
                let folded = |p: &&Versioned<PatchRecord>| at.get(&p.value.id).is_none_or(|row| *row >= p.version);
                self.delete_patches(&patches.iter().filter(folded).collect::<Vec<_>>()).await?;
                return Ok(Repaired { found: true, wrong, next });
            }
        }
        Err(Error::Unavailable("a segment keeps changing".to_owned()))
    }

    /// Removes a record that is deleted from segments and patches; answers how many had it. When it returns, none has it, and none
    /// will: patches require their record, what is folded or sealed at this moment is refused, and whoever begins later finds nothing.
    pub async fn forget_in_search(&self, entity: EntityId, kind: Kind, id: Uuid, created_at: Time) -> Result<u64> {
        let position = format!("{created_at}#{}", id.as_hyphenated());
        let mut touched = false;
        for _ in 0..RACES {
            let Some(Versioned { value, version }) = self.search_state(entity, kind).await? else { return Ok(0) };
            let mut tx = self.tx();
            // Who is sealing begins again: the stream tells them.
            tx.replace("search", &SearchRecord { wish: value.wish.map(|_| Wish::Seal), ..value }, version);
            touched = committed(tx.commit().await)?;
            if touched {
                break;
            }
        }
        if !touched {
            return Err(Error::Unavailable("the state of the search keeps changing".to_owned()));
        }
        let key = PatchRecord::key_of(entity, kind, &position);
        let mut removed = 0;
        if let Some(patch) = self.get_raw(&key).await? {
            removed += u64::from(text(&patch, "q").is_some());
            let mut tx = self.tx();
            tx.remove("patch", key);
            tx.commit().await.map_err(|e| Error::Unavailable(e.to_string()))?;
        }
        for _ in 0..RACES {
            let Some(open) = self.open(entity, kind, &position).await? else { return Ok(removed) };
            let rows: Vec<Row> = open.rows.iter().filter(|row| row.id != id).cloned().collect();
            // Also if it was not there: somebody may be about to fold it in.
            if self.rewrite(&open, &rows).await? {
                return Ok(removed + (open.rows.len() - rows.len()) as u64);
            }
        }
        Err(Error::Unavailable("a segment keeps changing".to_owned()))
    }
}

/// Records of which the two say different things. A version alone is none: not all changes are of interest.
fn differences(a: &[Row], b: &[Row]) -> usize {
    let known = |rows: &[Row]| rows.iter().map(|row| (row.id, Row { version: 0, ..row.clone() })).collect::<BTreeMap<_, _>>();
    let (a, b) = (known(a), known(b));
    let gone = a.iter().filter(|(id, row)| b.get(*id) != Some(*row)).count();
    gone + b.keys().filter(|id| !a.contains_key(*id)).count()
}

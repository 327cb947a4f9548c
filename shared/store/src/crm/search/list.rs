//! Which way a page is read: from the listing's index, or from segments.

use axle_domain::crm::PageNumber;
use axle_domain::{EntityId, Time};
use uuid::Uuid;

use super::packed::Criteria;
use super::read::{Newest, Order};
use super::records::Kind;
use crate::error::Result;
use crate::item::Versioned;
use crate::listing::{Listing, Span};
use crate::table::Table;

/// A page that is asked for.
pub(in crate::crm) struct Wanted {
    pub(in crate::crm) kind: Kind,
    pub(in crate::crm) criteria: Criteria,
    pub(in crate::crm) order: Order,
    pub(in crate::crm) page: PageNumber,
    /// How many match, if a tally knows.
    pub(in crate::crm) count: Option<u64>,
    /// How many records there are in all, or more if nobody knows.
    pub(in crate::crm) all: u64,
}

impl Table {
    /// The ids on a page, and how many match in all.
    pub(in crate::crm) async fn list_or_search(
        &self,
        entity: EntityId,
        wanted: &Wanted,
        listing: &Listing,
        newest: Newest<'_>,
        now: Time,
    ) -> Result<(Vec<Uuid>, u64)> {
        let Wanted { kind, page, count, all, .. } = *wanted;
        let filter = newest.filter;
        // A page without a filter, near the beginning, is read as fast and cheaper from the index, and is exact.
        let shallow = filter.is_empty() && page.skip() + page.size <= self.searching.shallow;
        if self.searching.large < usize::MAX
            && all >= self.searching.large as u64
            && !shallow
            && let Some((ids, total)) = self.search(entity, wanted, newest, now).await?
        {
            return Ok((ids, count.unwrap_or(total)));
        }
        let read = self.numbered_and_looked_at(listing, &Span::default(), filter, page, count).await?;
        let (ids, total, looked_at) = read;
        if looked_at >= self.searching.large {
            let state = self.search_state(entity, kind).await?;
            self.ask_for_segments(entity, kind, state, now).await;
        }
        Ok((ids.iter().filter_map(|id| id.parse().ok()).collect(), total))
    }
}

/// Records that were fetched, without those that changed since they were found. `wanted` of them were on the page; `count` is known
/// better than by finding.
pub(in crate::crm) fn still_matching<T>(
    found: Vec<Versioned<T>>,
    wanted: usize,
    (total, count): (u64, Option<u64>),
    matches: impl Fn(&T) -> bool,
) -> (Vec<Versioned<T>>, u64) {
    let found: Vec<Versioned<T>> = found.into_iter().filter(|record| matches(&record.value)).collect();
    let gone = wanted.saturating_sub(found.len()) as u64;
    (found, count.unwrap_or(total.saturating_sub(gone)))
}

//! Numbered pages of listings that are spread over shards.
//!
//! The first N entries of the whole are among the first N of each shard, so a page is found by reading each shard up to the page's
//! end, side by side, and merging. With a filter the total is asked for too, and every shard is read to its end: 0.5 read units for
//! each 4 KB of index entries. Only positions and ids leave the table; the records of the page are fetched by key. Companies and
//! contacts of a large tenant are searched in segments instead ([`super::search`]).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::crm::PageNumber;

use crate::error::{Result, sdk};
use crate::item::text;
use crate::listing::{Filter, Listing, Span, bounds};
use crate::table::Table;

/// An entry's place in its listing, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) position: String,
    pub(super) id: String,
    /// Its text, if that was asked for.
    pub(super) q: Option<String>,
}

/// What is read of a listing.
pub(super) struct Reading<'a> {
    pub(super) span: &'a Span,
    pub(super) filter: &'a Filter,
    pub(super) at_most: Option<usize>,
    /// Whether the texts are wanted.
    pub(super) named: bool,
}

impl Table {
    /// The ids on one page of a listing that `filter` lets through, and how many it lets through in all. `count` is that number if
    /// it is known from elsewhere; then no more is read than the page needs.
    pub(crate) async fn numbered(
        &self,
        listing: &Listing,
        filter: &Filter,
        page: PageNumber,
        count: Option<u64>,
    ) -> Result<(Vec<String>, u64)> {
        self.numbered_within(listing, &Span::default(), filter, page, count).await
    }

    /// The same of a part of the listing.
    pub(crate) async fn numbered_within(
        &self,
        listing: &Listing,
        span: &Span,
        filter: &Filter,
        page: PageNumber,
        count: Option<u64>,
    ) -> Result<(Vec<String>, u64)> {
        let (ids, total, _) = self.numbered_and_looked_at(listing, span, filter, page, count).await?;
        Ok((ids, total))
    }

    /// Also says how many entries were looked at.
    pub(super) async fn numbered_and_looked_at(
        &self,
        listing: &Listing,
        span: &Span,
        filter: &Filter,
        page: PageNumber,
        count: Option<u64>,
    ) -> Result<(Vec<String>, u64, usize)> {
        let at_most = count.map(|_| page.skip() + page.size);
        if count.is_some_and(|count| count == 0) {
            return Ok((Vec::new(), 0, 0));
        }
        let reading = Reading { span, filter, at_most, named: false };
        let reads = listing.partitions.iter().map(|partition| self.rows(listing, partition, &reading));
        let read = futures_util::future::try_join_all(reads).await?;
        let looked_at = read.iter().map(|(_, looked_at)| looked_at).sum();
        let mut rows: Vec<Row> = read.into_iter().flat_map(|(rows, _)| rows).collect();
        rows.sort_unstable();
        if !listing.ascending {
            rows.reverse();
        }
        let total = count.unwrap_or(rows.len() as u64);
        Ok((page.cut(rows).into_iter().map(|row| row.id).collect(), total, looked_at))
    }

    /// Every id of a listing that `filter` lets through, in order.
    pub(crate) async fn all_ids(&self, listing: &Listing, filter: &Filter) -> Result<Vec<String>> {
        let whole = PageNumber { page: 1, size: usize::MAX };
        Ok(self.numbered(listing, filter, whole, None).await?.0)
    }

    /// One shard from its beginning, to its end or until `at_most` were found; and how many entries were looked at.
    pub(super) async fn rows(&self, listing: &Listing, partition: &str, reading: &Reading<'_>) -> Result<(Vec<Row>, usize)> {
        let Reading { span, filter, at_most, named } = *reading;
        let (pk, sk) = listing.key_names();
        let mut names: HashMap<String, String> = filter.names().clone();
        names.extend([("#pk".to_owned(), pk), ("#sk".to_owned(), sk.clone()), ("#id".to_owned(), "id".to_owned())]);
        let mut values = filter.values().clone();
        values.insert(":pk".to_owned(), AttributeValue::S(partition.to_owned()));
        // Positions begin with a time, so a bound that is one lies before every position of its instant; the upper one is exclusive.
        let ranged = span.from.is_some() || span.to.is_some();
        if ranged {
            let (low, high) = bounds(listing, span, None);
            values.extend([(":low".to_owned(), AttributeValue::S(low)), (":high".to_owned(), AttributeValue::S(high))]);
        }
        if named {
            names.insert("#q".to_owned(), "q".to_owned());
        }
        let (mut rows, mut start, mut looked_at) = (Vec::new(), None, 0);
        loop {
            let wanted = at_most.map(|n| n - rows.len());
            // A limit counts what is looked at, not what is found.
            let limit = wanted.filter(|_| filter.is_empty()).map(|n| i32::try_from(n).unwrap_or(i32::MAX));
            let request = self
                .client
                .query()
                .table_name(&self.name)
                .set_index_name(listing.index.map(str::to_owned))
                .key_condition_expression(if ranged { "#pk = :pk AND #sk BETWEEN :low AND :high" } else { "#pk = :pk" })
                .set_filter_expression(filter.expression())
                .projection_expression(if named { "#sk, #id, #q" } else { "#sk, #id" })
                .set_expression_attribute_names(Some(names.clone()))
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(listing.ascending)
                .set_limit(limit)
                .set_exclusive_start_key(start)
                .set_return_consumed_capacity(self.capacity());
            let out = request.send().await.map_err(sdk)?;
            if let Some(meter) = &self.meter {
                meter.note("Query", false, &out.consumed_capacity);
            }
            looked_at += usize::try_from(out.scanned_count).unwrap_or(0);
            let found = out.items.unwrap_or_default().into_iter();
            rows.extend(found.filter_map(|item| {
                let q = if named { text(&item, "q").map(str::to_owned) } else { None };
                Some(Row { position: text(&item, &sk)?.to_owned(), id: text(&item, "id")?.to_owned(), q })
            }));
            start = out.last_evaluated_key;
            if start.is_none() || at_most.is_some_and(|n| rows.len() >= n) {
                rows.truncate(at_most.unwrap_or(usize::MAX));
                return Ok((rows, looked_at));
            }
        }
    }
}

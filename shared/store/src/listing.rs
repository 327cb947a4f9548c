//! Listings that are spread over shards, read newest first as if they were one.
//!
//! Every shard has the same kind of sort key, so one position is good for all of them: a page asks each shard for what comes
//! after the position and merges. A position is the sort key of the last entry given, so entries that are written meanwhile
//! (they sort before) neither repeat nor displace anything.

use std::collections::{HashMap, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::crm::OwnerFilter;

use crate::error::{Result, sdk};
use crate::item::{Item, text};
use crate::table::Table;

/// Where a listing lives.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The index, or `None` for the table's own key.
    pub index: Option<&'static str>,
    /// The partitions, one a shard.
    pub partitions: Vec<String>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

impl Listing {
    /// The names of its partition and sort keys.
    pub(crate) fn key_names(&self) -> (String, String) {
        match self.index {
            Some(index) => (format!("{index}pk"), format!("{index}sk")),
            None => ("pk".to_owned(), "sk".to_owned()),
        }
    }
}

/// A half-open range of sort keys: `from` inclusive, `to` exclusive.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub from: Option<String>,
    pub to: Option<String>,
}

/// A filter over the projected attributes.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Filter {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#f{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }
    fn value(&mut self, value: &str) -> String {
        let placeholder = format!(":f{}", self.values.len());
        self.values.insert(placeholder.clone(), AttributeValue::S(value.to_owned()));
        placeholder
    }

    pub fn equals(&mut self, attribute: &str, value: &str) {
        let (n, v) = (self.name(attribute), self.value(value));
        self.terms.push(format!("{n} = {v}"));
    }

    pub fn contains(&mut self, attribute: &str, value: &str) {
        let (n, v) = (self.name(attribute), self.value(value));
        self.terms.push(format!("contains({n}, {v})"));
    }

    /// Any of the exact values or prefixes.
    pub fn any(&mut self, attribute: &str, exact: &[String], prefixes: &[String]) {
        if exact.is_empty() && prefixes.is_empty() {
            return;
        }
        let n = self.name(attribute);
        let exact = exact.iter().map(|v| format!("{n} = {}", self.value(v))).collect::<Vec<_>>();
        let prefixes = prefixes.iter().map(|v| format!("begins_with({n}, {})", self.value(v))).collect::<Vec<_>>();
        self.terms.push(format!("({})", [exact, prefixes].concat().join(" OR ")));
    }

    /// Items without the attribute.
    pub fn absent(&mut self, attribute: &str) {
        let n = self.name(attribute);
        self.terms.push(format!("attribute_not_exists({n})"));
    }

    /// By the `owner` attribute.
    pub fn owner(&mut self, owner: Option<OwnerFilter>) {
        match owner {
            Some(OwnerFilter::User(user)) => self.equals("owner", &user.to_string()),
            Some(OwnerFilter::Unassigned) => self.absent("owner"),
            None => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn expression(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.terms.join(" AND "))
    }

    pub(crate) fn names(&self) -> &HashMap<String, String> {
        &self.names
    }

    pub(crate) fn values(&self) -> &HashMap<String, AttributeValue> {
        &self.values
    }
}

/// Entries of a listing, and the position to go on from if there is more.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<Item>,
    pub next: Option<String>,
}

/// One shard being read.
struct Shard {
    partition: String,
    found: VecDeque<(String, Item)>,
    /// How far the shard was read: everything before is in `found` or given out.
    read_to: Option<String>,
    done: bool,
}

/// How many entries a page looks at before it answers with what it has: a filter that matches nothing must not read a tenant's
/// millions in one request.
const LOOKED_AT_MAX: usize = 20_000;

impl Table {
    /// One page of at most `limit` entries.
    ///
    /// With a filter that matches little the page may be short, or empty, and still have a `next`.
    pub async fn page(&self, listing: &Listing, span: &Span, after: Option<&str>, filter: &Filter, limit: usize) -> Result<Page> {
        let mut shards: Vec<Shard> = listing
            .partitions
            .iter()
            .map(|p| Shard { partition: p.clone(), found: VecDeque::new(), read_to: after.map(str::to_owned), done: false })
            .collect();
        let (mut items, mut last, mut looked_at) = (Vec::new(), None, 0);
        loop {
            // A shard that is out of entries hides what comes next, so it is read on before anything is given out.
            let hungry: Vec<&mut Shard> = shards.iter_mut().filter(|s| s.found.is_empty() && !s.done).collect();
            if !hungry.is_empty() {
                let want = if filter.is_empty() { limit + 1 } else { 1_000 };
                let reads = hungry.into_iter().map(|shard| self.read_shard(listing, span, shard, filter, want));
                looked_at += futures_util::future::try_join_all(reads).await?.into_iter().sum::<usize>();
            }
            let blind = shards.iter().any(|s| s.found.is_empty() && !s.done);
            if blind {
                if looked_at >= LOOKED_AT_MAX {
                    return Ok(stop_at_frontier(listing, shards, items, limit, last));
                }
                continue;
            }
            let Some(best) = best_shard(listing, &shards) else { return Ok(Page { items, next: None }) };
            if items.len() == limit {
                return Ok(Page { items, next: last });
            }
            if let Some((position, item)) = shards[best].found.pop_front() {
                last = Some(position);
                items.push(item);
            }
        }
    }

    async fn read_shard(&self, listing: &Listing, span: &Span, shard: &mut Shard, filter: &Filter, want: usize) -> Result<usize> {
        let (pk, sk) = listing.key_names();
        let mut values = filter.values.clone();
        let mut names = filter.names.clone();
        names.extend([("#pk".to_owned(), pk), ("#sk".to_owned(), sk.clone())]);
        values.insert(":pk".to_owned(), AttributeValue::S(shard.partition.clone()));
        // A key condition takes one range only, so both ends go into one BETWEEN, and the exclusive end is cut off here.
        let (low, high) = bounds(listing, span, shard.read_to.as_deref());
        values.insert(":low".to_owned(), AttributeValue::S(low.clone()));
        values.insert(":high".to_owned(), AttributeValue::S(high.clone()));
        let request = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(listing.index.map(str::to_owned))
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :low AND :high")
            .set_filter_expression(filter.expression())
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(listing.ascending)
            .limit(i32::try_from(want + 1).unwrap_or(i32::MAX))
            .set_return_consumed_capacity(self.capacity());
        let out = request.send().await.map_err(sdk)?;
        if let Some(meter) = &self.meter {
            meter.note("Query", false, &out.consumed_capacity);
        }
        let looked_at = usize::try_from(out.scanned_count).unwrap_or(0);
        let excluded =
            |position: &str| span.to.as_deref().is_some_and(|to| position >= to) || shard.read_to.as_deref() == Some(position);
        let entries = out.items.unwrap_or_default().into_iter().filter_map(|item| Some((text(&item, &sk)?.to_owned(), item)));
        let fresh: Vec<_> = entries.filter(|(position, _)| !excluded(position)).collect();
        shard.found.extend(fresh);
        match out.last_evaluated_key.as_ref().and_then(|key| text(key, &sk)) {
            Some(position) => shard.read_to = Some(position.to_owned()),
            None => shard.done = true,
        }
        Ok(looked_at)
    }

    /// The first items of one partition of the table, at most `limit`.
    pub(crate) async fn first_items(&self, pk: &str, limit: usize, consistent: bool) -> Result<Vec<Item>> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .consistent_read(consistent)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .set_return_consumed_capacity(self.capacity());
            let out = request.send().await.map_err(sdk)?;
            if let Some(meter) = &self.meter {
                meter.note("Query", false, &out.consumed_capacity);
            }
            items.extend(out.items.unwrap_or_default());
            match out.last_evaluated_key {
                Some(key) if items.len() < limit => start = Some(key),
                _ => return Ok(items),
            }
        }
    }

    /// Everything in one partition of the table whose sort key begins with `prefix`, in key order.
    pub(crate) async fn partition(&self, pk: &str, prefix: &str, consistent: bool) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        let mut values = HashMap::from([(":pk".to_owned(), AttributeValue::S(pk.to_owned()))]);
        if !prefix.is_empty() {
            values.insert(":sk".to_owned(), AttributeValue::S(prefix.to_owned()));
        }
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.name)
                // DynamoDB refuses an empty text in a key condition.
                .key_condition_expression(if prefix.is_empty() { "pk = :pk" } else { "pk = :pk AND begins_with(sk, :sk)" })
                .set_expression_attribute_values(Some(values.clone()))
                .consistent_read(consistent)
                .set_exclusive_start_key(start)
                .set_return_consumed_capacity(self.capacity());
            let out = request.send().await.map_err(sdk)?;
            if let Some(meter) = &self.meter {
                meter.note("Query", false, &out.consumed_capacity);
            }
            items.extend(out.items.unwrap_or_default());
            match out.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(items),
            }
        }
    }
}

/// A part of one partition of the table: sort keys from `from` to before `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) pk: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) consistent: bool,
    pub(crate) backwards: bool,
    /// Items that are wanted at most.
    pub(crate) limit: usize,
}

impl Table {
    /// The items of a stretch, in key order or the other way round.
    pub(crate) async fn stretch(&self, stretch: Stretch<'_>) -> Result<Vec<Item>> {
        let (mut items, mut start) = (Vec::new(), None);
        if stretch.from >= stretch.to {
            return Ok(items);
        }
        let values = [(":pk", stretch.pk), (":from", stretch.from), (":to", stretch.to)];
        let values: HashMap<_, _> = values.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).into();
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(!stretch.backwards)
                .consistent_read(stretch.consistent)
                // One more, in case that the first is `to` itself.
                .limit(i32::try_from(stretch.limit.saturating_add(1)).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .set_return_consumed_capacity(self.capacity());
            let out = request.send().await.map_err(sdk)?;
            if let Some(meter) = &self.meter {
                meter.note("Query", false, &out.consumed_capacity);
            }
            items.extend(out.items.unwrap_or_default().into_iter().filter(|item| text(item, "sk") != Some(stretch.to)));
            start = out.last_evaluated_key;
            if start.is_none() || items.len() >= stretch.limit {
                items.truncate(stretch.limit);
                return Ok(items);
            }
        }
    }
}

/// Inclusive bounds for the key condition; the position itself is cut off by the reader.
pub(crate) fn bounds(listing: &Listing, span: &Span, read_to: Option<&str>) -> (String, String) {
    let from = span.from.clone().unwrap_or_else(|| " ".to_owned());
    let to = span.to.clone().unwrap_or_else(|| "\u{ffff}".to_owned());
    match read_to {
        Some(position) if listing.ascending => (position.max(from.as_str()).to_owned(), to),
        Some(position) => {
            let high = position.min(to.as_str()).to_owned();
            // An empty range is an error to DynamoDB, so it is made one that holds nothing but the position.
            (from.min(high.clone()), high)
        }
        None => (from.min(to.clone()), to),
    }
}

fn before(listing: &Listing, a: &str, b: &str) -> bool {
    if listing.ascending { a < b } else { a > b }
}

fn best_shard(listing: &Listing, shards: &[Shard]) -> Option<usize> {
    let heads = shards.iter().enumerate().filter_map(|(i, s)| s.found.front().map(|(position, _)| (i, position)));
    heads.reduce(|best, head| if before(listing, head.1, best.1) { head } else { best }).map(|(i, _)| i)
}

/// Gives out what lies before the point up to which every shard was read, and goes on from there next time.
fn stop_at_frontier(
    listing: &Listing,
    mut shards: Vec<Shard>,
    mut items: Vec<Item>,
    limit: usize,
    mut last: Option<String>,
) -> Page {
    let open = shards.iter().filter(|s| !s.done && s.found.is_empty()).filter_map(|s| s.read_to.clone());
    let frontier = open.reduce(|a, b| if before(listing, &a, &b) { a } else { b });
    while items.len() < limit
        && let Some(best) = best_shard(listing, &shards)
    {
        let Some((position, item)) = shards[best].found.pop_front() else { break };
        if frontier.as_deref().is_some_and(|f| before(listing, f, &position)) {
            return Page { items, next: frontier };
        }
        last = Some(position);
        items.push(item);
    }
    let next = if items.len() == limit { last } else { frontier };
    Page { items, next }
}

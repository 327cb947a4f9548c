//! Traces: what happened, step by step.

use std::collections::{BTreeMap, HashMap};

use axle_domain::trace::{Span, SpanStatus, Summary, order, summarise};
use axle_domain::{CampaignId, CampaignRunId, CommunicationId, DeliveryId, EntityId, LeadId, Time, TraceId};
use axle_store::Table;
use axle_store::communications::CommunicationRecord;
use axle_store::deliveries::DeliveryRecord;
use axle_store::runs::RunRecord;
use axle_store::spans::SpanRecord;
use axle_store::traces::{Target, TraceItems, TraceLink, TraceQuery};

use super::steps;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged};

/// Traces that a page reads side by side.
const AT_ONCE: usize = 25;
/// Times that one page does so.
const ROUNDS: usize = 12;

/// A trace as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub id: TraceId,
    pub campaign_id: Option<CampaignId>,
    pub lead_id: Option<LeadId>,
    pub summary: Summary,
    /// In the order in which they began.
    pub spans: Vec<Span>,
    /// There are more steps than are read.
    pub truncated: bool,
}

/// A trace with all its steps. Costs a read unit for 4 KB of them, and half of one for each message and delivery.
///
/// # Errors
/// [`Error::NotFound`] if nothing is kept of it.
pub async fn get(app: &App, ctx: &Ctx, id: TraceId) -> Result<Trace> {
    let table = app.table().await;
    let items = table.trace_items(ctx.entity_id, id, true, ctx.now).await?;
    put_together(table, ctx.entity_id, id, items, ctx.now).await?.ok_or(Error::NotFound("trace"))
}

/// A page of traces, the last begun first.
pub async fn list(
    app: &App,
    ctx: &Ctx,
    query: TraceQuery,
    status: Option<SpanStatus>,
    page: PageRequest,
) -> Result<Paged<Trace>> {
    let name = format!("traces?{query:?}&{status:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (table, mut next, mut found) = (app.table().await, after, Vec::new());
    for _ in 0..ROUNDS {
        let wanted = (page.limit - found.len()).min(AT_ONCE);
        let (positions, further) = table.trace_positions(ctx.entity_id, &query, next.as_deref(), wanted).await?;
        // Any number of messages may go by one trace: it is read once.
        let mut by_trace = BTreeMap::<TraceId, Vec<String>>::new();
        positions.into_iter().for_each(|(position, id)| by_trace.entry(id).or_default().push(position));
        let reads = by_trace.into_iter().map(|(id, positions)| at_one_of(table, ctx, query, positions, id));
        let mut read: Vec<_> = futures_util::future::try_join_all(reads).await?.into_iter().flatten().collect();
        read.sort_by(|(a, _), (b, _)| b.cmp(a));
        let read = read.into_iter().map(|(_, trace)| trace);
        found.extend(read.filter(|trace| status.is_none_or(|status| status == trace.summary.status)));
        next = further;
        if found.len() >= page.limit || next.is_none() {
            break;
        }
    }
    Ok(Paged { items: found, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

/// The trace and its position, if that is one of these.
async fn at_one_of(
    table: &Table,
    ctx: &Ctx,
    query: TraceQuery,
    positions: Vec<String>,
    id: TraceId,
) -> Result<Option<(String, Trace)>> {
    let items = table.trace_items(ctx.entity_id, id, false, ctx.now).await?;
    let Some(position) = positions.into_iter().find(|position| items.stands_at(&query, position)) else { return Ok(None) };
    Ok(put_together(table, ctx.entity_id, id, items, ctx.now).await?.map(|trace| (position, trace)))
}

/// The steps that were written down, and those that follow from messages, deliveries and ways through campaigns.
async fn put_together(table: &Table, entity: EntityId, id: TraceId, items: TraceItems, now: Time) -> Result<Option<Trace>> {
    let (campaign_id, lead_id) = items.about();
    let TraceItems { spans, links, cut } = items;
    let mut spans: Vec<Span> = spans.into_iter().map(|SpanRecord { span, .. }| span).collect();
    spans.extend(follow(table, entity, links, now).await?);
    order(&mut spans);
    let summary = summarise(&spans);
    Ok(summary.map(|summary| Trace { id, campaign_id, lead_id, summary, spans, truncated: cut }))
}

async fn follow(table: &Table, entity: EntityId, links: Vec<TraceLink>, now: Time) -> Result<Vec<Span>> {
    let (mut messages, mut deliveries) = (HashMap::<CommunicationId, TraceLink>::new(), HashMap::<DeliveryId, TraceLink>::new());
    let mut runs = Vec::<CampaignRunId>::new();
    for link in links {
        match link.target {
            Target::Run(id) => runs.push(id),
            Target::Message(id) => drop(messages.insert(id, link)),
            Target::Delivery(id) => drop(deliveries.insert(id, link)),
        }
    }
    let message_keys: Vec<_> = messages.keys().map(|id| CommunicationRecord::key_of(entity, *id)).collect();
    let delivery_keys: Vec<_> = deliveries.keys().map(|id| DeliveryRecord::key_of(entity, *id)).collect();
    let run_keys: Vec<_> = runs.iter().map(|id| RunRecord::key_of(entity, *id)).collect();
    let (found_messages, found_deliveries, found_runs) = futures_util::future::try_join3(
        table.get_many::<CommunicationRecord>(&message_keys, now),
        table.get_many::<DeliveryRecord>(&delivery_keys, now),
        table.get_many::<RunRecord>(&run_keys, now),
    )
    .await?;
    let of_messages = found_messages.iter().flat_map(|found| {
        let link = messages.get(&found.value.id);
        steps::of_message(&found.value, link.and_then(|link| link.parent_id))
    });
    let of_deliveries = found_deliveries.iter().filter_map(|found| {
        let link = deliveries.get(&found.value.id);
        steps::of_delivery(&found.value, link.and_then(|link| link.parent_id))
    });
    let of_runs = found_runs.iter().flat_map(|found| steps::of_run(&found.value));
    Ok(of_messages.chain(of_deliveries).chain(of_runs).collect())
}

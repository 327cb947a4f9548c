//! Traces as they are read: the steps that were written down, and links to messages, webhook deliveries and leads' ways through campaigns,
//! whose steps follow from what they are themselves. So nothing is written when a message is claimed, sent, tried again or cancelled, and a trace is never of
//! another opinion than the message.

use axle_domain::trace::SpanId;
use axle_domain::{CampaignId, CampaignRunId, CommunicationId, DeliveryId, EntityId, LeadId, Time, TraceId};
use serde::{Deserialize, Serialize};

use crate::communications::CommunicationRecord;
use crate::deliveries::DeliveryRecord;
use crate::error::Result;
use crate::item::{Item, Placement, Record, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Page, Span};
use crate::runs::RunRecord;
use crate::spans::{KEEP_DAYS, LISTING_SHARDS, SpanRecord, listed, of_lead, trace_collection};
use crate::table::Table;
use crate::tx::Tx;

/// Items of one trace that are read: whoever calls may put any number of requests under one `traceparent`. A run of an agent, with 200
/// people at most, has some ten a person.
pub const MAX_ITEMS: usize = 5_000;

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to", content = "of")]
pub enum Target {
    Message(CommunicationId),
    Delivery(DeliveryId),
    Run(CampaignRunId),
}

impl Target {
    fn sort_key(self) -> String {
        match self {
            Self::Message(id) => format!("message#{id}"),
            Self::Delivery(id) => format!("delivery#{id}"),
            Self::Run(id) => format!("run#{id}"),
        }
    }
}

/// Says that a message, a delivery or a lead's way through a campaign belongs to a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceLink {
    pub entity_id: EntityId,
    pub trace_id: TraceId,
    pub target: Target,
    /// The step that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<SpanId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    pub at: Time,
}

impl TraceLink {
    pub fn of_message(message: &CommunicationRecord, parent_id: Option<SpanId>) -> Self {
        Self {
            entity_id: message.entity_id,
            trace_id: message.trace_id,
            target: Target::Message(message.id),
            parent_id,
            campaign_id: message.campaign_id,
            lead_id: message.lead_id,
            at: message.created_at,
        }
    }

    /// `None` if the event belongs to no trace.
    pub fn of_delivery(delivery: &DeliveryRecord, parent_id: Option<SpanId>) -> Option<Self> {
        Some(Self {
            entity_id: delivery.entity_id,
            trace_id: delivery.trace_id?,
            target: Target::Delivery(delivery.id),
            parent_id,
            campaign_id: None,
            lead_id: None,
            at: delivery.created_at,
        })
    }

    pub fn of_run(run: &RunRecord) -> Self {
        Self {
            entity_id: run.entity_id,
            trace_id: run.trace_id,
            target: Target::Run(run.id),
            parent_id: None,
            campaign_id: Some(run.campaign_id),
            lead_id: Some(run.lead_id),
            at: run.created_at,
        }
    }

    /// Deliveries do not begin a trace: they only follow.
    fn position(&self) -> Option<String> {
        let begins = self.parent_id.is_none() && matches!(self.target, Target::Message(_) | Target::Run(_));
        begins.then(|| format!("{}#{}#{}", self.at, self.trace_id, self.target.sort_key()))
    }
}

impl Record for TraceLink {
    const TYPE: &'static str = "trace_link";
    fn key(&self) -> Key {
        Key::member(self.entity_id, &trace_collection(self.trace_id), self.target.sort_key())
    }
    fn placement(&self) -> Placement {
        let expires_at = Some(self.at.plus_days(KEEP_DAYS));
        match self.position() {
            Some(position) => {
                Placement { expires_at, ..listed(self.entity_id, self.trace_id, self.campaign_id, self.lead_id, position) }
            }
            None => Placement { expires_at, ..Placement::default() },
        }
    }
}

/// Which traces to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceQuery {
    pub campaign_id: Option<CampaignId>,
    pub lead_id: Option<LeadId>,
}

impl TraceQuery {
    fn listing(&self, entity: EntityId) -> Listing {
        let (index, partitions) = match (self.lead_id, self.campaign_id) {
            (Some(lead), _) => ("gsi3", vec![of_lead(entity, lead)]),
            (None, Some(id)) => ("gsi2", (0..LISTING_SHARDS).map(|n| format!("E#{entity}#CAMPAIGN#{id}#TRACES#{n}")).collect()),
            (None, None) => ("gsi1", (0..LISTING_SHARDS).map(|n| format!("E#{entity}#TRACES#{n}")).collect()),
        };
        Listing { index: Some(index), partitions, ascending: false }
    }

    fn wants(&self, campaign: Option<CampaignId>, lead: Option<LeadId>) -> bool {
        (self.campaign_id.is_none() || self.campaign_id == campaign) && (self.lead_id.is_none() || self.lead_id == lead)
    }
}

/// All that is stored of a trace.
#[derive(Clone, Debug, Default)]
pub struct TraceItems {
    pub spans: Vec<SpanRecord>,
    pub links: Vec<TraceLink>,
    /// There is more than [`MAX_ITEMS`].
    pub cut: bool,
}

impl TraceItems {
    fn read(items: Vec<Item>, now: Time) -> Result<Self> {
        let mut all = Self { cut: items.len() > MAX_ITEMS, ..Self::default() };
        for item in items.into_iter().take(MAX_ITEMS) {
            if text(&item, "type") == Some(TraceLink::TYPE) {
                all.links.extend(from_item::<TraceLink>(item, Some(now))?.map(|found| found.value));
            } else {
                all.spans.extend(from_item::<SpanRecord>(item, Some(now))?.map(|found| found.value));
            }
        }
        Ok(all)
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.links.is_empty()
    }

    /// The campaign and the lead that it is about: those of the first step that has them. One of many leads, as a run of an agent is, is
    /// about none of them.
    pub fn about(&self) -> (Option<CampaignId>, Option<LeadId>) {
        let mut all: Vec<(Time, Option<CampaignId>, Option<LeadId>)> =
            self.spans.iter().map(|record| (record.span.started_at, record.campaign_id, record.lead_id)).collect();
        all.extend(self.links.iter().map(|link| (link.at, link.campaign_id, link.lead_id)));
        all.sort();
        let lead =
            if self.spans.iter().any(|record| record.begins_lead) { None } else { all.iter().find_map(|(_, _, lead)| *lead) };
        (all.iter().find_map(|(_, campaign, _)| *campaign), lead)
    }

    /// Whether this position is where a list has the trace: that of the first of its roots that the query wants.
    pub fn stands_at(&self, query: &TraceQuery, position: &str) -> bool {
        let roots = self.spans.iter().filter(|record| query.wants(record.campaign_id, record.lead_id));
        let links = self.links.iter().filter(|link| query.wants(link.campaign_id, link.lead_id));
        let of_span = if query.lead_id.is_some() { SpanRecord::position_of_lead } else { SpanRecord::position };
        let first = roots.filter_map(of_span).chain(links.filter_map(TraceLink::position)).min();
        first.as_deref() == Some(position)
    }
}

impl Tx<'_> {
    /// Makes a new message part of its trace. Two write units; without a parent up to three more, for the lists.
    pub fn trace_message(&mut self, message: &CommunicationRecord, parent: Option<SpanId>) {
        self.create("trace link", &TraceLink::of_message(message, parent));
    }
}

impl Tx<'_> {
    /// Writes a link anew that is there.
    pub fn replace_link(&mut self, link: &TraceLink) {
        self.overwrite("trace link", link);
    }

    /// Makes a lead's way through a campaign the root of its trace. Two write units, and three for its lists.
    pub fn trace_run(&mut self, run: &RunRecord) {
        self.create("trace link", &TraceLink::of_run(run));
    }
}

impl Table {
    /// Makes a delivery part of its trace; again and again if need be. One write unit.
    pub async fn trace_delivery(&self, link: &TraceLink) -> Result<()> {
        self.put_new(link).await.map(drop)
    }

    /// What is stored of a trace; the half of a read unit for 4 KB, twice that if `consistent`.
    pub async fn trace_items(&self, entity: EntityId, trace: TraceId, consistent: bool, now: Time) -> Result<TraceItems> {
        let partition = format!("E#{entity}#{}", trace_collection(trace));
        TraceItems::read(self.first_items(&partition, MAX_ITEMS + 1, consistent).await?, now)
    }

    /// A page of a list of traces, the last begun first, as positions and the traces that they are of. A trace that began more than once is
    /// on the list as often: [`TraceItems::stands_at`] says which time counts.
    pub async fn trace_positions(
        &self,
        entity: EntityId,
        query: &TraceQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(String, TraceId)>, Option<String>)> {
        let listing = query.listing(entity);
        let Page { items, next } = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let (_, sk) = listing.key_names();
        let positions = items.iter().filter_map(|item| {
            let position = text(item, &sk)?;
            Some((position.to_owned(), position.split('#').nth(1)?.parse().ok()?))
        });
        Ok((positions.collect(), next))
    }
}

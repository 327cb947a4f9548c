//! The steps of traces. Each is an item of its own, so writers never meet; a trace is the partition of its steps.

use axle_domain::trace::{Span, SpanId, SpanStatus};
use axle_domain::{CampaignId, EntityId, LeadId, Time, TraceId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record};
use crate::key::Key;
use crate::table::Table;
use crate::tx::{CommitError, Tx};

/// Days that a step is kept.
pub const KEEP_DAYS: i64 = 90;
/// Partitions that a tenant's, and a campaign's, traces are listed in.
pub(crate) const LISTING_SHARDS: u128 = 4;

/// A step of a trace.
///
/// One without a parent is a root: it puts its trace on the lists of the tenant, its campaign and its lead. The trace of a run of an agent
/// has many leads, each with a step of theirs that puts it on their list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanRecord {
    pub entity_id: EntityId,
    pub trace_id: TraceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    /// Puts the trace on the list of its lead although it has a parent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins_lead: bool,
    pub span: Span,
}

impl SpanRecord {
    pub fn new(entity_id: EntityId, trace_id: TraceId, span: Span) -> Self {
        Self { entity_id, trace_id, campaign_id: None, lead_id: None, begins_lead: false, span }
    }

    #[must_use]
    pub fn campaign(mut self, id: Option<CampaignId>) -> Self {
        self.campaign_id = id;
        self
    }

    #[must_use]
    pub fn lead(mut self, id: Option<LeadId>) -> Self {
        self.lead_id = id;
        self
    }

    /// Puts the trace on the list of this lead, whatever the step follows from.
    #[must_use]
    pub fn beginning_of(self, lead: Option<LeadId>) -> Self {
        Self { lead_id: lead, begins_lead: lead.is_some(), ..self }
    }

    pub fn key_of(entity: EntityId, trace: TraceId, span: SpanId) -> Key {
        Key::member(entity, &trace_collection(trace), span)
    }

    /// Where it stands on the lists, if it is a root.
    pub(crate) fn position(&self) -> Option<String> {
        self.span.parent_id.is_none().then(|| self.place())
    }

    /// Where it stands on the list of its lead.
    pub(crate) fn position_of_lead(&self) -> Option<String> {
        (self.lead_id.is_some() && (self.begins_lead || self.span.parent_id.is_none())).then(|| self.place())
    }

    fn place(&self) -> String {
        format!("{}#{}#{}", self.span.started_at, self.trace_id, self.span.span_id)
    }
}

/// The list of a lead's traces.
pub(crate) fn of_lead(entity: EntityId, lead: LeadId) -> String {
    format!("E#{entity}#LEAD#{lead}#TRACES")
}

pub(crate) fn trace_collection(trace: TraceId) -> String {
    format!("TRACE#{trace}")
}

/// Where a root is listed.
pub(crate) fn listed(
    entity: EntityId,
    trace: TraceId,
    campaign: Option<CampaignId>,
    lead: Option<LeadId>,
    position: String,
) -> Placement {
    let shard = trace.shard(LISTING_SHARDS);
    Placement {
        gsi1: Some((format!("E#{entity}#TRACES#{shard}"), position.clone())),
        gsi2: campaign.map(|id| (format!("E#{entity}#CAMPAIGN#{id}#TRACES#{shard}"), position.clone())),
        // Not due at any time: the index has room for a third list.
        gsi3: lead.map(|id| (of_lead(entity, id), position)),
        ..Placement::default()
    }
}

impl Record for SpanRecord {
    const TYPE: &'static str = "span";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.trace_id, self.span.span_id)
    }
    fn placement(&self) -> Placement {
        let expires_at = Some(self.span.started_at.plus_days(KEEP_DAYS));
        match self.position() {
            Some(position) => {
                Placement { expires_at, ..listed(self.entity_id, self.trace_id, self.campaign_id, self.lead_id, position) }
            }
            None => {
                let gsi3 = self.lead_id.zip(self.position_of_lead()).map(|(lead, at)| (of_lead(self.entity_id, lead), at));
                Placement { expires_at, gsi3, ..Placement::default() }
            }
        }
    }
}

impl Tx<'_> {
    /// Writes a step with the change that it tells of, in place of what was known of it. Two write units; a root up to three more, for its
    /// lists. The transaction's own conditions decide whether it is news.
    pub fn span(&mut self, span: &SpanRecord) {
        self.overwrite("span", span);
    }
}

impl Table {
    /// Writes a step by itself: half the price. That a step is running is no news of one that is known.
    pub async fn put_span(&self, span: &SpanRecord) -> Result<()> {
        let mut tx = self.tx();
        match span.span.status {
            SpanStatus::Running => tx.create("span", span),
            SpanStatus::Ok | SpanStatus::Error => tx.span(span),
        }
        match tx.commit_alone().await {
            Ok(()) | Err(CommitError::Condition { .. }) => Ok(()),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// One step.
    pub async fn span(&self, entity: EntityId, trace: TraceId, span: SpanId, now: Time) -> Result<Option<SpanRecord>> {
        Ok(self.get::<SpanRecord>(&SpanRecord::key_of(entity, trace, span), now).await?.map(|found| found.value))
    }
}

//! The event log: written with the change that an event tells of, read newest first.

use axle_domain::event::{Event, EventType};
use axle_domain::{CampaignId, EntityId, EventId, LeadId, Time};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::item::{Item, Placement, Record, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// Partitions that a tenant's events are spread over: 4,000 events a second, and few enough to read all for a page.
const SHARDS: u128 = 4;

fn collection(shard: u128) -> String {
    format!("EVENTS#{shard}")
}

/// An event as it is stored: what filters need, and the whole event as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    pub id: EventId,
    pub entity_id: EntityId,
    pub event_type: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    pub body: String,
    expires: i64,
}

impl EventRecord {
    pub(crate) fn new(event: &Event, retention_days: i64) -> Result<Self> {
        Ok(Self {
            id: event.id,
            entity_id: event.entity_id,
            event_type: event.event_type,
            campaign_id: event.campaign_id,
            lead_id: event.lead_id,
            agent_id: event.agent_id.clone(),
            body: serde_json::to_string(&event.whole()).map_err(|e| Error::mapping("event", e))?,
            expires: event.occurred_at.plus_days(retention_days).secs(),
        })
    }

    /// The event itself.
    pub fn event(&self) -> Result<Event> {
        serde_json::from_str(&self.body).map_err(|e| Error::mapping("event", e))
    }
}

fn key(entity: EntityId, id: EventId) -> Key {
    Key::member(entity, &collection(id.uuid().as_u128() % SHARDS), id)
}

impl Record for EventRecord {
    const TYPE: &'static str = "event";
    fn key(&self) -> Key {
        key(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        Placement { expires_at: Some(Time::from_secs(self.expires)), ..Placement::default() }
    }
}

/// What to look for in the log.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Exact types, and prefixes such as `lead.`.
    pub types: Vec<String>,
    pub prefixes: Vec<String>,
    pub campaign_id: Option<CampaignId>,
    pub lead_id: Option<LeadId>,
    pub agent_id: Option<String>,
    /// Inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub to: Option<Time>,
}

/// The smallest id of an instant, as a sort key.
fn id_at(time: Time) -> String {
    EventId::from_uuid(axle_domain::id::v7_at(time, [0; 10])).to_string()
}

impl Table {
    /// One event, strongly consistent.
    pub async fn event(&self, entity: EntityId, id: EventId, now: Time) -> Result<Option<Event>> {
        let found = self.get::<EventRecord>(&key(entity, id), now).await?;
        found.map(|r| r.value.event()).transpose()
    }

    /// A page of events, newest first, and the position of the next.
    pub async fn events(
        &self,
        entity: EntityId,
        query: &EventQuery,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Event>, Option<String>)> {
        let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#{}", collection(shard))).collect();
        let listing = Listing { index: None, partitions, ascending: false };
        let span = Span { from: query.from.map(id_at), to: query.to.map(id_at) };
        let mut filter = Filter::default();
        filter.any("event_type", &query.types, &query.prefixes);
        let ids = [
            ("campaign_id", query.campaign_id.map(|id| id.to_string())),
            ("lead_id", query.lead_id.map(|id| id.to_string())),
            ("agent_id", query.agent_id.clone()),
        ];
        for (name, value) in ids {
            if let Some(value) = value {
                filter.equals(name, &value);
            }
        }
        let page = self.page(&listing, &span, after, &filter, limit).await?;
        let events: Result<Vec<Option<Event>>> = page.items.into_iter().map(|item| read(item, now)).collect();
        Ok((events?.into_iter().flatten().collect(), page.next))
    }
}

fn read(item: Item, now: Time) -> Result<Option<Event>> {
    from_item::<EventRecord>(item, Some(now))?.map(|r| r.value.event()).transpose()
}

//! Activities.

use axle_domain::crm::PageNumber;
use axle_domain::crm::activity::{About, ActivityProfile, ActivityType};
use axle_domain::{ActivityId, Actor, CompanyId, ContactId, DealId, EntityId, TaskId, Time};
use serde::{Deserialize, Serialize};

use super::deals::texts;
use super::timeline::timeline_partition;
use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's activities are listed in.
const SHARDS: u128 = 8;
/// The board that counts activities by their type, for the totals of lists.
const BOARD: &str = "crm-activities";

/// Something that was done. What lists filter by stands beside the profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityRecord {
    pub entity_id: EntityId,
    pub id: ActivityId,
    #[serde(rename = "status")]
    pub kind: ActivityType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    pub profile: ActivityProfile,
    /// What was made of an activity of the type `task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    pub actor: Actor,
    pub occurred_at: Time,
    pub created_at: Time,
}

impl ActivityRecord {
    pub fn key_of(entity: EntityId, id: ActivityId) -> Key {
        Key::thing(entity, "ACTIVITY", id)
    }

    pub fn about(&self) -> About {
        About { company_id: self.company_id, contact_id: self.contact_id, deal_id: self.deal_id }
    }
}

fn company_partition(entity: EntityId, company: CompanyId) -> String {
    format!("E#{entity}#COMPANY#{company}#ACTIVITIES")
}

impl Record for ActivityRecord {
    const TYPE: &'static str = "activity";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let (entity, shard) = (self.entity_id, self.id.uuid().as_u128() % SHARDS);
        let position = format!("{}#{}", self.occurred_at, self.id);
        Placement {
            gsi1: Some((format!("E#{entity}#ACTIVITIES#{shard}"), position.clone())),
            gsi2: self.company_id.map(|company| (company_partition(entity, company), position)),
            ..Placement::default()
        }
    }
}

/// What to look for among activities.
#[derive(Clone, Debug, Default)]
pub struct ActivityQuery {
    /// Ids that one company goes by.
    pub companies: Option<Vec<CompanyId>>,
    /// Ids that one person goes by.
    pub contacts: Option<Vec<ContactId>>,
    pub deal_id: Option<DealId>,
    pub kind: Option<ActivityType>,
    /// Inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub to: Option<Time>,
}

impl ActivityQuery {
    /// A deal's activities are read from its timeline, a company's from its part of the second index, the others from all.
    fn listing(&self, entity: EntityId) -> Listing {
        let (index, partitions) = match (self.deal_id, &self.companies) {
            (Some(deal), _) => (None, vec![timeline_partition(entity, deal)]),
            (None, Some(ids)) => (Some("gsi2"), ids.iter().map(|id| company_partition(entity, *id)).collect()),
            (None, None) => (Some("gsi1"), (0..SHARDS).map(|shard| format!("E#{entity}#ACTIVITIES#{shard}")).collect()),
        };
        Listing { index, partitions, ascending: false }
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        if self.deal_id.is_some() {
            filter.equals("kind", "activity");
            if let Some(companies) = &self.companies {
                filter.any("company_id", &texts(companies), &[]);
            }
        }
        if let Some(contacts) = &self.contacts {
            filter.any("contact_id", &texts(contacts), &[]);
        }
        if let Some(kind) = self.kind {
            filter.equals("status", kind.as_str());
        }
        filter
    }

    fn span(&self) -> Span {
        Span { from: self.from.map(|t| t.to_string()), to: self.to.map(|t| t.to_string()) }
    }

    /// Whether the tally by type knows the number of matches.
    fn is_counted(&self) -> bool {
        matches!(self, Self { companies: None, contacts: None, deal_id: None, kind: _, from: None, to: None })
    }
}

impl Table {
    /// One page of activities, the latest first, and how many there are on all pages.
    pub async fn activities(
        &self,
        entity: EntityId,
        query: &ActivityQuery,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<ActivityRecord>>, u64)> {
        let kind = query.kind.map(ActivityType::as_str);
        let count = if query.is_counted() { Some(self.counted(entity, BOARD, kind).await?) } else { None };
        let (ids, total) = self.numbered_within(&query.listing(entity), &query.span(), &query.filter(), page, count).await?;
        let keys: Vec<Key> = ids.iter().filter_map(|id| id.parse().ok()).map(|id| ActivityRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, total))
    }
}

impl Table {
    /// The ids of the activities that a query finds, the latest first.
    pub async fn activity_ids(&self, entity: EntityId, query: &ActivityQuery) -> Result<Vec<ActivityId>> {
        let ids = self.all_ids(&query.listing(entity), &query.filter()).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

impl Tx<'_> {
    /// A new activity, counted.
    pub fn create_activity(&mut self, activity: &ActivityRecord) {
        self.create("activity", activity);
        self.tally(activity.entity_id, BOARD, activity.id.uuid().as_u128(), &[(activity.kind.as_str(), 1)]);
    }
}

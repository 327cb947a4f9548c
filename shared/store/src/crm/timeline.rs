//! Timelines of deals: one item an entry, written with what it tells of.

use axle_domain::crm::timeline::{EntryKind, Told};
use axle_domain::{Actor, CompanyId, ContactId, DealId, EntityId, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Record, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// One entry of a deal's timeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimelineRecord {
    pub entity_id: EntityId,
    pub deal_id: DealId,
    /// An activity's own id; for others one of the entry's own.
    pub id: Uuid,
    pub kind: EntryKind,
    pub at: Time,
    pub title: String,
    pub actor: Actor,
    /// JSON: what the entry's kind says of it.
    pub data: String,
    /// An activity's type, company and person, by which activities are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
}

pub(super) fn timeline_partition(entity: EntityId, deal: DealId) -> String {
    format!("E#{entity}#DEAL#{deal}#TIMELINE")
}

impl TimelineRecord {
    pub fn new(entity_id: EntityId, deal_id: DealId, id: Uuid, at: Time, actor: Actor, told: Told) -> Self {
        let Told { kind, title, data } = told;
        let data = data.to_string();
        Self { entity_id, deal_id, id, kind, at, title, actor, data, status: None, company_id: None, contact_id: None }
    }

    pub fn data(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

impl Record for TimelineRecord {
    const TYPE: &'static str = "timeline";
    fn key(&self) -> Key {
        let position = format!("{}#{}", self.at, self.id.as_hyphenated());
        Key::member(self.entity_id, &format!("DEAL#{}#TIMELINE", self.deal_id), position)
    }
}

/// Entries that are deleted in one transaction.
const DELETED_AT_ONCE: usize = 100;

impl Table {
    /// A page of a deal's timeline, the latest first, and the position of the next.
    pub async fn timeline(
        &self,
        entity: EntityId,
        deal: DealId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<TimelineRecord>, Option<String>)> {
        let listing = Listing { index: None, partitions: vec![timeline_partition(entity, deal)], ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let entries: Result<Vec<_>> = page.items.into_iter().map(|item| from_item::<TimelineRecord>(item, None)).collect();
        Ok((entries?.into_iter().flatten().map(|entry| entry.value).collect(), page.next))
    }

    /// Deletes the timeline of a deal that is gone.
    pub async fn forget_timeline(&self, entity: EntityId, deal: DealId) -> Result<()> {
        let pk = timeline_partition(entity, deal);
        let items = self.partition(&pk, "", true).await?;
        let keys: Vec<Key> =
            items.iter().filter_map(|item| text(item, "sk")).map(|sk| Key { pk: pk.clone(), sk: sk.to_owned() }).collect();
        for some in keys.chunks(DELETED_AT_ONCE) {
            let mut tx = self.tx();
            for key in some {
                tx.remove("timeline", key.clone());
            }
            match tx.commit().await {
                Ok(()) | Err(crate::CommitError::Condition { .. }) => {}
                Err(crate::CommitError::Store(e)) => return Err(e),
            }
        }
        Ok(())
    }
}

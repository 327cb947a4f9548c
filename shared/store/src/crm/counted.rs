//! From records, and from what the table's stream says of them, to what they count for.

use std::collections::HashMap;

use axle_domain::crm::numbers::{Contribution, DealFacts};
use axle_domain::crm::timeline::Told;
use axle_domain::event::EventType;
use axle_domain::{ActivityId, CompanyId, ContactId, DealId, EntityId, TaskId, Time};
use serde::Deserialize;
use uuid::Uuid;

use super::activities::ActivityRecord;
use super::companies::CompanyRecord;
use super::contacts::ContactRecord;
use super::deals::DealRecord;
use super::tasks::TaskRecord;
use super::timeline::TimelineRecord;
use crate::error::Result;
use crate::events::EventRecord;
use crate::item::{Item, Record, Versioned, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;

/// What a record counts for at one of its versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub kind: &'static str,
    pub id: Uuid,
    pub version: u64,
    /// `None` once the record is deleted.
    pub numbers: Option<Contribution>,
}

/// A record of which the dashboard has numbers.
pub trait Countable: Record {
    /// The collection of its main listing, and how many shards that has.
    const LISTED: (&'static str, u128);
    fn uuid(&self) -> Uuid;
    fn key_for(entity: EntityId, id: Uuid) -> Key;
    fn contribution(&self) -> Contribution;
}

impl Countable for CompanyRecord {
    const LISTED: (&'static str, u128) = ("COMPANIES", 8);
    fn key_for(entity: EntityId, id: Uuid) -> Key {
        Self::key_of(entity, CompanyId::from_uuid(id))
    }
    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
    fn contribution(&self) -> Contribution {
        match self.merged_into {
            Some(_) => Contribution::default(),
            None => Contribution::of_company(self.status.as_str()),
        }
    }
}

impl Countable for ContactRecord {
    const LISTED: (&'static str, u128) = ("CONTACTS", 8);
    fn key_for(entity: EntityId, id: Uuid) -> Key {
        Self::key_of(entity, ContactId::from_uuid(id))
    }
    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
    fn contribution(&self) -> Contribution {
        if self.merged_into.is_some() { Contribution::default() } else { Contribution::of_contact() }
    }
}

impl Countable for DealRecord {
    const LISTED: (&'static str, u128) = ("DEALS", 8);
    fn key_for(entity: EntityId, id: Uuid) -> Key {
        Self::key_of(entity, DealId::from_uuid(id))
    }
    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
    fn contribution(&self) -> Contribution {
        Contribution::of_deal(&DealFacts {
            stage: self.stage,
            value_minor: self.profile.value_minor.unwrap_or(0),
            currency: self.profile.currency,
            probability: self.probability(),
            owner: self.owner,
            created_at: self.created_at,
            closed_at: self.closed_at,
        })
    }
}

impl Countable for ActivityRecord {
    const LISTED: (&'static str, u128) = ("ACTIVITIES", 8);
    fn key_for(entity: EntityId, id: Uuid) -> Key {
        Self::key_of(entity, ActivityId::from_uuid(id))
    }
    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
    fn contribution(&self) -> Contribution {
        Contribution::of_activity(self.kind, self.occurred_at)
    }
}

impl Countable for TaskRecord {
    const LISTED: (&'static str, u128) = ("TASKS", 4);
    fn key_for(entity: EntityId, id: Uuid) -> Key {
        Self::key_of(entity, TaskId::from_uuid(id))
    }
    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
    fn contribution(&self) -> Contribution {
        Contribution::of_task(self.status, self.due_date, self.assignee_id)
    }
}

impl Counted {
    pub fn of<T: Countable>(record: &Versioned<T>) -> Self {
        let numbers = Some(record.value.contribution());
        Self { kind: T::TYPE, id: record.value.uuid(), version: record.version, numbers }
    }

    /// The deletion of a record that was at this version.
    pub fn gone(kind: &'static str, id: Uuid, version: u64) -> Self {
        Self { kind, id, version: version + 1, numbers: None }
    }

    pub(super) fn subject(&self) -> String {
        format!("{}#{}", self.kind, self.id.as_hyphenated())
    }

    /// What an event of a message counts for. Each message counts once for each thing that can become of it, and what only a machine
    /// did counts for nothing.
    pub fn of_event(event: &axle_domain::event::Event) -> Option<Self> {
        let (kind, what) = match event.event_type {
            EventType::CommunicationSent => ("email.sent", "sent"),
            EventType::CommunicationOpened => ("email.opened", "opened"),
            EventType::CommunicationReplied => ("email.replied", "replied"),
            _ => return None,
        };
        let email = event.data.get("channel").and_then(|c| c.as_str()).is_none_or(|channel| channel == "email");
        let machine = event.data.get("machine").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let id = event.subject.id.parse().unwrap_or(event.id.uuid());
        (email && !machine).then(|| Self { kind, id, version: 1, numbers: Some(Contribution::of_email(what)) })
    }
}

/// A record of the table's stream.
#[derive(Debug, Deserialize)]
pub struct StreamChange {
    dynamodb: Images,
}

#[derive(Debug, Deserialize)]
struct Images {
    #[serde(rename = "NewImage", default)]
    new: Option<serde_dynamo::Item>,
    #[serde(rename = "OldImage", default)]
    old: Option<serde_dynamo::Item>,
}

impl StreamChange {
    /// The record before and after the change.
    pub(super) fn before_and_after(&self) -> (Option<Item>, Option<Item>) {
        (self.dynamodb.old.clone().map(Into::into), self.dynamodb.new.clone().map(Into::into))
    }

    /// The type of what changed.
    pub(super) fn kind(&self) -> Option<String> {
        let item: Item = self.dynamodb.new.clone().or_else(|| self.dynamodb.old.clone())?.into();
        text(&item, "type").map(str::to_owned)
    }
}

/// What a new event of a message puts into the timeline of a deal, if it stands in one. The entry's id is the event's, so the same
/// event makes the same entry.
///
/// # Errors
/// An event that does not have its form.
pub fn told(change: &StreamChange) -> Result<Option<TimelineRecord>> {
    let Some(new) = &change.dynamodb.new else { return Ok(None) };
    let item: Item = new.clone().into();
    if text(&item, "type") != Some(EventRecord::TYPE) {
        return Ok(None);
    }
    let Some(record) = from_item::<EventRecord>(item, None)? else { return Ok(None) };
    let event = record.value.event()?;
    let (Some(deal), Some(told)) = (event.crm_lead_id, Told::email(&event)) else { return Ok(None) };
    Ok(Some(TimelineRecord::new(event.entity_id, deal, event.id.uuid(), event.occurred_at, event.actor, told)))
}

/// What the dashboard makes of a change, and whose it is; `None` for what it has no numbers of.
///
/// # Errors
/// A record that does not have the form that its type promises.
pub fn counted(change: StreamChange) -> Result<Option<(EntityId, Counted)>> {
    let (image, gone) = match (change.dynamodb.new, change.dynamodb.old) {
        (Some(new), _) => (new, false),
        (None, Some(old)) => (old, true),
        (None, None) => return Ok(None),
    };
    let item: Item = image.into();
    let Some(entity) = text(&item, "entity_id").and_then(|id| id.parse().ok()) else { return Ok(None) };
    let found = match text(&item, "type") {
        Some(CompanyRecord::TYPE) => read::<CompanyRecord>(item, gone)?,
        Some(ContactRecord::TYPE) => read::<ContactRecord>(item, gone)?,
        Some(DealRecord::TYPE) => read::<DealRecord>(item, gone)?,
        Some(ActivityRecord::TYPE) => read::<ActivityRecord>(item, gone)?,
        Some(TaskRecord::TYPE) => read::<TaskRecord>(item, gone)?,
        // An event that is deleted has only become old.
        Some(EventRecord::TYPE) if !gone => match from_item::<EventRecord>(item, None)? {
            Some(event) => Counted::of_event(&event.value.event()?),
            None => None,
        },
        _ => None,
    };
    Ok(found.map(|counted| (entity, counted)))
}

fn read<T: Countable>(item: Item, gone: bool) -> Result<Option<Counted>> {
    let record = from_item::<T>(item, None)?;
    Ok(record.map(|r| if gone { Counted::gone(T::TYPE, r.value.uuid(), r.version) } else { Counted::of(&r) }))
}

impl Table {
    /// Records of a kind, newest first, for those who go through all of them.
    pub async fn countable<T: Countable>(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<T>>, Option<String>)> {
        let (collection, shards) = T::LISTED;
        let partitions = (0..shards).map(|shard| format!("E#{entity}#{collection}#{shard}")).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
        let keys: Vec<Key> = ids.map(|id| T::key_for(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, page.next))
    }

    /// What the records of one shard's marks count for now, those that are gone included.
    pub async fn recounted(&self, entity: EntityId, shard: u128, now: Time) -> Result<Vec<Counted>> {
        let mut ids: HashMap<String, Vec<(Uuid, u64)>> = HashMap::new();
        for mark in self.marks(entity, shard).await?.into_iter().filter(|mark| !mark.value.is_gone()) {
            if let Some((kind, id)) = mark.value.subject.split_once('#')
                && let Ok(id) = id.parse()
            {
                ids.entry(kind.to_owned()).or_default().push((id, mark.value.counted_version));
            }
        }
        let mut all = Vec::new();
        for (kind, marked) in ids {
            all.extend(match kind.as_str() {
                CompanyRecord::TYPE => self.recounted_of::<CompanyRecord>(entity, &marked, now).await?,
                ContactRecord::TYPE => self.recounted_of::<ContactRecord>(entity, &marked, now).await?,
                DealRecord::TYPE => self.recounted_of::<DealRecord>(entity, &marked, now).await?,
                ActivityRecord::TYPE => self.recounted_of::<ActivityRecord>(entity, &marked, now).await?,
                TaskRecord::TYPE => self.recounted_of::<TaskRecord>(entity, &marked, now).await?,
                // Messages were counted from events, which do not stay.
                _ => Vec::new(),
            });
        }
        Ok(all)
    }

    async fn recounted_of<T: Countable>(&self, entity: EntityId, marked: &[(Uuid, u64)], now: Time) -> Result<Vec<Counted>> {
        let keys: Vec<Key> = marked.iter().map(|(id, _)| T::key_for(entity, *id)).collect();
        let found = self.get_many::<T>(&keys, now).await?;
        let mut all: HashMap<Uuid, Counted> = found.iter().map(|record| (record.value.uuid(), Counted::of(record))).collect();
        for (id, version) in marked {
            if all.contains_key(id) {
                continue;
            }
            // What was not found may only be new; a strongly consistent read decides.
            let counted = match self.get::<T>(&T::key_for(entity, *id), now).await? {
                Some(record) => Counted::of(&record),
                None => Counted::gone(T::TYPE, *id, *version),
            };
            all.insert(*id, counted);
        }
        Ok(all.into_values().collect())
    }
}

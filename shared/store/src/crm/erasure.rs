//! Erasing a person: how far it has come, and the collections whose items may name people in texts.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::{Actor, CommunicationId, ContactId, DealId, EntityId, Time, WebhookId};
use serde::{Deserialize, Serialize};

use super::contacts::{BOARD, ContactRecord};
use super::timeline::timeline_partition;
use crate::communications::{CommunicationEntry, CommunicationRecord, ContentRecord};
use crate::error::{Result, sdk};
use crate::item::{Item, Record, Versioned, from_item, number, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::message_refs::MessageRef;
use crate::table::Table;
use crate::tx::Tx;

/// The erasure of a person, kept without anything of theirs once it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErasureRecord {
    pub entity_id: EntityId,
    /// The contact that they were, after merges.
    pub id: ContactId,
    /// The other contacts that they were.
    #[serde(default)]
    pub absorbed: Vec<ContactId>,
    /// When each of these contacts was created: their place in lists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub created: BTreeMap<ContactId, Time>,
    /// What to look for: sealed, and gone once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Deals with them.
    #[serde(default)]
    pub deals: Vec<DealId>,
    /// The step that it is at, and the position in it.
    pub step: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What was removed where.
    #[serde(default)]
    pub removed: BTreeMap<String, u64>,
    pub actor: Actor,
    pub started_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl ErasureRecord {
    pub fn key_of(entity: EntityId, id: ContactId) -> Key {
        Key::thing(entity, "ERASURE", id)
    }
}

impl Record for ErasureRecord {
    const TYPE: &'static str = "erasure";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
}

/// Leads from a contact that was merged to the erasure of the person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErasureAlias {
    pub entity_id: EntityId,
    pub id: ContactId,
    pub contact_id: ContactId,
}

impl Record for ErasureAlias {
    const TYPE: &'static str = "erasure_alias";
    fn key(&self) -> Key {
        ErasureRecord::key_of(self.entity_id, self.id)
    }
}

/// Items with texts in which people can be named.
#[derive(Clone, Copy, Debug)]
pub enum Texts {
    Timeline(DealId),
    Events,
    /// Answers that are kept for idempotent requests.
    Answers,
    Deliveries(WebhookId),
}

impl Texts {
    fn listing(self, entity: EntityId) -> Listing {
        let spread = |index, name: &str, shards: u32| {
            let partitions = (0..shards).map(|shard| format!("E#{entity}#{name}#{shard}")).collect();
            Listing { index, partitions, ascending: false }
        };
        match self {
            Self::Timeline(deal) => Listing { index: None, partitions: vec![timeline_partition(entity, deal)], ascending: false },
            Self::Events => spread(None, "EVENTS", 4),
            Self::Answers => spread(None, crate::idempotency::COLLECTION, crate::idempotency::SHARDS),
            Self::Deliveries(webhook) => spread(Some("gsi1"), &format!("WEBHOOK#{webhook}#DELIVERIES"), 4),
        }
    }
}

/// Attributes that are no text of anybody's: keys, and what code reads as a type of its own.
const STRUCTURE: [&str; 19] = [
    "pk",
    "sk",
    "gsi1pk",
    "gsi1sk",
    "gsi2pk",
    "gsi2sk",
    "gsi3pk",
    "gsi3sk",
    "type",
    "version",
    "expires_at",
    "expires",
    "entity_id",
    "id",
    "event_type",
    "kind",
    "at",
    "actor",
    "job_body",
];

/// Changes every text of an item; says whether any changed.
pub fn edit(item: &mut Item, change: &mut impl FnMut(&str) -> Option<String>) -> bool {
    let mut any = false;
    for (name, value) in item {
        if !STRUCTURE.contains(&name.as_str()) {
            any |= edit_value(value, change);
        }
    }
    any
}

fn edit_value(value: &mut AttributeValue, change: &mut impl FnMut(&str) -> Option<String>) -> bool {
    match value {
        AttributeValue::S(text) => match change(text) {
            Some(new) => {
                *text = new;
                true
            }
            None => false,
        },
        AttributeValue::L(values) => values.iter_mut().fold(false, |any, value| any | edit_value(value, change)),
        AttributeValue::M(values) => values.values_mut().fold(false, |any, value| any | edit_value(value, change)),
        _ => false,
    }
}

/// Every text of an item, keys included.
pub fn texts_of(item: &Item) -> Vec<&str> {
    fn collect<'a>(value: &'a AttributeValue, out: &mut Vec<&'a str>) {
        match value {
            AttributeValue::S(text) => out.push(text),
            AttributeValue::L(values) => values.iter().for_each(|value| collect(value, out)),
            AttributeValue::M(values) => values.values().for_each(|value| collect(value, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    item.values().for_each(|value| collect(value, &mut out));
    out
}

impl Table {
    /// The erasure that a contact's id leads to.
    pub async fn erasure(&self, entity: EntityId, id: ContactId, now: Time) -> Result<Option<Versioned<ErasureRecord>>> {
        let Some(item) = self.get_raw(&ErasureRecord::key_of(entity, id)).await? else { return Ok(None) };
        if text(&item, "type") != Some(ErasureAlias::TYPE) {
            return from_item(item, Some(now));
        }
        match from_item::<ErasureAlias>(item, Some(now))? {
            Some(alias) => self.get(&ErasureRecord::key_of(entity, alias.value.contact_id), now).await,
            None => Ok(None),
        }
    }

    /// A page of items, whatever they are, and the position of the next.
    pub async fn text_items(
        &self,
        entity: EntityId,
        texts: Texts,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<String>)> {
        let listing = texts.listing(entity);
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        if listing.index.is_none() {
            return Ok((page.items, page.next));
        }
        let key = |item: &Item| Some(Key { pk: text(item, "pk")?.to_owned(), sk: text(item, "sk")?.to_owned() });
        let keys: Vec<Key> = page.items.iter().filter_map(key).collect();
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(100) {
            items.extend(self.batch_get(chunk, None, true).await?);
        }
        Ok((items, page.next))
    }

    /// Puts an item back that was read and edited, unless somebody wrote it since; says whether it was put.
    pub async fn put_back(&self, mut item: Item) -> Result<bool> {
        let version = number(&item, "version").unwrap_or(0);
        item.insert("version".to_owned(), AttributeValue::N((version + 1).to_string()));
        let values = HashMap::from([(":version".to_owned(), AttributeValue::N(version.to_string()))]);
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let request = request.condition_expression("version = :version").set_expression_attribute_values(Some(values));
        match request.set_return_consumed_capacity(self.capacity()).send().await {
            Ok(out) => {
                self.note("PutItem", &out.consumed_capacity);
                Ok(true)
            }
            Err(e) if e.as_service_error().is_some_and(|s| s.is_conditional_check_failed_exception()) => Ok(false),
            Err(e) => Err(sdk(e)),
        }
    }

    /// An item as it is now, if it is still there.
    pub async fn again(&self, item: &Item) -> Result<Option<Item>> {
        match (text(item, "pk"), text(item, "sk")) {
            (Some(pk), Some(sk)) => self.get_raw(&Key { pk: pk.to_owned(), sk: sk.to_owned() }).await,
            _ => Ok(None),
        }
    }

    /// Writes how far an erasure has come; false if somebody else goes on with it.
    pub async fn save_erasure(&self, erasure: &ErasureRecord, version: u64) -> Result<bool> {
        let mut tx = self.tx();
        tx.replace("erasure", erasure, version);
        tx.try_commit().await
    }

    /// Messages, newest first, for those who go through all of them.
    pub async fn all_communications(
        &self,
        entity: EntityId,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<CommunicationRecord>>, Option<String>)> {
        let partitions = (0..8).map(|n| format!("E#{entity}#COMMUNICATIONS#{n}")).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let page = self.page(&listing, &Span::default(), after, &Filter::default(), limit).await?;
        let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse::<CommunicationId>().ok());
        let keys: Vec<Key> = ids.map(|id| CommunicationRecord::key_of(entity, id)).collect();
        Ok((self.get_many_now(&keys, now).await?, page.next))
    }
}

impl Tx<'_> {
    /// Deletes a contact that was read at `version` (label `contact`); their count too, unless they were merged into another.
    pub fn delete_contact(&mut self, contact: &ContactRecord, version: u64) {
        self.delete("contact", contact.key(), version);
        if contact.merged_into.is_none() {
            self.tally(contact.entity_id, BOARD, contact.id.uuid().as_u128(), &[("all", -1)]);
        }
    }

    /// Replaces a message that was read at `version` by one that names nobody (label `message`): without its content, its entry under
    /// its lead and its Message-ID.
    pub fn forget_recipient(&mut self, old: &CommunicationRecord, new: &CommunicationRecord, version: u64) {
        self.replace("message", new, version);
        self.count_communication(new, Some(old.status));
        let (entity_id, communication_id) = (old.entity_id, old.id);
        let (text, html, headers, links) = (None, None, BTreeMap::new(), Vec::new());
        let nothing = ContentRecord { entity_id, communication_id, text, html, headers, links };
        self.overwrite("content", &nothing);
        let (was, is) = (CommunicationEntry::of(old), CommunicationEntry::of(new));
        if let Some(was) = &was {
            let stays = is.as_ref().is_some_and(|is| is.key() == was.key());
            if !stays {
                self.remove("entry", was.key());
                if let Some(is) = &is {
                    self.create("entry", is);
                }
            }
        }
        if let Some(message_id) = &old.message_id {
            self.remove("message reference", MessageRef::key_of(message_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_texts_at_any_depth_and_leaves_keys() {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let nested = AttributeValue::M(HashMap::from([("a".to_owned(), AttributeValue::L(vec![s("x")]))]));
        let mut item = Item::from([("pk".to_owned(), s("x")), ("body".to_owned(), s("y")), ("data".to_owned(), nested)]);
        assert!(edit(&mut item, &mut |text| (text == "x").then(|| "z".to_owned())));
        let mut texts = texts_of(&item);
        texts.sort_unstable();
        assert_eq!(texts, ["x", "y", "z"]);
        assert!(!edit(&mut item, &mut |_| None));
    }
}

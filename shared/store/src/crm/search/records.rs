//! What a search goes by in the table.

use axle_domain::crm::CompanyStatus;
use axle_domain::{CompanyId, ContactId, EntityId, Time, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::packed::{Criteria, Row};
use crate::crm::companies::CompanyRecord;
use crate::crm::contacts::ContactRecord;
use crate::crm::counted::Countable;
use crate::item::Record;
use crate::key::Key;

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Companies,
    Contacts,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Companies, Self::Contacts];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Companies => "companies",
            Self::Contacts => "contacts",
        }
    }
}

/// A record that can be searched for.
pub trait Searchable: Countable {
    const KIND: Kind;
    /// What it is searched by at a version; none if it is in no list.
    fn row(&self, version: u64) -> Option<Row>;
    fn created_at(&self) -> Time;
}

impl Searchable for CompanyRecord {
    const KIND: Kind = Kind::Companies;
    fn row(&self, version: u64) -> Option<Row> {
        let row = || Row {
            created_at: self.created_at,
            id: self.id.uuid(),
            version,
            status: Some(self.status),
            owner: self.owner,
            q: self.q.clone(),
        };
        self.merged_into.is_none().then(row)
    }
    fn created_at(&self) -> Time {
        self.created_at
    }
}

impl Searchable for ContactRecord {
    const KIND: Kind = Kind::Contacts;
    fn row(&self, version: u64) -> Option<Row> {
        let (created_at, id, owner) = (self.created_at, self.id.uuid(), self.owner);
        self.merged_into.is_none().then(|| Row { created_at, id, version, status: None, owner, q: self.q.clone() })
    }
    fn created_at(&self) -> Time {
        self.created_at
    }
}

/// The key of a record of this kind.
pub(super) fn key_of(entity: EntityId, kind: Kind, id: Uuid) -> Key {
    match kind {
        Kind::Companies => CompanyRecord::key_of(entity, CompanyId::from_uuid(id)),
        Kind::Contacts => ContactRecord::key_of(entity, ContactId::from_uuid(id)),
    }
}

/// What is wanted of the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// More of them.
    Seal,
    /// Somebody is at it.
    Sealing,
}

/// How a tenant's segments of a kind stand. It is there once a search found too much to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchRecord {
    pub entity_id: EntityId,
    pub kind: Kind,
    /// Changes of records before this position become patches. Never less than what the segments cover.
    pub patched_to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    pub asked_at: Time,
}

impl SearchRecord {
    pub(super) fn key_of(entity: EntityId, kind: Kind) -> Key {
        Key::thing(entity, "CRMSEARCH", kind.as_str())
    }
}

impl Record for SearchRecord {
    const TYPE: &'static str = "crm_search";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.kind)
    }
}

/// What a segment covers: the positions from `from` to before `to`, where the next one begins. Its version is that of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    pub entity_id: EntityId,
    pub kind: Kind,
    pub from: String,
    pub to: String,
    pub rows: usize,
}

impl SegmentRecord {
    /// Where the first one begins: before every time.
    pub(super) const BEGINNING: &'static str = "0";

    pub(super) fn partition(entity: EntityId, kind: Kind) -> String {
        Self::key_of(entity, kind, "").pk
    }

    pub(super) fn key_of(entity: EntityId, kind: Kind, from: &str) -> Key {
        Key::member(entity, &format!("CRMSEGMENTS#{}", kind.as_str()), from)
    }
}

impl Record for SegmentRecord {
    const TYPE: &'static str = "crm_segment";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.kind, &self.from)
    }
}

/// The rows of a segment, packed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowsRecord {
    pub entity_id: EntityId,
    pub kind: Kind,
    pub from: String,
    #[serde(with = "binary")]
    pub packed: Vec<u8>,
}

impl RowsRecord {
    pub(super) fn key_of(entity: EntityId, kind: Kind, from: &str) -> Key {
        Key::thing(entity, "CRMROWS", format_args!("{}#{from}", kind.as_str()))
    }
}

impl Record for RowsRecord {
    const TYPE: &'static str = "crm_rows";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.kind, &self.from)
    }
}

/// What became of a record that a segment has, or ought to have. Written only while it is so, and at the record's version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PatchRecord {
    pub entity_id: EntityId,
    pub kind: Kind,
    pub id: Uuid,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<CompanyStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// None once it is in no list any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

impl PatchRecord {
    pub(super) fn partition(entity: EntityId, kind: Kind) -> String {
        Self::key_of(entity, kind, "").pk
    }

    pub(super) fn key_of(entity: EntityId, kind: Kind, position: &str) -> Key {
        Key::member(entity, &format!("CRMPATCHES#{}", kind.as_str()), position)
    }

    pub(super) fn position(&self) -> String {
        format!("{}#{}", self.created_at, self.id.as_hyphenated())
    }

    pub(super) fn order(&self) -> (Time, Uuid) {
        (self.created_at, self.id)
    }

    pub(super) fn row(&self, version: u64) -> Option<Row> {
        let q = self.q.clone()?;
        Some(Row { created_at: self.created_at, id: self.id, version, status: self.status, owner: self.owner, q })
    }

    pub(super) fn matches(&self, criteria: &Criteria) -> bool {
        self.q.as_deref().is_some_and(|q| criteria.matches(self.status, self.owner, q))
    }
}

impl Record for PatchRecord {
    const TYPE: &'static str = "crm_patch";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.kind, &self.position())
    }
}

/// Bytes as bytes: serde takes a vector for a list of numbers.
mod binary {
    use std::fmt;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

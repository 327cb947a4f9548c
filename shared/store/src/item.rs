//! Between records and items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::key::Key;

pub type Item = HashMap<String, AttributeValue>;

/// Something that is stored as one item.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// The `type` attribute.
    const TYPE: &'static str;
    fn key(&self) -> Key;
    /// Where else it is found, and when it goes.
    fn placement(&self) -> Placement {
        Placement::default()
    }
}

/// Index entries and expiry of an item.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// `(gsi1pk, gsi1sk)`: the main listing.
    pub gsi1: Option<(String, String)>,
    /// `(gsi2pk, gsi2sk)`: a second listing.
    pub gsi2: Option<(String, String)>,
    /// `(gsi3pk, gsi3sk)`: the due-index.
    pub gsi3: Option<(String, String)>,
    pub expires_at: Option<Time>,
    /// Work that follows from the item's creation: `event-relay` sends it to the queue.
    pub job: Option<Job>,
}

/// A message for a queue, sent once the item that carries it is committed.
#[derive(Clone, Debug)]
pub struct Job {
    /// `import`, `deliver`, `outbox` or `agents`.
    pub queue: &'static str,
    /// JSON text.
    pub body: String,
}

/// A record with the version that it was read at.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    pub value: T,
    pub version: u64,
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn to_item<T: Record>(record: &T, version: u64) -> Result<Item> {
    let mut item: Item = serde_dynamo::to_item(record).map_err(|e| Error::mapping(T::TYPE, e))?;
    // An absent attribute costs nothing; a NULL one is stored and paid for.
    item.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
    item.extend(record.key().attributes());
    item.insert("type".to_owned(), s(T::TYPE));
    item.insert("version".to_owned(), AttributeValue::N(version.to_string()));
    let Placement { gsi1, gsi2, gsi3, expires_at, job } = record.placement();
    for (index, entry) in [("gsi1", gsi1), ("gsi2", gsi2), ("gsi3", gsi3)] {
        if let Some((pk, sk)) = entry {
            item.insert(format!("{index}pk"), s(pk));
            item.insert(format!("{index}sk"), s(sk));
        }
    }
    if let Some(at) = expires_at {
        item.insert("expires_at".to_owned(), AttributeValue::N(at.secs().to_string()));
    }
    if let Some(job) = job {
        item.insert("job".to_owned(), s(job.queue));
        item.insert("job_body".to_owned(), s(job.body));
    }
    Ok(item)
}

/// The record in an item; `None` if the item is of another type or has expired (TTL deletion lags by days).
pub(crate) fn from_item<T: Record>(item: Item, now: Option<Time>) -> Result<Option<Versioned<T>>> {
    if text(&item, "type") != Some(T::TYPE) || now.is_some_and(|now| is_expired(&item, now)) {
        return Ok(None);
    }
    let version = number(&item, "version").unwrap_or(0).unsigned_abs();
    let value = serde_dynamo::from_item(item).map_err(|e| Error::mapping(T::TYPE, e))?;
    Ok(Some(Versioned { value, version }))
}

pub(crate) fn is_expired(item: &Item, now: Time) -> bool {
    number(item, "expires_at").is_some_and(|at| at <= now.secs())
}

pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
}

pub(crate) fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name).and_then(|v| v.as_n().ok()).and_then(|n| n.parse().ok())
}

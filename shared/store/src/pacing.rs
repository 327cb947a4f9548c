//! How fast and how wide endpoints may be called: counters that all workers share.
//!
//! Both kinds of counter live for one stretch of time only and are left to the TTL, so nothing that a crashed worker left
//! behind lasts.

use axle_domain::{EntityId, Time, WebhookId};

use crate::error::Result;
use crate::item::number;
use crate::key::Key;
use crate::table::{Table, Update};

/// Seconds after which the places of a gate are counted anew. What a crashed worker held is free again by then; in the worst
/// case, right after the turn, twice the width is inside.
const GATE_PERIOD: i64 = 60;
/// How long counters stay after their time, in seconds.
const KEEP: i64 = 3_600;

/// Something that only so many attempts may be in at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// One endpoint.
    Endpoint(EntityId, WebhookId),
    /// All endpoints, of all tenants, that have stopped answering.
    Unresponsive,
}

/// A place behind a gate; to be given back with [`Table::leave`].
#[derive(Debug)]
#[must_use]
pub struct Place(Key);

impl Gate {
    fn key(self, now: Time) -> Key {
        let period = now.secs().div_euclid(GATE_PERIOD);
        match self {
            Self::Endpoint(entity, webhook) => Key::member(entity, &format!("GATE#{webhook}"), period),
            Self::Unresponsive => Key::directory("GATE", period),
        }
    }
}

impl Table {
    /// Counts an attempt that is about to be made and answers which of its second it is, from 1. One write unit.
    pub async fn count_attempt(&self, entity: EntityId, webhook: WebhookId, now: Time) -> Result<u64> {
        let key = Key::member(entity, &format!("PACE#{webhook}"), now.secs());
        let update = Update::new("ADD n :one SET expires_at = :expires").number(":one", 1).number(":expires", now.secs() + KEEP);
        let item = self.update(&key, update).await?;
        Ok(item.and_then(|item| number(&item, "n")).map_or(1, i64::unsigned_abs))
    }

    /// Takes a place behind a gate of this width; `None` when all are taken. One write unit either way.
    pub async fn enter(&self, gate: Gate, width: u64, now: Time) -> Result<Option<Place>> {
        let key = gate.key(now);
        let update = Update::new("ADD n :one SET expires_at = :expires")
            .when("attribute_not_exists(n) OR n < :width")
            .number(":one", 1)
            .number(":width", width)
            .number(":expires", now.secs() + KEEP);
        Ok(self.update(&key, update).await?.map(|_| Place(key)))
    }

    /// Gives a place back. One write unit.
    pub async fn leave(&self, place: Place) -> Result<()> {
        let update = Update::new("ADD n :less").when("attribute_exists(n)").number(":less", -1);
        self.update(&place.0, update).await.map(drop)
    }
}

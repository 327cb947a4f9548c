//! Places of an identity's days: counters that are changed conditionally, so that a day never takes one message more than it may.

use axle_domain::{EntityId, SendingIdentityId, Time};

use crate::error::Result;
use crate::item::{number, text};
use crate::key::Key;
use crate::table::{Table, Update};

/// Days that a day's counter outlives the day.
const KEEP_DAYS: i64 = 3;

fn collection(identity: SendingIdentityId) -> String {
    format!("QUOTA#{identity}")
}

impl Table {
    /// Takes a place of `day`, unless `limit` are taken. One write unit either way. `starts` is when the day begins.
    pub async fn take_send_place(
        &self,
        entity: EntityId,
        identity: SendingIdentityId,
        day: &str,
        limit: u64,
        starts: Time,
    ) -> Result<bool> {
        if limit == 0 {
            return Ok(false);
        }
        let key = Key::member(entity, &collection(identity), day);
        let update = Update::new("ADD n :one SET expires_at = :expires")
            .when("attribute_not_exists(n) OR n < :limit")
            .number(":one", 1)
            .number(":limit", limit)
            .number(":expires", starts.plus_days(KEEP_DAYS).secs());
        Ok(self.update(&key, update).await?.is_some())
    }

    /// Gives a place back. One write unit.
    pub async fn return_send_place(&self, entity: EntityId, identity: SendingIdentityId, day: &str) -> Result<()> {
        let key = Key::member(entity, &collection(identity), day);
        let update = Update::new("ADD n :less").when("n > :none").number(":less", -1).number(":none", 0);
        self.update(&key, update).await.map(drop)
    }

    /// Places taken on a day.
    pub async fn send_places_taken(&self, entity: EntityId, identity: SendingIdentityId, day: &str) -> Result<u64> {
        let item = self.get_raw(&Key::member(entity, &collection(identity), day)).await?;
        Ok(item.and_then(|item| number(&item, "n")).map_or(0, i64::unsigned_abs))
    }

    /// The first day that was not found full yet; what is queued goes on from there instead of trying every day again.
    pub async fn send_frontier(&self, entity: EntityId, identity: SendingIdentityId) -> Result<Option<String>> {
        let item = self.get_raw(&Key::member(entity, &collection(identity), "frontier")).await?;
        Ok(item.and_then(|item| text(&item, "day").map(str::to_owned)))
    }

    /// Moves the frontier forward to `day`.
    pub async fn advance_send_frontier(
        &self,
        entity: EntityId,
        identity: SendingIdentityId,
        day: &str,
        starts: Time,
    ) -> Result<()> {
        let update = Update::new("SET #day = :day, expires_at = :expires")
            .when("attribute_not_exists(#day) OR #day < :day")
            .name("#day", "day")
            .text(":day", day)
            .number(":expires", starts.plus_days(KEEP_DAYS).secs());
        self.update(&Key::member(entity, &collection(identity), "frontier"), update).await.map(drop)
    }

    /// Forgets the frontier: limits changed, or places on earlier days came free.
    pub async fn reset_send_frontier(&self, entity: EntityId, identity: SendingIdentityId) -> Result<()> {
        let key = Key::member(entity, &collection(identity), "frontier");
        let update = Update::new("REMOVE #day").when("attribute_exists(pk)").name("#day", "day");
        self.update(&key, update).await.map(drop)
    }
}

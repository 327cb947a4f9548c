//! Counting requests: one conditional update each, so that exactly the limit succeeds however many come at once.

use axle_domain::EntityId;
use axle_domain::rate::Window;

use crate::error::Result;
use crate::item::number;
use crate::key::Key;
use crate::table::{Table, Update};

/// How long a counter outlives its window, in seconds.
const KEEP: i64 = 3_600;

impl Table {
    /// Counts one request of `subject` (a key or user). Costs one write unit, also when the limit is reached.
    ///
    /// Returns how many the window has counted now, or `None` when it was full.
    pub async fn count_request(&self, entity: EntityId, subject: &str, window: &Window) -> Result<Option<u64>> {
        self.count_at(Key::member(entity, &format!("RATE#{subject}#{}", window.class.name()), window.starts), window).await
    }

    /// The same for a caller without a credential, who has no tenant; `source` is a keyed hash of the address.
    pub async fn count_public(&self, source: &str, window: &Window) -> Result<Option<u64>> {
        self.count_at(Key::directory("SOURCE", format!("{source}#{}", window.starts)), window).await
    }

    async fn count_at(&self, key: Key, window: &Window) -> Result<Option<u64>> {
        if window.limit == 0 {
            return Ok(None);
        }
        let update = Update::new("ADD n :one SET expires_at = :expires")
            .when("attribute_not_exists(n) OR n < :limit")
            .number(":one", 1)
            .number(":limit", window.limit)
            .number(":expires", window.ends + KEEP);
        let item = self.update(&key, update).await?;
        Ok(item.and_then(|item| number(&item, "n")).map(i64::unsigned_abs))
    }
}

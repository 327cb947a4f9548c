//! The records that the entries of an index stand for, as many as one answer can hold.

use axle_domain::Time;

use crate::error::{Error, Result};
use crate::item::{Item, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Listing, Page};
use crate::table::Table;

/// Bytes of records that a list may come to. A function answers with 6 MB at most, and its answer holds the list as a text of JSON, in which
/// every quotation mark takes up two bytes.
const LIST_BYTES: usize = 3_000_000;

/// What is left of the room that a list has.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Room {
    pub(crate) fn of_a_list() -> Self {
        Self(LIST_BYTES)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0 == 0
    }
}

impl Table {
    /// The records that a page of a listing's entries stands for, and the position to go on from. If they are more than there is room for,
    /// the last ones are left out, and the position is that of the last one that is not: so the next page begins with them.
    pub(crate) async fn load<T: Record>(
        &self,
        listing: &Listing,
        page: Page,
        key_of: impl Fn(&Item) -> Option<Key>,
        now: Time,
        room: &mut Room,
    ) -> Result<(Vec<Versioned<T>>, Option<String>)> {
        let keys: Vec<Key> = page.items.iter().filter_map(&key_of).collect();
        let mut records = self.get_many::<T>(&keys, now).await?;
        for index in 0..records.len() {
            let size = serde_json::to_vec(&records[index].value).map_err(|e| Error::mapping(T::TYPE, e))?.len();
            room.0 = room.0.saturating_sub(size);
            if !room.is_full() {
                continue;
            }
            // The one that fills the room is still in: a list of one is always possible.
            let last = records[index].value.key();
            let entry = page.items.iter().find(|entry| key_of(entry).as_ref() == Some(&last));
            let Some(position) = entry.and_then(|entry| text(entry, &listing.key_names().1)) else { continue };
            let more = page.next.is_some() || index + 1 < records.len();
            records.truncate(index + 1);
            return Ok((records, more.then(|| position.to_owned())));
        }
        Ok((records, page.next))
    }
}

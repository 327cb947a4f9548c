//! A made-up event of each type, for test deliveries and the reference.

use super::{Event, EventType, Subject};
use crate::{Actor, EntityId, Time};

/// A sample of `event_type` for a tenant; it is never stored.
pub fn sample(event_type: EventType, entity_id: EntityId, now: Time) -> Event {
    let subject = Subject::new(event_type.subject_kind(), "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77");
    Event::new(event_type, entity_id, now, Actor::system("webhook-test"), subject, event_type.data_sample()).whole()
}

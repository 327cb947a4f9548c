//! Webhooks: endpoints, and the way of an event to them.
//!
//! An event reaches [`dispatch`](Dispatcher::dispatch) over the bus and becomes one delivery for each endpoint that wants it;
//! each delivery's message reaches [`deliver`](Deliverer::deliver), which makes one attempt. What follows from the attempt is recorded
//! with it.

mod deliver;
mod deliveries;
mod dispatch;
mod endpoints;
mod message;
mod replay;
mod rotation;
mod sealed;
mod test_event;

pub use deliver::{Deliverer, Limits, Tried};
pub use deliveries::deliveries;
pub use dispatch::Dispatcher;
pub use endpoints::{MAX_ENDPOINTS, create, delete, get, list, patch};
pub use replay::{MAX_REPLAY, replay, replay_range};
pub use rotation::{rotate_secret, secret};
pub use test_event::{TestOutcome, test};

pub use axle_store::deliveries::{DeliverJob, DeliveryStatus};

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

pub use deliver::{Deliverer, Limits};
pub use deliveries::deliveries;
pub use dispatch::Dispatcher;
pub use endpoints::{MAX_ENDPOINTS, create, delete, get, list, patch};
pub use replay::{MAX_REPLAY, replay, replay_range};
pub use rotation::{rotate_secret, secret};
pub use test_event::{TestOutcome, test};

pub use axle_store::deliveries::DeliverJob;

use axle_domain::WebhookId;
use axle_domain::id::{entropy, v7_at};
use axle_store::identity::AuditRecord;
use serde_json::Value;

use crate::context::Ctx;

/// An entry of the audit log about an endpoint, to be put into the transaction that changes it.
fn audit(ctx: &Ctx, action: &str, id: WebhookId, detail: Value) -> AuditRecord {
    AuditRecord {
        entity_id: ctx.entity_id,
        id: v7_at(ctx.now, entropy()),
        at: ctx.now,
        actor: ctx.actor.clone(),
        action: action.to_owned(),
        subject_id: id.to_string(),
        detail,
    }
}

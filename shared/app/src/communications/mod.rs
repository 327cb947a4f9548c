//! Communications: messages to people, from queueing to what comes back of them.
//!
//! A message is queued by [`queue`], whoever wants it sent: the API, a campaign, an agent. The stream brings its job to the queue, and
//! [`send::Outbox`] hands it to the provider, once.

mod actions;
mod content;
pub(crate) mod cost;
mod engagement;
mod feedback;
mod identities;
mod inbound;
mod outbox;
mod queue;
mod recipient;
mod secrets;
pub mod send;
mod suppressions;

pub use actions::{cancel, get, list, retry};
pub use engagement::{Visit, check_unsubscribe, clicked, opened, unsubscribe};
pub use feedback::{FEEDBACK_ATTEMPTS, Noted, feedback};
pub use identities::{
    MAX_IDENTITIES, Verified, confirm_identity, create_identity, delete_identity, get_identity, identities, patch_identity,
    verify_identity,
};
pub(crate) use inbound::latest_to;
pub use inbound::{INBOUND_PREFIX, Inbound, InboundAnswer, InboundOutcome, post as post_inbound, receive as receive_mail};
pub use outbox::{OutboxHealth, OutboxStatus, Throughput, health, outbox};
pub use queue::{Prepared, prepare, queue};
pub(crate) use queue::{prepare_as, provider};
pub use secrets::{SignedHeaders, post_secret, renew_inbound_secret, renew_post_secret};
pub(crate) use suppressions::is_suppressed;
pub use suppressions::{list as suppressions, remove as unsuppress, suppress};

pub use axle_store::communications::OutboxJob;

use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{Actor, Time};
use axle_store::communications::CommunicationRecord;
use serde_json::Value;

use crate::outreach::leads::without_nulls;

/// An event about a message. Whoever wants to act on what comes of a campaign's messages (its `stop_on`, for one) listens to these: they
/// carry lead and campaign, and are written with the change that they tell of.
pub(crate) fn event(record: &CommunicationRecord, event_type: EventType, actor: Actor, now: Time, data: Value) -> Event {
    let subject = Subject::new("communication", record.id);
    let event = Event::new(event_type, record.entity_id, now, actor, subject, without_nulls(data));
    let event = event.campaign(record.campaign_id).trace(record.trace_id);
    let event = event.deal(record.deal_id);
    let event = match record.agent_id {
        Some(agent) => event.agent(agent),
        None => event,
    };
    match record.lead_id {
        Some(lead) => event.lead(lead),
        None => event,
    }
}

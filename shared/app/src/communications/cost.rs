//! What messages cost.

use axle_domain::Micros;
use axle_domain::cost::{CostCategory, CostUnit, message_price};
use axle_store::Tx;
use axle_store::communications::CommunicationRecord;
use axle_store::costs::CostPlace;

/// What a message cost; nothing before it is sent. It follows from the message, so it needs no record of its own.
pub(crate) fn price(record: &CommunicationRecord) -> Micros {
    record.sent_at.map_or(Micros::ZERO, |at| message_price(record.channel, record.provider.as_deref(), at))
}

/// Adds a message that has just become sent to what was sent and spent. It goes with the write that makes the message sent, which happens
/// once.
pub(super) fn count_sent(tx: &mut Tx<'_>, record: &CommunicationRecord) {
    let agent = record.agent_id.map(|id| id.to_string());
    let place = CostPlace {
        entity_id: record.entity_id,
        at: record.sent_at.unwrap_or(record.updated_at),
        subject: record.id.uuid().as_u128(),
        campaign_id: record.campaign_id,
        agent_id: agent.as_deref(),
    };
    tx.cost_unit(&place, CostUnit::Sent);
    tx.spent(&place, CostCategory::ChannelCosts, price(record));
}

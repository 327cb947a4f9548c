//! A lead's status follows what happens, in the transaction that says so.

use axle_domain::lead::LeadStatus;
use axle_domain::{EntityId, LeadId, Time};
use axle_store::Tx;
use axle_store::leads::Slot;

use crate::context::App;
use crate::error::Result;

/// Label of the write, for whoever reads why a transaction failed.
pub(crate) const LEAD: &str = "lead";

/// Moves a lead forwards if `next` is ahead of it (see [`LeadStatus::advanced`]). A lead that is gone is no fault. Costs a read, and two or
/// three write units if it moves; the caller tries again when the write labelled [`LEAD`] fails.
pub(crate) async fn advance(
    app: &App,
    tx: &mut Tx<'_>,
    entity: EntityId,
    lead: Option<LeadId>,
    next: LeadStatus,
    now: Time,
) -> Result<bool> {
    let Some(lead) = lead else { return Ok(false) };
    let Slot::Lead(found) = app.table().await.slot(entity, lead).await? else { return Ok(false) };
    let (mut lead, version) = (found.value, found.version);
    let Some(status) = lead.status.advanced(next) else { return Ok(false) };
    lead.status = status;
    lead.updated_at = Some(now);
    tx.replace(LEAD, &lead, version);
    Ok(true)
}

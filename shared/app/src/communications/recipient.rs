//! Whom a message goes to.

use axle_domain::communication::{CommunicationInput, MessageChannel, Recipient};
use axle_domain::{ContactId, DealId, Faults, LeadId};
use axle_store::leads::{LeadRecord, Slot};

use crate::context::{App, Ctx};
use crate::crm::contacts;
use crate::error::{Error, Result};

/// A recipient with an address for the message's channel.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) to: String,
    pub(super) name: Option<String>,
    pub(super) timezone: Option<String>,
    /// The deal of a lead that was promoted.
    pub(super) deal_id: Option<DealId>,
}

/// Finds the address, or notes why there is none.
pub(super) async fn resolve(app: &App, ctx: &Ctx, input: &CommunicationInput, faults: &mut Faults) -> Result<Option<Resolved>> {
    match input.recipient(app.config().network, faults) {
        Some(Recipient::Address(to)) => Ok(Some(Resolved { to, name: None, timezone: None, deal_id: None })),
        Some(Recipient::Lead(id)) => lead(app, ctx, id, input.channel, faults).await,
        Some(Recipient::Contact(id)) => contact(app, ctx, id, input.channel, faults).await,
        None => Ok(None),
    }
}

async fn lead(app: &App, ctx: &Ctx, id: LeadId, channel: MessageChannel, faults: &mut Faults) -> Result<Option<Resolved>> {
    let Slot::Lead(lead) = app.table().await.slot(ctx.entity_id, id).await? else {
        faults.add("/lead_id", "no lead has this id");
        return Ok(None);
    };
    let LeadRecord { profile, promotion, .. } = lead.value;
    let to = match channel {
        MessageChannel::Email => profile.email.map(String::from),
        MessageChannel::Sms => profile.phone.map(String::from),
        MessageChannel::Webhook => None,
    };
    let Some(to) = to else {
        faults.add("/lead_id", "the lead has no address for this channel");
        return Ok(None);
    };
    let names = [profile.first_name, profile.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let (name, deal_id) = (Some(names).filter(|name| !name.is_empty()), promotion.map(|promotion| promotion.deal_id));
    Ok(Some(Resolved { to, name, timezone: profile.timezone, deal_id }))
}

async fn contact(app: &App, ctx: &Ctx, id: ContactId, channel: MessageChannel, faults: &mut Faults) -> Result<Option<Resolved>> {
    let mut contact = contacts::get(app, ctx, id).await;
    // Who turned out to be another is written to as that one.
    if let Ok(Some(winner)) = contact.as_ref().map(|found| found.value.merged_into) {
        contact = contacts::get(app, ctx, winner).await;
    }
    let profile = match contact {
        Ok(found) => found.value.profile,
        Err(Error::NotFound(_)) => {
            faults.add("/contact_id", "no contact has this id");
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let to = match channel {
        MessageChannel::Email => profile.email.map(String::from),
        MessageChannel::Sms => profile.phone.map(String::from),
        MessageChannel::Webhook => None,
    };
    let Some(to) = to else {
        faults.add("/contact_id", "the contact has no address for this channel");
        return Ok(None);
    };
    let names = [profile.first_name, profile.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Some(Resolved { to, name: Some(names).filter(|name| !name.is_empty()), timezone: None, deal_id: None }))
}

//! Leads one by one.

use axle_domain::event::{Event, EventType, Subject};
use axle_domain::lead::{IdentityKey, LeadInput, LeadProfile, LeadStatus, lead_id};
use axle_domain::{CampaignId, Faults, LeadId};
use axle_store::enrichment::EnrichmentRecord;
use axle_store::leads::{LeadQuery, LeadRecord, MembershipRecord, Slot, SlotRecord};
use axle_store::{CommitError, Table, Tx, Versioned};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged, input};

/// Leads that can have had one identity one after another before a new one must choose another.
pub(crate) const GENERATIONS: u32 = 16;
/// Places in campaigns that one transaction removes; the lead itself and what belongs to it fit in beside them.
const PLACES_AT_ONCE: usize = 80;
/// Attempts against others who take or give up the same identity at the same moment.
const RACES: usize = 8;

/// Refuses a write that was based on another version.
pub(crate) fn require_version(version: u64, if_match: Option<u64>) -> Result<()> {
    match if_match {
        Some(wanted) if wanted != version => Err(Error::PreconditionFailed(format!("\"{version}\""))),
        _ => Ok(()),
    }
}

pub(crate) fn changed_meanwhile(if_match: Option<u64>) -> Error {
    match if_match {
        Some(_) => Error::PreconditionFailed("newer".to_owned()),
        None => Error::Conflict("it was changed at the same moment; try again".to_owned()),
    }
}

/// Where an identity can be put, or who has it.
pub(crate) enum Place {
    Free(LeadId),
    Held(LeadId),
}

/// Looks for the holder of an identity, or the slot that a new holder would take. Reads one slot unless identities changed hands.
pub(crate) async fn find_place(table: &Table, ctx: &Ctx, identity: &IdentityKey) -> Result<Place> {
    for generation in 0..GENERATIONS {
        let id = lead_id(ctx.entity_id, identity, generation);
        let slot = table.slot(ctx.entity_id, id).await?;
        if let Some(holder) = slot.holder(identity) {
            return Ok(Place::Held(holder));
        }
        if matches!(slot, Slot::Free) {
            return Ok(Place::Free(id));
        }
    }
    Err(Error::Conflict("this address has been given up by too many leads".to_owned()))
}

/// A new lead.
pub(crate) fn new_record(ctx: &Ctx, id: LeadId, identity: Option<&IdentityKey>, profile: LeadProfile) -> LeadRecord {
    LeadRecord {
        entity_id: ctx.entity_id,
        id,
        identity: identity.map(|i| i.as_str().to_owned()),
        moved: false,
        q: profile.search_text(),
        profile,
        status: LeadStatus::New,
        tier: None,
        score: None,
        promotion: None,
        created_at: ctx.now,
        updated_at: None,
        made_by: None,
        changed_by: None,
    }
}

fn parse(input: LeadInput) -> Result<(LeadProfile, IdentityKey)> {
    let mut faults = Faults::new();
    let profile = input.parse(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let identity = IdentityKey::of(&profile).ok_or_else(|| Error::Internal("a lead without identity".to_owned()))?;
    Ok((profile, identity))
}

fn taken(id: LeadId) -> Error {
    Error::Conflict(format!("the lead {id} has this address already"))
}

/// Creates a lead.
///
/// # Errors
/// [`Error::Conflict`] naming the lead that has the e-mail address (or, without one, the LinkedIn profile or phone).
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: LeadInput,
    answer: impl FnOnce(&Versioned<LeadRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let (profile, identity) = parse(input)?;
    let table = app.table().await;
    let id = match find_place(table, ctx, &identity).await? {
        Place::Free(id) => id,
        Place::Held(id) => return Err(taken(id)),
    };
    let lead = Versioned { value: new_record(ctx, id, Some(&identity), profile), version: 1 };
    let answer = answer(&lead)?;
    let data = json!({"email": lead.value.profile.email, "status": "new", "source": lead.value.profile.source});
    let event = Event::new(
        EventType::LeadCreated,
        ctx.entity_id,
        ctx.now,
        ctx.actor.clone(),
        Subject::new("lead", id),
        without_nulls(data),
    );
    let mut tx = table.tx();
    tx.create("lead", &lead.value);
    tx.emit(&event.lead(id).trace(ctx.trace_id), app.config().event_retention_days);
    ctx.keep(&mut tx, &answer);
    match tx.commit().await {
        Ok(()) => Ok(answer),
        Err(CommitError::Condition { label: "lead", .. }) => Err(taken(id)),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn without_nulls(mut data: Value) -> Value {
    if let Value::Object(map) = &mut data {
        map.retain(|_, v| !v.is_null());
    }
    data
}

pub async fn get(app: &App, ctx: &Ctx, id: LeadId) -> Result<Versioned<LeadRecord>> {
    match app.table().await.slot(ctx.entity_id, id).await? {
        Slot::Lead(lead) => Ok(*lead),
        _ => Err(Error::NotFound("lead")),
    }
}

/// A page of leads, newest first.
pub async fn list(app: &App, ctx: &Ctx, query: LeadQuery, page: PageRequest) -> Result<Paged<Versioned<LeadRecord>>> {
    let name = format!("leads?{query:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.leads(ctx.entity_id, &query, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

/// Changes a lead by a merge patch (RFC 7396). The id stays, also when the address changes.
///
/// # Errors
/// [`Error::Conflict`] if another lead has the new address.
pub async fn patch(app: &App, ctx: &Ctx, id: LeadId, change: &Value, if_match: Option<u64>) -> Result<Versioned<LeadRecord>> {
    for _ in 0..RACES {
        let Versioned { value: mut lead, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let (profile, identity) = parse(input::patched(&lead.profile.to_input(), change)?)?;
        lead.q = profile.search_text();
        lead.profile = profile;
        lead.updated_at = Some(ctx.now);
        let table = app.table().await;
        let mut tx = table.tx();
        if lead.identity.as_deref().is_some_and(|old| old != identity.as_str()) {
            lead.moved = true;
            let old = lead.identity.replace(identity.as_str().to_owned());
            move_identity(table, ctx, &mut tx, id, old, &identity).await?;
        }
        tx.replace("lead", &lead, version);
        match tx.commit().await {
            Ok(()) => return Ok(Versioned { value: lead, version: version + 1 }),
            Err(CommitError::Condition { label: "lead", .. }) if if_match.is_some() => return Err(changed_meanwhile(if_match)),
            // Someone else wrote the lead or took the slot: look again.
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Takes the new identity's slot and gives up the old one, in the lead's own transaction.
async fn move_identity(
    table: &Table,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    id: LeadId,
    old: Option<String>,
    new: &IdentityKey,
) -> Result<()> {
    let free = match find_place(table, ctx, new).await? {
        Place::Held(holder) if holder != id => return Err(taken(holder)),
        Place::Held(_) => return Ok(()),
        Place::Free(slot) => slot,
    };
    tx.create("slot", &SlotRecord { entity_id: ctx.entity_id, id: free, identity: new.as_str().to_owned(), target: Some(id) });
    if let Some(old) = old {
        give_up_alias(table, ctx, tx, id, &IdentityKey::from(old)).await?;
    }
    Ok(())
}

/// If an alias holds `identity` for the lead, it becomes a tombstone: slots behind it may be in use, so it is not freed.
async fn give_up_alias(table: &Table, ctx: &Ctx, tx: &mut Tx<'_>, id: LeadId, identity: &IdentityKey) -> Result<()> {
    for generation in 0..GENERATIONS {
        let slot_id = lead_id(ctx.entity_id, identity, generation);
        match table.slot(ctx.entity_id, slot_id).await? {
            Slot::Free => return Ok(()),
            Slot::Alias(alias) if alias.value.target == Some(id) => {
                // Nobody reads whose it was.
                tx.replace("slot", &SlotRecord { target: None, identity: String::new(), ..alias.value }, alias.version);
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Deletes a lead with its places in campaigns and what was learned of it. Its address is free again.
///
/// Places beyond what one transaction holds go before it: whoever is stopped in between finds the lead, and deletes it again.
pub async fn delete(app: &App, ctx: &Ctx, id: LeadId, if_match: Option<u64>) -> Result<()> {
    let table = app.table().await;
    for _ in 0..RACES {
        let Versioned { value: lead, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let place_of = |place: &Versioned<MembershipRecord>| MembershipRecord::key_of(ctx.entity_id, id, place.value.campaign_id);
        let mut places = table.memberships(ctx.entity_id, id).await?;
        while places.len() > PLACES_AT_ONCE {
            let mut tx = table.tx();
            places.drain(..PLACES_AT_ONCE).for_each(|place| tx.remove("membership", place_of(&place)));
            tx.commit().await?;
        }
        let mut tx = table.tx();
        let identity = lead.identity.map(IdentityKey::from);
        if lead.moved {
            // Others may have taken the given-up identity in the generations behind this place, so the place stays marked.
            tx.replace("lead", &SlotRecord { entity_id: ctx.entity_id, id, identity: String::new(), target: None }, version);
            if let Some(identity) = &identity {
                give_up_alias(table, ctx, &mut tx, id, identity).await?;
            }
        } else {
            tx.delete("lead", LeadRecord::key_of(ctx.entity_id, id), version);
        }
        tx.remove("enrichment", EnrichmentRecord::key_of(ctx.entity_id, id));
        places.iter().for_each(|place| tx.remove("membership", place_of(place)));
        match tx.commit().await {
            Ok(()) => return Ok(()),
            Err(CommitError::Condition { .. }) if if_match.is_some() => return Err(changed_meanwhile(if_match)),
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Requires that a campaign named in a body exists.
pub(crate) async fn require_campaign(app: &App, ctx: &Ctx, pointer: &str, id: Option<CampaignId>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    match super::campaigns::get(app, ctx, id).await {
        Err(Error::NotFound(_)) => Err(Error::invalid(pointer, "no campaign has this id")),
        other => other.map(drop),
    }
}

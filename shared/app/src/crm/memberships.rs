//! Contacts' places in companies.
//!
//! Every change writes the contact as well, at the version that was read: so changes of one contact's places follow one another,
//! and there is never more than one primary place. A place in a company that was merged counts as one in its winner.

use std::collections::BTreeMap;

use axle_domain::crm::{MembershipInput, MembershipPatch, PageNumber, Place};
use axle_domain::{CompanyId, CompanyMembershipId, ContactId, Faults};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::{ContactQuery, ContactRecord};
use axle_store::crm::memberships::CompanyMembershipRecord;
use axle_store::{CommitError, Record, Tx, Versioned};
use serde_json::Value;

use super::shared::{Numbered, RACES, find_company, patched};
use super::{companies, contacts};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};

/// Companies that a contact can be in: all places are read for each change.
pub const MAX_PLACES: usize = 50;

/// A place as it counts today.
#[derive(Clone, Debug)]
pub struct Membership {
    pub record: CompanyMembershipRecord,
    pub version: u64,
    /// The company, or the one that it was merged into.
    pub company_id: CompanyId,
    pub is_primary: bool,
}

/// A contact's places, in the order in which they were made.
pub async fn list(app: &App, ctx: &Ctx, contact: ContactId) -> Result<Vec<Membership>> {
    let contact = contacts::get(app, ctx, contact).await?.value;
    let contact = match contact.merged_into {
        Some(winner) => contacts::get(app, ctx, winner).await?.value,
        None => contact,
    };
    let mut places = distinct(all(app, ctx, &contact).await?);
    places.sort_by_key(|place| place.record.created_at);
    Ok(places)
}

/// Every record, also several in companies that are one by now.
async fn all(app: &App, ctx: &Ctx, contact: &ContactRecord) -> Result<Vec<Membership>> {
    let table = app.table().await;
    let records = table.company_memberships(ctx.entity_id, contact.id).await?;
    let companies = records.iter().map(|place| place.value.company_id).chain(contact.company_id);
    let current = table.current_companies(ctx.entity_id, companies, ctx.now).await?;
    let now = |id: CompanyId| current.get(&id).copied().unwrap_or(id);
    let primary = contact.company_id.map(now);
    let view = |place: Versioned<CompanyMembershipRecord>| {
        let company_id = now(place.value.company_id);
        Membership { record: place.value, version: place.version, company_id, is_primary: primary == Some(company_id) }
    };
    Ok(records.into_iter().map(view).collect())
}

/// One place a company; the one that was made for the company itself goes before those that came by a merge.
fn distinct(places: Vec<Membership>) -> Vec<Membership> {
    let mut kept: BTreeMap<CompanyId, Membership> = BTreeMap::new();
    for place in places {
        let own = place.record.company_id == place.company_id;
        if own || !kept.contains_key(&place.company_id) {
            kept.insert(place.company_id, place);
        }
    }
    kept.into_values().collect()
}

/// Puts a contact into a company.
///
/// # Errors
/// [`Error::Conflict`] if they are in it, or in [`MAX_PLACES`]; [`Error::Invalid`] with every fault.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    contact: ContactId,
    input: MembershipInput,
    answer: impl Fn(&Membership) -> Result<Answer>,
) -> Result<Answer> {
    let (company_id, settings) = input.split();
    let wants_primary = settings.is_primary;
    let mut faults = Faults::new();
    let company_id = find_company(app, ctx, "/companyId", company_id, &mut faults).await?;
    let place = settings.parse(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let Some(company_id) = company_id else { return Err(Error::invalid("/companyId", "no company has this id")) };
    for _ in 0..RACES {
        let Versioned { value: mut holder, version } = contacts::get_current(app, ctx, contact).await?;
        let there = all(app, ctx, &holder).await?;
        refuse_another(&there, company_id)?;
        let is_primary = wants_primary.unwrap_or(holder.company_id.is_none());
        if is_primary {
            holder.company_id = Some(company_id);
        }
        holder.updated_at = ctx.now;
        let record = with_place(contacts::place(ctx, contact, company_id), &place);
        let made = Membership { record, version: 1, company_id, is_primary };
        let answer = answer(&made)?;
        let mut tx = app.table().await.tx();
        tx.replace("contact", &holder, version);
        tx.create("membership", &made.record);
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { label: "contact" | "membership", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

/// Puts a contact into a company, unless they are in it or in as many as they can be. A failed condition labelled `contact` or
/// `membership` means that somebody else changed their places meanwhile: look again.
pub(super) async fn join(
    app: &App,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    contact: Versioned<ContactRecord>,
    company: CompanyId,
) -> Result<()> {
    let Versioned { value: mut holder, version } = contact;
    if refuse_another(&all(app, ctx, &holder).await?, company).is_err() {
        return Ok(());
    }
    holder.company_id.get_or_insert(company);
    holder.updated_at = ctx.now;
    tx.replace("contact", &holder, version);
    tx.create("membership", &contacts::place(ctx, holder.id, company));
    Ok(())
}

fn refuse_another(there: &[Membership], company: CompanyId) -> Result<()> {
    if let Some(place) = there.iter().find(|place| place.company_id == company) {
        let id = place.record.membership_id();
        return Err(Error::Conflict(format!("the contact is in this company already, by the membership {id}")));
    }
    if there.len() >= MAX_PLACES {
        return Err(Error::Conflict(format!("a contact can be in {MAX_PLACES} companies at most")));
    }
    Ok(())
}

fn with_place(record: CompanyMembershipRecord, place: &Place) -> CompanyMembershipRecord {
    let Place { role, title, started_at, ended_at } = place.clone();
    CompanyMembershipRecord { role, title, started_at, ended_at, ..record }
}

async fn find(app: &App, ctx: &Ctx, contact: &ContactRecord, id: CompanyMembershipId) -> Result<Membership> {
    let places = all(app, ctx, contact).await?;
    places.into_iter().find(|place| place.record.membership_id() == id).ok_or(Error::NotFound("membership"))
}

/// Changes a place by a merge patch (RFC 7396).
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    contact: ContactId,
    id: CompanyMembershipId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Membership> {
    for _ in 0..RACES {
        let Versioned { value: mut holder, version } = contacts::get_current(app, ctx, contact).await?;
        let mut place = find(app, ctx, &holder, id).await?;
        require_version(place.version, if_match)?;
        let settings = patched(&settings_of(&place), change, &[])?;
        let is_primary = settings.is_primary == Some(true);
        let mut faults = Faults::new();
        let parsed = settings.parse(&mut faults);
        faults.check().map_err(Error::Invalid)?;
        if is_primary != place.is_primary {
            holder.company_id = is_primary.then_some(place.company_id);
        }
        holder.updated_at = ctx.now;
        place.record = CompanyMembershipRecord { updated_at: ctx.now, ..with_place(place.record, &parsed) };
        let mut tx = app.table().await.tx();
        tx.replace("contact", &holder, version);
        tx.replace("membership", &place.record, place.version);
        match tx.commit().await {
            Ok(()) => return Ok(Membership { version: place.version + 1, is_primary, ..place }),
            Err(CommitError::Condition { label: "membership", .. }) if if_match.is_some() => break,
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

fn settings_of(place: &Membership) -> MembershipPatch {
    let CompanyMembershipRecord { role, title, started_at, ended_at, .. } = place.record.clone();
    MembershipPatch {
        role,
        title,
        is_primary: Some(place.is_primary),
        started_at: started_at.map(|t| t.to_string()),
        ended_at: ended_at.map(|t| t.to_string()),
    }
}

/// Takes a contact out of a company. If that was the primary place, the contact has none.
pub async fn delete(app: &App, ctx: &Ctx, contact: ContactId, id: CompanyMembershipId, if_match: Option<u64>) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { value: mut holder, version } = contacts::get_current(app, ctx, contact).await?;
        let place = find(app, ctx, &holder, id).await?;
        require_version(place.version, if_match)?;
        if place.is_primary {
            holder.company_id = None;
        }
        holder.updated_at = ctx.now;
        let mut tx = app.table().await.tx();
        tx.replace("contact", &holder, version);
        // Those in companies that became this one go too, or the contact would still be in it.
        for same in all(app, ctx, &holder).await?.iter().filter(|other| other.company_id == place.company_id) {
            tx.delete("membership", same.record.key(), same.version);
        }
        match tx.commit().await {
            Ok(()) => return Ok(()),
            Err(CommitError::Condition { label: "membership", .. }) if if_match.is_some() => break,
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

/// A contact with their place in the company that was asked for.
pub type Member = (Versioned<ContactRecord>, Membership);

/// One page of a company's contacts, the latest members first.
pub async fn contacts_of(
    app: &App,
    ctx: &Ctx,
    company: CompanyId,
    query: &ContactQuery,
    page: PageNumber,
) -> Result<Numbered<Member>> {
    let company = companies::current(app, ctx, company).await?;
    let (table, ids) = (app.table().await, company.ids());
    let members = table.contact_ids_of(ctx.entity_id, &ids).await?;
    let found = if query.is_empty() {
        let Numbered { items, total, .. } = Numbered::cut(members, page);
        Numbered { items: table.contacts_by_id(ctx.entity_id, &items, ctx.now).await?, page, total }
    } else {
        let mut all = table.contacts_by_id(ctx.entity_id, &members, ctx.now).await?;
        all.retain(|contact| query.matches(&contact.value));
        Numbered::cut(all, page)
    };
    let on_page: Vec<ContactId> = found.items.iter().map(|contact| contact.value.id).collect();
    let places = table.places_in(ctx.entity_id, &on_page, &ids, ctx.now).await?;
    let items = found.items.into_iter().filter_map(|contact| with_place_in(contact, &places, &company)).collect();
    Ok(Numbered { items, page, total: found.total })
}

/// One page of the contacts of a company that a filter names: of an unknown one, none.
pub async fn list_by_company(
    app: &App,
    ctx: &Ctx,
    company: CompanyId,
    query: &ContactQuery,
    page: PageNumber,
) -> Result<Numbered<Versioned<ContactRecord>>> {
    match contacts_of(app, ctx, company, query, page).await {
        Ok(found) => {
            let items = found.items.into_iter().map(|(contact, _)| contact).collect();
            Ok(Numbered { items, page, total: found.total })
        }
        Err(Error::NotFound(_)) => Ok(Numbered::cut(Vec::new(), page)),
        Err(e) => Err(e),
    }
}

fn with_place_in(
    contact: Versioned<ContactRecord>,
    places: &[Versioned<CompanyMembershipRecord>],
    company: &CompanyRecord,
) -> Option<Member> {
    // Places come in the order of the company's ids, its own first.
    let place = places.iter().find(|place| place.value.contact_id == contact.value.id)?.clone();
    let is_primary = contact.value.company_id.is_some_and(|id| company.ids().contains(&id));
    let membership = Membership { record: place.value, version: place.version, company_id: company.id, is_primary };
    Some((contact, membership))
}

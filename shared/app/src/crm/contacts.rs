//! Contacts one by one.

use axle_domain::address::Email;
use axle_domain::crm::{ContactInput, CustomObject, CustomRules, NewContact, PageNumber};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{CompanyId, ContactId, Faults};
use axle_store::crm::contacts::{ContactQuery, ContactRecord};
use axle_store::crm::memberships::CompanyMembershipRecord;
use axle_store::{CommitError, Table, Tx, Versioned};
use serde_json::{Value, json};

use super::custom_fields;
use super::shared::{Numbered, RACES, find_company, patched};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version, without_nulls};

/// Creates a contact, and their place in the company that the input names.
///
/// # Errors
/// [`Error::Invalid`] with every fault.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: NewContact,
    answer: impl FnOnce(&Versioned<ContactRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let (input, company) = input.split();
    let mut faults = Faults::new();
    let company = match company {
        Some(id) => find_company(app, ctx, "/companyId", id, &mut faults).await?,
        None => None,
    };
    let rules = custom_fields::rules(app, ctx, CustomObject::Contact).await?;
    let contact = Versioned { value: new_contact(ctx, &rules, input, company, faults)?, version: 1 };
    let answer = answer(&contact)?;
    let table = app.table().await;
    for _ in 0..RACES {
        let mut tx = table.tx();
        add_contact(app, ctx, table, &mut tx, &contact.value).await?;
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            // Another contact has just taken the address's place: this one needs none.
            Err(CommitError::Condition { label: "email", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

/// A contact who is not written yet. `company` is their primary one.
pub(crate) fn new_contact(
    ctx: &Ctx,
    rules: &CustomRules,
    input: ContactInput,
    company: Option<CompanyId>,
    mut faults: Faults,
) -> Result<ContactRecord> {
    let (profile, owner) = input.parse(&mut faults);
    rules.check(&profile.custom, true, &mut faults);
    faults.check().map_err(Error::Invalid)?;
    Ok(ContactRecord {
        entity_id: ctx.entity_id,
        id: ContactId::new_at(ctx.now),
        q: profile.search_text(),
        profile,
        owner,
        company_id: company,
        merged_into: None,
        absorbed: Vec::new(),
        created_at: ctx.now,
        updated_at: ctx.now,
    })
}

/// Puts a new contact, their place in their company, their count and their event into a transaction. A failed condition labelled
/// `email` means that somebody else took the address meanwhile: look again.
pub(crate) async fn add_contact(app: &App, ctx: &Ctx, table: &Table, tx: &mut Tx<'_>, contact: &ContactRecord) -> Result<()> {
    tx.create_contact(contact);
    if let Some(email) = &contact.profile.email {
        point(ctx, table, tx, contact, email).await?;
    }
    if let Some(company_id) = contact.company_id {
        tx.create("membership", &place(ctx, contact.id, company_id));
    }
    let subject = Subject::new("contact", contact.id);
    let data = without_nulls(json!({"company_id": contact.company_id}));
    let event = Event::new(EventType::ContactCreated, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data);
    tx.emit(&event.trace(ctx.trace_id), app.config().event_retention_days);
    Ok(())
}

/// A place of which nothing more is known.
pub(super) fn place(ctx: &Ctx, contact_id: ContactId, company_id: CompanyId) -> CompanyMembershipRecord {
    CompanyMembershipRecord {
        entity_id: ctx.entity_id,
        contact_id,
        company_id,
        role: None,
        title: None,
        started_at: None,
        ended_at: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    }
}

/// Lets an address lead to a contact, unless it leads to another already.
async fn point(ctx: &Ctx, table: &Table, tx: &mut Tx<'_>, contact: &ContactRecord, email: &Email) -> Result<()> {
    if table.contact_of_email(ctx.entity_id, email, ctx.now).await?.is_none() {
        tx.point_email(contact, email);
    }
    Ok(())
}

/// A contact, also one who was merged into another.
pub async fn get(app: &App, ctx: &Ctx, id: ContactId) -> Result<Versioned<ContactRecord>> {
    let found = app.table().await.get::<ContactRecord>(&ContactRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("contact"))
}

/// A contact for a change.
///
/// # Errors
/// [`Error::Conflict`] if they were merged into another.
pub(super) async fn get_current(app: &App, ctx: &Ctx, id: ContactId) -> Result<Versioned<ContactRecord>> {
    let contact = get(app, ctx, id).await?;
    match contact.value.merged_into {
        Some(winner) => Err(Error::Conflict(format!("the contact was merged into {winner}; change that one"))),
        None => Ok(contact),
    }
}

/// One page of contacts, newest first.
pub async fn list(app: &App, ctx: &Ctx, query: &ContactQuery, page: PageNumber) -> Result<Numbered<Versioned<ContactRecord>>> {
    let (items, total) = app.table().await.contacts(ctx.entity_id, query, page, ctx.now).await?;
    Ok(Numbered { items, page, total })
}

/// Changes a contact by a merge patch (RFC 7396).
///
/// # Errors
/// [`Error::Conflict`] if they were merged into another.
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: ContactId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<ContactRecord>> {
    let table = app.table().await;
    for _ in 0..RACES {
        let Versioned { value: old, version } = get_current(app, ctx, id).await?;
        require_version(version, if_match)?;
        let new = changed(app, ctx, &old, change).await?;
        let mut tx = table.tx();
        tx.replace("contact", &new, version);
        move_email(ctx, table, &mut tx, &old, &new).await?;
        match tx.commit().await {
            Ok(()) => return Ok(Versioned { value: new, version: version + 1 }),
            Err(CommitError::Condition { label: "contact", .. }) if if_match.is_some() => break,
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

async fn changed(app: &App, ctx: &Ctx, old: &ContactRecord, change: &Value) -> Result<ContactRecord> {
    let mut faults = Faults::new();
    let (profile, owner) = patched(&old.profile.to_input(old.owner), change, &[])?.parse(&mut faults);
    if change.get("custom").is_some() {
        custom_fields::rules(app, ctx, CustomObject::Contact).await?.check(&profile.custom, true, &mut faults);
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(ContactRecord { q: profile.search_text(), profile, owner, updated_at: ctx.now, ..old.clone() })
}

async fn move_email(ctx: &Ctx, table: &Table, tx: &mut Tx<'_>, old: &ContactRecord, new: &ContactRecord) -> Result<()> {
    if old.profile.email == new.profile.email {
        return Ok(());
    }
    if let Some(email) = &old.profile.email
        && table.contact_of_email(ctx.entity_id, email, ctx.now).await? == Some(old.id)
    {
        tx.unpoint_email(ctx.entity_id, email);
    }
    if let Some(email) = &new.profile.email {
        point(ctx, table, tx, new, email).await?;
    }
    Ok(())
}

//! Companies one by one.

use axle_domain::crm::{CompanyInput, CompanySort, CustomObject, CustomRules, PageNumber};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{CompanyId, Faults};
use axle_store::crm::companies::{CompanyDomainRecord, CompanyQuery, CompanyRecord};
use axle_store::{CommitError, Tx, Versioned};
use serde_json::{Value, json};

use super::custom_fields;
use super::shared::{Numbered, RACES, patched};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version, without_nulls};

/// Creates a company.
///
/// # Errors
/// [`Error::Conflict`] naming the company that has the domain.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: CompanyInput,
    answer: impl FnOnce(&Versioned<CompanyRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let rules = custom_fields::rules(app, ctx, CustomObject::Company).await?;
    let company = Versioned { value: new_company(ctx, &rules, input)?, version: 1 };
    let answer = answer(&company)?;
    let mut tx = app.table().await.tx();
    add_company(app, ctx, &mut tx, &company.value);
    ctx.keep(&mut tx, &answer);
    match tx.commit().await {
        Ok(()) => Ok(answer),
        Err(e) => Err(refused(e)),
    }
}

/// A company that is not written yet.
pub(crate) fn new_company(ctx: &Ctx, rules: &CustomRules, input: CompanyInput) -> Result<CompanyRecord> {
    let mut faults = Faults::new();
    let (profile, status, owner) = input.parse(&mut faults);
    rules.check(&profile.custom, true, &mut faults);
    faults.check().map_err(Error::Invalid)?;
    Ok(CompanyRecord {
        entity_id: ctx.entity_id,
        id: CompanyId::new_at(ctx.now),
        q: profile.search_text(),
        profile,
        status,
        owner,
        merged_into: None,
        hold: None,
        absorbed: Vec::new(),
        created_at: ctx.now,
        updated_at: ctx.now,
    })
}

/// Puts a new company, its count and its event into a transaction.
pub(crate) fn add_company(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, company: &CompanyRecord) {
    tx.create_company(company);
    let data = without_nulls(json!({"name": company.profile.name, "domain": company.profile.domain}));
    let subject = Subject::new("company", company.id);
    let event = Event::new(EventType::CompanyCreated, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data);
    tx.emit(&event.trace(ctx.trace_id), app.config().event_retention_days);
}

/// Why a company could not be written.
pub(crate) fn refused(e: CommitError) -> Error {
    match e {
        CommitError::Condition { label: "domain", existing } => match CompanyDomainRecord::holder(existing.as_ref()) {
            Some(id) => Error::Conflict(format!("the company {id} has this domain already")),
            None => Error::Conflict("another company has this domain already".to_owned()),
        },
        e => e.into(),
    }
}

/// A company, also one that was merged into another.
pub async fn get(app: &App, ctx: &Ctx, id: CompanyId) -> Result<Versioned<CompanyRecord>> {
    let found = app.table().await.get::<CompanyRecord>(&CompanyRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("company"))
}

/// A company, or the one that it was merged into.
pub async fn current(app: &App, ctx: &Ctx, id: CompanyId) -> Result<CompanyRecord> {
    let company = get(app, ctx, id).await?.value;
    match company.merged_into {
        Some(winner) => Ok(get(app, ctx, winner).await?.value),
        None => Ok(company),
    }
}

/// One page of companies.
pub async fn list(
    app: &App,
    ctx: &Ctx,
    query: &CompanyQuery,
    sort: CompanySort,
    page: PageNumber,
) -> Result<Numbered<Versioned<CompanyRecord>>> {
    let (items, total) = app.table().await.companies(ctx.entity_id, query, sort, page, ctx.now).await?;
    Ok(Numbered { items, page, total })
}

/// Changes a company by a merge patch (RFC 7396).
///
/// # Errors
/// [`Error::Conflict`] if another company has the new domain, or if it was merged into another.
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: CompanyId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<CompanyRecord>> {
    for _ in 0..RACES {
        let Versioned { value: old, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        if let Some(winner) = old.merged_into {
            return Err(Error::Conflict(format!("the company was merged into {winner}; change that one")));
        }
        let new = changed(app, ctx, &old, change).await?;
        let mut tx = app.table().await.tx();
        tx.replace_company(&old, &new, version);
        match tx.commit().await {
            Ok(()) => return Ok(Versioned { value: new, version: version + 1 }),
            Err(CommitError::Condition { label: "company", .. }) if if_match.is_none() => {}
            Err(CommitError::Condition { label: "company", .. }) => break,
            Err(e) => return Err(refused(e)),
        }
    }
    Err(changed_meanwhile(if_match))
}

async fn changed(app: &App, ctx: &Ctx, old: &CompanyRecord, change: &Value) -> Result<CompanyRecord> {
    let current = old.profile.to_input(old.status, old.owner);
    let mut faults = Faults::new();
    let (profile, status, owner) = patched(&current, change, &["name", "status"])?.parse(&mut faults);
    if change.get("custom").is_some() {
        custom_fields::rules(app, ctx, CustomObject::Company).await?.check(&profile.custom, true, &mut faults);
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(CompanyRecord { q: profile.search_text(), profile, status, owner, updated_at: ctx.now, ..old.clone() })
}

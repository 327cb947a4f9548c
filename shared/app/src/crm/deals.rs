//! Deals, which this surface calls leads.

use axle_domain::crm::deal::{DealInput, DealPlace, DealProfile};
use axle_domain::crm::stage::Stage;
use axle_domain::crm::{CustomObject, OwnerFilter, PageNumber};
use axle_domain::{CompanyId, ContactId, DealId, Faults};
use axle_store::crm::deals::{DealQuery, DealRecord};
use axle_store::{CommitError, Versioned};
use serde_json::Value;

use super::races::wait_for_others;
use super::shared::{Numbered, patched};
use super::stages::{self, Way};
use super::{custom_fields, shared};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};

/// Attempts against others who change the same deal or its company at the same moment: a company can have many deals.
const RACES: u32 = 16;

/// What to look for among deals.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    pub stage: Option<Stage>,
    pub owner: Option<OwnerFilter>,
    /// Folded.
    pub q: Option<String>,
}

/// Creates a deal. One that is won or lost from the beginning has the consequences of that.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: DealInput,
    answer: impl Fn(&Versioned<DealRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let (profile, place) = checked(app, ctx, input, None, true).await?;
    let id = DealId::new_at(ctx.now);
    for attempt in 0..RACES {
        let mut deal = new_deal(ctx, id, profile.clone(), place);
        let mut tx = app.table().await.tx();
        stages::consequences(app, ctx, &mut tx, None, Some(&mut deal), &Way::Patch).await?;
        tx.create_deal(&deal);
        let answer = answer(&Versioned { value: deal, version: 1 })?;
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { label: "company", .. }) => wait_for_others(attempt).await,
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

/// A deal that is not written yet.
pub(super) fn new_deal(ctx: &Ctx, id: DealId, profile: DealProfile, place: DealPlace) -> DealRecord {
    DealRecord {
        entity_id: ctx.entity_id,
        id,
        stage: place.stage,
        company_id: place.company_id,
        contact_id: place.contact_id,
        owner: place.owner,
        prospect_id: None,
        q: profile.search_text(),
        profile,
        closed_at: None,
        chore: None,
        stage_changed_at: ctx.now,
        created_at: ctx.now,
        updated_at: ctx.now,
    }
}

/// A deal's contents with every fault noted: what it refers to exists (unless it did before), and its custom values are as defined.
async fn checked(
    app: &App,
    ctx: &Ctx,
    input: DealInput,
    before: Option<DealPlace>,
    custom: bool,
) -> Result<(DealProfile, DealPlace)> {
    let mut faults = Faults::new();
    let (profile, mut place) = input.parse(&mut faults);
    if let Some(company) = place.company_id.filter(|_| place.company_id != before.and_then(|b| b.company_id)) {
        place.company_id = shared::find_company(app, ctx, "/companyId", company, &mut faults).await?;
    }
    if let Some(contact) = place.contact_id.filter(|_| place.contact_id != before.and_then(|b| b.contact_id)) {
        place.contact_id = shared::find_contact(app, ctx, "/contactId", contact, &mut faults).await?;
    }
    if custom {
        custom_fields::rules(app, ctx, CustomObject::Lead).await?.check(&profile.custom, true, &mut faults);
    }
    faults.check().map_err(Error::Invalid)?;
    Ok((profile, place))
}

/// A deal as it is shown.
pub async fn show(app: &App, ctx: &Ctx, id: DealId) -> Result<Versioned<DealRecord>> {
    shared::shown(app, ctx, get(app, ctx, id).await?).await
}

pub async fn get(app: &App, ctx: &Ctx, id: DealId) -> Result<Versioned<DealRecord>> {
    let found = app.table().await.get::<DealRecord>(&DealRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("lead"))
}

/// One page of deals, newest first. Those of companies and people that were merged are their winners'.
pub async fn list(app: &App, ctx: &Ctx, wanted: Wanted, page: PageNumber) -> Result<Numbered<Versioned<DealRecord>>> {
    let Wanted { company_id, contact_id, stage, owner, q } = wanted;
    let companies = match company_id {
        Some(id) => Some(shared::company_ids(app, ctx, id).await?),
        None => None,
    };
    let contacts = match contact_id {
        Some(id) => Some(shared::contact_ids(app, ctx, id).await?),
        None => None,
    };
    let query = DealQuery { companies, contacts, stage, owner, q };
    let (mut items, total) = app.table().await.deals(ctx.entity_id, &query, page, ctx.now).await?;
    shared::show_current(app, ctx, &mut items).await?;
    Ok(Numbered { items, page, total })
}

/// Changes a deal by a merge patch (RFC 7396). A change of its stage is a move, with all that follows from it; what is said of a
/// stage (a probability, a reason for losing) goes with it.
pub async fn patch(app: &App, ctx: &Ctx, id: DealId, change: &Value, if_match: Option<u64>) -> Result<Versioned<DealRecord>> {
    shared::shown(app, ctx, update(app, ctx, id, change, &Way::Patch, if_match).await?).await
}

pub(super) async fn update(
    app: &App,
    ctx: &Ctx,
    id: DealId,
    change: &Value,
    way: &Way,
    if_match: Option<u64>,
) -> Result<Versioned<DealRecord>> {
    for attempt in 0..RACES {
        let Versioned { value: old, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        if way.has_arrived(&old) {
            return Ok(Versioned { value: old, version });
        }
        let mut new = changed(app, ctx, &old, change).await?;
        let mut tx = app.table().await.tx();
        stages::consequences(app, ctx, &mut tx, Some(&old), Some(&mut new), way).await?;
        tx.replace_deal(&old, &new, version);
        match tx.commit().await {
            Ok(()) => return Ok(Versioned { value: new, version: version + 1 }),
            Err(CommitError::Condition { label: "lead", .. }) if if_match.is_some() => break,
            // Someone else wrote the deal, its company or the task that hangs on it: look again.
            Err(CommitError::Condition { label: "lead" | "company" | "task", .. }) => wait_for_others(attempt).await,
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

async fn changed(app: &App, ctx: &Ctx, old: &DealRecord, change: &Value) -> Result<DealRecord> {
    let mut input = patched(&old.profile.to_input(old.place()), change, &["title", "stage"])?;
    if input.stage != Some(old.stage) {
        if change.get("probability").is_none() {
            input.probability = None;
        }
        if input.stage != Some(Stage::Lost) && change.get("lostReason").is_none() {
            input.lost_reason = None;
        }
    }
    let (profile, place) = checked(app, ctx, input, Some(old.place()), change.get("custom").is_some()).await?;
    Ok(DealRecord {
        stage: place.stage,
        company_id: place.company_id,
        contact_id: place.contact_id,
        owner: place.owner,
        q: profile.search_text(),
        profile,
        updated_at: ctx.now,
        ..old.clone()
    })
}

/// Deletes a deal with its timeline. Its activities stay with the company and the person; if it was won, its company is given back.
pub async fn delete(app: &App, ctx: &Ctx, id: DealId, if_match: Option<u64>) -> Result<()> {
    let table = app.table().await;
    for attempt in 0..RACES {
        let Versioned { value: old, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut tx = table.tx();
        stages::consequences(app, ctx, &mut tx, Some(&old), None, &Way::Patch).await?;
        tx.delete_deal(&old, version);
        match tx.commit().await {
            // Nobody can see the timeline of a deal that is gone; if it cannot be deleted now, it only takes room.
            Ok(()) => return Ok(table.forget_timeline(ctx.entity_id, id).await?),
            Err(CommitError::Condition { label: "lead", .. }) if if_match.is_some() => break,
            Err(CommitError::Condition { label: "lead" | "company" | "task", .. }) => wait_for_others(attempt).await,
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

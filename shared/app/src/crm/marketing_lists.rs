//! Marketing lists, and the companies on them.

use std::collections::BTreeSet;

use axle_domain::crm::{AddToListInput, ListFilter, MAX_ADDED, MarketingListInput, OwnerFilter, PageNumber};
use axle_domain::text::fold;
use axle_domain::{CompanyId, Faults, Input, MarketingListId};
use axle_store::Versioned;
use axle_store::crm::companies::{CompanyQuery, CompanyRecord};
use axle_store::crm::marketing_lists::MarketingListRecord;
use serde_json::Value;

use super::shared::{Numbered, RACES, patched};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};

/// A list, and how many companies are on it.
#[derive(Clone, Debug)]
pub struct CountedList {
    pub list: Versioned<MarketingListRecord>,
    pub companies: u64,
}

/// What became of companies that were to be put on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    pub added: usize,
    pub already_present: usize,
    pub not_found: Vec<CompanyId>,
}

/// Makes a list.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: MarketingListInput,
    answer: impl FnOnce(&CountedList) -> Result<Answer>,
) -> Result<Answer> {
    let MarketingListInput { name, description } = checked(input)?;
    let id = MarketingListId::new_at(ctx.now);
    let (q, created_at, updated_at) = (fold(&name), ctx.now, ctx.now);
    let record = MarketingListRecord { entity_id: ctx.entity_id, id, name, description, q, created_at, updated_at };
    let made = CountedList { list: Versioned { value: record, version: 1 }, companies: 0 };
    let answer = answer(&made)?;
    let mut tx = app.table().await.tx();
    tx.create("list", &made.list.value);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

fn checked(input: MarketingListInput) -> Result<MarketingListInput> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let description = input.description.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(MarketingListInput { name: input.name.trim().to_owned(), description })
}

async fn get_list(app: &App, ctx: &Ctx, id: MarketingListId) -> Result<Versioned<MarketingListRecord>> {
    let key = MarketingListRecord::key_of(ctx.entity_id, id);
    app.table().await.get(&key, ctx.now).await?.ok_or(Error::NotFound("marketing list"))
}

async fn counted(app: &App, ctx: &Ctx, list: Versioned<MarketingListRecord>) -> Result<CountedList> {
    let companies = app.table().await.listed_count(ctx.entity_id, list.value.id).await?;
    Ok(CountedList { list, companies })
}

pub async fn get(app: &App, ctx: &Ctx, id: MarketingListId) -> Result<CountedList> {
    let list = get_list(app, ctx, id).await?;
    counted(app, ctx, list).await
}

/// One page of lists, newest first.
pub async fn list(app: &App, ctx: &Ctx, q: Option<&str>, page: PageNumber) -> Result<Numbered<CountedList>> {
    let (lists, total) = app.table().await.marketing_lists(ctx.entity_id, q, page, ctx.now).await?;
    let items = futures_util::future::try_join_all(lists.into_iter().map(|list| counted(app, ctx, list))).await?;
    Ok(Numbered { items, page, total })
}

/// Changes a list by a merge patch (RFC 7396).
pub async fn patch(app: &App, ctx: &Ctx, id: MarketingListId, change: &Value, if_match: Option<u64>) -> Result<CountedList> {
    for _ in 0..RACES {
        let Versioned { value: old, version } = get_list(app, ctx, id).await?;
        require_version(version, if_match)?;
        let current = MarketingListInput { name: old.name.clone(), description: old.description.clone() };
        let MarketingListInput { name, description } = checked(patched(&current, change, &["name"])?)?;
        let new = MarketingListRecord { q: fold(&name), name, description, updated_at: ctx.now, ..old };
        let mut tx = app.table().await.tx();
        tx.replace("list", &new, version);
        if tx.try_commit().await? {
            return counted(app, ctx, Versioned { value: new, version: version + 1 }).await;
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Deletes a list. The companies stay.
pub async fn delete(app: &App, ctx: &Ctx, id: MarketingListId, if_match: Option<u64>) -> Result<()> {
    let table = app.table().await;
    for _ in 0..RACES {
        let Versioned { value: list, version } = get_list(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut tx = table.tx();
        tx.delete_list(&list, version);
        if tx.try_commit().await? {
            return Ok(table.clear_list(ctx.entity_id, id).await?);
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

/// One page of the companies on a list. One that was merged since stands for its winner.
pub async fn companies(
    app: &App,
    ctx: &Ctx,
    id: MarketingListId,
    page: PageNumber,
) -> Result<Numbered<Versioned<CompanyRecord>>> {
    get_list(app, ctx, id).await?;
    let table = app.table().await;
    let (ids, total) = table.listed_companies(ctx.entity_id, id, page).await?;
    let current = table.current_companies(ctx.entity_id, ids.iter().copied(), ctx.now).await?;
    let mut seen = BTreeSet::new();
    let ids: Vec<CompanyId> = ids.iter().filter_map(|id| current.get(id).copied()).filter(|id| seen.insert(*id)).collect();
    Ok(Numbered { items: table.companies_by_id(ctx.entity_id, &ids, ctx.now).await?, page, total })
}

/// Puts companies on a list, each once.
///
/// # Errors
/// [`Error::Invalid`] for an unknown list, and if there are more than [`MAX_ADDED`] companies.
pub async fn add(app: &App, ctx: &Ctx, input: AddToListInput) -> Result<Added> {
    let AddToListInput { list_id, company_ids, filter } = input;
    match get_list(app, ctx, list_id).await {
        Err(Error::NotFound(_)) => return Err(Error::invalid("/listId", "no marketing list has this id")),
        other => other.map(drop)?,
    }
    let table = app.table().await;
    let (mut wanted, not_found) = named(app, ctx, company_ids.unwrap_or_default()).await?;
    if let Some(filter) = filter {
        wanted.extend(table.company_ids(ctx.entity_id, &query_of(ctx, filter)?).await?);
    }
    if wanted.len() > MAX_ADDED {
        let detail = format!("finds {} companies; one call can add {MAX_ADDED}, so narrow it", wanted.len());
        return Err(Error::invalid("/filter", detail));
    }
    let wanted: Vec<CompanyId> = wanted.into_iter().collect();
    let added = table.add_to_list(ctx.entity_id, list_id, &wanted, ctx.now).await?;
    Ok(Added { added, already_present: wanted.len() - added, not_found })
}

/// The companies that ids lead to, and the ids that lead to none.
async fn named(app: &App, ctx: &Ctx, ids: Vec<CompanyId>) -> Result<(BTreeSet<CompanyId>, Vec<CompanyId>)> {
    let distinct: Vec<CompanyId> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if distinct.len() > MAX_ADDED {
        return Err(Error::invalid("/companyIds", format!("must have at most {MAX_ADDED} entries, not {}", distinct.len())));
    }
    let found = app.table().await.companies_now(ctx.entity_id, &distinct, ctx.now).await?;
    let there: BTreeSet<CompanyId> = found.iter().map(|company| company.value.id).collect();
    let current = found.iter().map(|company| company.value.merged_into.unwrap_or(company.value.id)).collect();
    Ok((current, distinct.into_iter().filter(|id| !there.contains(id)).collect()))
}

fn query_of(ctx: &Ctx, filter: ListFilter) -> Result<CompanyQuery> {
    let owner = filter.owner_user_id.map(|text| OwnerFilter::read("/filter/ownerUserId", &text, ctx.user_id));
    let owner = owner.transpose().map_err(Error::Malformed)?;
    let q = filter.q.map(|q| fold(&q)).filter(|q| !q.is_empty());
    Ok(CompanyQuery { status: filter.status, owner, q })
}

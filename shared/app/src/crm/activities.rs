//! Activities, and the timelines that they stand in.

use axle_domain::crm::PageNumber;
use axle_domain::crm::activity::{About, ActivityInput, ActivityProfile, ActivityType};
use axle_domain::crm::task::{Chore, Priority, Related};
use axle_domain::crm::timeline::Told;
use axle_domain::{ActivityId, CompanyId, ContactId, DealId, Due, Faults, Time};
use axle_store::crm::activities::{ActivityQuery, ActivityRecord};
use axle_store::crm::deals::DealRecord;
use axle_store::crm::timeline::TimelineRecord;
use axle_store::{Tx, Versioned};

use super::shared::Numbered;
use super::{deals, shared, tasks};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged};

/// Notes an activity. What it is about exists, and a deal's company and person are its own unless it names others; one of the type
/// `task` becomes a task for the deal's owner, or for whoever notes it.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: ActivityInput,
    answer: impl FnOnce(&ActivityRecord) -> Result<Answer>,
) -> Result<Answer> {
    let kind = input.kind;
    let mut faults = Faults::new();
    let (profile, at, about) = input.parse(&mut faults);
    let (about, deal) = found(app, ctx, about, &mut faults).await?;
    faults.check().map_err(Error::Invalid)?;
    let mut activity = ActivityRecord {
        entity_id: ctx.entity_id,
        id: ActivityId::new_at(ctx.now),
        kind,
        company_id: about.company_id,
        contact_id: about.contact_id,
        deal_id: about.deal_id,
        profile,
        task_id: None,
        actor: ctx.actor.clone(),
        occurred_at: at.unwrap_or(ctx.now),
        created_at: ctx.now,
    };
    let mut tx = app.table().await.tx();
    if kind == ActivityType::Task {
        let assignee = deal.as_ref().and_then(|deal| deal.owner).or(ctx.user_id);
        let task = tasks::add(app, ctx, &mut tx, chore(&activity.profile), assignee, related(about));
        activity.task_id = Some(task.id);
    }
    tx.create_activity(&activity);
    if let Some(deal) = about.deal_id {
        tell(ctx, &mut tx, deal, &activity);
    }
    let answer = answer(&activity)?;
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// What an activity is about, with what follows from its deal.
async fn found(app: &App, ctx: &Ctx, about: About, faults: &mut Faults) -> Result<(About, Option<DealRecord>)> {
    let mut out = about;
    if let Some(id) = about.company_id {
        out.company_id = shared::find_company(app, ctx, "/companyId", id, faults).await?;
    }
    if let Some(id) = about.contact_id {
        out.contact_id = shared::find_contact(app, ctx, "/contactId", id, faults).await?;
    }
    let Some(id) = about.deal_id else { return Ok((out, None)) };
    match deals::get(app, ctx, id).await {
        Ok(deal) => {
            out.company_id = out.company_id.or(deal.value.company_id);
            out.contact_id = out.contact_id.or(deal.value.contact_id);
            Ok((out, Some(deal.value)))
        }
        Err(Error::NotFound(_)) => {
            faults.add("/leadId", "no lead has this id");
            Ok((out, None))
        }
        Err(e) => Err(e),
    }
}

fn chore(activity: &ActivityProfile) -> Chore {
    let remind_at = match activity.due_at {
        Some(Due::At(at)) => Some(at),
        _ => None,
    };
    Chore {
        title: activity.subject.clone(),
        description: activity.body.clone(),
        due: activity.due_at,
        priority: Priority::Medium,
        remind_at,
    }
}

fn related(about: About) -> Option<Related> {
    let named = |kind: &str, id: String| Related { kind: kind.to_owned(), id };
    let deal = about.deal_id.map(Related::deal);
    let deal = deal.or_else(|| about.contact_id.map(|id| named("contact", id.to_string())));
    deal.or_else(|| about.company_id.map(|id| named("company", id.to_string())))
}

fn tell(ctx: &Ctx, tx: &mut Tx<'_>, deal: DealId, activity: &ActivityRecord) {
    let told = Told::activity(activity.id, activity.kind, &activity.profile);
    let (id, at) = (activity.id.uuid(), activity.occurred_at);
    let mut entry = TimelineRecord::new(ctx.entity_id, deal, id, at, ctx.actor.clone(), told);
    entry.status = Some(activity.kind.as_str().to_owned());
    (entry.company_id, entry.contact_id) = (activity.company_id, activity.contact_id);
    tx.create("timeline", &entry);
}

/// What to look for among activities.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    pub deal_id: Option<DealId>,
    pub kind: Option<ActivityType>,
    /// Inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub to: Option<Time>,
}

/// One page of activities, the latest first. Those of companies and people that were merged are their winners'.
pub async fn list(app: &App, ctx: &Ctx, wanted: Wanted, page: PageNumber) -> Result<Numbered<Versioned<ActivityRecord>>> {
    let Wanted { company_id, contact_id, deal_id, kind, from, to } = wanted;
    let companies = match company_id {
        Some(id) => Some(shared::company_ids(app, ctx, id).await?),
        None => None,
    };
    let contacts = match contact_id {
        Some(id) => Some(shared::contact_ids(app, ctx, id).await?),
        None => None,
    };
    let query = ActivityQuery { companies, contacts, deal_id, kind, from, to };
    let (mut items, total) = app.table().await.activities(ctx.entity_id, &query, page, ctx.now).await?;
    shared::show_current(app, ctx, &mut items).await?;
    Ok(Numbered { items, page, total })
}

/// A page of a deal's timeline, the latest first.
pub async fn timeline(app: &App, ctx: &Ctx, id: DealId, page: PageRequest) -> Result<Paged<TimelineRecord>> {
    let query = format!("timeline/{id}");
    let after = ctx.open_cursor(app, &query, page.cursor.as_deref()).await?;
    deals::get(app, ctx, id).await?;
    let (items, next) = app.table().await.timeline(ctx.entity_id, id, after.as_deref(), page.limit).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &query, next).await? })
}

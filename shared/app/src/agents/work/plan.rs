//! From a job to its runs: whom it is for, and an item for each of them.
//!
//! Whom it is for is written down first, so that whoever repeats this makes the same runs for the same people. Ids follow from the
//! job, and everything is made only where it is not yet.

use std::time::Instant;

use axle_domain::agent::{ActionStatus, ContactKind, ContactSource, Playbook, RunStatus, Targeting, approval_id, contact_key};
use axle_domain::crm::PageNumber;
use axle_domain::event::EventType;
use axle_domain::text::fold;
use axle_domain::{AgentId, AgentJobId, Micros, RunContactId, TraceId};
use axle_store::agent_runs::{
    ActionRecord, AgentNudgeRecord, AgentTask, JobRecord, PersonRunRecord, RunContactRecord, RunRecord, Target,
};
use axle_store::crm::contacts::{ContactQuery, ContactRecord};
use axle_store::leads::{LeadQuery, LeadRecord};
use axle_store::{CommitError, Table, Versioned};
use serde_json::{Value, json};

use super::Worked;
use super::steps::run_span;
use crate::agents::runs::run_event;
use crate::agents::{RACES, registry};
use crate::context::{App, Ctx};
use crate::crm::memberships;
use crate::error::{Error, Result};

/// People of a job without a limit of its own.
const PEOPLE: usize = 1_000;
/// People that one transaction makes two items for, beside the run's numbers: DynamoDB takes 100 writes.
const PER_TX: usize = 40;
/// Leads and contacts that are read at a time.
const PAGE: usize = 100;

pub(super) async fn plan(app: &App, ctx: &Ctx, id: AgentJobId, deadline: Instant) -> Result<Worked> {
    let table = app.table().await;
    let found = table.get::<JobRecord>(&JobRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    let Some(Versioned { value: mut job, mut version }) = found.filter(|job| !job.value.planned) else {
        return Ok(Worked::NothingToDo);
    };
    if is_gone(app, ctx, job.agent_id).await? {
        return forget_unplanned(app, ctx, &job, deadline).await;
    }
    if job.targets.is_none() {
        match targets(app, ctx, &job).await {
            Ok(found) => job.targets = Some(found),
            Err(Error::NotFound(what)) => {
                job.targets = Some(Vec::new());
                job.error = Some(format!("the targeting names a {what} that is not there"));
            }
            Err(e) => return Err(e),
        }
        if !save(table, &job, version).await? {
            // Whoever was faster has found them; the message comes again, and goes on with those.
            return Err(Error::Unavailable("the job changed at the same moment".to_owned()));
        }
        version += 1;
    }
    for part in 0..job.runs().len() {
        make_run(app, ctx, &job, part).await?;
    }
    if is_gone(app, ctx, job.agent_id).await? {
        // It was deleted meanwhile, and its runs were forgotten before these were made.
        return forget_unplanned(app, ctx, &job, deadline).await;
    }
    for _ in 0..RACES {
        job.planned = true;
        if save(table, &job, version).await? {
            return Ok(Worked::Made);
        }
        // Somebody in it was erased, or another worker was faster.
        let found = table.get::<JobRecord>(&JobRecord::key_of(ctx.entity_id, id), ctx.now).await?;
        match found.filter(|job| !job.value.planned) {
            Some(found) => Versioned { value: job, version } = found,
            None => return Ok(Worked::Superseded),
        }
    }
    Err(Error::Unavailable("a job of an agent changes all the time".to_owned()))
}

async fn is_gone(app: &App, ctx: &Ctx, agent: AgentId) -> Result<bool> {
    match registry::get(app, ctx, agent).await {
        Err(Error::NotFound(_)) => Ok(true),
        other => other.map(|_| false),
    }
}

async fn save(table: &Table, job: &JobRecord, version: u64) -> Result<bool> {
    let mut tx = table.tx();
    tx.replace("job", job, version);
    Ok(tx.try_commit().await?)
}

/// Whom the playbook is for when nobody is named.
async fn targets(app: &App, ctx: &Ctx, job: &JobRecord) -> Result<Vec<Target>> {
    let Some(targeting) = &job.playbook.targeting else { return Ok(Vec::new()) };
    let limit = targeting.limit.unwrap_or(PEOPLE).min(PEOPLE);
    match targeting.source {
        ContactSource::Leads => leads(app, ctx, targeting, limit).await,
        ContactSource::Contacts => contacts(app, ctx, targeting, limit).await,
    }
}

async fn leads(app: &App, ctx: &Ctx, targeting: &Targeting, limit: usize) -> Result<Vec<Target>> {
    let query = LeadQuery { status: targeting.status, tier: targeting.tier, campaign_id: targeting.campaign_id, q: None };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = app.table().await.leads(ctx.entity_id, &query, after.as_deref(), PAGE, ctx.now).await?;
        let fits = |lead: &Versioned<LeadRecord>| has_all(&targeting.tags, &tags_of_lead(&lead.value));
        let of_page =
            page.iter().filter(|lead| fits(lead)).map(|lead| Target { kind: ContactKind::Lead, id: lead.value.id.uuid() });
        found.extend(of_page);
        after = next;
        if found.len() >= limit || after.is_none() {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// `custom.tags`: a list, or words with commas between them.
fn tags_of_lead(lead: &LeadRecord) -> Vec<String> {
    match lead.profile.custom.get("tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(tags)) => tags.split([',', ';']).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn has_all(wanted: &[String], tags: &[String]) -> bool {
    let tags: Vec<String> = tags.iter().map(|tag| fold(tag)).collect();
    wanted.iter().all(|tag| tags.contains(&fold(tag)))
}

async fn contacts(app: &App, ctx: &Ctx, targeting: &Targeting, limit: usize) -> Result<Vec<Target>> {
    let mut found: Vec<Target> = Vec::new();
    let mut take = |contact: &ContactRecord| {
        let target = Target { kind: ContactKind::Contact, id: contact.id.uuid() };
        if has_all(&targeting.tags, &contact.profile.tags) && !found.contains(&target) {
            found.push(target);
        }
        found.len() >= limit
    };
    let query = ContactQuery::default();
    if let Some(list) = targeting.list_id {
        for number in 1.. {
            let companies =
                crate::crm::marketing_lists::companies(app, ctx, list, PageNumber { page: number, size: PAGE }).await?;
            let last = companies.items.is_empty();
            for company in companies.items {
                let whole = PageNumber { page: 1, size: limit };
                let members = memberships::contacts_of(app, ctx, company.value.id, &query, whole).await?;
                if members.items.iter().any(|member| take(&member.0.value)) {
                    return Ok(found);
                }
            }
            if last {
                break;
            }
        }
        return Ok(found);
    }
    for number in 1.. {
        let (page, _) =
            app.table().await.contacts(ctx.entity_id, &query, PageNumber { page: number, size: PAGE }, ctx.now).await?;
        if page.is_empty() || page.iter().any(|contact| take(&contact.value)) {
            break;
        }
    }
    Ok(found)
}

/// Makes a run with the event that tells of it, and an item for each of its people.
async fn make_run(app: &App, ctx: &Ctx, job: &JobRecord, part: usize) -> Result<()> {
    let (table, people) = (app.table().await, job.people(part));
    let run = RunRecord {
        entity_id: job.entity_id,
        id: job.run(part),
        job_id: job.id,
        agent_id: job.agent_id,
        part,
        total: people.len() as u64,
        status: RunStatus::Queued,
        cancelled_by: None,
        trace_id: trace_of(job, part),
        actor: job.actor.clone(),
        created_at: job.created_at,
        finished_at: None,
    };
    let mut tx = table.tx();
    tx.create("run", &run);
    tx.span(&run_span(&run, &job.agent_name));
    let ctx = Ctx { actor: job.actor.clone(), trace_id: run.trace_id, ..ctx.clone() };
    let event = run_event(&ctx, &run, EventType::AgentRunStarted, json!({"job_id": job.id, "contacts": people.len()}));
    tx.emit(&event, app.config().event_retention_days);
    made_once(tx.commit().await, "run")?;
    for chunk in people.chunks(PER_TX) {
        let mut tx = table.tx();
        for target in chunk.iter().filter(|target| !target.is_erased()) {
            tx.create_run_contact(&beginning(job, &run, *target, ctx.now));
        }
        made_once(tx.commit().await, "contact")?;
    }
    Ok(())
}

/// Each run is a trace: the first goes on with the call's own.
fn trace_of(job: &JobRecord, part: usize) -> TraceId {
    if part == 0 { job.trace_id } else { TraceId::of(format!("{}/{}/{part}", job.entity_id, job.id)) }
}

/// What is there already was made by whoever did this before: all of its transaction, or nothing.
fn made_once(outcome: Result<(), CommitError>, what: &str) -> Result<()> {
    match outcome {
        Err(CommitError::Condition { label, .. }) if label == what => Ok(()),
        other => Ok(other?),
    }
}

fn beginning(job: &JobRecord, run: &RunRecord, target: Target, now: axle_domain::Time) -> RunContactRecord {
    RunContactRecord {
        entity_id: job.entity_id,
        id: contact_key(run.id, target.id),
        run_id: run.id,
        job_id: job.id,
        agent_id: job.agent_id,
        target,
        status: RunStatus::Queued,
        actions: actions(&job.playbook),
        claim: None,
        claimed_until: None,
        due_at: None,
        reserved: Micros::ZERO,
        cost: Micros::ZERO,
        worked_ms: 0,
        reason: None,
        trace_id: run.trace_id,
        created_at: now,
        started_at: None,
        finished_at: None,
    }
}

/// A playbook's actions before any of them is done.
pub(in crate::agents) fn actions(playbook: &Playbook) -> Vec<ActionRecord> {
    let action = |(index, step): (usize, &axle_domain::agent::Step)| ActionRecord {
        index,
        step_id: step.id.clone(),
        action: step.action,
        params: Value::Object(step.params.clone()),
        status: ActionStatus::Pending,
        attempts: 0,
        hash: None,
        result: None,
        error: None,
        decided_by: None,
        decided_at: None,
        cost: Micros::ZERO,
        requested_at: None,
        expires_at: None,
        started_at: None,
        wake_at: None,
    };
    playbook.steps.iter().enumerate().map(action).collect()
}

/// Deletes the runs of an agent that is gone, what was asked for in them, and the calls that they are of.
pub(super) async fn forget(app: &App, ctx: &Ctx, agent: AgentId, deadline: Instant) -> Result<Worked> {
    match forget_runs(app, ctx, agent, deadline).await? {
        true => Ok(Worked::Made),
        false => hand_over(app, ctx, AgentTask::Forget(agent)).await,
    }
}

/// The same for one whose agent was gone before all of a call's runs were made: with the call, which says whose items those are.
async fn forget_unplanned(app: &App, ctx: &Ctx, job: &JobRecord, deadline: Instant) -> Result<Worked> {
    if !forget_runs(app, ctx, job.agent_id, deadline).await? {
        return hand_over(app, ctx, AgentTask::Plan(job.id)).await;
    }
    let mut tx = app.table().await.tx();
    tx.forget_job(ctx.entity_id, job.id);
    tx.commit().await?;
    Ok(Worked::Made)
}

/// The time is up: another worker goes on at once.
async fn hand_over(app: &App, ctx: &Ctx, task: AgentTask) -> Result<Worked> {
    let mut tx = app.table().await.tx();
    tx.create("nudge", &AgentNudgeRecord::new(ctx.entity_id, vec![task], ctx.trace_id, ctx.now));
    tx.commit().await?;
    Ok(Worked::Continued)
}

/// Deletes runs until the time is up; says whether that was all of them. A call goes with the last of its runs, unless others of its
/// runs may still be made.
async fn forget_runs(app: &App, ctx: &Ctx, agent: AgentId, deadline: Instant) -> Result<bool> {
    let (table, entity) = (app.table().await, ctx.entity_id);
    let late = || Instant::now() + super::RESERVE > deadline;
    for id in table.run_ids(entity, agent).await? {
        let Some(run) = table.get::<RunRecord>(&RunRecord::key_of(entity, id), ctx.now).await? else { continue };
        let job = table.get::<JobRecord>(&JobRecord::key_of(entity, run.value.job_id), ctx.now).await?.map(|job| job.value);
        let people: Vec<RunContactId> =
            job.iter().flat_map(|job| job.people(run.value.part)).map(|target| contact_key(id, target.id)).collect();
        for contact in table.run_contacts(entity, &people, ctx.now).await? {
            if late() {
                return Ok(false);
            }
            forget_contact(app, ctx, &contact.value).await?;
        }
        if late() {
            return Ok(false);
        }
        let mut tx = table.tx();
        tx.remove("run", RunRecord::key_of(entity, id));
        if let Some(job) = job.filter(|job| job.planned) {
            let others = job.runs().into_iter().filter(|other| *other != id).map(|other| RunRecord::key_of(entity, other));
            if table.get_many_now::<RunRecord>(&others.collect::<Vec<_>>(), ctx.now).await?.is_empty() {
                tx.forget_job(entity, job.id);
            }
        }
        tx.commit().await?;
    }
    Ok(true)
}

async fn forget_contact(app: &App, ctx: &Ctx, contact: &RunContactRecord) -> Result<()> {
    let asked = contact.actions.iter().filter(|action| action.hash.is_some()).map(|action| action.index);
    forget_approvals(app, ctx, contact.id, asked.collect()).await?;
    let mut tx = app.table().await.tx();
    tx.remove("contact", RunContactRecord::key_of(ctx.entity_id, contact.id));
    tx.remove("person's run", PersonRunRecord::key_of(ctx.entity_id, contact.target.id, contact.id));
    Ok(tx.commit().await?)
}

/// Deletes what was asked about somebody in a run, at these steps.
pub(in crate::agents) async fn forget_approvals(app: &App, ctx: &Ctx, id: RunContactId, steps: Vec<usize>) -> Result<()> {
    let table = app.table().await;
    for index in steps {
        let Some(approval) = table.approval(ctx.entity_id, approval_id(id, index), ctx.now).await? else { continue };
        let mut tx = table.tx();
        tx.forget_approval(&approval.value, approval.version);
        match tx.commit().await {
            Ok(()) | Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

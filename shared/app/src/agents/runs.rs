//! Jobs and runs as they are looked at, and their end: by themselves, or because somebody wishes it.

use std::collections::HashMap;

use axle_domain::agent::{ContactCounts, ContactKind, RunStatus, contact_key};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{AgentId, AgentJobId, ContactId, LeadId, Micros, RunId};
use axle_store::agent_runs::{AgentNudgeRecord, AgentTask, JobRecord, RunContactRecord, RunRecord, Target};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::leads::LeadRecord;
use axle_store::{CommitError, Key, Versioned};
use serde_json::json;
use uuid::Uuid;

use super::work::run_span;
use super::{RACES, Slice, Sliced, registry};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::changed_meanwhile;

/// Bytes of an answer that is kept for a repetition: an item of DynamoDB has 400 KB.
const KEPT_MAX: usize = 200_000;

/// Whom an agent works for, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonView {
    pub name: Option<String>,
    pub email: Option<String>,
    pub company: Option<String>,
}

/// A run with where it stands now.
#[derive(Clone, Debug)]
pub struct RunView {
    pub run: RunRecord,
    pub status: RunStatus,
    pub cost: Micros,
    /// Only of a run that is looked at alone.
    pub contacts: Vec<(RunContactRecord, PersonView)>,
}

/// A job with where its people stand.
#[derive(Clone, Debug)]
pub struct JobView {
    pub job: JobRecord,
    pub status: RunStatus,
    pub counts: ContactCounts,
    pub total: u64,
}

pub(super) async fn find_run(app: &App, ctx: &Ctx, id: RunId) -> Result<Versioned<RunRecord>> {
    let found = app.table().await.get::<RunRecord>(&RunRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    let found = found.ok_or(Error::NotFound("run"))?;
    // With its agent a run is gone, although it takes a while until all of it is deleted.
    registry::require(app, ctx, found.value.agent_id, "run").await?;
    Ok(found)
}

pub(super) async fn find_job(app: &App, ctx: &Ctx, id: AgentJobId) -> Result<Versioned<JobRecord>> {
    app.table().await.get::<JobRecord>(&JobRecord::key_of(ctx.entity_id, id), ctx.now).await?.ok_or(Error::NotFound("job"))
}

async fn view(app: &App, ctx: &Ctx, run: RunRecord) -> Result<RunView> {
    let (counts, cost) = app.table().await.run_numbers(ctx.entity_id, run.id).await?;
    let status = counts.status(run.total, run.cancelled_by.is_some());
    Ok(RunView { run, status, cost, contacts: Vec::new() })
}

/// Some of an agent's runs, newest first.
pub async fn list_runs(app: &App, ctx: &Ctx, agent: AgentId, status: Option<RunStatus>, slice: Slice) -> Result<Sliced<RunView>> {
    registry::require(app, ctx, agent, "agent").await?;
    let found = app.table().await.agent_runs(ctx.entity_id, agent, status, slice.offset, slice.limit, ctx.now).await?;
    let views = found.0.into_iter().map(|run| view(app, ctx, run.value));
    Ok(Sliced { items: futures_util::future::try_join_all(views).await?, slice, total: found.1 })
}

/// A run with everyone in it.
pub async fn get_run(app: &App, ctx: &Ctx, id: RunId) -> Result<RunView> {
    let run = find_run(app, ctx, id).await?.value;
    let job = find_job(app, ctx, run.job_id).await?.value;
    let contacts = everyone(app, ctx, &run, &job).await?;
    Ok(RunView { contacts, ..view(app, ctx, run).await? })
}

async fn everyone(app: &App, ctx: &Ctx, run: &RunRecord, job: &JobRecord) -> Result<Vec<(RunContactRecord, PersonView)>> {
    let people: Vec<Target> = job.people(run.part).iter().filter(|target| !target.is_erased()).copied().collect();
    let ids: Vec<_> = people.iter().map(|target| contact_key(run.id, target.id)).collect();
    let contacts = app.table().await.run_contacts(ctx.entity_id, &ids, ctx.now).await?;
    let mut names = names(app, ctx, &people).await?;
    let named = contacts.into_iter().map(|found| (names.remove(&found.value.target.id).unwrap_or_default(), found.value));
    Ok(named.map(|(person, contact)| (contact, person)).collect())
}

/// Who people are. Those who are gone have no name.
async fn names(app: &App, ctx: &Ctx, people: &[Target]) -> Result<HashMap<Uuid, PersonView>> {
    let (table, entity) = (app.table().await, ctx.entity_id);
    let of = |kind: ContactKind| people.iter().filter(move |target| target.kind == kind).map(|target| target.id);
    let leads: Vec<Key> = of(ContactKind::Lead).map(|id| LeadRecord::key_of(entity, LeadId::from_uuid(id))).collect();
    let contacts: Vec<ContactId> = of(ContactKind::Contact).map(ContactId::from_uuid).collect();
    let mut names = HashMap::new();
    for lead in table.get_many::<LeadRecord>(&leads, ctx.now).await? {
        let profile = lead.value.profile;
        let person = PersonView {
            name: joined(profile.first_name, profile.last_name),
            email: profile.email.map(String::from),
            company: profile.company.name,
        };
        names.insert(lead.value.id.uuid(), person);
    }
    let contacts = table.contacts_by_id(entity, &contacts, ctx.now).await?;
    let mut companies: Vec<Key> =
        contacts.iter().filter_map(|c| c.value.company_id).map(|id| CompanyRecord::key_of(entity, id)).collect();
    companies.sort_by_key(|key| format!("{key:?}"));
    companies.dedup();
    let companies = table.get_many::<CompanyRecord>(&companies, ctx.now).await?;
    for ContactRecord { id, profile, company_id, .. } in contacts.into_iter().map(|contact| contact.value) {
        let company = companies.iter().find(|company| Some(company.value.id) == company_id);
        let person = PersonView {
            name: joined(profile.first_name, profile.last_name),
            email: profile.email.map(String::from),
            company: company.map(|company| company.value.profile.name.clone()),
        };
        names.insert(id.uuid(), person);
    }
    Ok(names)
}

pub(super) fn joined(first: Option<String>, last: Option<String>) -> Option<String> {
    let name = [first, last].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

/// A job with where its people stand.
pub async fn get_job(app: &App, ctx: &Ctx, id: AgentJobId) -> Result<JobView> {
    let job = find_job(app, ctx, id).await?.value;
    registry::require(app, ctx, job.agent_id, "job").await?;
    let table = app.table().await;
    let runs = job.runs();
    let numbers = futures_util::future::try_join_all(runs.iter().map(|run| table.run_numbers(ctx.entity_id, *run))).await?;
    let counts = numbers.into_iter().fold(ContactCounts::default(), |sum, (counts, _)| sum.plus(counts));
    let total = job.targets.as_ref().map_or(0, |people| people.len() as u64);
    let status = match &job.error {
        Some(_) => RunStatus::Failed,
        None if !job.planned && counts.ended() >= total => RunStatus::Queued,
        None => counts.status(total, false),
    };
    Ok(JobView { job, status, counts, total })
}

/// Ends a run. Who is in the middle of a step comes to that step's end; nothing new is begun for anybody. The answer shows everyone as they
/// stood; one that is too large to be kept is given again without them.
///
/// # Errors
/// [`Error::Conflict`] if it has ended.
pub async fn cancel(app: &App, ctx: &Ctx, id: RunId, answer: impl Fn(&RunView) -> Result<Answer>) -> Result<Answer> {
    for _ in 0..RACES {
        let Versioned { value: run, version } = find_run(app, ctx, id).await?;
        let seen = view(app, ctx, run).await?;
        if seen.status.is_final() {
            return Err(Error::Conflict(format!("the run is {}; only one that has not ended can be cancelled", seen.status)));
        }
        let job = find_job(app, ctx, seen.run.job_id).await?.value;
        let run = RunRecord {
            status: RunStatus::Cancelled,
            cancelled_by: Some(ctx.actor.clone()),
            finished_at: Some(ctx.now),
            ..seen.run
        };
        let tasks = job.people(run.part).iter().map(|target| AgentTask::Work(contact_key(run.id, target.id))).collect();
        let contacts = everyone(app, ctx, &run, &job).await?;
        let mut view = RunView { status: RunStatus::Cancelled, run, contacts, ..seen };
        let shown = answer(&view)?;
        view.contacts.clear();
        let large = shown.body.to_string().len() > KEPT_MAX;
        let kept = if large { answer(&view)? } else { shown.clone() };
        let mut tx = app.table().await.tx();
        tx.replace("run", &view.run, version);
        tx.create("nudge", &AgentNudgeRecord::new(ctx.entity_id, tasks, view.run.trace_id, ctx.now));
        tx.span(&run_span(&view.run, &job.agent_name));
        let event = run_event(ctx, &view.run, EventType::AgentRunCancelled, json!({}));
        tx.emit(&event, app.config().event_retention_days);
        ctx.keep(&mut tx, &kept);
        match tx.commit().await {
            Ok(()) => return Ok(shown),
            Err(CommitError::Condition { label: "run", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

/// Why a run failed: what became of each of its people says more.
pub(super) const NOBODY: &str = "it was completed for nobody";

pub(super) fn run_event(ctx: &Ctx, run: &RunRecord, event_type: EventType, data: serde_json::Value) -> Event {
    let subject = Subject::new("agent_run", run.id);
    Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data).agent(run.agent_id).trace(ctx.trace_id)
}

/// Lets a run's own item follow where its people stand, and ends it with the last of them: with one event, whoever notices.
///
/// Whoever changes someone's status calls this afterwards. A writer looks at the numbers again after its write, so the last word is
/// never about an earlier state.
pub(super) async fn settle(app: &App, ctx: &Ctx, id: RunId) -> Result<()> {
    let table = app.table().await;
    loop {
        let found = table.get::<RunRecord>(&RunRecord::key_of(ctx.entity_id, id), ctx.now).await?;
        let Some(Versioned { value: run, version }) = found else { return Ok(()) };
        if run.status.is_final() {
            return Ok(());
        }
        let (counts, cost) = table.run_numbers(ctx.entity_id, id).await?;
        let status = counts.status(run.total, false);
        if status == run.status {
            return Ok(());
        }
        let mut run = RunRecord { status, ..run };
        if !status.is_final() {
            table.save_run(&run, version).await?;
            continue;
        }
        run.finished_at = Some(ctx.now);
        let data = json!({"actions": counts.actions, "cost": cost});
        let (event_type, data) = match status {
            RunStatus::Failed => (EventType::AgentRunFailed, json!({"reason": NOBODY})),
            RunStatus::Cancelled => (EventType::AgentRunCancelled, json!({})),
            _ => (EventType::AgentRunCompleted, data),
        };
        let job = table.get::<JobRecord>(&JobRecord::key_of(ctx.entity_id, run.job_id), ctx.now).await?;
        let mut tx = table.tx();
        tx.replace("run", &run, version);
        tx.span(&run_span(&run, job.as_ref().map_or("", |job| &job.value.agent_name)));
        tx.emit(&run_event(ctx, &run, event_type, data), app.config().event_retention_days);
        match tx.commit().await {
            Ok(()) => return Ok(()),
            Err(CommitError::Condition { label: "run", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

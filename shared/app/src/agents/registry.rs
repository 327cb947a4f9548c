//! The registry: one agent, whichever door it is asked for at.
//!
//! The built-in agents are there without having been made: an agent of a role is what the release says until a tenant changes it, and
//! from then on what the tenant's item says. Its id follows from tenant and role, so nobody can make it twice.

use axle_domain::agent::{AgentInput, AgentRole, BuiltIn, MAX_AGENTS, TemplateName, built_in, built_in_id};
use axle_domain::identity::slugify;
use axle_domain::webhook::EndpointUrl;
use axle_domain::{AgentId, EntityId, Faults, Input};
use axle_store::agent_runs::{AgentNudgeRecord, AgentTask};
use axle_store::agents::{AgentNumbers, AgentRecord};
use axle_store::{CommitError, Versioned};
use serde_json::Value;

use super::{RACES, Slice, Sliced, names};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};
use crate::{PageRequest, Paged, input};

/// An agent with how it did.
#[derive(Clone, Debug)]
pub struct AgentView {
    pub agent: Versioned<AgentRecord>,
    pub numbers: AgentNumbers,
}

/// A built-in agent that nobody has changed: version 0.
fn untouched(entity: EntityId, role: AgentRole) -> Versioned<AgentRecord> {
    let BuiltIn { spec, .. } = built_in(role);
    let made = axle_domain::id::v7_time(entity.uuid());
    let slug = spec.slug.clone().unwrap_or_default();
    let record = AgentRecord {
        entity_id: entity,
        id: built_in_id(entity, role),
        role: Some(role),
        spec,
        slug,
        status: String::new(),
        q: None,
        created_at: made,
        updated_at: made,
    };
    Versioned { value: record.indexed(), version: 0 }
}

/// Makes an agent.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] if its slug is taken or there are too many.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    spec: AgentInput,
    answer: impl Fn(&Versioned<AgentRecord>) -> Result<Answer>,
) -> Result<Answer> {
    check(app, ctx, &spec).await?;
    let table = app.table().await;
    if table.agent_count(ctx.entity_id).await? >= MAX_AGENTS as u64 {
        return Err(Error::Conflict(format!("a tenant can have {MAX_AGENTS} agents; delete one first")));
    }
    let id = AgentId::new_at(ctx.now);
    for attempt in 0..RACES {
        let agent = Versioned { value: new_record(ctx, id, spec.clone(), attempt), version: 1 };
        let answer = answer(&agent)?;
        let mut tx = table.tx();
        tx.create_agent(&agent.value);
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            // A name that was made from another is made again; one that was asked for is taken.
            Err(CommitError::Condition { label: "slug", .. }) if spec.slug.is_none() => {}
            Err(CommitError::Condition { label: "slug", .. }) => return Err(slug_taken()),
            Err(e) => return Err(e.into()),
        }
    }
    Err(slug_taken())
}

fn slug_taken() -> Error {
    Error::Conflict("another agent has this slug".to_owned())
}

fn new_record(ctx: &Ctx, id: AgentId, spec: AgentInput, attempt: usize) -> AgentRecord {
    let made = || {
        let plain = slugify(&spec.name);
        let tail: String = id.to_string().chars().rev().take(4 * attempt.min(8)).collect();
        let tail: String = tail.chars().filter(char::is_ascii_alphanumeric).collect();
        let reserved = AgentRole::ALL.iter().any(|role| role.as_str().replace('_', "-") == plain);
        match (tail.is_empty(), reserved) {
            (true, false) => plain,
            (true, true) => format!("{plain}-2"),
            _ => format!("{plain}-{tail}"),
        }
    };
    let slug = spec.slug.clone().unwrap_or_else(made);
    let record = AgentRecord {
        entity_id: ctx.entity_id,
        id,
        role: None,
        spec,
        slug,
        status: String::new(),
        q: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    record.indexed()
}

/// Notes what no schema says of a definition.
async fn check(app: &App, ctx: &Ctx, spec: &AgentInput) -> Result<()> {
    let mut faults = Faults::new();
    spec.note_faults(&mut faults);
    if let Some(endpoint) = &spec.endpoint {
        faults.take("/endpoint", EndpointUrl::parse(endpoint, app.config().network));
    }
    if let Some(slug) = &spec.slug
        && AgentRole::ALL.iter().any(|role| role.as_str().replace('_', "-") == *slug)
    {
        faults.add("/slug", "is the name of a built-in agent");
    }
    if let Some(id) = spec.identity_id
        && app.table().await.sending_identity(ctx.entity_id, id, ctx.now).await?.is_none()
    {
        faults.add("/identity_id", "no sending identity has this id");
    }
    if let Some(playbook) = &spec.playbook {
        names::note_unknown(app, ctx, playbook, &mut faults).await?;
    }
    faults.check().map_err(Error::Invalid)
}

pub async fn get(app: &App, ctx: &Ctx, id: AgentId) -> Result<Versioned<AgentRecord>> {
    let found = app.table().await.get::<AgentRecord>(&AgentRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    let built_in = || AgentRole::ALL.iter().find(|role| built_in_id(ctx.entity_id, **role) == id);
    match found {
        Some(agent) => Ok(agent),
        None => built_in().map(|role| untouched(ctx.entity_id, *role)).ok_or(Error::NotFound("agent")),
    }
}

/// The built-in agents in their order, each as the tenant has it.
async fn squad(app: &App, ctx: &Ctx) -> Result<Vec<Versioned<AgentRecord>>> {
    let ids: Vec<AgentId> = AgentRole::ALL.iter().map(|role| built_in_id(ctx.entity_id, *role)).collect();
    let changed = app.table().await.agents_by_id(ctx.entity_id, &ids, ctx.now).await?;
    let of = |role: &AgentRole| changed.iter().find(|agent| agent.value.role == Some(*role)).cloned();
    Ok(AgentRole::ALL.iter().map(|role| of(role).unwrap_or_else(|| untouched(ctx.entity_id, *role))).collect())
}

/// Some agents: a tenant's own, newest first, then the built-in ones.
pub async fn list(
    app: &App,
    ctx: &Ctx,
    enabled: Option<bool>,
    template: Option<TemplateName>,
    slice: Slice,
) -> Result<Sliced<Versioned<AgentRecord>>> {
    let table = app.table().await;
    let own = table.agent_ids(ctx.entity_id, enabled, template).await?;
    let fits = |agent: &Versioned<AgentRecord>| {
        enabled.is_none_or(|enabled| agent.value.is_enabled() == enabled) && (template.is_none() || agent.value.q == template)
    };
    let squad: Vec<_> = squad(app, ctx).await?.into_iter().filter(fits).collect();
    let page: Vec<AgentId> = own.iter().copied().skip(slice.offset).take(slice.limit).collect();
    let mut items = table.agents_by_id(ctx.entity_id, &page, ctx.now).await?;
    let before = slice.offset.saturating_sub(own.len());
    let total = (own.len() + squad.len()) as u64;
    items.extend(squad.into_iter().skip(before).take(slice.limit - page.len()));
    Ok(Sliced { items, slice, total })
}

/// A page of agents with how they did, in the order of [`list`].
pub async fn agents(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<AgentView>> {
    let after = ctx.open_cursor(app, "agents", page.cursor.as_deref()).await?;
    let (own, squad) = (app.table().await.agent_ids(ctx.entity_id, None, None).await?, squad(app, ctx).await?);
    let all: Vec<AgentId> = own.into_iter().chain(squad.iter().map(|agent| agent.value.id)).collect();
    // Whoever was deleted since their page was given is looked for by their place: ids of a tenant's own agents sort by time.
    let start = match after.map(|id| id.parse::<AgentId>()) {
        None => 0,
        Some(Ok(last)) => all
            .iter()
            .position(|id| *id == last)
            .map_or_else(|| all.iter().position(|id| *id < last).unwrap_or(all.len()), |at| at + 1),
        Some(Err(_)) => all.len(),
    };
    let ids: Vec<AgentId> = all.iter().copied().skip(start).take(page.limit).collect();
    let more = start + ids.len() < all.len();
    let stored = app.table().await.agents_by_id(ctx.entity_id, &ids, ctx.now).await?;
    let find = |id: &AgentId| stored.iter().chain(squad.iter()).find(|agent| agent.value.id == *id).cloned();
    let views = ids.iter().filter_map(find).map(async |agent| {
        let numbers = app.table().await.agent_numbers(ctx.entity_id, agent.value.id).await?;
        Ok::<_, Error>(AgentView { agent, numbers })
    });
    let items = futures_util::future::try_join_all(views).await?;
    let next = ids.last().filter(|_| more).map(ToString::to_string);
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "agents", next).await? })
}

/// Changes an agent by a merge patch (RFC 7396). What runs goes on as it was begun.
///
/// # Errors
/// [`Error::Invalid`] with every fault, [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn patch(app: &App, ctx: &Ctx, id: AgentId, change: &Value, if_match: Option<u64>) -> Result<Versioned<AgentRecord>> {
    let table = app.table().await;
    for _ in 0..RACES {
        let Versioned { value: old, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let spec: AgentInput = input::patched(&old.spec, change)?;
        // What the change leaves as it was is not judged again: what it names may be gone since.
        let judged = AgentInput {
            slug: spec.slug.clone().filter(|slug| *slug != old.slug),
            identity_id: spec.identity_id.filter(|id| old.spec.identity_id != Some(*id)),
            playbook: spec.playbook.clone().filter(|playbook| old.spec.playbook.as_ref() != Some(playbook)),
            ..spec.clone()
        };
        check(app, ctx, &judged).await?;
        let slug = spec.slug.clone().unwrap_or_else(|| old.slug.clone());
        let new = AgentRecord { spec, slug, updated_at: ctx.now, ..old.clone() }.indexed();
        let mut tx = table.tx();
        if version == 0 {
            tx.create_agent(&new)
        } else {
            tx.replace_agent(&old, &new, version)
        }
        match tx.commit().await {
            Ok(()) => return Ok(Versioned { value: new, version: version + 1 }),
            Err(CommitError::Condition { label: "slug", .. }) => return Err(slug_taken()),
            Err(CommitError::Condition { .. }) if if_match.is_none() => {}
            Err(CommitError::Condition { .. }) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Deletes an agent with its runs, and answers with it as it was. What they cost and what they did stays.
///
/// # Errors
/// [`Error::Conflict`] for a built-in agent.
pub async fn delete(app: &App, ctx: &Ctx, id: AgentId, if_match: Option<u64>) -> Result<Versioned<AgentRecord>> {
    for _ in 0..RACES {
        let Versioned { value: agent, version } = get(app, ctx, id).await?;
        if agent.role.is_some() {
            return Err(Error::Conflict("a built-in agent cannot be deleted; disable it instead".to_owned()));
        }
        require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        tx.delete_agent(&agent, version);
        tx.create("nudge", &AgentNudgeRecord::new(ctx.entity_id, vec![AgentTask::Forget(id)], ctx.trace_id, ctx.now));
        if tx.try_commit().await? {
            return Ok(Versioned { value: agent, version });
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

/// Whether an agent is there, for what belongs to it.
pub(super) async fn require(app: &App, ctx: &Ctx, id: AgentId, what: &'static str) -> Result<()> {
    match get(app, ctx, id).await {
        Err(Error::NotFound(_)) => Err(Error::NotFound(what)),
        other => other.map(drop),
    }
}

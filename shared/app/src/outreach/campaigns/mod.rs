//! Campaigns: defined, read, changed while they are drafts; launched, and run lead by lead.

pub(crate) mod approval;
mod audience;
mod claim;
mod control;
mod draft;
mod enrol;
mod forget;
mod hear;
mod launch;
mod members;
mod overview;
mod run;
mod seams;
mod step;

pub use audience::{Excluded, Targets};
pub use control::{Command, clone, command};
pub use enrol::work;
pub use hear::{Operation, Repaired, hear, repair, stop_lead};
pub use launch::{Launched, launch};
pub use members::{AttachInput, Attached, Member, attach, members};
pub use overview::{Overview, overview};
pub use run::advance;

pub(crate) use control::{is_of_sequence, timing};
pub(crate) use forget::forget;
pub(crate) use members::require_attachable;

pub use axle_store::runs::{CampaignJob, RunJob};

use axle_domain::agent::{AgentRole, built_in, built_in_id};
use axle_domain::campaign::{CampaignInput, CampaignStatus};
use axle_domain::event::EventType;
use axle_domain::{CampaignId, EntityId, Faults};
use axle_store::campaigns::{CampaignRecord, SquadMember};
use axle_store::{CommitError, Versioned};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};
use crate::{PageRequest, Paged, input};

/// Creates a draft.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    spec: CampaignInput,
    answer: impl FnOnce(&Versioned<CampaignRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let agent_squad = check(app, ctx, &spec).await?;
    begin(app, ctx, spec, agent_squad, answer).await
}

/// Writes a new draft down, with the event that tells of it.
async fn begin(
    app: &App,
    ctx: &Ctx,
    spec: CampaignInput,
    agent_squad: Vec<SquadMember>,
    answer: impl FnOnce(&Versioned<CampaignRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let record = CampaignRecord {
        entity_id: ctx.entity_id,
        id: CampaignId::new_at(ctx.now),
        status: CampaignStatus::Draft,
        spec,
        agent_squad,
        launch: None,
        pause_reason: None,
        budget_told: false,
        ended_at: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let campaign = Versioned { value: record, version: 1 };
    let answer = answer(&campaign)?;
    let mut tx = app.table().await.tx();
    tx.create("campaign", &campaign.value);
    let told = json!({"name": campaign.value.spec.name, "status": "draft", "channels": campaign.value.spec.channels});
    tx.emit(&control::event(ctx, &campaign.value, EventType::CampaignCreated, told), app.config().event_retention_days);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// Checks a definition and picks its squad.
async fn check(app: &App, ctx: &Ctx, spec: &CampaignInput) -> Result<Vec<SquadMember>> {
    let mut faults = Faults::new();
    spec.check(&mut faults);
    let squad = pick_squad(ctx.entity_id, spec, &mut faults);
    if let Some(Ok(id)) = spec.identity_id.as_deref().map(str::parse)
        && app.table().await.sending_identity(ctx.entity_id, id, ctx.now).await?.is_none()
    {
        faults.add("/identity_id", "no sending identity has this id");
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(squad)
}

/// The agents named by role or id, or the whole built-in squad.
fn pick_squad(entity: EntityId, spec: &CampaignInput, faults: &mut Faults) -> Vec<SquadMember> {
    let member = |role: &AgentRole| SquadMember {
        agent_id: built_in_id(entity, *role).to_string(),
        role: role.as_str().to_owned(),
        name: built_in(*role).spec.name,
    };
    let built_in: Vec<SquadMember> = AgentRole::ALL.iter().map(member).collect();
    let Some(wanted) = &spec.agents.squad else { return built_in };
    let mut squad: Vec<SquadMember> = Vec::new();
    for (i, wanted) in wanted.iter().enumerate() {
        match built_in.iter().find(|m| m.role == *wanted || m.agent_id == *wanted) {
            Some(member) if squad.contains(member) => faults.add(format!("/agents/squad/{i}"), "names an agent twice"),
            Some(member) => squad.push(member.clone()),
            None => faults.add(format!("/agents/squad/{i}"), "is neither an agent's id nor a role"),
        }
    }
    squad
}

pub async fn get(app: &App, ctx: &Ctx, id: CampaignId) -> Result<Versioned<CampaignRecord>> {
    let found = app.table().await.get::<CampaignRecord>(&CampaignRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("campaign"))
}

/// A page of campaigns, newest first.
pub async fn list(
    app: &App,
    ctx: &Ctx,
    status: Option<CampaignStatus>,
    page: PageRequest,
) -> Result<Paged<Versioned<CampaignRecord>>> {
    let name = format!("campaigns?{status:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.campaigns(ctx.entity_id, status, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

/// Changes a draft by a merge patch (RFC 7396).
///
/// # Errors
/// [`Error::Conflict`] unless it is a draft, [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: CampaignId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<CampaignRecord>> {
    let Versioned { value: mut campaign, version } = get(app, ctx, id).await?;
    require_version(version, if_match)?;
    if campaign.status != CampaignStatus::Draft {
        return Err(Error::Conflict(format!("the campaign is {}; only a draft can be changed", campaign.status.as_str())));
    }
    let spec: CampaignInput = input::patched(&campaign.spec, change)?;
    campaign.agent_squad = check(app, ctx, &spec).await?;
    campaign.spec = spec;
    campaign.updated_at = ctx.now;
    let mut tx = app.table().await.tx();
    tx.replace("campaign", &campaign, version);
    match tx.commit().await {
        Ok(()) => Ok(Versioned { value: campaign, version: version + 1 }),
        Err(CommitError::Condition { .. }) => Err(changed_meanwhile(if_match)),
        Err(e) => Err(e.into()),
    }
}

//! A campaign's leads: attached while it is a draft, on their way once it is launched.

use axle_domain::campaign::CampaignStatus;
use axle_domain::campaign::run::RunState;
use axle_domain::{CampaignId, Faults, Input, LeadId, Time, TraceId};
use axle_store::CommitError;
use axle_store::campaigns::CampaignRecord;
use axle_store::leads::{LeadRecord, MembershipRecord};
use axle_store::runs::{RunMessage, RunNote, RunRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::get;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged};

/// Leads that can be attached at once.
const ATTACHED_MAX: usize = 500;
/// Memberships of one transaction, which takes 100 writes.
const AT_ONCE: usize = 90;

/// Leads to be attached to a campaign.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachInput {
    #[schema(min_items = 1, max_items = 500)]
    pub lead_ids: Vec<LeadId>,
}

impl Input for AttachInput {
    fn note_faults(&self, faults: &mut Faults) {
        faults.count("/lead_ids", self.lead_ids.len(), ATTACHED_MAX);
        if self.lead_ids.is_empty() {
            faults.add("/lead_ids", "must name at least one lead");
        }
    }
}

/// What became of leads that were to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attached {
    pub added: u64,
    /// Attached before, or named twice.
    pub already_attached: u64,
}

/// Attaches leads to a draft. From then on it is for attached leads only.
///
/// # Errors
/// [`Error::Invalid`] naming each id that no lead has, [`Error::Conflict`] unless it is a draft.
pub async fn attach(app: &App, ctx: &Ctx, id: CampaignId, input: AttachInput) -> Result<Answer> {
    require_draft(&get(app, ctx, id).await?.value)?;
    let (table, entity) = (app.table().await, ctx.entity_id);
    let mut wanted = input.lead_ids.clone();
    wanted.sort_unstable();
    wanted.dedup();
    let keys: Vec<_> = wanted.iter().map(|lead| LeadRecord::key_of(entity, *lead)).collect();
    let known = table.get_many_now::<LeadRecord>(&keys, ctx.now).await?;
    let known: std::collections::HashSet<LeadId> = known.into_iter().map(|lead| lead.value.id).collect();
    let mut faults = Faults::new();
    for (i, lead) in input.lead_ids.iter().enumerate().filter(|(_, lead)| !known.contains(lead)) {
        tracing::debug!(%lead, "no such lead");
        faults.add(format!("/lead_ids/{i}"), "no lead has this id");
    }
    faults.check().map_err(Error::Invalid)?;

    let keys: Vec<_> = wanted.iter().map(|lead| MembershipRecord::key_of(entity, *lead, id)).collect();
    let there = table.get_many_now::<MembershipRecord>(&keys, ctx.now).await?;
    let there: std::collections::HashSet<LeadId> = there.into_iter().map(|place| place.value.lead_id).collect();
    let new: Vec<LeadId> = wanted.into_iter().filter(|lead| !there.contains(lead)).collect();
    let added = new.len() as u64;
    let answer = Answer::new(200, Attached { added, already_attached: input.lead_ids.len() as u64 - added })?;
    table.note_attached(entity, id).await?;
    let mut chunks: Vec<&[LeadId]> = new.chunks(AT_ONCE).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let last = chunks.len() - 1;
    for (i, chunk) in chunks.into_iter().enumerate() {
        put_places(app, ctx, id, chunk, (i == last).then_some(&answer)).await?;
    }
    Ok(answer)
}

/// Refuses to attach leads to a campaign that has begun, or has ended.
fn require_draft(campaign: &CampaignRecord) -> Result<()> {
    if campaign.status == CampaignStatus::Draft {
        return Ok(());
    }
    Err(Error::Conflict(format!("the campaign is {}; leads are attached to a draft", campaign.status.as_str())))
}

/// Requires that leads can be attached to the campaign that a request names at `pointer`, if it names one.
///
/// # Errors
/// [`Error::Invalid`] if there is no such campaign, [`Error::Conflict`] unless it is a draft.
pub(crate) async fn require_attachable(app: &App, ctx: &Ctx, pointer: &str, id: Option<CampaignId>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    match get(app, ctx, id).await {
        Ok(campaign) => require_draft(&campaign.value),
        Err(Error::NotFound(_)) => Err(Error::invalid(pointer, "no campaign has this id")),
        Err(e) => Err(e),
    }
}

/// Writes places of leads down, with the request's answer if it is given, as long as the campaign is a draft.
async fn put_places(app: &App, ctx: &Ctx, id: CampaignId, leads: &[LeadId], answer: Option<&Answer>) -> Result<()> {
    let mut tx = app.table().await.tx();
    for lead_id in leads {
        tx.create(
            "place of a lead",
            &MembershipRecord { entity_id: ctx.entity_id, campaign_id: id, lead_id: *lead_id, added_at: ctx.now },
        );
    }
    if !tx.is_empty() {
        tx.while_draft(ctx.entity_id, id);
    }
    if let Some(answer) = answer {
        ctx.keep(&mut tx, answer);
    }
    if tx.is_empty() {
        return Ok(());
    }
    match tx.commit().await {
        Err(CommitError::Condition { label: "campaign", .. }) => {
            require_draft(&get(app, ctx, id).await?.value)?;
            Err(Error::Internal("a draft that was none".to_owned()))
        }
        other => Ok(other?),
    }
}

/// A lead in a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub lead_id: LeadId,
    pub state: RunState,
    /// The step that comes next or is under way.
    pub step: Option<u32>,
    pub next_at: Option<Time>,
    pub reason: Option<String>,
    pub messages: Vec<RunMessage>,
    pub notes: Vec<RunNote>,
    pub trace_id: Option<TraceId>,
    pub added_at: Time,
    pub ended_at: Option<Time>,
}

impl From<RunRecord> for Member {
    fn from(run: RunRecord) -> Self {
        let RunRecord { lead_id, state, step, due_at, reason, messages, notes, trace_id, created_at, ended_at, .. } = run;
        let next_at = due_at.filter(|_| state == RunState::Waiting);
        let step = (!state.is_over()).then_some(step);
        let trace_id = Some(trace_id);
        Self { lead_id, state, step, next_at, reason, messages, notes, trace_id, added_at: created_at, ended_at }
    }
}

/// A page of a campaign's leads, newest first: of a draft those attached to it, else those that it was launched for.
pub async fn members(app: &App, ctx: &Ctx, id: CampaignId, state: Option<RunState>, page: PageRequest) -> Result<Paged<Member>> {
    let campaign = get(app, ctx, id).await?.value;
    let name = format!("campaigns/{id}/leads?{state:?}/{}", campaign.launch.is_some());
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let table = app.table().await;
    let (items, next) = if campaign.launch.is_some() {
        let states: Vec<RunState> = state.into_iter().collect();
        let (runs, next) = table.runs(ctx.entity_id, id, &states, after.as_deref(), page.limit, ctx.now).await?;
        (runs.into_iter().map(|run| run.value.into()).collect(), next)
    } else if state.is_none_or(|state| state == RunState::Attached) {
        let (leads, next) = table.attached(ctx.entity_id, id, after.as_deref(), page.limit).await?;
        (leads.into_iter().map(|(lead, at)| attached(lead, at)).collect(), next)
    } else {
        (Vec::new(), None)
    };
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

fn attached(lead_id: LeadId, added_at: Time) -> Member {
    Member {
        lead_id,
        state: RunState::Attached,
        step: None,
        next_at: None,
        reason: None,
        messages: Vec::new(),
        notes: Vec::new(),
        trace_id: None,
        added_at,
        ended_at: None,
    }
}

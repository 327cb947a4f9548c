//! Pause, resume, cancel, clone; the end that comes of itself; and the pause that a spent budget brings.

use axle_domain::campaign::CampaignStatus::{self, Cancelled, Completed, Draft, Paused, Running};
use axle_domain::campaign::SendingWindow;
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{Actor, CampaignId, EntityId, TraceId};
use axle_store::campaigns::{CampaignRecord, PauseReason};
use axle_store::communications::CommunicationRecord;
use axle_store::runs::CampaignTask;
use axle_store::{CommitError, Versioned};
use serde_json::{Value, json};

use super::launch::job;
use super::overview::{Overview, overview};
use super::{begin, get};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::without_nulls;

/// Attempts against others who change the same campaign at the same moment.
const RACES: usize = 16;

/// An event about a campaign.
pub(super) fn event(ctx: &Ctx, campaign: &CampaignRecord, event_type: EventType, data: Value) -> Event {
    let subject = Subject::new("campaign", campaign.id);
    Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, without_nulls(data))
        .campaign(Some(campaign.id))
        .trace(ctx.trace_id)
}

/// What a user asks of a launched campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing more is sent until it is resumed. What a provider has already is not called back.
    Pause,
    Resume,
    /// For good: messages that wait are cancelled, and its leads are free for other campaigns.
    Cancel,
}

impl Command {
    /// What becomes of a campaign, or why that is not possible.
    fn apply(self, campaign: &mut CampaignRecord) -> Result<(EventType, Value, Option<CampaignTask>)> {
        let from = campaign.status;
        match (self, from) {
            (Self::Pause, Running) => {
                campaign.status = Paused;
                campaign.pause_reason = Some(PauseReason::User);
                Ok((EventType::CampaignPaused, json!({}), None))
            }
            (Self::Resume, Paused) => {
                campaign.status = Running;
                campaign.pause_reason = None;
                Ok((EventType::CampaignResumed, json!({}), Some(CampaignTask::Rouse)))
            }
            (Self::Cancel, Draft | Running | Paused) => {
                campaign.status = Cancelled;
                campaign.pause_reason = None;
                let rouse = (from != Draft).then_some(CampaignTask::Rouse);
                Ok((EventType::CampaignCancelled, json!({}), rouse))
            }
            (Self::Pause, _) => Err(wrong(from, "only a running campaign can be paused")),
            (Self::Resume, _) => Err(wrong(from, "only a paused campaign can be resumed")),
            (Self::Cancel, _) => Err(wrong(from, "it has come to its end already")),
        }
    }
}

fn wrong(from: CampaignStatus, why: &str) -> Error {
    Error::Conflict(format!("the campaign is {}; {why}", from.as_str()))
}

/// Pauses, resumes or cancels a campaign.
///
/// # Errors
/// [`Error::Conflict`] if it is in another state.
pub async fn command(
    app: &App,
    ctx: &Ctx,
    id: CampaignId,
    command: Command,
    answer: impl Fn(&Versioned<CampaignRecord>, &Overview) -> Result<Answer>,
) -> Result<Answer> {
    for _ in 0..RACES {
        let Versioned { value: mut campaign, version } = get(app, ctx, id).await?;
        let (event_type, data, task) = command.apply(&mut campaign)?;
        campaign.updated_at = ctx.now;
        campaign.ended_at = (campaign.status == Cancelled).then_some(ctx.now);
        let found = overview(app, &campaign).await?;
        let mut tx = app.table().await.tx();
        tx.replace("campaign", &campaign, version);
        if let Some(task) = task {
            tx.create("job", &job(ctx, id, task));
        }
        tx.emit(&event(ctx, &campaign, event_type, data), app.config().event_retention_days);
        let answer = answer(&Versioned { value: campaign, version: version + 1 }, &found)?;
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { label: "campaign", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("the campaign keeps changing; try again".to_owned()))
}

/// Makes a draft of a campaign's definition. Leads are not taken over.
pub async fn clone(
    app: &App,
    ctx: &Ctx,
    id: CampaignId,
    answer: impl FnOnce(&Versioned<CampaignRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let Versioned { value: original, .. } = get(app, ctx, id).await?;
    let CampaignRecord { mut spec, agent_squad, .. } = original;
    spec.name = copy_name(&spec.name);
    begin(app, ctx, spec, agent_squad, answer).await
}

/// A name of at most 200 characters.
fn copy_name(name: &str) -> String {
    const TAIL: &str = " (copy)";
    name.chars().take(200 - TAIL.len()).chain(TAIL.chars()).collect()
}

async fn find(app: &App, entity: EntityId, id: CampaignId) -> Result<Option<Versioned<CampaignRecord>>> {
    Ok(app.table().await.get::<CampaignRecord>(&CampaignRecord::key_of(entity, id), app.now()).await?)
}

/// What a campaign says of when a message of its sequence goes out.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    /// It is not to go out, for now or (then it is about to be called back) for good. Those that wait when the budget is spent are paid
    /// for, and go.
    pub(crate) held: bool,
    pub(crate) window: Option<SendingWindow>,
}

/// Whether a campaign's sequence sends a message. What somebody else sends in a campaign's name is their own affair.
pub(crate) fn is_of_sequence(message: &CommunicationRecord) -> bool {
    message.campaign_id.is_some() && message.actor == Actor::system("campaign-runner")
}

/// When a message may go out, as far as its campaign has a say.
pub(crate) async fn timing(app: &App, message: &CommunicationRecord) -> Result<Timing> {
    let own = message.campaign_id.filter(|_| is_of_sequence(message));
    let Some(id) = own else { return Ok(Timing::default()) };
    let Some(campaign) = find(app, message.entity_id, id).await? else { return Ok(Timing::default()) };
    let campaign = campaign.value;
    let held = match campaign.status {
        Paused => campaign.pause_reason != Some(PauseReason::Budget),
        status => status == Cancelled,
    };
    Ok(Timing { held, window: campaign.spec.messaging.sending_window })
}

/// Completes a campaign whose leads have all come to an end: once, however many workers notice it.
pub(super) async fn complete_if_done(app: &App, entity: EntityId, id: CampaignId) -> Result<()> {
    for _ in 0..RACES {
        let Some(Versioned { value: mut campaign, version }) = find(app, entity, id).await? else { return Ok(()) };
        let Some(launch) = campaign.launch.as_ref().filter(|launch| launch.enrolled) else { return Ok(()) };
        if !matches!(campaign.status, Running | Paused) {
            return Ok(());
        }
        // No run begins any more, and each shard's number falls to 0 and stays there: so the sum is right although it is added up.
        let numbers = app.table().await.campaign_run_numbers(entity, id).await?;
        let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
        if number("active") != 0 {
            return Ok(());
        }
        let ctx = Ctx::system(entity, "campaign-runner", app.now(), launch.trace_id);
        campaign.status = Completed;
        campaign.pause_reason = None;
        campaign.updated_at = ctx.now;
        campaign.ended_at = Some(ctx.now);
        let data = json!({"leads": number("targeted"), "sent": number("sent")});
        let mut tx = app.table().await.tx();
        tx.replace("campaign", &campaign, version);
        tx.emit(&event(&ctx, &campaign, EventType::CampaignCompleted, data), app.config().event_retention_days);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("a campaign keeps changing".to_owned()))
}

/// Notes that all leads are in, and completes the campaign if they have come to an end meanwhile.
pub(super) async fn enrolled(app: &App, entity: EntityId, id: CampaignId) -> Result<()> {
    for _ in 0..RACES {
        let Some(Versioned { value: mut campaign, version }) = find(app, entity, id).await? else { return Ok(()) };
        let Some(launch) = campaign.launch.as_mut().filter(|launch| !launch.enrolled) else { break };
        launch.enrolled = true;
        let mut tx = app.table().await.tx();
        tx.replace("campaign", &campaign, version);
        if tx.try_commit().await? {
            break;
        }
    }
    complete_if_done(app, entity, id).await
}

/// Pauses a running campaign that has no money left for its next message. That its budget is exhausted is told once.
pub(super) async fn exhaust(app: &App, entity: EntityId, id: CampaignId, trace: TraceId) -> Result<()> {
    for _ in 0..RACES {
        let Some(Versioned { value: mut campaign, version }) = find(app, entity, id).await? else { return Ok(()) };
        if campaign.status != Running {
            return Ok(());
        }
        let ctx = Ctx::system(entity, "campaign-runner", app.now(), trace);
        let limit = campaign.launch.as_ref().and_then(|launch| launch.budget_limit);
        let first = !std::mem::replace(&mut campaign.budget_told, true);
        campaign.status = Paused;
        campaign.pause_reason = Some(PauseReason::Budget);
        campaign.updated_at = ctx.now;
        let table = app.table().await;
        let spent = table.spent_by(entity, id).await?.total();
        let mut tx = table.tx();
        tx.replace("campaign", &campaign, version);
        let keep = app.config().event_retention_days;
        if first {
            let data = json!({"budget_limit": limit, "spent": spent});
            tx.emit(&event(&ctx, &campaign, EventType::BudgetExhausted, data), keep);
        }
        tx.emit(&event(&ctx, &campaign, EventType::CampaignPaused, json!({"reason": "budget exhausted"})), keep);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(Error::Unavailable("a campaign keeps changing".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::copy_name;

    #[test]
    fn names_of_copies_fit() {
        assert_eq!(copy_name("North"), "North (copy)");
        assert_eq!(copy_name(&"x".repeat(200)).chars().count(), 200);
    }
}

//! Paid work for a run: done by one worker, with the money for it reserved first.

use axle_domain::cost::CostCategory;
use axle_domain::trace::name;
use axle_domain::{CampaignRunId, EntityId, Micros};
use axle_store::allowances::{Allowance, Refill, Spending};
use axle_store::costs::CostRecord;
use axle_store::runs::{Claim, RunNote};
use axle_store::{CommitError, Tx};

use super::control;
use super::run::{Next, Turn};
use crate::context::App;
use crate::error::{Error, Result};

/// Attempts against others who use up the same allowance, or change the same run.
const RACES: usize = 60;
/// Attempts at one piece of work; after that the campaign goes on without it.
pub(super) const ATTEMPTS: u32 = 3;
/// Seconds until a run looks again for money that others have reserved and may give back.
const MONEY_WAIT: i64 = 5;

const fn spending(category: CostCategory) -> Spending {
    match category {
        CostCategory::AiInference | CostCategory::AgentTransactions => Spending::AiInference,
        CostCategory::DataEnrichment => Spending::DataEnrichment,
        CostCategory::ChannelCosts => Spending::ChannelCosts,
    }
}

/// Whether there is money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    There,
    /// Others have reserved some, and may give it back.
    Later,
    /// The campaign is paused.
    Gone,
}

/// Looks for money for something that costs `need`, after the run's own shard of the budget was found without.
pub(super) async fn money(turn: &Turn<'_>, need: Micros) -> Result<Money> {
    let Some(launch) = &turn.campaign.launch else { return Err(Error::Internal("a run of a draft".to_owned())) };
    let Some(limit) = launch.budget_limit else { return Ok(Money::There) };
    let (table, entity, campaign) = (turn.app.table().await, turn.ctx.entity_id, turn.campaign.id);
    // The second look sees what was given back before nothing was found to be reserved.
    for _ in 0..2 {
        let subject = turn.run.id.uuid().as_u128();
        if table.refill(entity, &Allowance::Budget(campaign), subject, need.0, limit.0).await? == Refill::Refilled {
            return Ok(Money::There);
        }
        if table.reserved_of(entity, campaign).await? > Micros::ZERO {
            return Ok(Money::Later);
        }
    }
    control::exhaust(turn.app, entity, campaign, launch.trace_id).await?;
    Ok(Money::Gone)
}

/// Has the run look again in a while.
pub(super) async fn wait_for_money(mut turn: Turn<'_>) -> Result<Next> {
    let due = turn.ctx.now.plus_secs(MONEY_WAIT);
    turn.run.due_at = Some(due);
    turn.come_back(due).await?;
    turn.save().await.map(|_| Next::Rest)
}

/// Who does the work.
pub(super) enum Taken<'a> {
    /// This worker, by this claim, which is written down.
    Mine(Box<Turn<'a>>, Claim),
    Not(Next),
}

/// Takes work that costs `most` at most for this worker alone, for so many seconds.
pub(super) async fn take<'a>(mut turn: Turn<'a>, category: CostCategory, most: Micros, lease: i64) -> Result<Taken<'a>> {
    let (app, now, before) = (turn.app, turn.ctx.now, turn.run.clone());
    let id = axle_domain::id::v7_at(now, axle_domain::id::entropy());
    let claim = Claim { id, category, reserved: most, until: now.plus_secs(lease) };
    turn.run.claim = Some(claim.clone());
    turn.run.due_at = Some(claim.until);
    let (entity, campaign, subject) = (turn.ctx.entity_id, turn.campaign.id, turn.run.id.uuid().as_u128());
    for _ in 0..RACES {
        let mut tx = app.table().await.tx();
        turn.put(&mut tx);
        tx.reserve(entity, campaign, subject, spending(category), most, turn.is_limited());
        match tx.commit().await {
            Ok(()) => {
                turn.version += 1;
                return Ok(Taken::Mine(Box::new(turn), claim));
            }
            Err(CommitError::Condition { label: "budget", .. }) => match money(&turn, most).await? {
                Money::There => {}
                Money::Gone => return Ok(Taken::Not(Next::GoOn)),
                Money::Later => {
                    turn.run = before;
                    return wait_for_money(turn).await.map(Taken::Not);
                }
            },
            Err(CommitError::Condition { .. }) => return Ok(Taken::Not(Next::GoOn)),
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Unavailable("a budget met too many others".to_owned()))
}

/// Ends a claim with what its work has cost, in the transaction that writes the result. The run is put by the caller.
pub(super) fn settle(turn: &mut Turn<'_>, tx: &mut Tx<'_>, claim: &Claim, actual: Micros) {
    turn.run.claim = None;
    let (entity, campaign, subject) = (turn.ctx.entity_id, turn.campaign.id, turn.run.id.uuid().as_u128());
    tx.settle(entity, campaign, subject, spending(claim.category), claim.reserved, actual, turn.is_limited());
}

/// Ends a claim whose result is of no use any more, because somebody else has changed the run. What was paid is written down all the same
/// (`join` does that), unless the claim ran out and was counted already.
pub(super) async fn release(
    app: &App,
    entity: EntityId,
    run: CampaignRunId,
    claim: &Claim,
    actual: Micros,
    join: impl Fn(&mut Tx<'_>),
) -> Result<()> {
    for _ in 0..RACES {
        let mut tx = app.table().await.tx();
        match Turn::read(app, entity, run).await? {
            Some(turn) if turn.run.claim.as_ref().is_none_or(|other| other.id != claim.id) => return Ok(()),
            Some(mut turn) => {
                settle(&mut turn, &mut tx, claim, actual);
                turn.run.due_at = Some(turn.ctx.now);
                turn.put(&mut tx);
            }
            // Erased. That something was paid for stays.
            None => {}
        }
        join(&mut tx);
        if tx.is_empty() {
            return Ok(());
        }
        match tx.commit().await {
            Ok(()) => return Ok(()),
            // An answer that got lost.
            Err(CommitError::Condition { label: "cost", .. }) => return Ok(()),
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Unavailable("a run keeps changing".to_owned()))
}

/// Looks at a run that is claimed: leaves it alone as long as the claim holds. Of one that ran out nobody knows whether the call was made:
/// all that was reserved counts as spent.
pub(super) async fn look(mut turn: Turn<'_>) -> Result<Next> {
    let now = turn.ctx.now;
    let Some(claim) = turn.run.claim.clone() else { return Ok(Next::GoOn) };
    if claim.until > now {
        return turn.come_back(claim.until).await;
    }
    tracing::warn!(run_id = %turn.run.id, category = %claim.category, "paid work was left behind");
    let mut tx = turn.app.table().await.tx();
    settle(&mut turn, &mut tx, &claim, claim.reserved);
    turn.run.lost += 1;
    turn.run.due_at = Some(now);
    let what = if claim.category == CostCategory::DataEnrichment { name::ENRICH } else { name::DRAFT };
    let detail = format!("the worker was lost; {} were reserved and count as spent", claim.reserved);
    turn.run.note(RunNote::new(now, what, detail).failed());
    let cost = CostRecord::new(turn.ctx.entity_id, claim.category, claim.id, now, claim.reserved, "outcome unknown");
    tx.cost(&cost.campaign(Some(turn.campaign.id)).lead(Some(turn.run.lead_id)).trace(turn.run.trace_id));
    turn.save_with(tx).await
}

//! What a campaign has others do for a lead: enrich it, score it.
//!
//! Each result is written in one transaction with the run's next state, so it is had once; what it cost is in it as well. Where something
//! cannot be had the campaign goes on without, and the run says so; only what has no words cannot be sent.

use std::time::Duration;

use axle_domain::Micros;
use axle_domain::campaign::Channel;
use axle_domain::campaign::run::{RunState, StopCause};
use axle_domain::cost::CostCategory;
use axle_domain::trace::{attribute, name};
use axle_store::Tx;
use axle_store::runs::RunNote;

use super::audience;
use super::claim::{self, Taken};
use super::run::{Next, Turn};
use crate::error::{Error, Result};
use crate::outreach::enrichment::{self, Enriched, Wanted};
use crate::outreach::scoring::{self, Scored};

/// Time to ask everybody about a lead, and seconds until somebody else may try.
const ENRICH_TIME: Duration = Duration::from_secs(12);
const ENRICH_LEASE: i64 = 30;

/// Enriches the run's lead.
pub(super) async fn enrich(mut turn: Turn<'_>) -> Result<Next> {
    let (app, ctx, run) = (turn.app, turn.ctx.clone(), turn.run.id);
    if nobody_sends(&turn) {
        return turn.end(RunState::Failed, "there is no sending identity, and the deployment has no sender of its own").await;
    }
    if turn.run.lost >= claim::ATTEMPTS {
        turn.run.note(RunNote::new(ctx.now, name::ENRICH, "given up: it goes on without").failed());
        turn.run.lost = 0;
        turn.run.state = RunState::Scoring;
        return turn.save().await;
    }
    let wanted = Wanted { campaign: Some(turn.campaign.id), ..Wanted::default() };
    let plan = match enrichment::plan(app, &ctx, turn.run.lead_id, wanted).await {
        Ok(plan) => plan,
        Err(e) => return gone(turn, e).await,
    };
    let mut claimed = None;
    if plan.most() > Micros::ZERO {
        match claim::take(turn, CostCategory::DataEnrichment, plan.most(), ENRICH_LEASE).await? {
            Taken::Mine(mine, claim) => (turn, claimed) = (*mine, Some(claim)),
            Taken::Not(next) => return Ok(next),
        }
    }
    let learned = match plan.ask(app, &ctx, ENRICH_TIME).await {
        Ok(learned) => learned,
        Err(e) => {
            if let Some(claim) = &claimed {
                claim::release(app, ctx.entity_id, run, claim, Micros::ZERO, |_| {}).await?;
            }
            return Err(e);
        }
    };
    let (began, ended, cost) = (ctx.now, app.now(), learned.enriched.cost);
    let join = |tx: &mut Tx<'_>, enriched: &Enriched| {
        let mut turn = turn.clone();
        turn.run.note(
            RunNote::new(ended, name::ENRICH, said(enriched))
                .since(began)
                .with(attribute::COST, cost.to_string())
                .with("axle.sources", enriched.enrichment.sources.len()),
        );
        turn.run.state = RunState::Scoring;
        (turn.run.due_at, turn.run.lost) = (None, 0);
        if let Some(claim) = &claimed {
            claim::settle(&mut turn, tx, claim, cost);
        }
        turn.put(tx);
        Ok(())
    };
    let Err(e) = learned.store(app, &ctx, join).await else { return Ok(Next::GoOn) };
    if let Some(claim) = &claimed {
        claim::release(app, ctx.entity_id, run, claim, cost, |tx| learned.pay(tx)).await?;
    }
    again(e)
}

/// Whether the campaign's e-mails have nobody to send them. Then nothing is paid for them either.
fn nobody_sends(turn: &Turn<'_>) -> bool {
    let has_emails = turn.sequence().iter().any(|step| step.channel == Channel::Email);
    has_emails && turn.campaign.spec.identity_id.is_none() && turn.app.config().sender.is_none()
}

fn said(enriched: &Enriched) -> String {
    let known = enriched.enrichment.sources.len();
    if known > 0 {
        return format!("{known} fields found, for {}", enriched.cost);
    }
    let why: Vec<String> = enriched.unavailable.iter().map(|one| format!("{}: {}", one.provider, one.reason)).collect();
    if why.is_empty() { "nothing found".to_owned() } else { format!("nothing found; {}", why.join("; ")) }
}

/// Scores the run's lead against the campaign's ICP; one that turns out not to fit ends here.
pub(super) async fn score(turn: Turn<'_>) -> Result<Next> {
    let (app, ctx) = (turn.app, turn.ctx.clone());
    let lead = turn.lead().await?;
    if let Some(lead) = &lead
        && !audience::fits_what_was_found(app, &turn.campaign, lead).await?
    {
        return turn.end(RunState::Stopped, StopCause::OutsideIcp.as_str()).await;
    }
    let zone = lead.and_then(|lead| lead.profile.timezone);
    let join = |tx: &mut Tx<'_>, scored: &Scored| {
        let (mut turn, score) = (turn.clone(), &scored.score);
        let detail = format!("{} of 100, {}", score.score, score.tier.as_str());
        turn.run.note(
            RunNote::new(app.now(), name::SCORE, detail)
                .since(ctx.now)
                .with("axle.score", score.score)
                .with("axle.tier", score.tier.as_str())
                .with("axle.score.model_version", score.model_version.clone()),
        );
        let launched = turn.campaign.launch.as_ref().map_or(ctx.now, |launch| launch.at);
        turn.await_next_step(launched, zone.as_deref());
        turn.put(tx);
        Ok(())
    };
    match scoring::score(app, &ctx, turn.run.lead_id, Some(turn.campaign.id), join).await {
        Ok(_) => Ok(Next::GoOn),
        Err(e @ Error::NotFound(_)) => gone(turn, e).await,
        Err(e) => again(e),
    }
}

async fn gone(turn: Turn<'_>, e: Error) -> Result<Next> {
    match e {
        Error::NotFound(_) => turn.end(RunState::Stopped, StopCause::LeadDeleted.as_str()).await,
        e => Err(e),
    }
}

/// Somebody changed the run or its lead meanwhile: look again.
fn again(e: Error) -> Result<Next> {
    match e {
        Error::Conflict(_) | Error::NotFound(_) | Error::PreconditionFailed { .. } => Ok(Next::GoOn),
        e => Err(e),
    }
}

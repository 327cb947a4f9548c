//! What is done for all leads of a campaign: letting them in after a launch, and rousing them after it was resumed or cancelled.

use std::time::{Duration, Instant};

use axle_domain::campaign::CampaignStatus;
use axle_domain::campaign::audience::cohort_number;
use axle_domain::campaign::run::RunState;
use axle_domain::{LeadId, TraceId};
use axle_providers::queue::Message;
use axle_store::campaigns::CampaignRecord;
use axle_store::runs::{CampaignJob, CampaignTask, RunJob, RunRecord};
use axle_store::{CommitError, Versioned};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{audience, control};
use crate::context::App;
use crate::error::{Error, Result};

/// Leads that are let in side by side.
const SIDE_BY_SIDE: usize = 16;
/// Runs that are roused at a time.
const PAGE: usize = 500;
/// Time that one page may take; the job stops when it has less, and goes on in another invocation.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// After this a resumed campaign is looked through once more, in case that an index lagged behind.
const AGAIN: Duration = Duration::from_secs(60);

/// Does a campaign's job, or as much of it as can be done until `deadline`. Repeated, it changes nothing more.
///
/// # Errors
/// [`Error::Unavailable`]: the job has to be handed out again.
pub async fn work(app: &App, job: CampaignJob, deadline: Instant) -> Result<()> {
    let key = CampaignRecord::key_of(job.entity_id, job.campaign_id);
    let Some(Versioned { value: campaign, .. }) = app.table().await.get::<CampaignRecord>(&key, app.now()).await? else {
        return Ok(());
    };
    match job.task {
        CampaignTask::Enrol => enrol(app, job, &campaign, deadline).await,
        CampaignTask::Rouse => rouse(app, job, deadline).await,
    }
}

/// Puts the rest of a job back into the queue.
async fn later(app: &App, job: CampaignJob, wait: Duration) -> Result<()> {
    let body = serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?;
    app.campaign_queue().send(Message::after(wait, body)).await.map_err(|e| Error::Unavailable(e.to_string()))
}

async fn enrol(app: &App, job: CampaignJob, campaign: &CampaignRecord, deadline: Instant) -> Result<()> {
    let Some(launch) = campaign.launch.as_ref().filter(|launch| !launch.enrolled) else { return Ok(()) };
    let cohort_to = launch.cohort_to.as_deref().and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let mut after = job.after.clone();
    loop {
        if matches!(campaign.status, CampaignStatus::Cancelled | CampaignStatus::Completed) {
            break;
        }
        if Instant::now() + PAGE_TIME > deadline {
            return later(app, CampaignJob { after, ..job }, Duration::ZERO).await;
        }
        let (judged, next) = audience::page(app, campaign, launch.attached_only, after.as_deref()).await?;
        let wanted = judged.into_iter().filter(|judged| judged.exclusion.is_none()).map(|judged| judged.lead.id);
        let wanted = wanted.filter(|lead| cohort_to.is_none_or(|to| cohort_number(campaign.id, *lead) <= to));
        let let_in = stream::iter(wanted).map(|lead| admit(app, campaign, lead)).buffer_unordered(SIDE_BY_SIDE);
        let_in.try_collect::<Vec<bool>>().await?;
        // Entries come newest first: the cohort was made up of those before this position.
        let reached = |until: &String| next.as_ref().is_none_or(|next| next <= until);
        after = match next.clone() {
            Some(_) if launch.cohort_until.as_ref().is_some_and(reached) => break,
            Some(next) => Some(next),
            None => break,
        };
    }
    control::enrolled(app, campaign.entity_id, campaign.id).await
}

/// Lets a lead in, unless it is in already or another campaign was faster.
async fn admit(app: &App, campaign: &CampaignRecord, lead: LeadId) -> Result<bool> {
    let run = RunRecord::new(campaign.entity_id, campaign.id, lead, app.now());
    let mut tx = app.table().await.tx();
    tx.create("run", &run);
    tx.count_run(&run, None);
    tx.trace_run(&run);
    match tx.commit().await {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { label: "run" | "live", .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Sends a message for each run that is not over, so that each finds out for itself what is to be done.
async fn rouse(app: &App, job: CampaignJob, deadline: Instant) -> Result<()> {
    let states: Vec<RunState> = RunState::ALL.iter().copied().filter(|state| !state.is_over()).collect();
    let mut after = job.after.clone();
    let again = after.as_deref() == Some(FROM_THE_TOP);
    if again {
        after = None;
    }
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            return later(app, CampaignJob { after, ..job }, Duration::ZERO).await;
        }
        let table = app.table().await;
        let (ids, next) = table.run_page(job.entity_id, job.campaign_id, &states, after.as_deref(), PAGE).await?;
        let message = |run_id| {
            let job = RunJob { entity_id: job.entity_id, run_id, trace_id: None::<TraceId> };
            Ok(Message::now(serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?))
        };
        let messages: Result<Vec<Message>> = ids.into_iter().map(message).collect();
        app.campaign_queue().send_batch(messages?).await.map_err(|e| Error::Unavailable(e.to_string()))?;
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if again { Ok(()) } else { later(app, CampaignJob { after: Some(FROM_THE_TOP.to_owned()), ..job }, AGAIN).await }
}

/// Marks the second look.
const FROM_THE_TOP: &str = "again";

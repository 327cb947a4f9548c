//! What is done for all leads of a campaign: letting them in after a launch, and rousing them after it was resumed or cancelled.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use axle_domain::campaign::CampaignStatus;
use axle_domain::campaign::audience::cohort_number;
use axle_domain::campaign::run::{RunState, run_id};
use axle_domain::{LeadId, TraceId};
use axle_providers::queue::Message;
use axle_store::campaigns::CampaignRecord;
use axle_store::leads::MembershipRecord;
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
/// After this a campaign is looked through once more, in case that an index lagged behind.
const AGAIN: Duration = Duration::from_secs(60);
/// Marks the second look.
const SECOND: &str = "again";

/// Which of its two looks a job is at, and where that goes on.
struct Look {
    second: bool,
    after: Option<String>,
}

impl Look {
    fn of(job: &CampaignJob) -> Self {
        match job.after.as_deref().map(|after| (after, after.strip_prefix(SECOND))) {
            Some((_, Some(after))) => Self { second: true, after: after.strip_prefix(' ').map(str::to_owned) },
            Some((after, None)) => Self { second: false, after: Some(after.to_owned()) },
            None => Self { second: false, after: None },
        }
    }

    /// The job that goes on from here.
    fn job(&self, job: CampaignJob) -> CampaignJob {
        let after = match (self.second, self.after.as_deref()) {
            (true, Some(after)) => Some(format!("{SECOND} {after}")),
            (true, None) => Some(SECOND.to_owned()),
            (false, after) => after.map(str::to_owned),
        };
        CampaignJob { after, ..job }
    }
}

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
    let mut look = Look::of(&job);
    loop {
        if matches!(campaign.status, CampaignStatus::Cancelled | CampaignStatus::Completed) {
            return control::enrolled(app, campaign.entity_id, campaign.id).await;
        }
        if Instant::now() + PAGE_TIME > deadline {
            return later(app, look.job(job), Duration::ZERO).await;
        }
        let (judged, next) = audience::page(app, campaign, launch.attached_only, look.after.as_deref()).await?;
        let wanted = judged.into_iter().filter(|judged| judged.exclusion.is_none()).map(|judged| judged.lead);
        // Whoever was not there when it was launched is none of its leads.
        let wanted = wanted.filter(|lead| launch.attached_only || lead.created_at <= launch.at).map(|lead| lead.id);
        let mut wanted: Vec<LeadId> =
            wanted.filter(|lead| cohort_to.is_none_or(|to| cohort_number(campaign.id, *lead) <= to)).collect();
        if look.second {
            wanted = not_yet_in(app, campaign, wanted).await?;
        }
        let attached = launch.attached_only;
        let let_in = stream::iter(wanted).map(|lead| admit(app, campaign, lead, attached)).buffer_unordered(SIDE_BY_SIDE);
        let_in.try_collect::<Vec<bool>>().await?;
        // Entries come newest first: the cohort was made up of those before this position.
        let reached = |until: &String| next.as_ref().is_none_or(|next| next <= until);
        look.after = match next.clone() {
            Some(_) if launch.cohort_until.as_ref().is_some_and(reached) => break,
            Some(next) => Some(next),
            None => break,
        };
    }
    // A cohort is of those that the launch saw, and of a given size.
    if look.second || cohort_to.is_some() {
        return control::enrolled(app, campaign.entity_id, campaign.id).await;
    }
    later(app, Look { second: true, after: None }.job(job), AGAIN).await
}

/// Those of the leads that have no run as yet: to be refused at the door costs more than to be looked up.
async fn not_yet_in(app: &App, campaign: &CampaignRecord, leads: Vec<LeadId>) -> Result<Vec<LeadId>> {
    let key = |lead: &LeadId| RunRecord::key_of(campaign.entity_id, run_id(campaign.id, *lead));
    let keys: Vec<_> = leads.iter().map(key).collect();
    let known = app.table().await.get_many::<RunRecord>(&keys, app.now()).await?;
    let known: HashSet<LeadId> = known.into_iter().map(|run| run.value.lead_id).collect();
    Ok(leads.into_iter().filter(|lead| !known.contains(lead)).collect())
}

/// Lets a lead in, unless it is in already or another campaign was faster. One that was not attached before gets its place among the
/// campaign's leads with it.
async fn admit(app: &App, campaign: &CampaignRecord, lead: LeadId, attached: bool) -> Result<bool> {
    let run = RunRecord::new(campaign.entity_id, campaign.id, lead, app.now());
    let mut tx = app.table().await.tx();
    tx.create("run", &run);
    tx.count_run(&run, None);
    tx.trace_run(&run);
    if !attached {
        let RunRecord { entity_id, campaign_id, lead_id, created_at, .. } = run;
        tx.overwrite("place of a lead", &MembershipRecord { entity_id, campaign_id, lead_id, added_at: created_at });
    }
    match tx.commit().await {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { label: "run" | "live", .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Sends a message for each run that is not over, so that each finds out for itself what is to be done.
async fn rouse(app: &App, job: CampaignJob, deadline: Instant) -> Result<()> {
    let states: Vec<RunState> = RunState::ALL.iter().copied().filter(|state| !state.is_over()).collect();
    let mut look = Look::of(&job);
    loop {
        if Instant::now() + PAGE_TIME > deadline {
            return later(app, look.job(job), Duration::ZERO).await;
        }
        let table = app.table().await;
        let (ids, next) = table.run_page(job.entity_id, job.campaign_id, &states, look.after.as_deref(), PAGE).await?;
        let message = |run_id| {
            let job = RunJob { entity_id: job.entity_id, run_id, trace_id: None::<TraceId> };
            Ok(Message::now(serde_json::to_string(&job).map_err(|e| Error::Internal(e.to_string()))?))
        };
        let messages: Result<Vec<Message>> = ids.into_iter().map(message).collect();
        app.campaign_queue().send_batch(messages?).await.map_err(|e| Error::Unavailable(e.to_string()))?;
        match next {
            Some(next) => look.after = Some(next),
            None => break,
        }
    }
    if look.second { Ok(()) } else { later(app, Look { second: true, after: None }.job(job), AGAIN).await }
}

#[cfg(test)]
mod tests {
    use axle_domain::{CampaignId, EntityId, Time};

    use super::*;

    #[test]
    fn a_look_goes_on_where_it_was() {
        let at = Time::from_secs(1);
        let (entity_id, campaign_id) = (EntityId::new_at(at), CampaignId::new_at(at));
        let job = CampaignJob { entity_id, campaign_id, task: CampaignTask::Enrol, after: None, trace_id: None };
        for (second, after) in [(false, None), (false, Some("2026#a")), (true, None), (true, Some("2026#a"))] {
            let look = Look::of(&Look { second, after: after.map(str::to_owned) }.job(job.clone()));
            assert_eq!((look.second, look.after.as_deref()), (second, after));
        }
    }
}

//! Launching: what it would come to, and the beginning.

use axle_domain::campaign::estimate::{CostEstimate, DRAFT_USAGE, LaunchInput, Rates, estimate, pace};
use axle_domain::campaign::{CampaignStatus, Channel};
use axle_domain::communication::{MessageChannel, next_allowed_by_all};
use axle_domain::cost::message_price;
use axle_domain::event::EventType;
use axle_domain::id::{entropy, v7_at};
use axle_domain::mail::IdentityKind;
use axle_domain::{CampaignId, Faults, Input, Micros, Time};
use axle_store::allowances::Allowance;
use axle_store::campaigns::{CampaignRecord, Launch};
use axle_store::identities::IdentityRecord;
use axle_store::runs::{CampaignJobRecord, CampaignTask};
use axle_store::{CommitError, Tx, Versioned};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::audience::{self, Survey, Targets};
use super::draft::Copywriter;
use super::{control, get};
use crate::answer::Answer;
use crate::communications;
use crate::communications::send::NEVER_OPEN;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::enrichment;

/// What a launch comes to.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Launched {
    /// Null for a dry run.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub execution_id: Option<Uuid>,
    /// The campaign's status.
    pub status: CampaignStatus,
    pub cost_estimate: CostEstimate,
    pub targets: Targets,
}

/// Launches a campaign, or says what that would come to. Its leads are let in by a worker.
///
/// # Errors
/// [`Error::Conflict`] unless it is a draft with a sequence, somebody to send it to and somebody to send it.
pub async fn launch(app: &App, ctx: &Ctx, id: CampaignId, input: LaunchInput) -> Result<Answer> {
    let mut faults = Faults::new();
    input.note_faults(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let campaign = get(app, ctx, id).await?;
    require_draft(&campaign.value)?;
    let table = app.table().await;
    let attached_only = table.has_attached(ctx.entity_id, id, ctx.now).await?;
    let survey = audience::survey(app, &campaign.value, attached_only, input.test_cohort_size).await?;
    let cohort = survey.targets.cohort;
    let sender = sender(app, ctx, &campaign.value).await?;
    let copywriter = copywriter(app, ctx, &campaign.value).await?;
    let a_day = [input.daily_send_limit, sender.as_ref().and_then(|sender| sender.daily_limit).map(u64::from)];
    let (sends_per_day, estimated_days) = pace(&campaign.value.spec, cohort, a_day.into_iter().flatten().min());
    let targets = Targets { sends_per_day, estimated_days, ..survey.targets.clone() };
    let provider = |channel| communications::provider(channel, sender.as_ref().map(|sender| sender.kind));
    let price = |channel| message_price(channel, Some(provider(channel)), ctx.now);
    let drafts = copywriter.as_ref().ok();
    let rates = Rates {
        email: price(MessageChannel::Email),
        sms: price(MessageChannel::Sms),
        enrichment: enrichment::most(app, ctx).await?,
        draft: drafts.map_or(Micros::ZERO, |copywriter| copywriter.estimate(DRAFT_USAGE)),
        model: drafts.map_or_else(|| "nobody".to_owned(), |copywriter| copywriter.model_name().to_owned()),
    };
    let mut cost_estimate = estimate(&campaign.value.spec, cohort, &rates);
    if survey.open > 0 {
        cost_estimate.assumptions.push(format!(
            "{} of the leads are enriched before it is known whether they have the technologies and keywords of the ICP; those that do \
             not end there as outside_icp, and nothing is sent to them",
            survey.open
        ));
    }
    let refused = require_sendable(&campaign.value, &survey, copywriter.err())
        .and_then(|()| require_sender(&campaign.value, sender.as_ref(), ctx.now));
    if input.dry_run {
        if let Err(Error::Conflict(why)) = refused {
            cost_estimate.assumptions.push(format!("as it is now, a launch is refused: {why}"));
        }
        let answer = Launched { execution_id: None, status: campaign.value.status, cost_estimate, targets };
        return Answer::new(200, answer);
    }
    refused?;
    let execution_id = v7_at(ctx.now, entropy());
    let status = CampaignStatus::Running;
    let answer = Answer::new(202, Launched { execution_id: Some(execution_id), status, cost_estimate, targets })?;
    let mut tx = table.tx();
    begin(app, ctx, &mut tx, campaign, &input, &survey, attached_only, execution_id);
    ctx.keep(&mut tx, &answer);
    match tx.commit().await {
        Ok(()) => Ok(answer),
        Err(CommitError::Condition { label: "campaign", .. }) => {
            require_draft(&get(app, ctx, id).await?.value)?;
            Err(Error::Conflict("the campaign was changed at the same moment; try again".to_owned()))
        }
        Err(e) => Err(e.into()),
    }
}

fn require_draft(campaign: &CampaignRecord) -> Result<()> {
    if campaign.status == CampaignStatus::Draft {
        return Ok(());
    }
    Err(Error::Conflict(format!("the campaign is {}; it can be launched once only", campaign.status.as_str())))
}

/// Refuses what could only come to nothing.
fn require_sendable(campaign: &CampaignRecord, survey: &Survey, no_copywriter: Option<String>) -> Result<()> {
    let sequence = &campaign.spec.messaging.sequence;
    if sequence.is_empty() {
        return Err(Error::Conflict("the campaign has no sequence to send".to_owned()));
    }
    if !sequence.iter().any(|step| step.channel.reaches_people()) {
        return Err(Error::Conflict("no step of the sequence goes by a channel that can be sent by: email or sms".to_owned()));
    }
    if let (Some(step), Some(why)) =
        (sequence.iter().find(|step| step.is_drafted() && step.channel.reaches_people()), no_copywriter)
    {
        return Err(Error::Conflict(format!("step {} has no words, and nobody drafts it: {why}", step.step)));
    }
    if survey.targets.cohort == 0 && survey.targets.complete {
        return Err(Error::Conflict(
            "there is no lead to write to: attach leads, or widen the ICP; a dry run says more".to_owned(),
        ));
    }
    Ok(())
}

/// Refuses a campaign whose identity cannot send its e-mails: its leads would be paid for, and each would fail. Whether the deployment has
/// a sender for those that name no identity is known to the runner.
fn require_sender(campaign: &CampaignRecord, sender: Option<&IdentityRecord>, now: Time) -> Result<()> {
    let messaging = &campaign.spec.messaging;
    if campaign.spec.identity_id.is_none() || !messaging.sequence.iter().any(|step| step.channel == Channel::Email) {
        return Ok(());
    }
    let refuse = |why: &str| Err(Error::Conflict(why.to_owned()));
    let Some(sender) = sender else { return refuse("the campaign's sending identity was deleted") };
    if sender.kind == IdentityKind::Ses && sender.confirmed_at.is_none() {
        return refuse("the campaign's sending identity is not verified");
    }
    let windows: Vec<_> = sender.sending_window.iter().chain(&messaging.sending_window).collect();
    // Of windows in zones of their own and of the recipients nobody can say whether they meet.
    let of_contacts = windows.iter().filter(|window| window.timezone == "contact").count();
    let comparable = of_contacts == 0 || of_contacts == windows.len();
    if comparable && next_allowed_by_all(&windows, None, now).is_none() {
        return refuse(NEVER_OPEN);
    }
    Ok(())
}

/// Who sends, if the campaign names somebody.
async fn sender(app: &App, ctx: &Ctx, campaign: &CampaignRecord) -> Result<Option<IdentityRecord>> {
    let Some(Ok(id)) = campaign.spec.identity_id.as_deref().map(str::parse) else { return Ok(None) };
    Ok(app.table().await.sending_identity(ctx.entity_id, id, ctx.now).await?.map(|found| found.value))
}

/// Who drafts what has no words, or why nobody does.
async fn copywriter(app: &App, ctx: &Ctx, campaign: &CampaignRecord) -> Result<std::result::Result<Copywriter, String>> {
    let sequence = &campaign.spec.messaging.sequence;
    if !sequence.iter().any(|step| step.is_drafted() && step.channel.reaches_people()) {
        return Ok(Err("nothing is drafted".to_owned()));
    }
    match Copywriter::of(app, ctx, campaign).await {
        Err(Error::NotFound(_)) => Ok(Err("the copywriter is gone".to_owned())),
        other => other,
    }
}

#[allow(clippy::too_many_arguments)]
fn begin(
    app: &App,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    campaign: Versioned<CampaignRecord>,
    input: &LaunchInput,
    survey: &Survey,
    attached_only: bool,
    execution_id: Uuid,
) {
    let Versioned { value: mut campaign, version } = campaign;
    campaign.status = CampaignStatus::Running;
    campaign.updated_at = ctx.now;
    campaign.launch = Some(Launch {
        execution_id,
        at: ctx.now,
        budget_limit: input.budget_limit,
        daily_send_limit: input.daily_send_limit,
        attached_only,
        cohort_to: survey.cohort_to.map(|number| format!("{number:016x}")),
        cohort_until: survey.until.clone().filter(|_| survey.cohort_to.is_some()),
        enrolled: false,
        trace_id: ctx.trace_id,
    });
    tx.replace("campaign", &campaign, version);
    if let Some(limit) = input.budget_limit {
        tx.allow(ctx.entity_id, &Allowance::Budget(campaign.id), limit.0);
    }
    tx.create("job", &job(ctx, campaign.id, CampaignTask::Enrol));
    let data = json!({"execution_id": execution_id, "cohort": survey.targets.cohort, "budget_limit": input.budget_limit});
    let event = control::event(ctx, &campaign, EventType::CampaignLaunched, data);
    tx.emit(&event, app.config().event_retention_days);
}

pub(super) fn job(ctx: &Ctx, campaign_id: CampaignId, task: CampaignTask) -> CampaignJobRecord {
    let id = v7_at(ctx.now, entropy());
    CampaignJobRecord { entity_id: ctx.entity_id, id, campaign_id, task, trace_id: ctx.trace_id, created_at: ctx.now }
}

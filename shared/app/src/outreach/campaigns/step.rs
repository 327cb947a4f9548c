//! A step of the sequence: its message written, approved if need be, paid for and queued.

use axle_domain::campaign::run::{RunState, StopCause, allowed, message_id, pick};
use axle_domain::campaign::words::{self, SenderWords, Words};
use axle_domain::campaign::{Approval, Channel, SequenceStep};
use axle_domain::communication::{Category, CommunicationInput, MessageChannel, SuppressionOrigin, Track, day_of, start_of_day};
use axle_domain::cost::dearest_message_price;
use axle_domain::lead::LeadProfile;
use axle_domain::trace::name;
use axle_domain::{CommunicationId, Time};
use axle_store::CommitError;
use axle_store::allowances::{Allowance, Refill, Spending};
use axle_store::runs::{DraftRecord, RunMessage, RunNote};

use super::approval;
use super::claim::{self, Money};
use super::draft::{self, Drafted};
use super::run::{Next, Turn, WHOLE_SEQUENCE};
use crate::communications::{self, Prepared};
use crate::error::{Error, Result};

/// Attempts against others who use up the same allowance.
const RACES: usize = 60;

fn message_channel(channel: Channel) -> Option<MessageChannel> {
    match channel {
        Channel::Email => Some(MessageChannel::Email),
        Channel::Sms => Some(MessageChannel::Sms),
        // People have no URL to post to, and LinkedIn takes no messages from programs.
        Channel::Linkedin | Channel::Webhook => None,
    }
}

/// Takes the run's step, which is due.
pub(super) async fn take(mut turn: Turn<'_>) -> Result<Next> {
    let Some(step) = turn.step().cloned() else {
        return turn.end(RunState::Completed, WHOLE_SEQUENCE).await;
    };
    let Some(channel) = message_channel(step.channel) else {
        let what = format!("step {} passed over: nothing can be sent by {}", step.step, step.channel.as_str());
        turn.run.note(RunNote::new(turn.ctx.now, name::QUEUE, what).step(step.step).with("axle.outcome", "passed_over"));
        turn.run.step += 1;
        let now = turn.ctx.now;
        return turn.wait_for_step(now).await;
    };
    let Some(lead) = turn.lead().await? else {
        return turn.end(RunState::Stopped, StopCause::LeadDeleted.as_str()).await;
    };
    let window = turn.campaign.spec.messaging.sending_window.as_ref();
    let opens = allowed(window, lead.profile.timezone.as_deref(), turn.ctx.now);
    if opens > turn.ctx.now {
        turn.run.due_at = Some(opens);
        return turn.save().await;
    }
    let address = match channel {
        MessageChannel::Email => lead.profile.email.clone().map(String::from),
        _ => lead.profile.phone.clone().map(String::from),
    };
    let Some(address) = address else {
        return turn.end(RunState::Failed, format!("the lead has no address for {}", step.channel.as_str())).await;
    };
    if let Some(known) = communications::is_suppressed(turn.app, turn.ctx.entity_id, &address).await? {
        let cause = match known.origin {
            SuppressionOrigin::Unsubscribe | SuppressionOrigin::Complaint => StopCause::Unsubscribe,
            SuppressionOrigin::Bounce => StopCause::Bounce,
            SuppressionOrigin::Manual | SuppressionOrigin::Erasure => StopCause::Suppressed,
        };
        return turn.end(RunState::Stopped, cause.as_str()).await;
    }
    let id = message_id(turn.run.id, step.step);
    let variant = pick(&step.variants, turn.campaign.id, turn.run.lead_id).map(|variant| variant.name.clone());
    let (turn, words) = match write(turn, &step, variant.as_deref(), &lead.profile, id).await? {
        Drafted::Words(turn, words) => (*turn, words),
        Drafted::Unable(turn, why) => return turn.end(RunState::Failed, why).await,
        Drafted::Ended(next) => return Ok(next),
    };
    if turn.campaign.spec.agents.approval == Approval::Manual && !turn.run.approved {
        return approval::ask(turn, &step, words).await;
    }
    let input = input(&turn, channel, words).await?;
    let prepared = match communications::prepare_as(turn.app, &turn.ctx, id, input, Some(&turn.campaign.spec.messaging)).await {
        Ok(prepared) => Prepared { parent_span: Some(turn.run.root_span()), ..prepared },
        Err(Error::Invalid(faults)) => {
            let why = faults.first().map_or_else(String::new, |fault| format!("{} {}", fault.pointer, fault.detail));
            return turn.end(RunState::Failed, format!("the message cannot be queued: {why}")).await;
        }
        Err(e) => return Err(e),
    };
    queue(turn, &step, variant, &prepared).await
}

/// What the step says to this lead, or why it cannot be said: the draft that is kept, else the templates, else what an agent drafts.
async fn write<'a>(
    turn: Turn<'a>,
    step: &SequenceStep,
    variant: Option<&str>,
    lead: &LeadProfile,
    id: CommunicationId,
) -> Result<Drafted<'a>> {
    let (app, entity) = (turn.app, turn.ctx.entity_id);
    if keeps_draft(&turn, step) {
        let draft = app.table().await.get::<DraftRecord>(&DraftRecord::key_of(entity, turn.run.id), turn.ctx.now).await?;
        if let Some(draft) = draft.filter(|draft| draft.value.step == step.step) {
            return Ok(Drafted::Words(Box::new(turn), draft.value.words));
        }
    }
    let sender = sender(&turn).await?;
    if step.is_drafted() {
        // The way to a draft is deep: on the heap it needs no more stack than a test has.
        return Box::pin(draft::draft(turn, step, lead, sender.name)).await;
    }
    let way_out = app.link_key().await?.unsubscribe_url(&app.config().base_url, entity, id);
    let variant = step.variants.iter().find(|known| Some(known.name.as_str()) == variant);
    let written = words::write(&turn.campaign.spec, step, variant, lead, &sender, &way_out);
    Ok(match written {
        Ok(words) => Drafted::Words(Box::new(turn), words),
        Err(fault) => {
            let why = format!("step {} cannot be written for this lead: {fault}", step.step);
            Drafted::Unable(Box::new(turn), why)
        }
    })
}

/// Whether words of the step may be kept: those that were approved, and those that were paid for.
fn keeps_draft(turn: &Turn<'_>, step: &SequenceStep) -> bool {
    turn.run.approved || step.is_drafted()
}

async fn sender(turn: &Turn<'_>) -> Result<SenderWords> {
    let Some(Ok(id)) = turn.campaign.spec.identity_id.as_deref().map(str::parse) else {
        let own = turn.app.config().sender.as_ref();
        return Ok(own.map_or_else(SenderWords::default, |own| SenderWords {
            name: own.name.as_ref().map(ToString::to_string),
            email: Some(own.address.to_string()),
        }));
    };
    let identity = turn.app.table().await.sending_identity(turn.ctx.entity_id, id, turn.ctx.now).await?;
    Ok(identity.map_or_else(SenderWords::default, |i| SenderWords { name: i.value.name, email: Some(i.value.from) }))
}

/// The message as it is queued. A later e-mail without a subject answers the one before it.
async fn input(turn: &Turn<'_>, channel: MessageChannel, words: Words) -> Result<CommunicationInput> {
    let (spec, run) = (&turn.campaign.spec, &turn.run);
    let mut headers = std::collections::BTreeMap::new();
    let Words { mut subject, text, html } = words;
    let follows = run.messages.iter().any(|message| message.settled);
    // A draft has a subject of its own, which is for the first message.
    let drafted = turn.step().is_some_and(SequenceStep::is_drafted);
    if channel == MessageChannel::Email && (subject.is_none() || drafted && follows) {
        let last = run.messages.iter().rev().find(|message| message.settled);
        let last = match last {
            Some(message) => turn.app.table().await.communication(turn.ctx.entity_id, message.id, turn.ctx.now).await?,
            None => None,
        };
        let last = last.map(|found| found.value);
        let before = last.as_ref().and_then(|record| record.subject.clone()).unwrap_or_else(|| spec.name.clone());
        subject = Some(if before.starts_with("Re: ") { before } else { format!("Re: {before}") });
        if let Some(id) = last.and_then(|record| record.message_id) {
            headers.extend([("In-Reply-To".to_owned(), format!("<{id}>")), ("References".to_owned(), format!("<{id}>"))]);
        }
    }
    let email = channel == MessageChannel::Email;
    let track = spec.messaging.track;
    Ok(CommunicationInput {
        channel,
        to: None,
        lead_id: Some(run.lead_id),
        contact_id: None,
        campaign_id: Some(turn.campaign.id),
        identity_id: spec.identity_id.as_deref().filter(|_| email).and_then(|id| id.parse().ok()),
        category: Some(Category::Marketing),
        subject: subject.filter(|_| email),
        text,
        html: html.filter(|_| email),
        send_at: None,
        headers,
        track: if email { Track { opens: track.opens, clicks: track.clicks } } else { Track::default() },
        idempotency_key: None,
    })
}

/// Queues the message with all that it takes, in one write: nothing is sent that is not paid for, and nothing is paid for twice.
async fn queue(mut turn: Turn<'_>, step: &SequenceStep, variant: Option<String>, prepared: &Prepared) -> Result<Next> {
    let (app, entity, campaign, now) = (turn.app, turn.ctx.entity_id, turn.campaign.id, turn.ctx.now);
    let launch = turn.campaign.launch.clone().ok_or_else(|| Error::Internal("a run of a draft".to_owned()))?;
    let subject = turn.run.id.uuid().as_u128();
    let cost = dearest_message_price(prepared.record.channel, Some(prepared.provider), now);
    let zone = turn.campaign.spec.messaging.sending_window.as_ref().map(|window| window.timezone.clone());
    let zone = zone.filter(|zone| zone != "contact");
    // It counts on the day that it is to go out on, which another window may make a later one.
    let goes_out = prepared.record.scheduled_send_time.max(now);
    let day = launch.daily_send_limit.map(|limit| (day_of(zone.as_deref(), goes_out), limit));
    let of_day = day.as_ref().map(|(day, _)| day.clone());
    let id = prepared.record.id;
    turn.run.messages.push(RunMessage { step: step.step, id, variant, cost, day: of_day, queued_at: now, settled: false });
    turn.run.state = RunState::Sending;
    // The outcome is told; this is for the case that nobody hears it.
    turn.run.due_at = Some(goes_out.plus_secs(600));
    (turn.run.lost, turn.run.refused) = (0, 0);
    turn.run.note(RunNote::new(now, name::QUEUE, format!("step {} was queued", step.step)).step(step.step));
    let table = app.table().await;
    for _ in 0..RACES {
        let mut tx = table.tx();
        turn.put(&mut tx);
        prepared.put(&mut tx);
        tx.spend(entity, campaign, subject, Spending::ChannelCosts, cost, launch.budget_limit.is_some());
        if let Some((day, _)) = &day {
            tx.take_place(entity, campaign, day, subject, now);
        }
        if keeps_draft(&turn, step) {
            tx.remove("draft", DraftRecord::key_of(entity, turn.run.id));
        }
        match tx.commit().await {
            Ok(()) => return Ok(Next::Rest),
            Err(CommitError::Condition { label: "run", .. }) => return Ok(Next::GoOn),
            Err(CommitError::Condition { label: "budget", .. }) => match claim::money(&turn, cost).await? {
                Money::There => {}
                Money::Gone => return Ok(Next::GoOn),
                Money::Later => {
                    return match unqueued(app, &turn).await? {
                        Some(fresh) => claim::wait_for_money(fresh).await,
                        None => Ok(Next::GoOn),
                    };
                }
            },
            Err(CommitError::Condition { label: "day", .. }) => {
                let Some((day, limit)) = &day else { return Err(Error::Internal("a place without a day".to_owned())) };
                table.open_day(entity, campaign, day, *limit, now).await?;
                let all = i64::try_from(*limit).unwrap_or(i64::MAX);
                let places = Allowance::Day(campaign, day.clone());
                if table.refill(entity, &places, subject, 1, all).await? == Refill::Exhausted {
                    return next_day(app, &turn, zone.as_deref(), goes_out).await;
                }
            }
            Err(CommitError::Condition { label: "message", .. }) => {
                return Err(Error::Internal("the message of a step is there, and its run knows nothing of it".to_owned()));
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Unavailable("an allowance met too many others".to_owned()))
}

/// The run without the message that could not be queued; `None` if somebody has changed it.
async fn unqueued<'a>(app: &'a crate::App, turn: &Turn<'_>) -> Result<Option<Turn<'a>>> {
    let fresh = Turn::read(app, turn.ctx.entity_id, turn.run.id).await?;
    Ok(fresh.filter(|fresh| fresh.version == turn.version))
}

/// The places of the day of `goes_out` are taken: waits for the next one.
async fn next_day(app: &crate::App, turn: &Turn<'_>, zone: Option<&str>, goes_out: Time) -> Result<Next> {
    let Some(mut fresh) = unqueued(app, turn).await? else { return Ok(Next::GoOn) };
    let starts = start_of_day(zone, goes_out, 1);
    let own = fresh.lead().await?.and_then(|lead| lead.profile.timezone);
    let window = fresh.campaign.spec.messaging.sending_window.as_ref();
    fresh.run.due_at = Some(allowed(window, own.as_deref(), starts));
    let note = RunNote::new(fresh.ctx.now, name::WAIT, "the day's messages are sent").step(fresh.run.step);
    fresh.run.note(note);
    fresh.save().await
}

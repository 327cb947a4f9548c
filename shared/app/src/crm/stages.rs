//! What follows from the stage of a deal: for its company, its tasks, its timeline, and whoever listens.

use axle_domain::crm::Hold;
use axle_domain::crm::deal::StageInput;
use axle_domain::crm::stage::Stage;
use axle_domain::crm::task::{Chore, Related};
use axle_domain::crm::timeline::Told;
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{CompanyId, DealId, Time};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::deals::DealRecord;
use axle_store::crm::timeline::TimelineRecord;
use axle_store::{Tx, Versioned};
use serde_json::{Value, json};

use super::{companies, deals, shared, tasks};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::without_nulls;

/// How a deal comes to be changed.
#[derive(Debug)]
pub(super) enum Way {
    /// By a patch of whatever it has.
    Patch,
    /// By a move to a stage; there is nothing to do for a deal that is there.
    Shift { to: Stage, note: Option<String> },
}

impl Way {
    fn note(&self) -> Option<&str> {
        match self {
            Self::Patch => None,
            Self::Shift { note, .. } => note.as_deref(),
        }
    }

    pub(super) fn has_arrived(&self, deal: &DealRecord) -> bool {
        matches!(self, Self::Shift { to, .. } if *to == deal.stage)
    }
}

/// Moves a deal to another stage. The stage that it is in changes nothing.
pub async fn shift(app: &App, ctx: &Ctx, id: DealId, wish: StageInput, if_match: Option<u64>) -> Result<Versioned<DealRecord>> {
    let text = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let mut change = json!({"stage": wish.stage});
    if let Some(reason) = text(wish.lost_reason) {
        change["lostReason"] = json!(reason);
    }
    let way = Way::Shift { to: wish.stage, note: text(wish.note) };
    shared::shown(app, ctx, deals::update(app, ctx, id, &change, &way, if_match).await?).await
}

/// Puts all that follows from a deal's change into the change's own transaction: `before` is absent for a new deal, `after` for one
/// that is deleted.
pub(super) async fn consequences(
    app: &App,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    before: Option<&DealRecord>,
    mut after: Option<&mut DealRecord>,
    way: &Way,
) -> Result<()> {
    let (from, to) = (before.map(|deal| deal.stage), after.as_ref().map(|deal| deal.stage));
    if from != to {
        if let Some(chore) = before.and_then(|deal| deal.chore) {
            // What was to be done for the stage that is left, if nobody has done it.
            tasks::cancel_if_open(app, ctx, tx, chore).await?;
        }
        if let Some(deal) = after.as_deref_mut() {
            arrive(app, ctx, tx, from, deal, way.note());
        }
    }
    let held = [before.and_then(DealRecord::held_company), after.as_ref().and_then(|deal| deal.held_company())];
    match held {
        [old, new] if old == new => Ok(()),
        [old, new] => hold(app, ctx, tx, old, new).await,
    }
}

/// What follows from being in another stage than before.
fn arrive(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, from: Option<Stage>, deal: &mut DealRecord, note: Option<&str>) {
    deal.stage_changed_at = ctx.now;
    deal.closed_at = (!deal.stage.is_open()).then_some(ctx.now);
    deal.chore = None;
    let reason = deal.profile.lost_reason.clone();
    let mut tell = |event_type: EventType, data: Value| {
        let subject = Subject::new("crm_lead", deal.id);
        let event = Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data);
        tx.emit(&event.trace(ctx.trace_id), app.config().event_retention_days);
    };
    if let Some(from) = from {
        tell(EventType::LeadStageChanged, json!({"from": from, "to": deal.stage}));
    }
    let chore = match deal.stage {
        Stage::Won => {
            let data = json!({"value_minor": deal.profile.value_minor, "currency": deal.profile.currency});
            tell(EventType::LeadWon, without_nulls(data));
            Some(Chore::onboarding(&deal.profile.title, ctx.now))
        }
        Stage::Lost => {
            let reason = reason.as_deref().unwrap_or_default();
            tell(EventType::LeadLost, json!({"reason": reason}));
            Some(Chore::follow_up(&deal.profile.title, reason, ctx.now))
        }
        _ => None,
    };
    if let Some(from) = from {
        let told = Told::moved(from, deal.stage, reason.as_deref(), note);
        tell_timeline(ctx, tx, deal.id, ctx.now, told);
    }
    if let Some(chore) = chore {
        let task = tasks::add(app, ctx, tx, chore, deal.owner, Some(Related::deal(deal.id)));
        tell_timeline(ctx, tx, deal.id, ctx.now, Told::task(task.id, &task.title, "created", task.due_date));
        deal.chore = Some(task.id);
    }
}

pub(super) fn tell_timeline(ctx: &Ctx, tx: &mut Tx<'_>, deal: DealId, at: Time, told: Told) {
    let id = axle_domain::id::v7_at(ctx.now, axle_domain::id::entropy());
    tx.create("timeline", &TimelineRecord::new(ctx.entity_id, deal, id, at, ctx.actor.clone(), told));
}

/// Gives up one company and takes another.
async fn hold(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, old: Option<CompanyId>, new: Option<CompanyId>) -> Result<()> {
    let mut held: Vec<(CompanyRecord, CompanyRecord, u64)> = Vec::new();
    for (id, judge) in [(old, Hold::release as fn(_, _) -> _), (new, Hold::take)] {
        let Some(id) = id else { continue };
        let Some(Versioned { value: company, version }) = standing(app, ctx, id).await? else { continue };
        // Companies that were merged meanwhile can turn out to be one.
        let known = held.iter_mut().find(|(_, now, _)| now.id == company.id);
        let (hold, status) =
            judge(known.as_ref().map_or(company.hold, |k| k.1.hold), known.as_ref().map_or(company.status, |k| k.1.status));
        match known {
            Some(known) => (known.1.hold, known.1.status) = (hold, status),
            None => held.push((company.clone(), CompanyRecord { hold, status, updated_at: ctx.now, ..company }, version)),
        }
    }
    for (was, is, version) in held {
        tx.replace_company(&was, &is, version);
    }
    Ok(())
}

/// A company, or the one that it was merged into; none if it is gone.
async fn standing(app: &App, ctx: &Ctx, id: CompanyId) -> Result<Option<Versioned<CompanyRecord>>> {
    let mut id = id;
    // A winner of a merge can lose a later one.
    for _ in 0..8 {
        match companies::get(app, ctx, id).await {
            Ok(company) => match company.value.merged_into {
                Some(winner) => id = winner,
                None => return Ok(Some(company)),
            },
            Err(Error::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

//! Places of an identity's days. What finds its day full takes a place on the first later day that has one, so that a queue of a
//! hundred thousand messages settles into the coming weeks once, and is not tried anew each day.

use axle_domain::Time;
use axle_domain::campaign::SendingWindow;
use axle_domain::communication::{allowance, day_of, next_allowed_by_all, start_of_day};
use axle_store::communications::CommunicationRecord;
use axle_store::identities::IdentityRecord;

use crate::context::App;
use crate::error::{Error, Result};

/// Days that are looked at for a place.
const HORIZON: u32 = 730;

pub(super) enum Place {
    /// It may go now; on this day, if days are counted.
    Now(Option<String>),
    /// It has a place on a later day, which opens then.
    Later(Time, String),
}

/// Finds a message its place: on a later day it opens with `windows`, that of the identity and that of a campaign. Free for identities
/// without a limit; else one write unit a day that is tried.
pub(super) async fn take_place(
    app: &App,
    identity: Option<&IdentityRecord>,
    record: &CommunicationRecord,
    windows: &[&SendingWindow],
    now: Time,
) -> Result<Place> {
    let Some(identity) = identity.filter(|identity| identity.daily_limit.is_some() || identity.warmup.is_some()) else {
        return Ok(Place::Now(None));
    };
    let zone = identity.zone();
    let today = day_of(zone, now);
    if record.place.as_deref() == Some(today.as_str()) {
        return Ok(Place::Now(Some(today)));
    }
    // A place of a day that has passed is worth nothing any more; one of a day to come is not touched before it comes.
    let (table, entity) = (app.table().await, record.entity_id);
    let frontier = table.send_frontier(entity, identity.id).await?.filter(|day| *day > today);
    for ahead in 0..HORIZON {
        let starts = start_of_day(zone, now, ahead);
        let day = day_of(zone, starts);
        if frontier.as_ref().is_some_and(|frontier| day < *frontier) {
            continue;
        }
        let limit = allowance(identity.daily_limit, identity.warmup, age(identity, starts)).unwrap_or(u64::MAX);
        if table.take_send_place(entity, identity.id, &day, limit, starts).await? {
            if ahead == 0 {
                return Ok(Place::Now(Some(day)));
            }
            return Ok(Place::Later(opening(windows, record, starts), day));
        }
        if ahead > 0 || frontier.is_none() {
            let next = start_of_day(zone, now, ahead + 1);
            table.advance_send_frontier(entity, identity.id, &day_of(zone, next), next).await?;
        }
    }
    Err(Error::Internal("an identity's days are full for two years".to_owned()))
}

/// When on its day a message may go out, or on a later one if that day is none of theirs: then it takes another place.
fn opening(windows: &[&SendingWindow], record: &CommunicationRecord, starts: Time) -> Time {
    next_allowed_by_all(windows, record.timezone.as_deref(), starts).unwrap_or(starts)
}

/// Days between the warm-up's first day and the day of `at`.
fn age(identity: &IdentityRecord, at: Time) -> u32 {
    let zone = identity.zone();
    let first = start_of_day(zone, identity.warmup_since.plus_days(-1), 1);
    u32::try_from((at.since(first) + 7_200_000).div_euclid(86_400_000)).unwrap_or(0)
}

/// Gives a place back that was not used. Losing one does no harm, so a failure is only logged.
pub(crate) async fn give_back(app: &App, record: &CommunicationRecord, place: Option<String>) {
    let (Some(day), Some(identity)) = (place, record.identity_id) else { return };
    let table = app.table().await;
    let mut done = table.return_send_place(record.entity_id, identity, &day).await;
    if done.is_ok() {
        done = table.reset_send_frontier(record.entity_id, identity).await;
    }
    if let Err(e) = done {
        tracing::warn!(communication_id = %record.id, error = %e, "a place of a sending day was lost");
    }
}

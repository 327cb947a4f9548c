//! Meetings, and the scheduling services that tell of them.

use std::sync::Arc;

use axle_app::meetings::{self, HookAnswer};
use axle_app::{Answer, App};
use axle_domain::EntityId;
use axle_domain::mail::Hook;
use axle_domain::meeting::{HookSecretInput, MeetingInput};
use axle_http::{ApiError, Body, Caller, Id, RawBody, Reply, TwoIds};
use axum::extract::State;

use crate::model::{HookProvider, HookUrlOut, MeetingOut};

/// Book a meeting
///
/// The lead moves on to `meeting`; `meeting.booked` tells of it.
#[utoipa::path(post, path = "/meetings", tag = "Meetings", operation_id = "createMeeting", request_body = MeetingInput,
    security(("api_key" = ["communications:write"])),
    responses((status = 201, description = "It is booked.", body = MeetingOut)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Body(input): Body<MeetingInput>,
) -> Result<Reply, ApiError> {
    let answer = meetings::create(&app, &ctx, input, |record| Answer::new(201, MeetingOut::from(record)));
    Ok(Reply(answer.await?))
}

/// Connect a scheduling service
///
/// Takes the secret that the service signs with, in place of the one before, and answers the URL to enter there: in Cal.com as a webhook for
/// bookings created, rescheduled and cancelled; in Calendly as a webhook subscription to `invitee.created` and `invitee.canceled`.
#[utoipa::path(put, path = "/meetings/hooks/{provider}", tag = "Meetings", operation_id = "setMeetingHook", request_body = HookSecretInput,
    security(("api_key" = ["communications:write"])), params(("provider" = inline(HookProvider), Path)),
    responses((status = 200, description = "Where the service should report.", body = HookUrlOut)))]
pub(crate) async fn set_hook(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(hook): Id<Hook>,
    Body(input): Body<HookSecretInput>,
) -> Result<Reply, ApiError> {
    let answer = |url: &str| Answer::new(200, HookUrlOut { url: url.to_owned() });
    Ok(Reply(meetings::set_hook_secret(&app, &ctx, hook, input, answer).await?))
}

/// Report a booking
///
/// What Cal.com and Calendly post, with their own signatures (`x-cal-signature-256`, `calendly-webhook-signature`); no other credential. A booking
/// emits `meeting.booked`, a move `meeting.rescheduled`, a cancellation `meeting.cancelled`; what is reported again changes nothing. The
/// lead is found by the attendees' addresses.
#[utoipa::path(post, path = "/meetings/hooks/{provider}/{entity_id}", tag = "Meetings", operation_id = "reportMeeting", security(()),
    params(("provider" = inline(HookProvider), Path), ("entity_id" = EntityId, Path)),
    request_body(content = Object, description = "As the service documents it."),
    responses((status = 200, description = "It was taken.", body = HookAnswer),
        (status = 401, description = "The signature is missing, too old or not good.", body = Object, content_type = "application/problem+json")))]
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    TwoIds(hook, entity): TwoIds<Hook, EntityId>,
    raw: RawBody,
) -> Result<Reply, ApiError> {
    let signature = raw.headers.get(hook.signature_header()).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Reply::ok(meetings::report(&app, entity, hook, signature, &raw.bytes).await?)?)
}

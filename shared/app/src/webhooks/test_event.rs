//! A sample event on demand.

use axle_domain::WebhookId;
use axle_domain::event::{EventType, sample::sample};

use super::{endpoints, message, sealed};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The endpoint answered with 2xx.
    pub delivered: bool,
    /// Absent when nothing was answered.
    pub status_code: Option<u16>,
    pub duration_ms: u64,
    /// The first KiB of the answer's body.
    pub response_excerpt: Option<String>,
    pub error: Option<String>,
}

/// Sends a sample event to an endpoint now, signed like any other, and waits for the answer (15 s at most). Works for disabled
/// endpoints too, leaves no delivery behind and has no effect on the endpoint's state.
///
/// Without an event type it is the first one that the endpoint listens to.
///
/// # Errors
/// [`Error::Invalid`] for an unknown event type.
pub async fn test(app: &App, ctx: &Ctx, id: WebhookId, event_type: Option<&str>) -> Result<TestOutcome> {
    let endpoint = endpoints::get(app, ctx, id).await?.value;
    let event_type = match event_type {
        Some(text) => text.parse::<EventType>().map_err(|e| Error::invalid("/event_type", e.to_string()))?,
        None => {
            let filter = endpoint.filter();
            let first = EventType::ALL.iter().copied().find(|t| filter.matches(t.as_str()));
            first.unwrap_or(EventType::LeadCreated)
        }
    };
    let event = sample(event_type, ctx.entity_id, ctx.now).trace(ctx.trace_id);
    let now = app.now();
    let secrets = sealed::live(app, &endpoint, now).await?;
    let request = message::request(&endpoint.url, &event, &secrets, now, message::TIMEOUT)?;
    let (_, attempt) = message::read(app.outbound().send(request).await, now);
    Ok(TestOutcome {
        delivered: attempt.error.is_none(),
        status_code: attempt.status_code,
        duration_ms: attempt.duration_ms,
        response_excerpt: attempt.response_excerpt,
        error: attempt.error,
    })
}

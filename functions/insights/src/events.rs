//! The event log.

use std::sync::Arc;

use axle_app::App;
use axle_app::outreach::events;
use axle_domain::event::{Event, EventTypes, is_known_pattern};
use axle_domain::{CampaignId, LeadId, Time};
use axle_http::{ApiError, Caller, QueryReader, Reply, page_answer};
use axle_store::events::EventQuery;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// Query events
///
/// Newest first. Events are kept 90 days by default. A page can be shorter than `limit` and still have a `next_cursor` when the
/// filters match little.
#[utoipa::path(get, path = "/events", tag = "Events", operation_id = "listEvents", security(("api_key" = ["events:read"])),
    params(
        ("type" = Option<Vec<EventTypes>>, Query, description = "An event type, or a group such as `lead.*`; may repeat."),
        ("campaign_id" = Option<CampaignId>, Query, description = "Only events of this campaign."),
        ("lead_id" = Option<LeadId>, Query, description = "Only events of this lead."),
        ("agent" = Option<String>, Query, description = "Only events of the agent with this id."),
        ("from" = Option<Time>, Query, description = "Inclusive."),
        ("to" = Option<Time>, Query, description = "Exclusive."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of events.", body = EventPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = read_query(&mut query);
    let page = query.page();
    query.finish()?;
    let found = events::list(&app, &ctx, wanted, page).await?;
    Ok(page_answer("events", found, |event| event)?)
}

fn read_query(query: &mut QueryReader) -> EventQuery {
    let mut wanted = EventQuery {
        campaign_id: query.parsed("campaign_id"),
        lead_id: query.parsed("lead_id"),
        agent_id: query.text("agent"),
        from: query.parsed::<Time>("from"),
        to: query.parsed::<Time>("to"),
        ..EventQuery::default()
    };
    for pattern in query.all("type") {
        if !is_known_pattern(&pattern) {
            query.fault("type", format!("`{pattern}` is neither an event type nor a group of them such as `lead.*`"));
        } else if let Some(prefix) = pattern.strip_suffix('*') {
            wanted.prefixes.push(prefix.to_owned());
        } else {
            wanted.types.push(pattern);
        }
    }
    // `*` is every type, whatever is named beside it: no condition.
    if wanted.prefixes.iter().any(String::is_empty) {
        wanted.prefixes.clear();
        wanted.types.clear();
    }
    if let (Some(from), Some(to)) = (wanted.from, wanted.to)
        && from > to
    {
        query.fault("to", "must not be earlier than from");
    }
    wanted
}

//! The event log as a tenant queries it.

use axle_domain::event::Event;
use axle_store::events::EventQuery;

use crate::context::{App, Ctx};
use crate::error::Result;
use crate::{PageRequest, Paged};

/// A page of events, newest first.
pub async fn list(app: &App, ctx: &Ctx, query: EventQuery, page: PageRequest) -> Result<Paged<Event>> {
    let name = format!("events?{query:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.events(ctx.entity_id, &query, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

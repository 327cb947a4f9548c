//! An endpoint's deliveries.

use axle_domain::WebhookId;
use axle_domain::webhook::DeliveryStatus;
use axle_store::Versioned;
use axle_store::deliveries::DeliveryRecord;

use super::endpoints;
use crate::context::{App, Ctx};
use crate::error::Result;
use crate::{PageRequest, Paged};

/// A page of an endpoint's deliveries, newest first. With a status the page may be short and still have a next one.
pub async fn deliveries(
    app: &App,
    ctx: &Ctx,
    id: WebhookId,
    status: Option<DeliveryStatus>,
    page: PageRequest,
) -> Result<Paged<Versioned<DeliveryRecord>>> {
    endpoints::get(app, ctx, id).await?;
    let name = format!("webhooks/{id}/deliveries?{status:?}");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let table = app.table().await;
    let (items, next) = table.deliveries(ctx.entity_id, id, status, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

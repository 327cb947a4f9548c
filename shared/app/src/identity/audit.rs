//! The audit log: who changed keys, members, webhooks, connections. Written with the change; never changed.

use axle_domain::id::{entropy, v7_at};
use axle_store::Tx;
use axle_store::identity::AuditRecord;
use serde_json::Value;

use crate::context::{App, Ctx};
use crate::error::Result;
use crate::{PageRequest, Paged};

/// Adds an entry to the transaction that makes the change. `detail` must hold no secrets.
pub(crate) fn note(ctx: &Ctx, tx: &mut Tx<'_>, action: &str, subject: impl std::fmt::Display, detail: Value) {
    let record = AuditRecord {
        entity_id: ctx.entity_id,
        id: v7_at(ctx.now, entropy()),
        at: ctx.now,
        actor: ctx.actor.clone(),
        action: action.to_owned(),
        subject_id: subject.to_string(),
        detail,
    };
    tx.create("audit entry", &record);
}

/// A page of the audit log, newest first.
pub async fn list(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<AuditRecord>> {
    let after = ctx.open_cursor(app, "audit-log", page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.audit_log(ctx.entity_id, after.as_deref(), page.limit).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "audit-log", next).await? })
}

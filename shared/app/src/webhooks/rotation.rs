//! The signing secret: shown, and replaced.

use axle_domain::WebhookId;
use axle_domain::webhook::{DEFAULT_OVERLAP_SECS, MAX_OVERLAP_SECS};
use axle_store::Versioned;
use axle_store::webhooks::WebhookRecord;
use serde_json::json;

use super::{endpoints, sealed};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;

/// The current signing secret in clear.
pub async fn secret(app: &App, ctx: &Ctx, id: WebhookId) -> Result<String> {
    let endpoint = endpoints::get(app, ctx, id).await?;
    Ok(sealed::current(app, &endpoint.value).await?.reveal())
}

/// Gives an endpoint a new signing secret. For `overlap_secs` (a day if not said, a week at most) the old one signs as well,
/// so that the receiver can change over without missing anything; a secret older than that one ends at once. `answer` is given
/// the endpoint and the new secret in clear.
///
/// # Errors
/// [`Error::Invalid`] for an overlap out of range.
pub async fn rotate_secret(
    app: &App,
    ctx: &Ctx,
    id: WebhookId,
    overlap_secs: Option<u32>,
    answer: impl FnOnce(&Versioned<WebhookRecord>, &str) -> Result<Answer>,
) -> Result<Answer> {
    let overlap = overlap_secs.unwrap_or(DEFAULT_OVERLAP_SECS);
    if overlap > MAX_OVERLAP_SECS {
        return Err(Error::invalid("/overlap_seconds", format!("must be a number from 0 to {MAX_OVERLAP_SECS}")));
    }
    let Versioned { value: mut endpoint, version } = endpoints::get(app, ctx, id).await?;
    let secret = endpoints::new_secret();
    let old = std::mem::replace(&mut endpoint.secret, sealed::seal(app, ctx.entity_id, id, &secret).await?);
    let until = (overlap > 0).then(|| ctx.now.plus_secs(i64::from(overlap)));
    endpoint.previous_secret = until.map(|_| old);
    endpoint.previous_until = until;
    endpoint.updated_at = ctx.now;
    let rotated = Versioned { value: endpoint, version: version + 1 };
    let answer = answer(&rotated, &secret.reveal())?;
    let mut tx = app.table().await.tx();
    tx.replace("webhook", &rotated.value, version);
    audit::note(ctx, &mut tx, "webhook.secret_rotated", id, json!({"overlap_seconds": overlap}));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

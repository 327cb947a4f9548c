//! The secrets of messages: with one, mail that comes in is signed by whoever posts it; with another, we sign messages of the channel
//! `webhook`. They are two, because who receives such messages must not be able to forge mail.

use axle_domain::EntityId;
use axle_domain::webhook::{DEFAULT_TOLERANCE, SigningSecret, verify};
use serde_json::json;

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::shared_secrets;

const INBOUND: &str = "inbound";
const POSTS: &str = "posts";

/// The headers of a message that is signed as a Standard Webhook, as received.
#[derive(Clone, Debug, Default)]
pub struct SignedHeaders {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
}

/// Where a tenant's mail is posted to.
fn inbound_url(app: &App, entity: EntityId) -> String {
    format!("{}/communications/inbound/{entity}", app.config().base_url.trim_end_matches('/'))
}

/// Makes the secret with which inbound mail is signed, in place of the one before, which stays good for `overlap_secs` (at most 7 days).
/// `answer` is given the URL to post to and the secret in clear.
///
/// # Errors
/// [`Error::Invalid`] for an overlap out of range.
pub async fn renew_inbound_secret(
    app: &App,
    ctx: &Ctx,
    overlap_secs: u32,
    answer: impl FnOnce(&str, &str) -> Result<Answer>,
) -> Result<Answer> {
    let mut tx = app.table().await.tx();
    let secret = shared_secrets::renew(app, ctx, &mut tx, INBOUND, None, overlap_secs).await?;
    let answer = answer(&inbound_url(app, ctx.entity_id), &secret.reveal())?;
    audit::note(ctx, &mut tx, "inbound_secret.created", INBOUND, json!({"overlap_seconds": overlap_secs}));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// Checks what was posted as a tenant's inbound mail.
///
/// # Errors
/// [`Error::Unauthenticated`], the same whether the tenant has no secret, is not there, or the signature does not fit.
pub(super) async fn verify_inbound(app: &App, entity: EntityId, headers: &SignedHeaders, body: &[u8]) -> Result<()> {
    const REFUSED: Error = Error::Unauthenticated("the signature is missing, too old or not good");
    let Some(found) = shared_secrets::find(app, entity, INBOUND).await? else { return Err(REFUSED) };
    let secrets = shared_secrets::signing(&shared_secrets::live(app, &found.value).await?)?;
    let SignedHeaders { id, timestamp, signature } = headers;
    let now = app.now().secs();
    verify(&secrets, id, timestamp, signature, body, now, DEFAULT_TOLERANCE).map_err(|_| REFUSED)
}

/// The secret that receivers of a tenant's `webhook` messages verify with.
pub async fn post_secret(app: &App, ctx: &Ctx) -> Result<String> {
    let secrets = signing_posts(app, ctx.entity_id).await?;
    secrets.first().map(SigningSecret::reveal).ok_or_else(|| Error::Internal("no secret for posts".to_owned()))
}

/// Everything that signs a tenant's posts at this moment. Costs a read.
pub(super) async fn signing_posts(app: &App, entity: EntityId) -> Result<Vec<SigningSecret>> {
    match shared_secrets::find(app, entity, POSTS).await? {
        Some(found) => shared_secrets::signing(&shared_secrets::live(app, &found.value).await?),
        None => Ok(vec![app.first_post_secret(entity).await?]),
    }
}

/// Gives posts another secret. For `overlap_secs` (at most 7 days) the old one signs as well.
///
/// # Errors
/// [`Error::Invalid`] for an overlap out of range.
pub async fn renew_post_secret(
    app: &App,
    ctx: &Ctx,
    overlap_secs: u32,
    answer: impl FnOnce(&str) -> Result<Answer>,
) -> Result<Answer> {
    let first = app.first_post_secret(ctx.entity_id).await?;
    let mut tx = app.table().await.tx();
    let secret = shared_secrets::renew(app, ctx, &mut tx, POSTS, Some(first), overlap_secs).await?;
    let answer = answer(&secret.reveal())?;
    audit::note(ctx, &mut tx, "post_secret.rotated", POSTS, json!({"overlap_seconds": overlap_secs}));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

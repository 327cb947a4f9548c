//! Signing secrets at rest: sealed, and bound to their endpoint.

use axle_domain::webhook::SigningSecret;
use axle_domain::{EntityId, Time, WebhookId};
use axle_store::webhooks::WebhookRecord;
use secrecy::ExposeSecret;

use crate::context::App;
use crate::error::{Error, Result};

fn place(entity: EntityId, id: WebhookId) -> String {
    format!("webhook/{entity}/{id}")
}

pub(super) async fn seal(app: &App, entity: EntityId, id: WebhookId, secret: &SigningSecret) -> Result<String> {
    Ok(app.vault().seal(&secret.reveal(), &place(entity, id)).await?)
}

async fn open(app: &App, endpoint: &WebhookRecord, sealed: &str) -> Result<SigningSecret> {
    let text = app.vault().open(sealed, &place(endpoint.entity_id, endpoint.id)).await?;
    SigningSecret::parse(text.expose_secret()).map_err(|e| Error::Internal(format!("a stored signing secret: {e}")))
}

/// The secret that the tenant should verify with.
pub(super) async fn current(app: &App, endpoint: &WebhookRecord) -> Result<SigningSecret> {
    open(app, endpoint, &endpoint.secret).await
}

/// Every secret that signs at present: the current one, and the one before it while the rotation's overlap lasts.
pub(super) async fn live(app: &App, endpoint: &WebhookRecord, now: Time) -> Result<Vec<SigningSecret>> {
    let mut secrets = vec![current(app, endpoint).await?];
    if let (Some(previous), Some(until)) = (&endpoint.previous_secret, endpoint.previous_until)
        && now < until
    {
        secrets.push(open(app, endpoint, previous).await?);
    }
    Ok(secrets)
}

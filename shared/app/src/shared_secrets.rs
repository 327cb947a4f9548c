//! Secrets that a tenant shares with another system: sealed at rest, bound to what they are for.

use axle_domain::EntityId;
use axle_domain::webhook::{MAX_OVERLAP_SECS, NEW_SECRET_BYTES, SigningSecret};
use axle_store::shared_secrets::SharedSecretRecord;
use axle_store::{Tx, Versioned};
use secrecy::ExposeSecret;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

fn place(entity: EntityId, name: &str) -> String {
    format!("shared-secret/{entity}/{name}")
}

pub(crate) async fn seal(app: &App, entity: EntityId, name: &str, text: &str) -> Result<String> {
    Ok(app.vault().seal(text, &place(entity, name)).await?)
}

pub(crate) async fn find(app: &App, entity: EntityId, name: &str) -> Result<Option<Versioned<SharedSecretRecord>>> {
    Ok(app.table().await.shared_secret(entity, name, app.now()).await?)
}

async fn open(app: &App, entity: EntityId, name: &str, sealed: &str) -> Result<String> {
    Ok(app.vault().open(sealed, &place(entity, name)).await?.expose_secret().to_owned())
}

/// The texts that are good at this moment, the current one first.
pub(crate) async fn live(app: &App, record: &SharedSecretRecord) -> Result<Vec<String>> {
    let (entity, name) = (record.entity_id, record.name.as_str());
    let mut texts = vec![open(app, entity, name, &record.sealed).await?];
    if let (Some(previous), Some(until)) = (&record.previous, record.previous_until)
        && app.now() < until
    {
        texts.push(open(app, entity, name, previous).await?);
    }
    Ok(texts)
}

/// Parses secrets of our own making.
pub(crate) fn signing(texts: &[String]) -> Result<Vec<SigningSecret>> {
    let parse = |text: &String| SigningSecret::parse(text).map_err(|e| Error::Internal(format!("a stored signing secret: {e}")));
    texts.iter().map(parse).collect()
}

/// Puts a new signing secret into a transaction, in place of `known` or of `first`, which stays good for `overlap_secs`.
///
/// # Errors
/// [`Error::Invalid`] for an overlap out of range.
pub(crate) async fn renew(
    app: &App,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    name: &'static str,
    first: Option<SigningSecret>,
    overlap_secs: u32,
) -> Result<SigningSecret> {
    if overlap_secs > MAX_OVERLAP_SECS {
        return Err(Error::invalid("/overlap_seconds", format!("must be a number from 0 to {MAX_OVERLAP_SECS}")));
    }
    let secret = SigningSecret::generate(axle_domain::id::entropy::<NEW_SECRET_BYTES>());
    let known = find(app, ctx.entity_id, name).await?;
    let old = match (&known, first) {
        (Some(known), _) => Some(known.value.sealed.clone()),
        (None, Some(first)) => Some(seal(app, ctx.entity_id, name, &first.reveal()).await?),
        (None, None) => None,
    };
    let until = (overlap_secs > 0 && old.is_some()).then(|| ctx.now.plus_secs(i64::from(overlap_secs)));
    let record = SharedSecretRecord {
        entity_id: ctx.entity_id,
        name: name.to_owned(),
        sealed: seal(app, ctx.entity_id, name, &secret.reveal()).await?,
        previous: until.and(old),
        previous_until: until,
        updated_at: ctx.now,
    };
    put(tx, &record, known.map(|known| known.version));
    Ok(secret)
}

/// Writes a record in the place of the version that was read.
pub(crate) fn put(tx: &mut Tx<'_>, record: &SharedSecretRecord, version: Option<u64>) {
    match version {
        Some(version) => tx.replace("secret", record, version),
        None => tx.create("secret", record),
    }
}

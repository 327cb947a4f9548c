//! The enrichment APIs that a tenant has described.

use axle_domain::enrich::{ProviderInput, ProviderName, WEBSITE};
use axle_domain::{EntityId, Faults, Micros};
use axle_providers::outbound::EndpointUrl;
use axle_store::Versioned;
use axle_store::enrichment::ProviderRecord;
use serde_json::json;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::outreach::leads::{changed_meanwhile, require_version};

/// APIs that a tenant can describe.
pub const MAX_PROVIDERS: usize = 20;
/// Attempts against others who change the same description at the same moment.
const RACES: usize = 4;

/// Someone to be asked.
pub(super) enum Provider {
    Website,
    Http(Box<ProviderRecord>),
}

impl Provider {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Website => WEBSITE,
            Self::Http(config) => config.name.as_str(),
        }
    }
}

/// What it costs to ask all of them.
pub(super) fn price_of(providers: &[Provider]) -> Micros {
    let each = providers.iter().map(|provider| match provider {
        Provider::Website => 0,
        Provider::Http(config) => config.cost_per_call.0,
    });
    Micros(each.sum())
}

/// Where a provider's sealed secret is kept.
pub(super) fn place(entity: EntityId, name: &ProviderName) -> String {
    format!("enrichment-provider/{entity}/{name}")
}

/// Those that are named, in that order (a disabled one too: who names it wants it), or all that are enabled, in the waterfall's.
pub(super) async fn chosen(app: &App, ctx: &Ctx, names: Option<&[ProviderName]>) -> Result<Vec<Provider>> {
    let configured = providers(app, ctx).await?.into_iter().map(|found| found.value);
    let Some(names) = names else {
        let enabled = configured.filter(|config| config.enabled).map(|config| Provider::Http(Box::new(config)));
        return Ok(std::iter::once(Provider::Website).chain(enabled).collect());
    };
    let configured: Vec<ProviderRecord> = configured.collect();
    let mut faults = Faults::new();
    let mut chosen = Vec::new();
    for (i, name) in names.iter().enumerate() {
        match configured.iter().find(|config| config.name == *name) {
            _ if names[..i].contains(name) => faults.add(format!("/providers/{i}"), "names a provider twice"),
            _ if name.as_str() == WEBSITE => chosen.push(Provider::Website),
            Some(config) => chosen.push(Provider::Http(Box::new(config.clone()))),
            None => faults.add(format!("/providers/{i}"), "no provider has this name"),
        }
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(chosen)
}

/// The most that asking them once can cost; nothing if one of them is not there, as nobody is asked then.
pub(crate) async fn price(app: &App, ctx: &Ctx, names: Option<&[ProviderName]>) -> Result<Micros> {
    match chosen(app, ctx, names).await {
        Ok(chosen) => Ok(price_of(&chosen)),
        Err(Error::Invalid(_)) => Ok(Micros::ZERO),
        Err(e) => Err(e),
    }
}

/// All of a tenant's, in the order in which they are asked.
pub async fn providers(app: &App, ctx: &Ctx) -> Result<Vec<Versioned<ProviderRecord>>> {
    let mut all = app.table().await.enrichment_providers(ctx.entity_id).await?;
    all.sort_by(|a, b| (a.value.position, a.value.name.as_str()).cmp(&(b.value.position, b.value.name.as_str())));
    Ok(all)
}

async fn find(app: &App, ctx: &Ctx, name: &ProviderName) -> Result<Option<Versioned<ProviderRecord>>> {
    Ok(app.table().await.get(&ProviderRecord::key_of(ctx.entity_id, name), ctx.now).await?)
}

/// # Errors
/// [`Error::NotFound`]
pub async fn get_provider(app: &App, ctx: &Ctx, name: &ProviderName) -> Result<Versioned<ProviderRecord>> {
    find(app, ctx, name).await?.ok_or(Error::NotFound("enrichment provider"))
}

/// Describes an API, or describes it anew. Its secret is sealed; without a new one the old one stays.
///
/// # Errors
/// [`Error::Invalid`] for a URL that may not be called; [`Error::Conflict`] at [`MAX_PROVIDERS`] and for the built-in name;
/// [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn put_provider(
    app: &App,
    ctx: &Ctx,
    name: &ProviderName,
    input: ProviderInput,
    if_match: Option<u64>,
) -> Result<Versioned<ProviderRecord>> {
    if name.as_str() == WEBSITE {
        return Err(Error::Conflict("`website` is built in and needs no description".to_owned()));
    }
    let bare = input.url.replace(['{', '}'], "");
    EndpointUrl::parse(&bare, app.config().network).map_err(|fault| Error::invalid("/url", fault.to_string()))?;
    let mut secret = None;
    if let Some(Some(plain)) = &input.secret {
        secret = Some(app.vault().seal(plain, &place(ctx.entity_id, name)).await?);
    }
    for _ in 0..RACES {
        let before = find(app, ctx, name).await?;
        let version = before.as_ref().map_or(0, |found| found.version);
        require_version(version, if_match)?;
        if before.is_none() && app.table().await.enrichment_providers(ctx.entity_id).await?.len() >= MAX_PROVIDERS {
            return Err(Error::Conflict(format!("there can be {MAX_PROVIDERS} enrichment providers at most; delete one first")));
        }
        let before = before.map(|found| found.value);
        let old_secret = before.as_ref().and_then(|before| before.secret.clone()).filter(|_| input.secret.is_none());
        let created_at = before.map_or(ctx.now, |before| before.created_at);
        let record = record(ctx, name, &input, secret.clone().or(old_secret), created_at);
        let mut tx = app.table().await.tx();
        match version {
            0 => tx.create("provider", &record),
            version => tx.replace("provider", &record, version),
        }
        audit::note(
            ctx,
            &mut tx,
            "enrichment_provider.set",
            name,
            json!({"url_host": host_of(&bare), "secret": record.secret.is_some()}),
        );
        if tx.try_commit().await? {
            return Ok(Versioned { value: record, version: version + 1 });
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

fn host_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percent(fraction: f64) -> u8 {
    (fraction.clamp(0.0, 1.0) * 100.0).round() as u8
}

fn record(
    ctx: &Ctx,
    name: &ProviderName,
    input: &ProviderInput,
    secret: Option<String>,
    created_at: axle_domain::Time,
) -> ProviderRecord {
    let ProviderInput { url, method, headers, body, secret: _, mapping, cost_per_call, confidence, position, enabled } = input;
    ProviderRecord {
        entity_id: ctx.entity_id,
        name: name.clone(),
        url: url.clone(),
        method: *method,
        headers: headers.clone(),
        body: body.as_ref().map(ToString::to_string),
        secret,
        mapping: mapping.0.iter().map(|(field, path)| (field.to_string(), path.clone())).collect(),
        cost_per_call: *cost_per_call,
        confidence: percent(*confidence),
        position: *position,
        enabled: *enabled,
        created_at,
        updated_at: ctx.now,
    }
}

/// Forgets an API and its secret. What was learned by it stays.
///
/// # Errors
/// [`Error::NotFound`]
pub async fn delete_provider(app: &App, ctx: &Ctx, name: &ProviderName, if_match: Option<u64>) -> Result<()> {
    for _ in 0..RACES {
        let version = get_provider(app, ctx, name).await?.version;
        require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        tx.delete("provider", ProviderRecord::key_of(ctx.entity_id, name), version);
        audit::note(ctx, &mut tx, "enrichment_provider.deleted", name, json!({}));
        if tx.try_commit().await? {
            return Ok(());
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

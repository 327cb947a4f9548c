//! Endpoints: made, read, changed, deleted.

use axle_domain::webhook::{EndpointStatus, EndpointUrl, NEW_SECRET_BYTES, SigningSecret, WebhookInput, WebhookSettings};
use axle_domain::{Faults, WebhookId};
use axle_providers::outbound;
use axle_store::Versioned;
use axle_store::webhooks::WebhookRecord;
use serde_json::{Value, json};

use super::sealed;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::outreach::leads::{changed_meanwhile, require_version};
use crate::{PageRequest, Paged, input};

/// Endpoints that a tenant can have: all of them are read for each event.
pub const MAX_ENDPOINTS: usize = 200;
/// Attempts against others who change the same endpoint at the same moment.
const RACES: usize = 4;

/// Creates an endpoint. `answer` is given the endpoint and its signing secret in clear.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] at [`MAX_ENDPOINTS`].
pub async fn create(
    app: &App,
    ctx: &Ctx,
    input: WebhookInput,
    answer: impl FnOnce(&Versioned<WebhookRecord>, &str) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    let (settings, own) = input.parse(app.config().network, &mut faults);
    check_host(app, &settings.url, &mut faults).await;
    faults.check().map_err(Error::Invalid)?;
    let table = app.table().await;
    if table.webhooks(ctx.entity_id, false).await?.len() >= MAX_ENDPOINTS {
        return Err(Error::Conflict(format!("there can be {MAX_ENDPOINTS} webhook endpoints at most; delete one first")));
    }
    let id = WebhookId::new_at(ctx.now);
    let secret = own.unwrap_or_else(new_secret);
    let detail = json!({"host": host(&settings.url), "event_types": settings.event_types});
    let record = WebhookRecord {
        entity_id: ctx.entity_id,
        id,
        url: settings.url,
        event_types: settings.event_types,
        description: settings.description,
        rate_limit_per_second: settings.rate_limit_per_second,
        status: settings.status,
        disabled_reason: None,
        secret: sealed::seal(app, ctx.entity_id, id, &secret).await?,
        previous_secret: None,
        previous_until: None,
        failing_since: None,
        responsive: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let endpoint = Versioned { value: record, version: 1 };
    let answer = answer(&endpoint, &secret.reveal())?;
    let mut tx = table.tx();
    tx.create("webhook", &endpoint.value);
    audit::note(ctx, &mut tx, "webhook.created", id, detail);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

pub(super) fn new_secret() -> SigningSecret {
    SigningSecret::generate(axle_domain::id::entropy::<NEW_SECRET_BYTES>())
}

/// Notes a host that leads to a forbidden address. A name that does not resolve passes: names appear late, and every attempt
/// looks again.
async fn check_host(app: &App, url: &str, faults: &mut Faults) {
    if let Err(outbound::Error::Refused(refusal)) = app.outbound().check(url).await {
        faults.add("/url", refusal.to_string());
    }
}

/// Scheme, host and port of a URL, for whoever may not see all of it.
pub(super) fn origin(url: &str) -> String {
    let url = EndpointUrl::parse(url, axle_domain::webhook::NetworkPolicy::WITH_LOCAL);
    url.map(|url| url.url().origin().ascii_serialization()).unwrap_or_default()
}

/// The part of a URL that may be told: paths and queries often hold tokens.
fn host(url: &str) -> Option<String> {
    let url = EndpointUrl::parse(url, axle_domain::webhook::NetworkPolicy::WITH_LOCAL).ok()?;
    url.url().host_str().map(str::to_owned)
}

pub async fn get(app: &App, ctx: &Ctx, id: WebhookId) -> Result<Versioned<WebhookRecord>> {
    let found = app.table().await.get::<WebhookRecord>(&WebhookRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("webhook endpoint"))
}

/// A page of endpoints, newest first.
pub async fn list(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<Versioned<WebhookRecord>>> {
    let after = ctx.open_cursor(app, "webhooks", page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.webhooks_page(ctx.entity_id, after.as_deref(), page.limit).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "webhooks", next).await? })
}

/// Changes an endpoint's settings by a merge patch (RFC 7396) of [`WebhookSettings`].
///
/// A new URL and a re-enabling make a new start: what is known of the endpoint's failures is forgotten.
///
/// # Errors
/// [`Error::Invalid`], [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: WebhookId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<WebhookRecord>> {
    for _ in 0..RACES {
        let Versioned { value: mut endpoint, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let old = settings_of(&endpoint);
        let new = patched(app, &old, change).await?;
        if new == old {
            return Ok(Versioned { value: endpoint, version });
        }
        let detail = json!({"changed": changed(&old, &new), "status": new.status});
        if new.url != old.url || (new.status == EndpointStatus::Enabled && old.status == EndpointStatus::Disabled) {
            endpoint.failing_since = None;
            endpoint.responsive = None;
        }
        if new.status == EndpointStatus::Enabled {
            endpoint.disabled_reason = None;
        }
        let WebhookSettings { url, event_types, description, rate_limit_per_second, status } = new;
        endpoint =
            WebhookRecord { url, event_types, description, rate_limit_per_second, status, updated_at: ctx.now, ..endpoint };
        let mut tx = app.table().await.tx();
        tx.replace("webhook", &endpoint, version);
        audit::note(ctx, &mut tx, "webhook.updated", id, detail);
        if tx.try_commit().await? {
            return Ok(Versioned { value: endpoint, version: version + 1 });
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

fn settings_of(endpoint: &WebhookRecord) -> WebhookSettings {
    WebhookSettings {
        url: endpoint.url.clone(),
        event_types: endpoint.event_types.clone(),
        description: endpoint.description.clone(),
        rate_limit_per_second: endpoint.rate_limit_per_second,
        status: endpoint.status,
    }
}

/// The settings with the change applied, if that is valid.
async fn patched(app: &App, old: &WebhookSettings, change: &Value) -> Result<WebhookSettings> {
    let new = input::patched(old, change)?;
    let mut faults = Faults::new();
    new.check(app.config().network, &mut faults);
    if new.url != old.url {
        check_host(app, &new.url, &mut faults).await;
    }
    faults.check().map_err(Error::Invalid)?;
    Ok(new)
}

/// The names of the settings that differ.
fn changed(old: &WebhookSettings, new: &WebhookSettings) -> Vec<&'static str> {
    let differs = [
        ("url", old.url != new.url),
        ("event_types", old.event_types != new.event_types),
        ("description", old.description != new.description),
        ("rate_limit_per_second", old.rate_limit_per_second != new.rate_limit_per_second),
        ("status", old.status != new.status),
    ];
    differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

/// Deletes an endpoint. Deliveries that are on their way to it die when their time comes.
pub async fn delete(app: &App, ctx: &Ctx, id: WebhookId, if_match: Option<u64>) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { value: endpoint, version } = get(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        tx.delete("webhook", WebhookRecord::key_of(ctx.entity_id, id), version);
        audit::note(ctx, &mut tx, "webhook.deleted", id, json!({"host": host(&endpoint.url)}));
        if tx.try_commit().await? {
            return Ok(());
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

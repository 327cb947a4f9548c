//! Enrichment, and the APIs that it asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axle_app::outreach::enrichment::{self, Enriched, Wanted};
use axle_app::{Answer, App};
use axle_domain::enrich::{
    EnrichedCompany, EnrichedPerson, IntentSignals, Mapping, Method, ProviderInput, ProviderName, Source, Unavailable, WEBSITE,
};
use axle_domain::{Faults, Input, LeadId, Micros, Time};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, QueryReader, Reply};
use axle_store::Versioned;
use axle_store::enrichment::ProviderRecord;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// How to enrich.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EnrichInput {
    /// Names of providers, in the order in which they are asked; by default `website`, then yours that are enabled, by position.
    #[schema(min_items = 1, max_items = 21)]
    providers: Option<Vec<ProviderName>>,
    /// Ask again even if what was found before is less than 7 days old.
    refresh: bool,
}

impl Input for EnrichInput {
    fn note_faults(&self, _: &mut Faults) {}
}

/// What was learned of a lead. Every value names its source.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnrichmentOut {
    lead_id: LeadId,
    company: EnrichedCompany,
    person: EnrichedPerson,
    intent_signals: IntentSignals,
    sources: Vec<Source>,
    /// Of the calls that were made for this answer.
    cost: Micros,
    enriched_at: Time,
    /// Providers that gave nothing, with the reason.
    unavailable: Vec<Unavailable>,
}

impl From<Enriched> for EnrichmentOut {
    fn from(enriched: Enriched) -> Self {
        let Enriched { lead_id, enrichment, unavailable, cost, enriched_at } = enriched;
        let axle_domain::enrich::Enrichment { company, person, intent_signals, sources } = enrichment;
        Self { lead_id, company, person, intent_signals, sources, cost, enriched_at, unavailable }
    }
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProviderKind {
    /// Built in.
    Website,
    Http,
}

/// A provider. What only APIs have is null for `website`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderOut {
    name: String,
    kind: ProviderKind,
    enabled: bool,
    position: u32,
    url: Option<String>,
    method: Option<Method>,
    headers: Option<BTreeMap<String, String>>,
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
    mapping: Option<Mapping>,
    cost_per_call: Micros,
    confidence: Option<f64>,
    /// Whether a secret is set; it is never shown.
    has_secret: bool,
    created_at: Option<Time>,
    updated_at: Option<Time>,
}

impl ProviderOut {
    fn website() -> Self {
        Self {
            name: WEBSITE.to_owned(),
            kind: ProviderKind::Website,
            enabled: true,
            position: 0,
            url: None,
            method: None,
            headers: None,
            body: None,
            mapping: None,
            cost_per_call: Micros::ZERO,
            confidence: None,
            has_secret: false,
            created_at: None,
            updated_at: None,
        }
    }
}

impl From<&Versioned<ProviderRecord>> for ProviderOut {
    fn from(found: &Versioned<ProviderRecord>) -> Self {
        let ProviderRecord {
            entity_id: _,
            name,
            url,
            method,
            headers,
            body,
            secret,
            mapping,
            cost_per_call,
            confidence,
            position,
            enabled,
            created_at,
            updated_at,
        } = found.value.clone();
        let mapping = mapping.into_iter().filter_map(|(field, path)| Some((field.parse().ok()?, path)));
        Self {
            name: name.into(),
            kind: ProviderKind::Http,
            enabled,
            position,
            url: Some(url),
            method: Some(method),
            headers: Some(headers),
            body: body.and_then(|body| serde_json::from_str(&body).ok()),
            mapping: Some(Mapping(mapping.collect())),
            cost_per_call,
            confidence: Some(f64::from(confidence) / 100.0),
            has_secret: secret.is_some(),
            created_at: Some(created_at),
            updated_at: Some(updated_at),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderList {
    /// In the order in which they are asked.
    providers: Vec<ProviderOut>,
}

/// Enrich a lead
///
/// Asks the providers in turn and merges what they know field by field: the first that knows a field has the word on it, and an API is not
/// asked for what is known already. `website` reads the company's own public site (structured data, meta elements, technologies, careers,
/// news and about pages, public job boards) as its robots.txt allows; the others are the APIs that you describe under
/// `/leads/enrichment-providers`. What was found is used again for 7 days. The lead's blank fields are filled, what you entered stays;
/// its status becomes `enriched` if it was `new` and something was found. Takes up to 25 seconds.
#[utoipa::path(post, path = "/leads/{id}/enrich", tag = "Leads", operation_id = "enrichLead", request_body = EnrichInput,
    security(("api_key" = ["leads:write"])), params(("id" = LeadId, Path)),
    responses((status = 200, description = "What was learned; also when nothing was.", body = EnrichmentOut)))]
pub(crate) async fn enrich(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<LeadId>,
    Body(input): Body<EnrichInput>,
) -> Result<Reply, ApiError> {
    let wanted = Wanted { providers: input.providers, refresh: input.refresh, campaign: None, agent: None };
    let answer = |enriched: &Enriched| Answer::new(200, EnrichmentOut::from(enriched.clone()));
    let enriched = enrichment::enrich(&app, &ctx, id, &wanted, |tx, enriched| {
        ctx.keep(tx, &answer(enriched)?);
        Ok(())
    });
    Ok(Reply(answer(&enriched.await?)?))
}

/// List enrichment providers
///
/// In the order in which they are asked.
#[utoipa::path(get, path = "/leads/enrichment-providers", tag = "Leads", operation_id = "listEnrichmentProviders",
    security(("api_key" = ["leads:read"])),
    responses((status = 200, description = "All of them: there are at most 21.", body = ProviderList)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, query: QueryReader) -> Result<Reply, ApiError> {
    query.finish()?;
    let found = enrichment::providers(&app, &ctx).await?;
    let all = std::iter::once(ProviderOut::website()).chain(found.iter().map(ProviderOut::from));
    Ok(Reply::ok(ProviderList { providers: all.collect() })?)
}

/// Get an enrichment provider
#[utoipa::path(get, path = "/leads/enrichment-providers/{name}", tag = "Leads", operation_id = "getEnrichmentProvider",
    security(("api_key" = ["leads:read"])), params(("name" = ProviderName, Path)),
    responses((status = 200, description = "The provider, without its secret.", body = ProviderOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(name): Id<ProviderName>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let found = enrichment::get_provider(&app, &ctx, &name).await?;
    Ok(Reply::resource(ProviderOut::from(&found), found.version)?)
}

/// Describe an enrichment provider
///
/// Any HTTP API that answers with JSON. The description replaces the one that there is, except for the secret: absent leaves it, null
/// removes it. The secret is kept sealed and sent nowhere but where `{secret}` stands. `website` is built in (409).
#[utoipa::path(put, path = "/leads/enrichment-providers/{name}", tag = "Leads", operation_id = "putEnrichmentProvider",
    security(("api_key" = ["leads:write"])), params(("name" = ProviderName, Path)), request_body = ProviderInput,
    responses((status = 200, description = "The provider.", body = ProviderOut, headers(("ETag" = String)))))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(name): Id<ProviderName>,
    IfMatch(version): IfMatch,
    Body(input): Body<ProviderInput>,
) -> Result<Reply, ApiError> {
    let found = enrichment::put_provider(&app, &ctx, &name, input, version).await?;
    Ok(Reply::resource(ProviderOut::from(&found), found.version)?)
}

/// Delete an enrichment provider
///
/// With its secret. What was learned by it stays.
#[utoipa::path(delete, path = "/leads/enrichment-providers/{name}", tag = "Leads", operation_id = "deleteEnrichmentProvider",
    security(("api_key" = ["leads:write"])), params(("name" = ProviderName, Path)),
    responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(name): Id<ProviderName>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    enrichment::delete_provider(&app, &ctx, &name, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

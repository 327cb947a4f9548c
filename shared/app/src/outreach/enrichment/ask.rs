//! Asking the providers of one lead, one after the other.

use std::time::Duration;

use axle_domain::cost::CostCategory;
use axle_domain::enrich::{self, Field, Findings, Found, Mapping, Subject, Unavailable, WEBSITE};
use axle_domain::id::{entropy, v7_at};
use axle_domain::lead::LeadProfile;
use axle_domain::{Micros, Time};
use axle_providers::enrich::{Api, Settings, ask, read_site};
use axle_store::costs::CostRecord;
use axle_store::enrichment::{FindingsRecord, ProviderRecord};
use axle_store::leads::LeadRecord;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::providers::{Provider, place};
use super::{Asked, Wanted};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Days that what was found is used again.
const FRESH_DAYS: i64 = 7;
/// Days that a change of technologies is told of.
const MIGRATIONS_DAYS: i64 = 180;
/// Time for a call of an API.
const CALL: Duration = Duration::from_secs(10);
/// With less time left a provider is not asked.
const LEAST: Duration = Duration::from_secs(1);

/// Asks each in turn. An API is not asked for what is known already.
pub(super) async fn all(
    app: &App,
    ctx: &Ctx,
    lead: &LeadRecord,
    providers: &[Provider],
    wanted: &Wanted,
    deadline: Instant,
) -> Result<Asked> {
    let mut asked = Asked::default();
    for provider in providers {
        let outcome = match provider {
            Provider::Website => website(app, ctx, &lead.profile, wanted, &mut asked, deadline).await,
            Provider::Http(config) => http(app, ctx, lead, config, wanted, &mut asked, deadline).await,
        };
        match outcome {
            Ok(found) => asked.found.push(found),
            Err(Missed::Because(reason)) => asked.unavailable.push(Unavailable { provider: provider.name().to_owned(), reason }),
            // What was paid so far must not be lost over a table that is slow.
            Err(Missed::Failed(e)) if asked.costs.is_empty() => return Err(e),
            Err(Missed::Failed(e)) => {
                tracing::error!(error = e.for_the_log(), "a provider could not be asked");
                let reason = "it could not be asked at the moment".to_owned();
                asked.unavailable.push(Unavailable { provider: provider.name().to_owned(), reason });
            }
        }
    }
    Ok(asked)
}

/// Why a provider gave nothing.
enum Missed {
    Because(String),
    Failed(Error),
}

impl From<axle_store::Error> for Missed {
    fn from(e: axle_store::Error) -> Self {
        Self::Failed(e.into())
    }
}

impl From<axle_providers::vault::VaultError> for Missed {
    fn from(e: axle_providers::vault::VaultError) -> Self {
        Self::Failed(e.into())
    }
}

fn because<T>(reason: impl Into<String>) -> Result<T, Missed> {
    Err(Missed::Because(reason.into()))
}

fn time_left(deadline: Instant) -> Result<Duration, Missed> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < LEAST { because("there was no time left to ask it") } else { Ok(left) }
}

async fn kept(app: &App, ctx: &Ctx, provider: &str, about: &str) -> Result<Option<FindingsRecord>, Missed> {
    let key = FindingsRecord::key_of(ctx.entity_id, provider, about);
    Ok(app.table().await.get::<FindingsRecord>(&key, ctx.now).await?.map(|found| found.value))
}

fn is_fresh(kept: &FindingsRecord, now: Time, wanted: &Wanted) -> bool {
    !wanted.refresh && now < kept.fetched_at.plus_days(FRESH_DAYS)
}

fn found(kept: FindingsRecord) -> Found {
    Found { provider: kept.provider, fetched_at: kept.fetched_at, findings: kept.findings }
}

/// Where a lead's company is on the web: its website, else its domain, else the domain of the person's own address.
fn site_of(profile: &LeadProfile) -> Result<Url, &'static str> {
    if let Some(website) = &profile.company.website {
        return Url::parse(website).map_err(|_| "the lead's website is not a URL");
    }
    let of_mail = || profile.email.as_ref().map(|email| email.domain()).filter(|domain| !enrich::is_mail_provider(domain));
    let domain = profile.company.domain.as_ref().map(|domain| domain.as_str()).or_else(of_mail);
    let domain = domain.ok_or("the lead has no company website, no company domain and no address at a company's domain")?;
    if enrich::is_reserved(domain) && !domain.contains(':') {
        return Err("the domain is reserved for documentation and tests: it is nobody's");
    }
    // A port stands for a site on the local network, which speaks plain HTTP; the outbound client says whether it may be called.
    let scheme = if domain.contains(':') { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{domain}/")).map_err(|_| "the lead's domain is not one")
}

async fn website(
    app: &App,
    ctx: &Ctx,
    profile: &LeadProfile,
    wanted: &Wanted,
    asked: &mut Asked,
    deadline: Instant,
) -> Result<Found, Missed> {
    let site = site_of(profile).or_else(because)?;
    let about = about(site.as_str());
    let before = kept(app, ctx, WEBSITE, &about).await?;
    if let Some(before) = before.as_ref().filter(|before| is_fresh(before, ctx.now, wanted)) {
        return Ok(found(before.clone()));
    }
    let usual = Settings::default();
    let settings = Settings { all: usual.all.min(time_left(deadline)?), ..usual };
    let mut findings = match read_site(app.outbound(), &site, &settings).await {
        Ok(findings) => findings,
        Err(unreadable) => return because(unreadable.to_string()),
    };
    if let Some(before) = before {
        let recent = ctx.now.plus_days(-MIGRATIONS_DAYS);
        findings.migrations = enrich::migrations(&before.findings.technologies, &findings.technologies, ctx.now);
        findings.migrations.extend(before.findings.migrations.into_iter().filter(|old| old.detected_at > recent));
        findings.migrations.truncate(20);
    }
    let record = FindingsRecord { entity_id: ctx.entity_id, provider: WEBSITE.to_owned(), about, findings, fetched_at: ctx.now };
    asked.fresh.push(record.clone());
    Ok(found(record))
}

/// A name for what was asked, of a length that fits into a key, which tells nothing of it.
fn about(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn subject_of(lead: &LeadRecord) -> Subject {
    let profile = &lead.profile;
    let of_mail = || profile.email.as_ref().map(|email| email.domain().to_owned()).filter(|d| !enrich::is_mail_provider(d));
    Subject {
        domain: profile.company.domain.as_ref().map(|domain| domain.as_str().to_owned()).or_else(of_mail),
        email: profile.email.clone().map(Into::into),
        first_name: profile.first_name.clone(),
        last_name: profile.last_name.clone(),
        company_name: profile.company.name.clone(),
        linkedin_url: profile.linkedin_url.clone().map(Into::into),
    }
}

async fn http(
    app: &App,
    ctx: &Ctx,
    lead: &LeadRecord,
    config: &ProviderRecord,
    wanted: &Wanted,
    asked: &mut Asked,
    deadline: Instant,
) -> Result<Found, Missed> {
    let mapping = mapping_of(config);
    let known = |field: &Field| asked.found.iter().any(|found| found.findings.facts.iter().any(|fact| fact.field == *field));
    if mapping.0.keys().all(known) {
        return because("not asked: what it could say is known already");
    }
    let (name, subject) = (config.name.as_str(), subject_of(lead));
    let headers = config.headers.clone();
    let body = config.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    let call = |secret: Option<&str>| Api::of(&config.url, config.method, headers.clone(), body.as_ref(), &subject, secret);
    // What is asked without the secret is what the answer depends on, together with how it is read.
    let place_holder = config.secret.as_ref().map(|_| "");
    let plain = match call(place_holder) {
        Ok(plain) => plain,
        Err(placeholder) if placeholder == "secret" => return because("it needs a secret, and none is set"),
        Err(placeholder) => return because(format!("the lead has no {placeholder}")),
    };
    let about = about(&format!("{}\n{}\n{}", plain.url, plain.body.unwrap_or_default(), config.updated_at));
    if let Some(before) = kept(app, ctx, name, &about).await?.filter(|before| is_fresh(before, ctx.now, wanted)) {
        return Ok(found(before));
    }
    let timeout = CALL.min(time_left(deadline)?);
    let secret = match &config.secret {
        Some(sealed) => Some(app.vault().open(sealed, &place(ctx.entity_id, &config.name)).await?),
        None => None,
    };
    let call = call(secret.as_ref().map(|secret| secret.expose_secret()));
    let call = call.map_err(|name| Missed::Because(format!("the lead has no {name}")))?;
    let outcome = ask(app.outbound(), call, &mapping, config.confidence, timeout).await;
    let reached = outcome.as_ref().map_or_else(|(_, reached)| *reached, |_| true);
    if reached && config.cost_per_call > Micros::ZERO {
        asked.costs.push(cost(ctx, lead, config, wanted));
    }
    let findings: Findings = outcome.map_err(|(reason, _)| Missed::Because(reason))?;
    let record = FindingsRecord { entity_id: ctx.entity_id, provider: name.to_owned(), about, findings, fetched_at: ctx.now };
    asked.fresh.push(record.clone());
    Ok(found(record))
}

pub(super) fn mapping_of(config: &ProviderRecord) -> Mapping {
    Mapping(config.mapping.iter().filter_map(|(field, path)| Some((field.parse().ok()?, path.clone()))).collect())
}

/// What one call cost. Each is paid by itself, so each has a name of its own.
fn cost(ctx: &Ctx, lead: &LeadRecord, config: &ProviderRecord, wanted: &Wanted) -> CostRecord {
    let (call, what) = (v7_at(ctx.now, entropy()), config.name.as_str());
    let cost = CostRecord::new(ctx.entity_id, CostCategory::DataEnrichment, call, ctx.now, config.cost_per_call, what)
        .campaign(wanted.campaign)
        .lead(Some(lead.id))
        .trace(ctx.trace_id);
    match wanted.agent {
        Some(agent) => cost.agent(agent),
        None => cost,
    }
}

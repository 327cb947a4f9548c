//! From a bearer token to who calls; and whether they may, and how often.

use axle_domain::identity::{ApiKeyToken, Plan, Scope};
use axle_domain::rate::{RateClass, Window};
use axle_domain::{Actor, ActorKind, Time, TraceId};
use axle_store::identity::ApiKeyRecord;

use crate::context::{App, Ctx, SourceIp};
use crate::error::{Error, Result};

/// A credential that was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key: ApiKeyRecord,
}

const BAD: Error = Error::Unauthenticated("the API key is not valid");

/// Checks a bearer token.
///
/// Costs nothing for a malformed token or a cached key, else one read unit, and one write unit for `last_used_at`.
///
/// # Errors
/// [`Error::Unauthenticated`], the same for every reason.
pub async fn authenticate(app: &App, token: &str, now: Time) -> Result<Caller> {
    let token = ApiKeyToken::parse(token).map_err(|_| BAD)?;
    let hash = token.hash(app.pepper().await?);
    if let Some(key) = app.credentials.get(token.id().as_str(), &hash, now) {
        return Ok(Caller { key });
    }
    let table = app.table().await;
    let found = table.get::<ApiKeyRecord>(&ApiKeyRecord::key_of(token.id()), now).await?.ok_or(BAD)?.value;
    let current = found.hash.matches(&hash);
    let previous =
        found.previous_hash.as_ref().is_some_and(|h| h.matches(&hash)) && found.previous_until.is_some_and(|t| t > now);
    if !(current || previous) || found.expires_at.is_some_and(|t| t <= now) {
        return Err(BAD);
    }
    // Kept to the minute. A failure to note the use must not fail the use.
    if found.last_used_at.is_none_or(|t| now.since(t) >= 60_000)
        && let Err(e) = table.touch_api_key(&found.id, now).await
    {
        tracing::warn!(error = %e, "could not note the use of an API key");
    }
    let ends = if previous && !current { found.previous_until } else { None };
    let ends = [ends, found.expires_at].into_iter().flatten().min();
    app.credentials.put(hash, found.clone(), now, ends);
    Ok(Caller { key: found })
}

impl Caller {
    /// The context of a request of this caller.
    pub fn ctx(self, now: Time, request_id: String, trace_id: TraceId) -> Ctx {
        let key = self.key;
        Ctx {
            entity_id: key.entity_id,
            actor: Actor { kind: ActorKind::ApiKey, id: key.id.as_str().to_owned() },
            user_id: key.created_by,
            scopes: key.scopes,
            plan: key.plan,
            limits: key.limits,
            now,
            request_id,
            trace_id,
            idempotency: None,
        }
    }
}

/// Requires a scope.
///
/// # Errors
/// [`Error::MissingScope`]
pub fn authorise(ctx: &Ctx, scope: Scope) -> Result<()> {
    if ctx.scopes.allows(scope) { Ok(()) } else { Err(Error::MissingScope(scope)) }
}

/// Counts one request. Returns the window, and how many requests it has left after this one, or `None` if it was full.
/// Costs one write unit.
pub async fn count(app: &App, ctx: &Ctx, class: RateClass) -> Result<(Window, Option<u64>)> {
    let window = Window::at(ctx.now, class, ctx.limits.effective(class, ctx.plan));
    let counted = app.table().await.count_request(ctx.entity_id, &ctx.actor.id, &window).await?;
    Ok((window, counted.map(|n| window.limit.saturating_sub(n))))
}

/// Counts one request that needs no credential, by where it comes from; requests of which that is not known are counted together.
/// Answers as [`count`] does, at the same cost.
pub async fn count_public(app: &App, source: Option<SourceIp>, now: Time) -> Result<(Window, Option<u64>)> {
    let class = RateClass::Public;
    let window = Window::at(now, class, class.default_limit(Plan::default()));
    let source = match source {
        Some(SourceIp(address)) => app.source_hash(address).await?,
        None => "unknown".to_owned(),
    };
    let counted = app.table().await.count_public(&source, &window).await?;
    Ok((window, counted.map(|n| window.limit.saturating_sub(n))))
}

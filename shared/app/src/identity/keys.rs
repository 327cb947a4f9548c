//! API keys.

use axle_domain::id::entropy;
use axle_domain::identity::{ApiKeyToken, KeyId, Plan, ScopeSet};
use axle_domain::rate::{Limits, RateClass};
use axle_domain::{EntityId, Faults, Time, UserId};
use axle_store::identity::ApiKeyRecord;
use axle_store::{CommitError, Tx, Versioned};
use serde_json::json;

use super::audit;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{changed_meanwhile, require_version};
use crate::{PageRequest, Paged};

/// What a new key may do, and for how long.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub scopes: ScopeSet,
    pub plan: Plan,
    pub limits: Limits,
    pub expires_at: Option<Time>,
}

/// A new key: what is stored of it, and the key itself, which is shown once.
pub(crate) async fn make_key(
    app: &App,
    entity_id: EntityId,
    new: NewKey,
    created_by: Option<UserId>,
    now: Time,
) -> Result<(ApiKeyRecord, ApiKeyToken)> {
    let token = ApiKeyToken::generate(KeyId::generate(entropy()), &entropy());
    let NewKey { name, scopes, plan, limits, expires_at } = new;
    let record = ApiKeyRecord {
        id: token.id().clone(),
        entity_id,
        name,
        scopes,
        plan,
        limits,
        hash: token.hash(app.pepper().await?),
        previous_hash: None,
        previous_until: None,
        created_at: now,
        created_by,
        expires_at,
        last_used_at: None,
    };
    Ok((record, token))
}

/// How long the old secret of a rotated key may go on, in seconds: 7 days.
pub const OVERLAP_MAX_SECS: u64 = 7 * 86_400;

/// What is to be changed of a key; `None` leaves, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub scopes: Option<ScopeSet>,
    pub plan: Option<Plan>,
    pub limits: Option<Limits>,
    pub expires_at: Option<Option<Time>>,
}

/// Whether `new` stays within what the caller has: nobody hands on more than they hold.
fn within(ctx: &Ctx, scopes: &ScopeSet, plan: Plan, limits: &Limits) -> Result<()> {
    if !ctx.scopes.covers(scopes) {
        let missing: Vec<String> = scopes.iter().filter(|s| !ctx.scopes.allows(*s)).map(|s| s.to_string()).collect();
        return Err(Error::Forbidden(format!("your credential lacks the scopes {} and cannot give them", missing.join(", "))));
    }
    if plan > ctx.plan {
        return Err(Error::Forbidden(
            "your credential cannot give a plan above its own; `enterprise` is granted by an operator".to_owned(),
        ));
    }
    for class in RateClass::ALL {
        let (own, given) = (ctx.limits.effective(class, ctx.plan), limits.effective(class, plan));
        if given > own {
            return Err(Error::Forbidden(format!(
                "your credential cannot give a limit above its own: {} is {own}",
                class.name()
            )));
        }
    }
    Ok(())
}

/// Limits that were not named become the caller's where the plan's default would exceed them.
fn inherit(ctx: &Ctx, mut limits: Limits, plan: Plan) -> Limits {
    let unset = [
        (RateClass::Campaigns, &mut limits.campaigns),
        (RateClass::Leads, &mut limits.leads),
        (RateClass::Agents, &mut limits.agents),
        (RateClass::Queries, &mut limits.queries),
        (RateClass::Plan, &mut limits.plan),
    ];
    for (class, limit) in unset {
        let own = ctx.limits.effective(class, ctx.plan);
        if limit.is_none() && class.default_limit(plan) > own {
            *limit = Some(own);
        }
    }
    limits
}

fn check(name: &str, scopes: &ScopeSet, expires_at: Option<Time>, now: Time) -> Result<()> {
    let mut faults = Faults::new();
    faults.text("/name", name, 1, 100);
    if scopes.is_empty() {
        faults.add("/scopes", "must name at least one scope");
    }
    if expires_at.is_some_and(|t| t <= now) {
        faults.add("/expires_at", "must lie in the future");
    }
    faults.check().map_err(Error::Invalid)
}

/// A new key of the caller's tenant. The answer shows the key; nothing else ever does.
pub async fn create(
    app: &App,
    ctx: &Ctx,
    new: NewKey,
    answer: impl FnOnce(&ApiKeyRecord, &str) -> Result<Answer>,
) -> Result<Answer> {
    check(&new.name, &new.scopes, new.expires_at, ctx.now)?;
    let new = NewKey { limits: inherit(ctx, new.limits, new.plan), ..new };
    within(ctx, &new.scopes, new.plan, &new.limits)?;
    let (record, token) = make_key(app, ctx.entity_id, new, ctx.user_id, ctx.now).await?;
    let answer = answer(&record, token.reveal())?;
    let mut tx = app.table().await.tx();
    tx.create("api key", &record);
    audit::note(
        ctx,
        &mut tx,
        "api_key.created",
        &record.id,
        json!({"name": record.name, "scopes": record.scopes, "plan": record.plan}),
    );
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

/// A key of the caller's tenant.
pub async fn get(app: &App, ctx: &Ctx, id: &KeyId) -> Result<Versioned<ApiKeyRecord>> {
    let found = app.table().await.get::<ApiKeyRecord>(&ApiKeyRecord::key_of(id), ctx.now).await?;
    found.filter(|key| key.value.entity_id == ctx.entity_id).ok_or(Error::NotFound("API key"))
}

/// A page of keys, newest first.
pub async fn list(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<Versioned<ApiKeyRecord>>> {
    let after = ctx.open_cursor(app, "api-keys", page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.api_keys(ctx.entity_id, after.as_deref(), page.limit, ctx.now).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "api-keys", next).await? })
}

/// Changes a key. Other environments notice within 60 s.
pub async fn patch(
    app: &App,
    ctx: &Ctx,
    id: &KeyId,
    change: KeyChange,
    if_match: Option<u64>,
) -> Result<Versioned<ApiKeyRecord>> {
    let Versioned { value: mut key, version } = get(app, ctx, id).await?;
    require_version(version, if_match)?;
    within(ctx, &key.scopes, key.plan, &key.limits)?;
    let KeyChange { name, scopes, plan, limits, expires_at } = change;
    key.name = name.unwrap_or(key.name);
    key.scopes = scopes.unwrap_or(key.scopes);
    key.plan = plan.unwrap_or(key.plan);
    key.limits = inherit(ctx, limits.unwrap_or(key.limits), key.plan);
    if let Some(expires_at) = expires_at {
        check(&key.name, &key.scopes, expires_at, ctx.now)?;
        key.expires_at = expires_at;
    } else {
        check(&key.name, &key.scopes, None, ctx.now)?;
    }
    within(ctx, &key.scopes, key.plan, &key.limits)?;
    let mut tx = app.table().await.tx();
    tx.replace("api key", &key, version);
    audit::note(ctx, &mut tx, "api_key.changed", id, json!({"name": key.name, "scopes": key.scopes, "plan": key.plan}));
    commit(tx, if_match).await?;
    app.credentials.forget(id.as_str());
    Ok(Versioned { value: key, version: version + 1 })
}

/// Deletes a key; it stops working within 60 s.
pub async fn delete(app: &App, ctx: &Ctx, id: &KeyId, if_match: Option<u64>) -> Result<()> {
    let Versioned { value: key, version } = get(app, ctx, id).await?;
    require_version(version, if_match)?;
    let mut tx = app.table().await.tx();
    tx.delete("api key", ApiKeyRecord::key_of(id), version);
    audit::note(ctx, &mut tx, "api_key.deleted", id, json!({"name": key.name}));
    commit(tx, if_match).await?;
    app.credentials.forget(id.as_str());
    Ok(())
}

/// Gives a key a new secret under the same id. The old one works on for `overlap_secs`.
pub async fn rotate(
    app: &App,
    ctx: &Ctx,
    id: &KeyId,
    overlap_secs: u64,
    answer: impl FnOnce(&Versioned<ApiKeyRecord>, &str) -> Result<Answer>,
) -> Result<Answer> {
    if overlap_secs > OVERLAP_MAX_SECS {
        return Err(Error::invalid("/overlap_seconds", format!("must be from 0 to {OVERLAP_MAX_SECS}")));
    }
    let Versioned { value: mut key, version } = get(app, ctx, id).await?;
    within(ctx, &key.scopes, key.plan, &key.limits)?;
    let token = ApiKeyToken::generate(id.clone(), &entropy());
    let old = std::mem::replace(&mut key.hash, token.hash(app.pepper().await?));
    let overlap = i64::try_from(overlap_secs).unwrap_or(0);
    key.previous_hash = (overlap > 0).then_some(old);
    key.previous_until = (overlap > 0).then(|| ctx.now.plus_secs(overlap));
    let key = Versioned { value: key, version: version + 1 };
    let answer = answer(&key, token.reveal())?;
    let mut tx = app.table().await.tx();
    tx.replace("api key", &key.value, version);
    audit::note(ctx, &mut tx, "api_key.rotated", id, json!({"overlap_seconds": overlap_secs}));
    ctx.keep(&mut tx, &answer);
    commit(tx, None).await?;
    app.credentials.forget(id.as_str());
    Ok(answer)
}

async fn commit(tx: Tx<'_>, if_match: Option<u64>) -> Result<()> {
    match tx.commit().await {
        Err(CommitError::Condition { label: "api key", .. }) => Err(changed_meanwhile(if_match)),
        other => Ok(other?),
    }
}

//! Tenants and their members.

use axle_domain::address::Phone;
use axle_domain::identity::{Role, slugify};
use axle_domain::{EntityId, Faults, Time, UserId};
use axle_store::identity::{EntityRecord, MemberRecord, PhoneRecord, SlugRecord, UserRecord};
use axle_store::{CommitError, Tx};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;

use super::audit;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::{PageRequest, Paged};

/// Other slugs that are tried when a name's own is taken.
const SLUG_TRIES: usize = 5;
/// Attempts against others who meet the same phone for the first time.
const RACES: usize = 4;

/// The caller's tenant.
pub async fn current(app: &App, ctx: &Ctx) -> Result<EntityRecord> {
    find(app, ctx, ctx.entity_id).await
}

/// A tenant that the caller may see: its own, or one that its own has made.
async fn find(app: &App, ctx: &Ctx, id: EntityId) -> Result<EntityRecord> {
    let found = app.table().await.get::<EntityRecord>(&EntityRecord::key_of(id), ctx.now).await?;
    let visible = found.map(|v| v.value).filter(|e| e.id == ctx.entity_id || e.created_by == Some(ctx.entity_id));
    visible.ok_or(Error::NotFound("entity"))
}

/// The tenants that the caller may see: its own on the first page, then those that it has made, newest first.
pub async fn list(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<EntityRecord>> {
    let after = ctx.open_cursor(app, "entities", page.cursor.as_deref()).await?;
    let mut items = Vec::new();
    if after.is_none() {
        items.push(current(app, ctx).await?);
    }
    // A first page of one is full with the caller's own; the position before the newest is where the rest begins.
    let next = match page.limit - items.len() {
        0 => Some("~".to_owned()),
        room => {
            let (made, next) = app.table().await.entities_made_by(ctx.entity_id, after.as_deref(), room, ctx.now).await?;
            items.extend(made);
            next
        }
    };
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "entities", next).await? })
}

/// A new tenant with a slug of its own, made from its name.
pub async fn create(app: &App, ctx: &Ctx, name: &str, answer: impl Fn(&EntityRecord) -> Result<Answer>) -> Result<Answer> {
    let mut faults = Faults::new();
    faults.text("/name", name, 1, 200);
    faults.check().map_err(Error::Invalid)?;
    let made = with_free_slug(app, name, ctx.now, Some(ctx.entity_id), |tx, entity| {
        let answer = answer(entity)?;
        audit::note(ctx, tx, "entity.created", entity.id, json!({"name": entity.name, "slug": entity.slug}));
        ctx.keep(tx, &answer);
        Ok(answer)
    });
    Ok(made.await?.1)
}

/// A new tenant that nobody but the operator has made.
pub(crate) async fn create_for_operator(app: &App, name: &str, now: Time) -> Result<EntityRecord> {
    Ok(with_free_slug(app, name, now, None, |_, _| Ok(())).await?.0)
}

/// Tries the name's own slug, then others, until one is free; `rest` adds what belongs into the same transaction.
async fn with_free_slug<T>(
    app: &App,
    name: &str,
    now: Time,
    created_by: Option<EntityId>,
    rest: impl Fn(&mut Tx<'_>, &EntityRecord) -> Result<T>,
) -> Result<(EntityRecord, T)> {
    let base = slugify(name);
    for attempt in 0..SLUG_TRIES {
        let slug = if attempt == 0 { base.clone() } else { format!("{base}-{}", suffix()) };
        let entity = EntityRecord { id: EntityId::new_at(now), name: name.trim().to_owned(), slug, created_at: now, created_by };
        let mut tx = app.table().await.tx();
        tx.create("slug", &SlugRecord { slug: entity.slug.clone(), entity_id: entity.id });
        tx.create("entity", &entity);
        let more = rest(&mut tx, &entity)?;
        match tx.commit().await {
            Ok(()) => return Ok((entity, more)),
            Err(CommitError::Condition { label: "slug", .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("no free name for the space was found; try another name".to_owned()))
}

fn suffix() -> String {
    let bytes: [u8; 3] = axle_domain::id::entropy();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A page of a tenant's members, oldest first.
pub async fn members(app: &App, ctx: &Ctx, entity: EntityId, page: PageRequest) -> Result<Paged<MemberRecord>> {
    find(app, ctx, entity).await?;
    let name = format!("entities/{entity}/members");
    let after = ctx.open_cursor(app, &name, page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.members(entity, after.as_deref(), page.limit).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, &name, next).await? })
}

/// Makes a person a member. A phone that is not known yet becomes a user, who can sign in with it.
///
/// # Errors
/// [`Error::Conflict`] if the person is a member already.
pub async fn add_member(
    app: &App,
    ctx: &Ctx,
    entity: EntityId,
    phone: &str,
    role: Role,
    answer: impl Fn(&MemberRecord) -> Result<Answer>,
) -> Result<Answer> {
    let phone = Phone::parse(phone).map_err(|e| Error::invalid("/phone", e.to_string()))?;
    find(app, ctx, entity).await?;
    let hash = phone_hash(app, &phone).await?;
    let table = app.table().await;
    for _ in 0..RACES {
        let known = table.get::<PhoneRecord>(&PhoneRecord::key_of(&hash), ctx.now).await?.map(|v| v.value.user_id);
        let user_id = known.unwrap_or_else(|| UserId::new_at(ctx.now));
        let member = MemberRecord { entity_id: entity, user_id, phone: phone.clone(), role, added_at: ctx.now };
        let answer = answer(&member)?;
        let mut tx = table.tx();
        if known.is_none() {
            tx.create("phone", &PhoneRecord { phone_hash: hash.clone(), user_id });
            tx.create("user", &UserRecord { id: user_id, phone: phone.clone(), created_at: ctx.now });
        }
        tx.create("member", &member);
        audit::note(ctx, &mut tx, "member.added", user_id, json!({"entity_id": entity, "role": role}));
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { label: "phone", .. }) => {}
            Err(CommitError::Condition { label: "member", .. }) => {
                return Err(Error::Conflict("the person is a member already".to_owned()));
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Conflict("the phone was met by others at the same moment; try again".to_owned()))
}

/// Keyed, so that the directory of phones cannot be read back from the table.
async fn phone_hash(app: &App, phone: &Phone) -> Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(app.pepper().await?).map_err(|e| Error::Internal(e.to_string()))?;
    let digest = mac.chain_update(b"phone\0").chain_update(phone.as_str()).finalize().into_bytes();
    Ok(digest.iter().map(|b| format!("{b:02x}")).collect())
}

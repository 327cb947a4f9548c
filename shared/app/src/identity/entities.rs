//! Tenants.

use axle_domain::EntityId;
use axle_domain::identity::slugify;
use axle_store::CommitError;
use axle_store::identity::{EntityRecord, SlugRecord};

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Other slugs that are tried when a name's own is taken.
const SLUG_TRIES: usize = 5;

/// The caller's tenant.
pub async fn current(app: &App, ctx: &Ctx) -> Result<EntityRecord> {
    let found = app.table().await.get::<EntityRecord>(&EntityRecord::key_of(ctx.entity_id), ctx.now).await?;
    found.map(|v| v.value).ok_or(Error::NotFound("entity"))
}

/// A new tenant with a slug of its own, made from its name.
pub(crate) async fn create(app: &App, name: &str, now: axle_domain::Time) -> Result<EntityRecord> {
    let base = slugify(name);
    for attempt in 0..SLUG_TRIES {
        let slug = if attempt == 0 { base.clone() } else { format!("{base}-{}", suffix()) };
        let entity = EntityRecord { id: EntityId::new_at(now), name: name.trim().to_owned(), slug, created_at: now };
        let mut tx = app.table().await.tx();
        tx.create("slug", &SlugRecord { slug: entity.slug.clone(), entity_id: entity.id });
        tx.create("entity", &entity);
        match tx.commit().await {
            Ok(()) => return Ok(entity),
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

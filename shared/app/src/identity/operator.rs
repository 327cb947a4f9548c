//! What an operator may do by invoking the identity function directly; IAM guards the way in.

use axle_domain::identity::{Plan, Scope};
use axle_domain::rate::Limits;
use axle_domain::{EntityId, Time};
use axle_store::identity::EntityRecord;
use serde::{Deserialize, Serialize};

use super::keys::{NewKey, make_key};
use crate::context::App;
use crate::error::{Error, Result};

/// An operator's request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    CreateKey(CreateKey),
}

/// Creates an API key for a tenant, and the tenant too if `entity_id` is `new`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    pub entity_id: String,
    #[serde(default)]
    pub entity_name: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    pub scopes: Vec<Scope>,
    #[serde(default)]
    pub plan: Plan,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub expires_at: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct CreatedKey {
    pub api_key: String,
    pub key_id: String,
    pub entity_id: EntityId,
}

/// Does what the operator asks for.
///
/// # Errors
/// [`Error::Invalid`] for an entity id that is neither `new` nor a UUID, [`Error::NotFound`] for an unknown one.
pub async fn operate(app: &App, operation: Operation) -> Result<CreatedKey> {
    let Operation::CreateKey(create) = operation;
    let now = app.now();
    let entity_id = if create.entity_id == "new" {
        super::entities::create_for_operator(app, create.entity_name.as_deref().unwrap_or("New entity"), now).await?.id
    } else {
        let id: EntityId = create.entity_id.parse().map_err(|_| Error::invalid("/entity_id", "must be a UUID or `new`"))?;
        let found = app.table().await.get::<EntityRecord>(&EntityRecord::key_of(id), now).await?;
        found.ok_or(Error::NotFound("entity"))?.value.id
    };
    let new = NewKey {
        name: create.name.unwrap_or_else(|| "operator".to_owned()),
        scopes: create.scopes.into_iter().collect(),
        plan: create.plan,
        limits: create.limits,
        expires_at: create.expires_at,
    };
    let (record, token) = make_key(app, entity_id, new, None, now).await?;
    let mut tx = app.table().await.tx();
    tx.create("api key", &record);
    tx.commit().await?;
    Ok(CreatedKey { api_key: token.reveal().to_owned(), key_id: record.id.to_string(), entity_id })
}

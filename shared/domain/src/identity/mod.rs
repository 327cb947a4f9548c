//! Who may do what: scopes, plans, API keys, tenants.

mod api_key;
mod scope;
mod slug;

pub use api_key::{ApiKeyToken, KeyHash, KeyId, NotAKey};
pub use scope::{Scope, ScopeSet, UnknownScope};
pub use slug::slugify;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a tenant pays for; it decides the limit of the `plan` class and whether limits may be raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// 60 requests a minute on `/api/v1/*`.
    #[default]
    SelfService,
    /// 300 requests a minute on `/api/v1/*`.
    Managed,
    /// Limits as agreed; granted by an operator only.
    Enterprise,
}

/// What a member of a tenant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Member,
}

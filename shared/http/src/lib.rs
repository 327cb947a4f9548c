//! What every router shares: credentials, scopes, rate limits, idempotency, error bodies, paging, OpenAPI.
//!
//! A group of routes is an `OpenApiRouter`; [`serve`] puts the gate before it. Each operation's `security` in its
//! `#[utoipa::path]` is not only documentation: the gate reads the scope from it, and an operation without one cannot be
//! reached, so a new route can forget neither. Public ones are counted by source address unless they are marked `x-stateless`.

mod body;
mod body_key;
mod error;
mod gate;
mod named_entity;
mod openapi;
mod path;
mod query;
mod reply;
mod rules;
mod surface;

pub use body::{Body, Patch, PatchOf, RawBody, no_fields};
pub use error::ApiError;
pub use gate::{Caller, not_supported, serve};
pub use openapi::{document, finish};
pub use path::{Id, IfMatch, ThreeIds, TwoIds};
pub use query::QueryReader;
pub use reply::{Reply, numbered_answer, page_answer, sliced_answer};
pub use surface::Surface;

/// The largest body that reaches a function: Lambda takes events of 6 MB, and a body may arrive in base64.
pub const BODY_MAX: usize = 4 * 1024 * 1024;

//! Who did it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    ApiKey,
    User,
    Agent,
    System,
}

/// The cause of a change, as events and the audit log name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    pub kind: ActorKind,
    /// The API key's id, the user's or agent's id, or the name of the part of the system.
    #[schema(example = "7Gk2mQ9xTb4L")]
    pub id: String,
}

impl Actor {
    /// A part of the system that acts of itself, such as `import-worker`.
    pub fn system(part: &str) -> Self {
        Self { kind: ActorKind::System, id: part.to_owned() }
    }
}

//! What an operator can ask of the function that follows the table's stream.

use std::time::Instant;

use axle_domain::EntityId;
use serde::{Deserialize, Serialize};

use super::{dashboard, search};
use crate::context::App;
use crate::error::Result;

/// A call of the operator.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Makes the numbers of a tenant's dashboard what the records say.
    Repair {
        entity_id: EntityId,
        #[serde(default)]
        from: Option<dashboard::Progress>,
    },
    /// Makes what a large tenant's searches go through what the records say.
    Reindex {
        entity_id: EntityId,
        #[serde(default)]
        from: Option<search::Progress>,
    },
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Done {
    Repaired(dashboard::Repaired),
    Reindexed(search::Reindexed),
}

/// Does what an operator asks.
///
/// # Errors
/// The table's, and a `from` that is none.
pub async fn operate(app: &App, operation: Operation, deadline: Instant) -> Result<Done> {
    Ok(match operation {
        Operation::Repair { entity_id, from } => {
            let done = dashboard::repair(app, entity_id, from, deadline).await?;
            tracing::info!(%entity_id, records = done.records, sums = done.sums, "dashboard repaired");
            Done::Repaired(done)
        }
        Operation::Reindex { entity_id, from } => {
            let done = search::reindex(app, entity_id, from, deadline).await?;
            tracing::info!(%entity_id, records = done.records, segments = done.segments, "search repaired");
            Done::Reindexed(done)
        }
    })
}

//! Searches among very many records: the segments that they go through follow the table's stream.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use axle_domain::EntityId;
use axle_store::crm::counted::StreamChange;
use axle_store::crm::search::{Change, Kind, Sealed, change_of, wish_of};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::context::App;
use crate::error::Result;

/// Records that are patched side by side.
const SIDE_BY_SIDE: usize = 16;
/// What sealing some segments, or making one anew, may take; a repair stops when it has less.
const STEP_TIME: Duration = Duration::from_secs(10);

/// What a batch of the stream says to searches.
#[derive(Debug, Default)]
pub struct Heard {
    changes: Vec<Change>,
    wishes: Vec<(EntityId, Kind)>,
}

/// What of a batch of the table's stream concerns searches.
///
/// # Errors
/// A record that does not have the form that its type promises.
pub fn hear(changes: &[StreamChange]) -> Result<Heard> {
    // Only the last state of each record matters.
    let mut last: HashMap<(EntityId, Uuid), Change> = HashMap::new();
    let mut wishes = Vec::new();
    for change in changes {
        wishes.extend(wish_of(change)?.filter(|wish| !wishes.contains(wish)));
        let Some(change) = change_of(change)? else { continue };
        let slot = last.entry((change.entity, change.id)).or_insert_with(|| change.clone());
        if slot.version <= change.version {
            *slot = change;
        }
    }
    Ok(Heard { changes: last.into_values().collect(), wishes })
}

/// Keeps the segments of large tenants up to date: writes patches, folds them in where there are many, and seals some more where somebody
/// asks for it. Tenants without segments cost a look at whether they have some. Twice, late or in another order, it comes to the same.
///
/// # Errors
/// What could not be patched; the whole batch may be given again. What can be done later as well is only logged.
pub async fn follow(app: &App, heard: Heard) -> Result<usize> {
    let table = app.table().await;
    let mut patched_to: HashMap<(EntityId, &str), Option<String>> = HashMap::new();
    for change in &heard.changes {
        let tenant = (change.entity, change.kind.as_str());
        if let Entry::Vacant(unknown) = patched_to.entry(tenant) {
            let state = table.search_state(change.entity, change.kind).await?;
            unknown.insert(state.map(|state| state.value.patched_to));
        }
    }
    let sealed = |change: &&Change| {
        let to = patched_to.get(&(change.entity, change.kind.as_str())).and_then(Option::as_deref);
        to.is_some_and(|to| change.position().as_str() < to)
    };
    let changes: Vec<Change> = heard.changes.iter().filter(sealed).cloned().collect();
    let patches = stream::iter(changes.clone()).map(async |change| table.patch_search(change).await);
    patches.buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
    for change in &changes {
        if let Err(e) = table.fold_search(change).await {
            tracing::warn!(entity_id = %change.entity, error = %e, "patches could not be folded in");
        }
    }
    for (entity, kind) in heard.wishes {
        // The stream tells of the wish until it is fulfilled, and so of the next step.
        if let Err(e) = table.seal_search(entity, kind, app.now()).await {
            tracing::warn!(entity_id = %entity, error = %e, "segments could not be sealed");
        }
    }
    Ok(changes.len())
}

/// Where a repair of segments is to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub kind: Kind,
    /// A position; none for the first segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether all segments were looked at, and what is left is to seal.
    #[serde(default)]
    pub sealing: bool,
}

impl Progress {
    const fn first(kind: Kind) -> Self {
        Self { kind, after: None, sealing: false }
    }
}

/// What a repair of segments did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// Records that a search would have missed, found wrongly, or found under what they are not any more.
    pub records: usize,
    /// Segments that were looked at.
    pub segments: usize,
    /// Set when time ran out: call again with this as `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Progress>,
}

/// Makes a tenant's segments what the records say, and seals what there is to seal, until `deadline` draws near. Of a tenant with few records
/// it makes none. Changes may go on meanwhile.
pub async fn reindex(app: &App, entity: EntityId, from: Option<Progress>, deadline: Instant) -> Result<Reindexed> {
    let table = app.table().await;
    let mut at = from.unwrap_or(Progress::first(Kind::Companies));
    let mut done = Reindexed::default();
    loop {
        if Instant::now() + STEP_TIME > deadline {
            return Ok(Reindexed { unfinished: Some(at), ..done });
        }
        if !at.sealing {
            let repaired = table.repair_segment(entity, at.kind, at.after.as_deref()).await?;
            done.records += repaired.wrong;
            done.segments += usize::from(repaired.found);
            at = Progress { sealing: repaired.next.is_none(), after: repaired.next, kind: at.kind };
            continue;
        }
        if table.wants_segments(entity, at.kind).await? {
            match table.seal_search(entity, at.kind, app.now()).await? {
                Sealed::More | Sealed::Lost => continue,
                Sealed::All => {}
            }
        }
        match at.kind {
            Kind::Companies => at = Progress::first(Kind::Contacts),
            Kind::Contacts => return Ok(done),
        }
    }
}

//! What agents ask for before they do it.

use axle_domain::agent::{ActionKind, ApprovalStatus};
use axle_domain::{Actor, AgentId, ApprovalId, CampaignId, EntityId, RunContactId, RunId, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent_runs::Target;
use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's approvals of a status are listed in. A status has its own: there are few that wait, and in the end very many
/// that do not.
const SHARDS: u128 = 4;
/// The board that counts approvals by status.
const BOARD: &str = "APPROVALS";

/// One question, and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalRecord {
    pub entity_id: EntityId,
    pub id: ApprovalId,
    pub agent_id: AgentId,
    /// The campaign whose draft it is; `run_id` is then the lead's way through that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    pub run_id: RunId,
    pub run_contact_id: RunContactId,
    pub target: Target,
    pub action_index: usize,
    pub action: ActionKind,
    #[serde(with = "crate::json_text")]
    pub params: Value,
    pub hash: String,
    pub status: ApprovalStatus,
    pub requested_at: Time,
    /// When it is too late for an answer.
    pub approve_by: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
}

impl ApprovalRecord {
    pub fn key_of(entity: EntityId, id: ApprovalId) -> Key {
        Key::thing(entity, "APPROVAL", id)
    }
}

fn partition(entity: EntityId, status: ApprovalStatus, shard: u128) -> String {
    format!("E#{entity}#APPROVALS#{}#{shard}", status.as_str())
}

impl Record for ApprovalRecord {
    const TYPE: &'static str = "approval";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let shard = partition(self.entity_id, self.status, self.id.uuid().as_u128() % SHARDS);
        Placement { gsi1: Some((shard, format!("{}#{}", self.requested_at, self.id))), ..Placement::default() }
    }
}

impl Table {
    pub async fn approval(&self, entity: EntityId, id: ApprovalId, now: Time) -> Result<Option<Versioned<ApprovalRecord>>> {
        self.get(&ApprovalRecord::key_of(entity, id), now).await
    }

    /// Some approvals of a status, the oldest question first, and how many there are.
    pub async fn approvals(
        &self,
        entity: EntityId,
        status: ApprovalStatus,
        offset: usize,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<ApprovalRecord>>, u64)> {
        let partitions = (0..SHARDS).map(|shard| partition(entity, status, shard)).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: true };
        let total = self.counted(entity, BOARD, Some(status.as_str())).await?;
        if total == 0 {
            return Ok((Vec::new(), 0));
        }
        let ids = self.all_ids(&listing, &Filter::default()).await?;
        let page = ids.iter().skip(offset).take(limit).filter_map(|id| id.parse().ok());
        let keys: Vec<Key> = page.map(|id| ApprovalRecord::key_of(entity, id)).collect();
        let found: Vec<Versioned<ApprovalRecord>> = self.get_many_now(&keys, now).await?;
        // What was decided since the index was written is not of this status any more.
        Ok((found.into_iter().filter(|found| found.value.status == status).collect(), total))
    }
}

impl Tx<'_> {
    /// A new question, counted.
    pub fn ask(&mut self, approval: &ApprovalRecord) {
        self.create("approval", approval);
        self.tally(approval.entity_id, BOARD, approval.id.uuid().as_u128(), &[(approval.status.as_str(), 1)]);
    }

    /// Its answer, counted.
    pub fn answer(&mut self, old: &ApprovalRecord, new: &ApprovalRecord, version: u64) {
        self.replace("approval", new, version);
        let deltas = [(old.status.as_str(), -1), (new.status.as_str(), 1)];
        self.tally(new.entity_id, BOARD, new.id.uuid().as_u128(), &deltas);
    }

    /// Forgets a question of a run that is forgotten.
    pub fn forget_approval(&mut self, approval: &ApprovalRecord, version: u64) {
        self.delete("approval", approval.key(), version);
        self.tally(approval.entity_id, BOARD, approval.id.uuid().as_u128(), &[(approval.status.as_str(), -1)]);
    }
}

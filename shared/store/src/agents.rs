//! Agents: who they are, what they are called in their space, and how they do.

use axle_domain::agent::{AgentInput, AgentRole, TemplateName};
use axle_domain::{AgentId, EntityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tally::Stamp;
use crate::tx::Tx;

/// The board that counts agents beside the built-in ones, as `all`.
const BOARD: &str = "AGENTS";

/// An agent. A built-in one is here only once somebody has changed it, and is in no listing: its id follows from its role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentRecord {
    pub entity_id: EntityId,
    pub id: AgentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<AgentRole>,
    /// As text: schemas of users may be deeper than the table takes, and their numbers stay what they are.
    #[serde(with = "crate::json_text")]
    pub spec: AgentInput,
    pub slug: String,
    /// `enabled` or `disabled`, for listings.
    pub status: String,
    /// Its template, for listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<TemplateName>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl AgentRecord {
    pub fn key_of(entity: EntityId, id: AgentId) -> Key {
        Key::thing(entity, "AGENT", id)
    }

    /// With what listings filter by taken from the definition.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.status = status_word(self.is_enabled()).to_owned();
        self.q = self.spec.playbook_template;
        self
    }

    pub fn is_enabled(&self) -> bool {
        self.spec.enabled.unwrap_or(true)
    }
}

fn status_word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

impl Record for AgentRecord {
    const TYPE: &'static str = "agent";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let listed = self.role.is_none();
        let entry = || (format!("E#{}#AGENTS", self.entity_id), format!("{}#{}", self.created_at, self.id));
        Placement { gsi1: listed.then(entry), ..Placement::default() }
    }
}

/// Holds a name in a tenant's space for one agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentSlugRecord {
    pub entity_id: EntityId,
    pub slug: String,
    pub agent_id: AgentId,
}

impl AgentSlugRecord {
    pub fn key_of(entity: EntityId, slug: &str) -> Key {
        Key::thing(entity, "AGENTSLUG", slug)
    }
}

impl Record for AgentSlugRecord {
    const TYPE: &'static str = "agent_slug";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.slug)
    }
}

/// How an agent did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentNumbers {
    pub executions: u64,
    pub succeeded: u64,
    /// Of all executions together.
    pub duration_ms: u64,
    pub last_at: Option<Time>,
}

fn numbers_board(agent: AgentId) -> String {
    format!("AGENT#{agent}")
}

impl Table {
    /// The ids of a tenant's agents beside the built-in ones, newest first.
    pub async fn agent_ids(
        &self,
        entity: EntityId,
        enabled: Option<bool>,
        template: Option<TemplateName>,
    ) -> Result<Vec<AgentId>> {
        let listing = Listing { index: Some("gsi1"), partitions: vec![format!("E#{entity}#AGENTS")], ascending: false };
        let mut filter = Filter::default();
        if let Some(enabled) = enabled {
            filter.equals("status", status_word(enabled));
        }
        if let Some(template) = template {
            filter.equals("q", template.as_str());
        }
        let ids = self.all_ids(&listing, &filter).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Agents by id, in the order of `ids`; what is not there is left out.
    pub async fn agents_by_id(&self, entity: EntityId, ids: &[AgentId], now: Time) -> Result<Vec<Versioned<AgentRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| AgentRecord::key_of(entity, *id)).collect();
        self.get_many_now(&keys, now).await
    }

    /// How many agents a tenant has beside the built-in ones.
    pub async fn agent_count(&self, entity: EntityId) -> Result<u64> {
        self.counted(entity, BOARD, None).await
    }

    /// How an agent did so far; some 1 read unit.
    pub async fn agent_numbers(&self, entity: EntityId, agent: AgentId) -> Result<AgentNumbers> {
        let (numbers, last_at) = self.stamped_tally(entity, &numbers_board(agent)).await?;
        let n = |name: &str| numbers.get(name).map_or(0, |n| u64::try_from(*n).unwrap_or(0));
        Ok(AgentNumbers { executions: n("executions"), succeeded: n("succeeded"), duration_ms: n("duration_ms"), last_at })
    }
}

impl Tx<'_> {
    /// A new agent with its name, counted. A failed condition labelled `slug` means that the name is taken.
    pub fn create_agent(&mut self, agent: &AgentRecord) {
        self.create("agent", agent);
        self.create("slug", &slug_of(agent));
        if agent.role.is_none() {
            self.tally(agent.entity_id, BOARD, agent.id.uuid().as_u128(), &[("all", 1)]);
        }
    }

    /// Replaces an agent that was read at `version`; its name moves along.
    pub fn replace_agent(&mut self, old: &AgentRecord, new: &AgentRecord, version: u64) {
        self.replace("agent", new, version);
        if old.slug != new.slug {
            self.remove("old slug", AgentSlugRecord::key_of(old.entity_id, &old.slug));
            self.create("slug", &slug_of(new));
        }
    }

    /// Deletes an agent that was read at `version`, with its name and its numbers' place in the count.
    pub fn delete_agent(&mut self, agent: &AgentRecord, version: u64) {
        self.delete("agent", agent.key(), version);
        self.remove("slug", AgentSlugRecord::key_of(agent.entity_id, &agent.slug));
        self.tally(agent.entity_id, BOARD, agent.id.uuid().as_u128(), &[("all", -1)]);
    }

    /// Counts one execution for the numbers of its agent, with the change that ends it.
    pub fn count_execution_of(
        &mut self,
        entity: EntityId,
        agent: AgentId,
        subject: u128,
        succeeded: bool,
        duration_ms: u64,
        at: Time,
    ) {
        let duration = i64::try_from(duration_ms).unwrap_or(i64::MAX);
        let deltas = [("executions", 1), ("succeeded", i64::from(succeeded)), ("duration_ms", duration)];
        self.tally_stamped(entity, &numbers_board(agent), subject, &deltas, Stamp { at });
    }
}

fn slug_of(agent: &AgentRecord) -> AgentSlugRecord {
    AgentSlugRecord { entity_id: agent.entity_id, slug: agent.slug.clone(), agent_id: agent.id }
}

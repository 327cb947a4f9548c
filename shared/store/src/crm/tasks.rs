//! Tasks: the CRM's and the assistant's are the same.

use axle_domain::crm::PageNumber;
use axle_domain::crm::task::{Priority, Related, TaskStatus, next_reminder};
use axle_domain::{Due, EntityId, ProjectId, TaskId, Time, UserId};
use serde::{Deserialize, Serialize};

use crate::deliveries::due_partition;
use crate::error::Result;
use crate::item::{Placement, Record, Versioned};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::Table;
use crate::tx::Tx;

/// Partitions that a tenant's tasks are listed in.
const SHARDS: u128 = 4;
/// The board that counts tasks by their status, for the totals of lists.
const BOARD: &str = "crm-tasks";

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRecord {
    pub entity_id: EntityId,
    pub id: TaskId,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_date: Option<Due>,
    pub priority: Priority,
    pub status: TaskStatus,
    /// Who is to do it.
    #[serde(default, rename = "owner", skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remind_at: Vec<Time>,
    /// The latest of `remind_at` that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded: Option<Time>,
    /// RFC 5545 RRULE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<String>,
    /// The text that `q` searches: the folded title.
    pub q: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl TaskRecord {
    pub fn key_of(entity: EntityId, id: TaskId) -> Key {
        Key::thing(entity, "TASK", id)
    }

    /// When the next reminder is to be given; none once the task is done.
    pub fn next_reminder(&self) -> Option<Time> {
        next_reminder(&self.remind_at, self.reminded).filter(|_| self.status.is_open())
    }
}

fn project_partition(entity: EntityId, project: ProjectId) -> String {
    format!("E#{entity}#PROJECT#{project}#TASKS")
}

impl Record for TaskRecord {
    const TYPE: &'static str = "task";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let (entity, id) = (self.entity_id, self.id.uuid());
        let position = format!("{}#{}", self.created_at, self.id);
        Placement {
            gsi1: Some((format!("E#{entity}#TASKS#{}", id.as_u128() % SHARDS), position.clone())),
            gsi2: self.project_id.map(|project| (project_partition(entity, project), position)),
            gsi3: self.next_reminder().map(|at| (due_partition(id), format!("{at}#{}", self.id))),
            ..Placement::default()
        }
    }
}

/// What to look for among tasks.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    pub project_id: Option<ProjectId>,
    pub status: Option<TaskStatus>,
}

impl TaskQuery {
    fn listing(&self, entity: EntityId) -> Listing {
        let (index, partitions) = match self.project_id {
            Some(project) => ("gsi2", vec![project_partition(entity, project)]),
            None => ("gsi1", (0..SHARDS).map(|shard| format!("E#{entity}#TASKS#{shard}")).collect()),
        };
        Listing { index: Some(index), partitions, ascending: false }
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        if let Some(status) = self.status {
            filter.equals("status", status.as_str());
        }
        filter
    }
}

impl Table {
    /// One page of tasks, newest first, and how many there are on all pages.
    pub async fn tasks(
        &self,
        entity: EntityId,
        query: &TaskQuery,
        page: PageNumber,
        now: Time,
    ) -> Result<(Vec<Versioned<TaskRecord>>, u64)> {
        let status = query.status.map(TaskStatus::as_str);
        let count = if query.project_id.is_none() { Some(self.counted(entity, BOARD, status).await?) } else { None };
        let (ids, total) = self.numbered(&query.listing(entity), &query.filter(), page, count).await?;
        let keys: Vec<Key> = ids.iter().filter_map(|id| id.parse().ok()).map(|id| TaskRecord::key_of(entity, id)).collect();
        Ok((self.get_many(&keys, now).await?, total))
    }
}

impl Tx<'_> {
    /// A new task, counted.
    pub fn create_task(&mut self, task: &TaskRecord) {
        self.create("task", task);
        self.count_task(task, task.status, 1);
    }

    /// Replaces a task that was read at `version`; its count follows its status.
    pub fn replace_task(&mut self, old: &TaskRecord, new: &TaskRecord, version: u64) {
        self.replace("task", new, version);
        self.count_task(old, old.status, -1);
        self.count_task(new, new.status, 1);
    }

    fn count_task(&mut self, task: &TaskRecord, status: TaskStatus, by: i64) {
        self.tally(task.entity_id, BOARD, task.id.uuid().as_u128(), &[(status.as_str(), by)]);
    }
}

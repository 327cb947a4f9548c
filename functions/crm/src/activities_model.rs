//! Activities and tasks as the API shows them.

use axle_domain::crm::activity::{ActivityProfile, ActivityType};
use axle_domain::crm::task::{Priority, Related, TaskStatus};
use axle_domain::{ActivityId, Actor, CompanyId, ContactId, DealId, Due, ProjectId, TaskId, Time, UserId};
use axle_store::crm::activities::ActivityRecord;
use axle_store::crm::tasks::TaskRecord;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that was done, or is to be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmActivity)]
pub struct ActivityOut {
    pub id: ActivityId,
    #[serde(rename = "type")]
    pub kind: ActivityType,
    pub subject: String,
    pub body: Option<String>,
    pub occurred_at: Time,
    pub duration_minutes: Option<u32>,
    pub outcome: Option<String>,
    pub due_at: Option<Due>,
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    pub lead_id: Option<DealId>,
    /// The task that one of the type `task` became.
    pub task_id: Option<TaskId>,
    pub actor: Actor,
    pub created_at: Time,
}

impl From<&ActivityRecord> for ActivityOut {
    fn from(activity: &ActivityRecord) -> Self {
        let ActivityRecord {
            entity_id: _,
            id,
            kind,
            company_id,
            contact_id,
            deal_id,
            profile,
            task_id,
            actor,
            occurred_at,
            created_at,
        } = activity.clone();
        let ActivityProfile { subject, body, duration_minutes, outcome, due_at } = profile;
        Self {
            id,
            kind,
            subject,
            body,
            occurred_at,
            duration_minutes,
            outcome,
            due_at,
            company_id,
            contact_id,
            lead_id: deal_id,
            task_id,
            actor,
            created_at,
        }
    }
}

/// One page of activities.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmActivityPage)]
pub struct ActivityPage {
    pub activities: Vec<ActivityOut>,
    pub page: u32,
    pub page_size: u32,
    /// Activities that the filters let through, on all pages.
    pub total: u64,
}

/// A task.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmTask)]
pub struct TaskOut {
    pub id: TaskId,
    pub title: String,
    pub description: Option<String>,
    pub due_date: Option<Due>,
    pub priority: Priority,
    pub status: TaskStatus,
    pub assignee_id: Option<UserId>,
    pub project_id: Option<ProjectId>,
    pub related: Option<Related>,
    pub remind_at: Vec<Time>,
    /// RFC 5545 RRULE.
    pub recurrence: Option<String>,
    pub completed_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&TaskRecord> for TaskOut {
    fn from(task: &TaskRecord) -> Self {
        let TaskRecord {
            entity_id: _,
            id,
            title,
            description,
            due_date,
            priority,
            status,
            assignee_id,
            project_id,
            related,
            remind_at,
            reminded: _,
            recurrence,
            q: _,
            completed_at,
            created_at,
            updated_at,
        } = task.clone();
        Self {
            id,
            title,
            description,
            due_date,
            priority,
            status,
            assignee_id,
            project_id,
            related,
            remind_at,
            recurrence,
            completed_at,
            created_at,
            updated_at,
        }
    }
}

/// One page of tasks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmTaskPage)]
pub struct TaskPage {
    pub tasks: Vec<TaskOut>,
    pub page: u32,
    pub page_size: u32,
    /// Tasks that the filters let through, on all pages.
    pub total: u64,
}

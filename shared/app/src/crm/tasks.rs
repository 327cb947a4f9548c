//! Tasks: made by hand or by Axle itself, and the reminders of them.

use axle_domain::crm::PageNumber;
use axle_domain::crm::task::{Chore, Related, TaskStatus};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::text::fold;
use axle_domain::{EntityId, TaskId, TraceId, UserId};
use axle_store::crm::tasks::{TaskQuery, TaskRecord};
use axle_store::{Tx, Versioned};
use serde_json::{Value, json};

use super::shared::Numbered;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::without_nulls;

/// One page of tasks, newest first.
pub async fn list(app: &App, ctx: &Ctx, query: &TaskQuery, page: PageNumber) -> Result<Numbered<Versioned<TaskRecord>>> {
    let (items, total) = app.table().await.tasks(ctx.entity_id, query, page, ctx.now).await?;
    Ok(Numbered { items, page, total })
}

pub async fn get(app: &App, ctx: &Ctx, id: TaskId) -> Result<Versioned<TaskRecord>> {
    let found = app.table().await.get::<TaskRecord>(&TaskRecord::key_of(ctx.entity_id, id), ctx.now).await?;
    found.ok_or(Error::NotFound("task"))
}

fn event(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, event_type: EventType, id: TaskId, data: Value) {
    let subject = Subject::new(event_type.subject_kind(), id);
    let event = Event::new(event_type, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, without_nulls(data));
    tx.emit(&event.trace(ctx.trace_id), app.config().event_retention_days);
}

/// Puts a new task and its event into a transaction.
pub(crate) fn add(
    app: &App,
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    chore: Chore,
    assignee_id: Option<UserId>,
    related: Option<Related>,
) -> TaskRecord {
    let task = TaskRecord {
        entity_id: ctx.entity_id,
        id: TaskId::new_at(ctx.now),
        q: fold(&chore.title).chars().take(400).collect(),
        title: chore.title,
        description: chore.description,
        due_date: chore.due,
        priority: chore.priority,
        status: TaskStatus::Open,
        assignee_id,
        project_id: None,
        related,
        remind_at: chore.remind_at.into_iter().collect(),
        reminded: None,
        recurrence: None,
        completed_at: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    tx.create_task(&task);
    let data = json!({"title": task.title, "due_date": task.due_date, "assignee_id": task.assignee_id});
    event(app, ctx, tx, EventType::TaskCreated, task.id, data);
    task
}

/// Cancels a task in a transaction, unless it is done, cancelled or gone.
pub(crate) async fn cancel_if_open(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, id: TaskId) -> Result<()> {
    let Versioned { value: old, version } = match get(app, ctx, id).await {
        Ok(task) => task,
        Err(Error::NotFound(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    if old.status.is_open() {
        let new = TaskRecord { status: TaskStatus::Cancelled, updated_at: ctx.now, ..old.clone() };
        tx.replace_task(&old, &new, version);
    }
    Ok(())
}

/// Gives the reminder of a task that is due, once; answers whether there was one to give.
///
/// It may be asked for twice or late: the task itself says which reminder is next, and a change of the task at the same moment makes
/// the next sweep look again.
pub async fn remind(app: &App, entity: EntityId, id: TaskId) -> Result<bool> {
    let ctx = Ctx::system(entity, "scheduler", app.now(), TraceId::random());
    let Versioned { value: mut task, version } = match get(app, &ctx, id).await {
        Ok(task) => task,
        Err(Error::NotFound(_)) => return Ok(false),
        Err(e) => return Err(e),
    };
    let Some(at) = task.next_reminder().filter(|at| *at <= ctx.now) else { return Ok(false) };
    task.reminded = Some(at);
    let due_at = task.due_date.map_or(at, axle_domain::Due::time);
    let mut tx = app.table().await.tx();
    tx.replace("task", &task, version);
    event(app, &ctx, &mut tx, EventType::ReminderTriggered, id, json!({"title": task.title, "due_at": due_at}));
    Ok(tx.try_commit().await?)
}

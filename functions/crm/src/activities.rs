//! Activities, tasks and the dashboard.

use std::sync::Arc;

use axle_app::crm::{activities, dashboard, tasks};
use axle_app::{Answer, App, Ctx, Error};
use axle_domain::crm::activity::{ActivityInput, ActivityType};
use axle_domain::crm::dashboard::Dashboard;
use axle_domain::crm::task::TaskStatus;
use axle_domain::{CompanyId, ContactId, DealId, ProjectId, Time};
use axle_http::{ApiError, Body, Caller, Id, QueryReader, Reply, numbered_answer};
use axle_store::crm::tasks::TaskQuery;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activities_model::{ActivityOut, ActivityPage, TaskOut, TaskPage};

/// What these routes are, for the group's router.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(create_on_lead))
        .routes(routes!(list_tasks))
        .routes(routes!(show_dashboard))
}

async fn make(app: &App, ctx: &Ctx, input: ActivityInput) -> Result<Reply, ApiError> {
    Ok(Reply(activities::create(app, ctx, input, |made| Answer::new(201, ActivityOut::from(made))).await?))
}

/// Note an activity
///
/// With a company, a person, a lead, or several of them. A lead's company and person are filled in. One of the type `task` becomes a
/// task as well, of the lead's owner or of whoever notes it.
#[utoipa::path(post, path = "/api/crm/activities", tag = "CRM activities", operation_id = "createActivity",
    request_body = ActivityInput, security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The activity.", body = ActivityOut)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<ActivityInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    make(&app, &ctx, input).await
}

/// Note an activity of a lead
///
/// As `POST /api/crm/activities` with the lead's id.
#[utoipa::path(post, path = "/api/crm/leads/{leadId}/activities", tag = "CRM activities", operation_id = "createLeadActivity",
    request_body = ActivityInput, security(("api_key" = ["write:crm"])), params(("leadId" = DealId, Path)),
    responses((status = 201, description = "The activity.", body = ActivityOut)))]
pub(crate) async fn create_on_lead(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<DealId>,
    query: QueryReader,
    Body(input): Body<ActivityInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    axle_app::crm::deals::get(&app, &ctx, id).await?;
    if input.lead_id.is_some_and(|other| other != id) {
        return Err(Error::invalid("/leadId", "is not the lead of the path").into());
    }
    make(&app, &ctx, ActivityInput { lead_id: Some(id), ..input }).await
}

/// List activities
///
/// The latest first, by when they happened. `total` counts all pages.
#[utoipa::path(get, path = "/api/crm/activities", tag = "CRM activities", operation_id = "listActivities",
    security(("api_key" = ["read:crm"])),
    params(
        ("companyId" = Option<CompanyId>, Query, description = "Only activities with this company."),
        ("contactId" = Option<ContactId>, Query, description = "Only activities with this person."),
        ("leadId" = Option<DealId>, Query, description = "Only activities of this lead."),
        ("type" = Option<ActivityType>, Query, description = "Only activities of this type."),
        ("from" = Option<Time>, Query, description = "Only activities at this time or later."),
        ("to" = Option<Time>, Query, description = "Only activities before this time."),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of activities.", body = ActivityPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = activities::Wanted {
        company_id: query.id("companyId"),
        contact_id: query.id("contactId"),
        deal_id: query.id("leadId"),
        kind: query.parsed("type"),
        from: query.parsed("from"),
        to: query.parsed("to"),
    };
    let page = query.page_number();
    query.finish()?;
    let found = activities::list(&app, &ctx, wanted, page).await?;
    Ok(numbered_answer("activities", found, |activity| ActivityOut::from(&activity.value))?)
}

/// List tasks
///
/// Newest first: the same tasks as the assistant's. `total` counts all pages.
#[utoipa::path(get, path = "/api/crm/tasks", tag = "CRM activities", operation_id = "listCrmTasks",
    security(("api_key" = ["read:crm"])),
    params(
        ("projectId" = Option<ProjectId>, Query, description = "Only tasks of this project."),
        ("status" = Option<TaskStatus>, Query, description = "Only tasks in this state."),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of tasks.", body = TaskPage)))]
pub(crate) async fn list_tasks(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    mut query: QueryReader,
) -> Result<Reply, ApiError> {
    let wanted = TaskQuery { project_id: query.id("projectId"), status: query.parsed("status") };
    let page = query.page_number();
    query.finish()?;
    let found = tasks::list(&app, &ctx, &wanted, page).await?;
    Ok(numbered_answer("tasks", found, |task| TaskOut::from(&task.value))?)
}

/// Show the dashboard
///
/// Right to the last write within seconds. Values add up amounts of all currencies as they are; `leads.byCurrency` keeps them apart.
/// Days and months are those of UTC.
#[utoipa::path(get, path = "/api/crm/dashboard", tag = "CRM activities", operation_id = "getDashboard",
    security(("api_key" = ["read:crm"])), responses((status = 200, description = "How the CRM stands.", body = Dashboard)))]
pub(crate) async fn show_dashboard(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(dashboard::get(&app, &ctx).await?)?)
}

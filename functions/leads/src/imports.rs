//! Imports: started, looked at, and their refused rows.

use std::sync::Arc;

use axle_app::outreach::imports::{self, ErrorsCsv, ImportView, OnDuplicate, Started, Upload};
use axle_app::{Answer, App};
use axle_domain::{CampaignId, ImportJobId};
use axle_http::{ApiError, Caller, Id, QueryReader, RawBody, Reply};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::import_request::{FormBody, JsonBody, read};

/// Import leads
///
/// Three forms: the CSV itself as `text/csv` with the options in the query; `multipart/form-data` with a part `file` and the
/// options as parts; or JSON with `csv` (the text) or `upload_id` (a file sent before under `POST /leads/import/uploads`).
///
/// Header names are matched loosely, unknown columns become custom fields. Comma, semicolon, tab and pipe separate; quoted cells
/// may hold line breaks. UTF-8, by multipart and upload also UTF-16 and Latin-1. A row needs an e-mail address, a LinkedIn URL or
/// a phone. `row_count` is valid plus invalid rows; duplicates are part of the valid ones; `row` counts the header as 1.
///
/// With a `campaign_id` the leads are attached to that campaign, which has to be a draft (409).
#[utoipa::path(post, path = "/leads/import", tag = "Leads", operation_id = "importLeads", security(("api_key" = ["leads:write"])),
    params(
        ("dedupe" = Option<bool>, Query, description = "For `text/csv`: whether rows of the same person are one lead. Default true."),
        ("on_duplicate" = Option<OnDuplicate>, Query, description = "For `text/csv`: `skip` (default) or `update`."),
        ("campaign_id" = Option<CampaignId>, Query, description = "For `text/csv`: the campaign that the leads are attached to."),
    ),
    request_body(content(
        (JsonBody = "application/json", example = json!({"csv": "email,first_name\nada@example.com,Ada\n"})),
        (String = "text/csv", example = "email,first_name\nada@example.com,Ada\n"),
        (FormBody = "multipart/form-data"),
    )),
    responses((status = 202, description = "The import is queued.", body = Started,
        links(
            ("getImport" = (operation_id = "getImport", parameters(("id" = "$response.body#/import_job_id")))),
            ("getImportErrors" = (operation_id = "getImportErrors", parameters(("id" = "$response.body#/import_job_id"))))))))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    body: RawBody,
) -> Result<Reply, ApiError> {
    let request = read(query, body).await?;
    Ok(Reply(imports::start(&app, &ctx, request, |started| Answer::new(202, started)).await?))
}

/// Prepare an upload
///
/// For files beyond 4 MB: PUT the file to `url` with `headers`, then start the import with the `upload_id`. The URL is shown this
/// once: in an idempotent replay it is null.
#[utoipa::path(post, path = "/leads/import/uploads", tag = "Leads", operation_id = "createImportUpload",
    security(("api_key" = ["leads:write"])), responses((status = 201, description = "Where to PUT the file.", body = Upload)))]
pub(crate) async fn create_upload(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    body: RawBody,
) -> Result<Reply, ApiError> {
    query.finish()?;
    axle_http::no_fields(&body.json()?)?;
    Ok(Reply(Answer::new(201, imports::create_upload(&app, &ctx).await?)?.with_secrets(&["url"])))
}

/// Get an import
///
/// Every row ends as exactly one of created, updated, skipped and failed.
#[utoipa::path(get, path = "/leads/import/{id}", tag = "Leads", operation_id = "getImport", security(("api_key" = ["leads:read"])),
    params(("id" = ImportJobId, Path)), responses((status = 200, description = "Where it stands.", body = ImportView)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ImportJobId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(imports::get(&app, &ctx, id).await?)?)
}

/// Get an import's refused rows
///
/// A CSV of the refused rows as they were, with their number and the reason: correct it and import it again. A large one is
/// answered by a redirect.
#[utoipa::path(get, path = "/leads/import/{id}/errors", tag = "Leads", operation_id = "getImportErrors",
    security(("api_key" = ["leads:read"])), params(("id" = ImportJobId, Path)),
    responses(
        (status = 200, description = "The refused rows so far.", body = String, content_type = "text/csv"),
        (status = 303, description = "Where the refused rows can be downloaded.")))]
pub(crate) async fn errors(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<ImportJobId>,
    query: QueryReader,
) -> Result<Response, ApiError> {
    query.finish()?;
    Ok(match imports::errors(&app, &ctx, id).await? {
        ErrorsCsv::Inline(csv) => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response(),
        ErrorsCsv::Redirect(url) => (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response(),
    })
}

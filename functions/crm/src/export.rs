//! Exports.

use std::sync::Arc;

use axle_app::App;
use axle_app::crm::export::{self, Export};
use axle_domain::Time;
use axle_domain::crm::{ExportFormat, ExportType};
use axle_http::{ApiError, Caller, QueryReader, Reply};
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::companies_model::CompanyOut;
use crate::contacts_model::ContactOut;
use crate::deals_model::DealOut;

/// A file that was written.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportOut {
    /// Download it here, without credentials.
    #[schema(example = "https://bucket.s3.eu-west-1.amazonaws.com/exports/...")]
    pub url: String,
    /// The link is good until then.
    pub expires_at: Time,
    pub rows: u64,
    pub bytes: u64,
}

impl From<Export> for ExportOut {
    fn from(Export { url, expires_at, rows, bytes }: Export) -> Self {
        Self { url, expires_at, rows, bytes }
    }
}

const COMPANY_COLUMNS: [&str; 14] = [
    "id",
    "name",
    "domain",
    "website",
    "industry",
    "size",
    "phone",
    "address",
    "status",
    "ownerUserId",
    "tags",
    "custom",
    "createdAt",
    "updatedAt",
];
const CONTACT_COLUMNS: [&str; 13] = [
    "id",
    "firstName",
    "lastName",
    "email",
    "phone",
    "title",
    "linkedinUrl",
    "ownerUserId",
    "companyId",
    "tags",
    "custom",
    "createdAt",
    "updatedAt",
];

const LEAD_COLUMNS: [&str; 17] = [
    "id",
    "title",
    "companyId",
    "contactId",
    "valueMinor",
    "currency",
    "stage",
    "lostReason",
    "expectedCloseDate",
    "probability",
    "source",
    "ownerUserId",
    "custom",
    "closedAt",
    "stageChangedAt",
    "createdAt",
    "updatedAt",
];

/// Export records
///
/// Writes all of them to a file and answers with a link to it. In CSV, nested values are JSON, and cells that a spreadsheet would
/// run as a formula begin with an apostrophe.
#[utoipa::path(get, path = "/api/crm/export", tag = "CRM settings", operation_id = "exportCrm", security(("api_key" = ["read:crm"])),
    params(
        ("type" = inline(ExportType), Query, description = "What to export."),
        ("format" = inline(ExportFormat), Query, description = "The form of the file."),
    ),
    responses((status = 200, description = "The file.", body = ExportOut)))]
pub(crate) async fn export(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (kind, format) = (query.required("type"), query.required("format"));
    query.finish()?;
    let json = |out: Result<Value, serde_json::Error>| out.map_err(|e| axle_app::Error::Internal(e.to_string()));
    let (Some(kind), Some(format)) = (kind, format) else { return Err(axle_app::Error::invalid("?type", "is required").into()) };
    let done = match kind {
        ExportType::Companies => {
            export::companies(&app, &ctx, format, &COMPANY_COLUMNS, |c| json(serde_json::to_value(CompanyOut::from(c)))).await?
        }
        ExportType::Contacts => {
            export::contacts(&app, &ctx, format, &CONTACT_COLUMNS, |c| json(serde_json::to_value(ContactOut::from(c)))).await?
        }
        ExportType::Leads => {
            export::deals(&app, &ctx, format, &LEAD_COLUMNS, |d| json(serde_json::to_value(DealOut::from(d)))).await?
        }
    };
    Ok(Reply::ok(ExportOut::from(done))?)
}

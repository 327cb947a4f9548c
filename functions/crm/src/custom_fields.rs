//! Definitions of custom fields.

use std::sync::Arc;

use axle_app::crm::{Numbered, custom_fields};
use axle_app::{Answer, App};
use axle_domain::crm::{CustomFieldInput, CustomFieldSettings, CustomObject, CustomType};
use axle_domain::{CustomFieldId, Time};
use axle_http::{ApiError, Body, Caller, Id, IfMatch, Patch, PatchOf, QueryReader, Reply, numbered_answer};
use axle_store::Versioned;
use axle_store::crm::custom_fields::CustomFieldRecord;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A definition.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CustomField)]
pub struct CustomFieldOut {
    pub id: CustomFieldId,
    pub object: CustomObject,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: CustomType,
    /// Empty for types without a choice.
    pub options: Vec<String>,
    pub required: bool,
    pub created_at: Time,
    pub updated_at: Time,
}

/// One page of definitions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomFieldPage {
    pub custom_fields: Vec<CustomFieldOut>,
    pub page: u32,
    pub page_size: u32,
    pub total: u64,
}

/// A merge patch of a definition.
pub type CustomFieldPatch = PatchOf<CustomFieldSettings>;

impl From<&Versioned<CustomFieldRecord>> for CustomFieldOut {
    fn from(field: &Versioned<CustomFieldRecord>) -> Self {
        let id = field.value.id();
        let CustomFieldRecord { entity_id: _, definition, created_at, updated_at } = field.value.clone();
        let CustomFieldInput { object, name, kind, options, required } = definition;
        let (options, required) = (options.unwrap_or_default(), required == Some(true));
        Self { id, object, name, kind, options, required, created_at, updated_at }
    }
}

/// Define a custom field
///
/// From then on, values of this name are checked wherever a record carries them under `custom`.
#[utoipa::path(post, path = "/api/crm/custom-fields", tag = "CRM settings", operation_id = "createCustomField",
    request_body = CustomFieldInput, security(("api_key" = ["write:crm"])),
    responses((status = 201, description = "The definition.", body = CustomFieldOut, headers(("ETag" = String)),
        links(("getCustomField" = (operation_id = "getCustomField", parameters(("fieldId" = "$response.body#/id"))))))))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<CustomFieldInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        custom_fields::create(
            &app,
            &ctx,
            input,
            |made| Ok(Answer::new(201, CustomFieldOut::from(made))?.with_etag(made.version)),
        );
    Ok(Reply(answer.await?))
}

/// List custom fields
///
/// By object and name.
#[utoipa::path(get, path = "/api/crm/custom-fields", tag = "CRM settings", operation_id = "listCustomFields",
    security(("api_key" = ["read:crm"])),
    params(
        ("object" = Option<CustomObject>, Query, description = "Only those of this kind of record."),
        ("page" = Option<u32>, Query, description = "From 1.", minimum = 1, maximum = 1_000_000),
        ("pageSize" = Option<u8>, Query, description = "Entries a page; 25 by default.", minimum = 1, maximum = 100),
        ("limit" = Option<u8>, Query, description = "Older name: caps the page's size when `page` is left out.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of definitions.", body = CustomFieldPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let (object, page) = (query.parsed("object"), query.page_number());
    query.finish()?;
    let found = Numbered::cut(custom_fields::list(&app, &ctx, object).await?, page);
    Ok(numbered_answer("customFields", found, |field| CustomFieldOut::from(&field))?)
}

/// Get a custom field
#[utoipa::path(get, path = "/api/crm/custom-fields/{fieldId}", tag = "CRM settings", operation_id = "getCustomField",
    security(("api_key" = ["read:crm"])), params(("fieldId" = CustomFieldId, Path)),
    responses((status = 200, description = "The definition.", body = CustomFieldOut, headers(("ETag" = String)))))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CustomFieldId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let field = custom_fields::get(&app, &ctx, id).await?;
    Ok(Reply::resource(CustomFieldOut::from(&field), field.version)?)
}

/// Change a custom field
///
/// Its options, and whether it is required. Object, name and type are fixed: values that were saved stay what they are.
#[utoipa::path(patch, path = "/api/crm/custom-fields/{fieldId}", tag = "CRM settings", operation_id = "patchCustomField",
    security(("api_key" = ["write:crm"])), params(("fieldId" = CustomFieldId, Path)), request_body = CustomFieldPatch,
    responses((status = 200, description = "The changed definition.", body = CustomFieldOut, headers(("ETag" = String)))))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CustomFieldId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
    body: Patch<CustomFieldSettings>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let field = custom_fields::patch(&app, &ctx, id, &body.change, version).await?;
    Ok(Reply::resource(CustomFieldOut::from(&field), field.version)?)
}

/// Delete a custom field
///
/// Values that were saved stay, free of it.
#[utoipa::path(delete, path = "/api/crm/custom-fields/{fieldId}", tag = "CRM settings", operation_id = "deleteCustomField",
    security(("api_key" = ["write:crm"])), params(("fieldId" = CustomFieldId, Path)),
    responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<CustomFieldId>,
    IfMatch(version): IfMatch,
    query: QueryReader,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    custom_fields::delete(&app, &ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

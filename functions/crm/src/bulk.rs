//! Many records in one call: batches and merges.

use std::sync::Arc;

use axle_app::crm::{companies, contacts, merge};
use axle_app::{Answer, App, Ctx, Error, Part};
use axle_domain::crm::{CompanyInput, MergeCompaniesInput, MergeContactsInput, NewContact};
use axle_domain::{Fault, Input};
use axle_http::{ApiError, Body, Caller, QueryReader, Reply, Surface};
use axum::extract::State;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::companies_model::CompanyOut;
use crate::contacts_model::ContactOut;

/// Records to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchInput {
    /// Each as in a single creation.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 100)]
    pub records: Vec<Value>,
}

impl Input for BatchInput {}

/// What became of one record.
#[derive(Serialize, ToSchema)]
pub struct BatchResult {
    /// Its place in `records`, from 0.
    pub index: usize,
    /// As a single creation would have answered: 201, 409, 422 ...
    #[schema(example = 201)]
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Every fault of a 422.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Fault>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchOut {
    pub results: Vec<BatchResult>,
}

/// The result of one creation.
fn result_of(index: usize, created: Result<Answer, Error>) -> BatchResult {
    match created {
        Ok(answer) => {
            let id = answer.body["id"].as_str().map(str::to_owned);
            BatchResult { index, status: answer.status, id, error: None, details: Vec::new() }
        }
        Err(e) => {
            let e = Surface::Crm.judge(e);
            let (status, error) = (ApiError::status_of(&e).as_u16(), Some(e.to_string()));
            let details = if let Error::Invalid(faults) = e { faults } else { Vec::new() };
            BatchResult { index, status, id: None, error, details }
        }
    }
}

/// Creates the records of a batch one after another, each on its own: once, also when the batch is repeated under its idempotency key.
/// The answer is kept unless something of ours was away for one of them; then a repetition makes what is missing.
pub(crate) async fn each<T, F>(app: &App, ctx: Ctx, records: Vec<Value>, create: impl Fn(Ctx, T) -> F) -> Result<Reply, ApiError>
where
    T: Input + DeserializeOwned + ToSchema + 'static,
    F: Future<Output = Result<Answer, Error>>,
{
    let mut results = Vec::with_capacity(records.len());
    for (index, record) in records.into_iter().enumerate() {
        let created = match axle_app::input::read::<T>(record) {
            Ok(input) => once(app, &ctx, index, |ctx| create(ctx, input)).await,
            Err(e) => Err(e),
        };
        results.push(result_of(index, created));
    }
    let passing = results.iter().any(|result| result.status >= 500);
    let answer = Answer::new(200, BatchOut { results })?;
    Ok(Reply(if passing { answer.passing() } else { answer }))
}

async fn once<F>(app: &App, ctx: &Ctx, index: usize, create: impl FnOnce(Ctx) -> F) -> Result<Answer, Error>
where
    F: Future<Output = Result<Answer, Error>>,
{
    let part = match ctx.part(app, index).await? {
        Part::Done(answer) => return Ok(answer),
        Part::Work(part) => part,
    };
    let created = create(part.clone()).await;
    if created.is_err() {
        part.refused(app).await?;
    }
    created
}

/// Create companies
///
/// Up to 100, one after another, each on its own: a faulty one does not stop the others.
#[utoipa::path(post, path = "/api/crm/companies/batch", tag = "CRM companies", operation_id = "createCompanies", request_body = BatchInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "What became of each.", body = BatchOut)))]
pub(crate) async fn create_companies(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<BatchInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let app = &app;
    let create = |ctx: Ctx, input: CompanyInput| async move {
        companies::create(app, &ctx, input, |made| Answer::new(201, CompanyOut::from(made))).await
    };
    each(app, ctx, input.records, create).await
}

/// Create contacts
///
/// Up to 100, one after another, each on its own: a faulty one does not stop the others.
#[utoipa::path(post, path = "/api/crm/contacts/batch", tag = "CRM contacts", operation_id = "createContacts", request_body = BatchInput,
    security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "What became of each.", body = BatchOut)))]
pub(crate) async fn create_contacts(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<BatchInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let app = &app;
    let create = |ctx: Ctx, input: NewContact| async move {
        contacts::create(app, &ctx, input, |made| Answer::new(201, ContactOut::from(made))).await
    };
    each(app, ctx, input.records, create).await
}

/// Merge companies
///
/// In one step. The winner takes what it lacks from the losers, and everything that hung on them: contacts, deals, activities. A
/// loser stays readable, with `mergedInto`; its domain leads to the winner.
#[utoipa::path(post, path = "/api/crm/companies/merge", tag = "CRM companies", operation_id = "mergeCompanies",
    request_body = MergeCompaniesInput, security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "The winner.", body = CompanyOut, headers(("ETag" = String)))))]
pub(crate) async fn merge_companies(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<MergeCompaniesInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        merge::companies(&app, &ctx, &input, |winner| Ok(Answer::new(200, CompanyOut::from(winner))?.with_etag(winner.version)));
    Ok(Reply(answer.await?))
}

/// Merge contacts
///
/// In one step. The winner takes what they lack from the losers, and everything that hung on them: memberships, deals, activities. A
/// loser stays readable, with `mergedInto`.
#[utoipa::path(post, path = "/api/crm/contacts/merge", tag = "CRM contacts", operation_id = "mergeContacts",
    request_body = MergeContactsInput, security(("api_key" = ["write:crm"])),
    responses((status = 200, description = "The winner.", body = ContactOut, headers(("ETag" = String)))))]
pub(crate) async fn merge_contacts(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    query: QueryReader,
    Body(input): Body<MergeContactsInput>,
) -> Result<Reply, ApiError> {
    query.finish()?;
    let answer =
        merge::contacts(&app, &ctx, &input, |winner| Ok(Answer::new(200, ContactOut::from(winner))?.with_etag(winner.version)));
    Ok(Reply(answer.await?))
}

//! Traces.

use std::sync::Arc;

use axle_app::App;
use axle_app::insights::traces::{self, Trace};
use axle_domain::trace::{Span, SpanStatus};
use axle_domain::{CampaignId, LeadId, Time, TraceId};
use axle_http::{ApiError, Caller, Id, QueryReader, Reply, page_answer};
use axle_store::traces::TraceQuery;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// What happened to a lead or a message, as a whole.
#[derive(Serialize, ToSchema)]
pub struct TraceSummaryOut {
    /// W3C trace id.
    pub trace_id: TraceId,
    pub campaign_id: Option<CampaignId>,
    pub lead_id: Option<LeadId>,
    /// `error` if a step failed, else `running` while one is, else `ok`.
    pub status: SpanStatus,
    pub started_at: Time,
    /// Null while a step is running.
    pub ended_at: Option<Time>,
    pub duration_ms: Option<u64>,
    pub span_count: usize,
}

impl From<&Trace> for TraceSummaryOut {
    fn from(Trace { id, campaign_id, lead_id, summary, spans, truncated: _ }: &Trace) -> Self {
        Self {
            trace_id: *id,
            campaign_id: *campaign_id,
            lead_id: *lead_id,
            status: summary.status,
            started_at: summary.started_at,
            ended_at: summary.ended_at,
            duration_ms: summary.duration_ms(),
            span_count: spans.len(),
        }
    }
}

/// What happened, step by step.
#[derive(Serialize, ToSchema)]
pub struct TraceOut {
    #[serde(flatten)]
    pub summary: TraceSummaryOut,
    /// In the order in which they began. The first 5,000 that are found are read.
    pub spans: Vec<Span>,
    /// Whether there are more steps than are shown.
    pub truncated: bool,
}

impl From<Trace> for TraceOut {
    fn from(trace: Trace) -> Self {
        Self { summary: TraceSummaryOut::from(&trace), truncated: trace.truncated, spans: trace.spans }
    }
}

#[derive(Serialize, ToSchema)]
pub struct TracePage {
    pub traces: Vec<TraceSummaryOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// Get a trace
///
/// Every step across all functions, from the API call to the webhook. A lead's way through a campaign is one trace; anything else goes by
/// the `traceparent` of the call that began it. Steps of messages and webhook deliveries are as these stand at this moment. Kept 90 days
/// (webhook deliveries: 30).
#[utoipa::path(get, path = "/traces/{id}", tag = "Traces", operation_id = "getTrace", security(("api_key" = ["traces:read"])),
    params(("id" = TraceId, Path)), responses((status = 200, description = "The trace.", body = TraceOut)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    Id(id): Id<TraceId>,
    query: QueryReader,
) -> Result<Reply, ApiError> {
    query.finish()?;
    Ok(Reply::ok(TraceOut::from(traces::get(&app, &ctx, id).await?))?)
}

/// List traces
///
/// Of leads in campaigns, messages and agents, the last begun first. A page can be shorter than `limit` and still have a `next_cursor` when
/// the filters match little.
#[utoipa::path(get, path = "/traces", tag = "Traces", operation_id = "listTraces", security(("api_key" = ["traces:read"])),
    params(
        ("campaign_id" = Option<CampaignId>, Query, description = "Only traces of this campaign."),
        ("lead_id" = Option<LeadId>, Query, description = "Only traces of this lead."),
        ("status" = Option<SpanStatus>, Query, description = "Only traces that stand like this."),
        ("limit" = Option<u8>, Query, description = "Entries a page.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of traces.", body = TracePage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, Caller(ctx): Caller, mut query: QueryReader) -> Result<Reply, ApiError> {
    let wanted = TraceQuery { campaign_id: query.parsed("campaign_id"), lead_id: query.parsed("lead_id") };
    let (status, page) = (query.parsed("status"), query.page());
    query.finish()?;
    let found = traces::list(&app, &ctx, wanted, status, page).await?;
    Ok(page_answer("traces", found, |trace| TraceSummaryOut::from(&trace))?)
}

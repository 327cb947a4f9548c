//! Costs.

use std::sync::Arc;

use axle_app::App;
use axle_app::insights::economics::{self, CostQuery, Costs, NamedGroup};
use axle_domain::cost::{CURRENCY, CostCategory, CostUnit, Grouping, Sums};
use axle_domain::csv::{protect, write_record};
use axle_domain::{Date, Due, Micros};
use axle_http::{ApiError, Caller, QueryReader, Reply};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Amounts by what they were spent on. They add up to the total.
#[derive(Serialize, ToSchema)]
pub struct CostCategoriesOut {
    /// Tokens of language models.
    #[schema(example = "1.2042")]
    pub ai_inference: Micros,
    /// Calls of enrichment providers.
    #[schema(example = "0.3")]
    pub data_enrichment: Micros,
    /// Messages handed to their providers, at list prices.
    #[schema(example = "0.0087")]
    pub channel_costs: Micros,
    /// Other tenants' agents, hired on the marketplace.
    #[schema(example = "0")]
    pub agent_transactions: Micros,
}

impl From<&Sums> for CostCategoriesOut {
    fn from(sums: &Sums) -> Self {
        Self {
            ai_inference: sums.amount(CostCategory::AiInference),
            data_enrichment: sums.amount(CostCategory::DataEnrichment),
            channel_costs: sums.amount(CostCategory::ChannelCosts),
            agent_transactions: sums.amount(CostCategory::AgentTransactions),
        }
    }
}

/// How much the costs have brought, and what one of each cost on average. A price is left out where there is nothing to divide by.
#[derive(Serialize, ToSchema)]
pub struct UnitsOut {
    /// Messages that their providers took.
    #[schema(example = 87)]
    pub sent: i64,
    /// Replies by people.
    #[schema(example = 6)]
    pub replies: i64,
    #[schema(example = 2)]
    pub meetings: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_sent: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_reply: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_meeting: Option<Micros>,
}

impl From<&Sums> for UnitsOut {
    fn from(sums: &Sums) -> Self {
        Self {
            sent: sums.count(CostUnit::Sent),
            replies: sums.count(CostUnit::Reply),
            meetings: sums.count(CostUnit::Meeting),
            cost_per_sent: sums.per(CostUnit::Sent),
            cost_per_reply: sums.per(CostUnit::Reply),
            cost_per_meeting: sums.per(CostUnit::Meeting),
        }
    }
}

/// An agent, a campaign or a day.
#[derive(Serialize, ToSchema)]
pub struct CostGroupOut {
    /// The agent's or campaign's id, or the day; null for costs without an agent or campaign.
    #[schema(example = "2026-01-31")]
    pub key: Option<String>,
    #[schema(example = "2026-01-31")]
    pub label: String,
    #[schema(example = "1.5129")]
    pub total: Micros,
    pub categories: CostCategoriesOut,
    #[serde(flatten)]
    pub units: UnitsOut,
}

impl From<&NamedGroup> for CostGroupOut {
    fn from(NamedGroup { label, group }: &NamedGroup) -> Self {
        let (key, sums) = (group.key.clone(), &group.sums);
        Self { key, label: label.clone(), total: sums.total(), categories: sums.into(), units: sums.into() }
    }
}

/// What was spent.
#[derive(Serialize, ToSchema)]
pub struct CostsOut {
    /// First day, UTC.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
    #[schema(example = "USD")]
    pub currency: &'static str,
    #[schema(example = "1.5129")]
    pub total: Micros,
    pub categories: CostCategoriesOut,
    #[serde(flatten)]
    pub units: UnitsOut,
    /// Empty without `group_by`. Days are in their order, others dearest first; their amounts add up to the total.
    pub groups: Vec<CostGroupOut>,
}

impl From<&Costs> for CostsOut {
    fn from(Costs { from, to, total, groups }: &Costs) -> Self {
        Self {
            from: *from,
            to: *to,
            currency: CURRENCY,
            total: total.total(),
            categories: total.into(),
            units: total.into(),
            groups: groups.iter().map(CostGroupOut::from).collect(),
        }
    }
}

const COLUMNS: [&str; 14] = [
    "key",
    "label",
    "currency",
    "total",
    "ai_inference",
    "data_enrichment",
    "channel_costs",
    "agent_transactions",
    "sent",
    "replies",
    "meetings",
    "cost_per_sent",
    "cost_per_reply",
    "cost_per_meeting",
];

/// A row for each group; without groups, one for the total. Amounts of a column add up to what the total is in JSON.
fn csv(costs: &Costs) -> Vec<u8> {
    let mut out = Vec::new();
    write_record(&mut out, &COLUMNS);
    for NamedGroup { label, group } in &costs.groups {
        write_record(&mut out, &row(group.key.as_deref().unwrap_or_default(), label, &group.sums));
    }
    if costs.groups.is_empty() {
        write_record(&mut out, &row("", "Total", &costs.total));
    }
    out
}

fn row(key: &str, label: &str, sums: &Sums) -> Vec<String> {
    let mut cells = vec![protect(key).into_owned(), protect(label).into_owned(), CURRENCY.to_owned(), sums.total().to_string()];
    cells.extend(CostCategory::ALL.iter().map(|category| sums.amount(*category).to_string()));
    cells.extend(CostUnit::ALL.iter().map(|unit| sums.count(*unit).to_string()));
    cells.extend(CostUnit::ALL.iter().map(|unit| sums.per(*unit).map(|share| share.to_string()).unwrap_or_default()));
    cells
}

/// Break down costs
///
/// Exact sums of what was spent on the days from `from` to `to` (UTC, both included, 366 at most), as they are at this moment. Without
/// `from`, 30 days. As CSV there is a row for each group, or one for the total.
#[utoipa::path(get, path = "/economics/costs", tag = "Economics", operation_id = "getCosts", security(("api_key" = ["economics:read"])),
    params(
        ("from" = Option<Due>, Query, description = "First day, as a date or as a time on it."),
        ("to" = Option<Due>, Query, description = "Last day, included; today by default."),
        ("group_by" = inline(Option<Grouping>), Query, description = "What to break the costs down by."),
        ("format" = inline(Option<CostFormat>), Query, description = "`json` (default) or `csv`."),
    ),
    responses((status = 200, description = "The costs.", content(
        (CostsOut = "application/json"),
        (String = "text/csv", example = "key,label,currency,total,ai_inference,data_enrichment,channel_costs,agent_transactions,sent,replies,meetings,cost_per_sent,cost_per_reply,cost_per_meeting\r\n2026-01-31,2026-01-31,USD,1.5129,1.2042,0.3,0.0087,0,87,6,2,0.01739,0.25215,0.75645\r\n"),
    ))))]
pub(crate) async fn costs(
    State(app): State<Arc<App>>,
    Caller(ctx): Caller,
    mut query: QueryReader,
) -> Result<Response, ApiError> {
    let day = |due: Option<Due>| due.map(Due::day);
    let (from, to) = (day(query.parsed("from")), day(query.parsed("to")));
    let (grouping, format) = (query.parsed("group_by"), query.parsed("format").unwrap_or(CostFormat::Json));
    query.finish()?;
    let costs = economics::costs(&app, &ctx, CostQuery { from, to, grouping }).await?;
    Ok(match format {
        CostFormat::Json => Reply::ok(CostsOut::from(&costs))?.into_response(),
        CostFormat::Csv => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&costs)).into_response(),
    })
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CostFormat {
    Json,
    Csv,
}

impl std::str::FromStr for CostFormat {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("must be json or csv"),
        }
    }
}

//! How a campaign is doing: what it has brought and what it has spent.

use axle_domain::Micros;
use axle_domain::campaign::estimate::CostBreakdown;
use axle_domain::campaign::metrics::Metrics;
use axle_store::campaigns::CampaignRecord;

use crate::context::App;
use crate::error::Result;

/// Metrics and spending of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    pub metrics: Metrics,
    pub spent: CostBreakdown,
    pub budget: Option<Micros>,
}

/// How a campaign is doing: three reads, none for a draft.
pub async fn overview(app: &App, campaign: &CampaignRecord) -> Result<Overview> {
    let Some(launch) = &campaign.launch else { return Ok(Overview::default()) };
    let (table, entity, id) = (app.table().await, campaign.entity_id, campaign.id);
    let (runs, numbers, spent) =
        tokio::try_join!(table.campaign_run_numbers(entity, id), table.campaign_numbers(entity, id), table.spent_by(entity, id))?;
    let targeted = runs.get("targeted").map_or(0, |n| u64::try_from(*n).unwrap_or(0));
    let spent = CostBreakdown {
        ai_inference: spent.ai_inference,
        data_enrichment: spent.data_enrichment,
        channel_costs: spent.channel_costs,
    };
    Ok(Overview { metrics: Metrics::of(targeted, &numbers), spent, budget: launch.budget_limit })
}

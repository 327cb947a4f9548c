//! What a playbook names, beyond itself: it has to be there, and be the tenant's own.

use axle_domain::agent::{ActionKind, ContactSource, Playbook, Step};
use axle_domain::enrich::WEBSITE;
use axle_domain::webhook::EndpointUrl;
use axle_domain::{CampaignId, Faults, MarketingListId};
use axle_store::campaigns::CampaignRecord;
use axle_store::crm::marketing_lists::MarketingListRecord;
use serde_json::Value;

use crate::context::{App, Ctx};
use crate::error::Result;
use crate::outreach::enrichment;

/// Notes every list, campaign and provider that is not there, and every address that may not be called. What is a template is not
/// known before it is filled.
pub(super) async fn note_unknown(app: &App, ctx: &Ctx, playbook: &Playbook, faults: &mut Faults) -> Result<()> {
    if let Some(targeting) = &playbook.targeting {
        if let Some(id) = targeting.list_id.filter(|_| targeting.source == ContactSource::Contacts) {
            note_list(app, ctx, id, "/playbook/targeting/list_id", faults).await?;
        }
        if let Some(id) = targeting.campaign_id.filter(|_| targeting.source == ContactSource::Leads) {
            note_campaign(app, ctx, id, faults).await?;
        }
    }
    let mut providers: Option<Vec<String>> = None;
    for (i, step) in playbook.steps.iter().enumerate() {
        let at = |name: &str| format!("/playbook/steps/{i}/params/{name}");
        match step.action {
            ActionKind::AddToList => {
                if let Some(id) = text(step, "list_id").and_then(|id| id.parse().ok()) {
                    note_list(app, ctx, id, &at("list_id"), faults).await?;
                }
            }
            ActionKind::Enrich => {
                let named = step.params.get("providers").and_then(Value::as_array);
                if let (Some(_), None) = (named, &providers) {
                    let known = enrichment::providers(app, ctx).await?;
                    let known = known.into_iter().map(|provider| provider.value.name.as_str().to_owned());
                    providers = Some(known.chain([WEBSITE.to_owned()]).collect());
                }
                for (n, name) in named.into_iter().flatten().filter_map(Value::as_str).enumerate() {
                    let known = providers.iter().flatten().any(|known| known == name);
                    if !known && !is_template(name) {
                        faults.add(at(&format!("providers/{n}")), "no provider has this name");
                    }
                }
            }
            ActionKind::Http => {
                if let Some(url) = text(step, "url").filter(|url| !is_template(url)) {
                    drop(faults.take(&at("url"), EndpointUrl::parse(url, app.config().network)));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn text<'a>(step: &'a Step, name: &str) -> Option<&'a str> {
    step.params.get(name).and_then(Value::as_str)
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

async fn note_list(app: &App, ctx: &Ctx, id: MarketingListId, at: &str, faults: &mut Faults) -> Result<()> {
    let key = MarketingListRecord::key_of(ctx.entity_id, id);
    if app.table().await.get::<MarketingListRecord>(&key, ctx.now).await?.is_none() {
        faults.add(at, "no marketing list has this id");
    }
    Ok(())
}

async fn note_campaign(app: &App, ctx: &Ctx, id: CampaignId, faults: &mut Faults) -> Result<()> {
    let key = CampaignRecord::key_of(ctx.entity_id, id);
    if app.table().await.get::<CampaignRecord>(&key, ctx.now).await?.is_none() {
        faults.add("/playbook/targeting/campaign_id", "no campaign has this id");
    }
    Ok(())
}

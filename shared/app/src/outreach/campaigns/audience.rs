//! Whom a campaign would write to: its leads page by page, each with why it is left out.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use axle_domain::LeadId;
use axle_domain::campaign::Icp;
use axle_domain::campaign::audience::{Candidate, Exclusion, Unwanted, cohort_number};
use axle_domain::communication::SuppressionOrigin;
use axle_domain::score::{Found, Model, Standing, standing};
use axle_store::campaigns::CampaignRecord;
use axle_store::enrichment::EnrichmentRecord;
use axle_store::leads::{LeadQuery, LeadRecord};
use axle_store::suppressions::SuppressionRecord;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::App;
use crate::error::{Error, Result};

/// Leads that are judged at a time.
pub(super) const PAGE: usize = 200;
/// Leads that are looked at before a request is answered, and the time for it.
const LOOKED_AT_MAX: usize = 20_000;
const TIME_MAX: Duration = Duration::from_secs(15);
/// Leads that are named as examples.
const SAMPLES: usize = 5;

/// A lead, and why it is left out if it is.
pub(super) struct Judged {
    pub(super) lead: LeadRecord,
    pub(super) exclusion: Option<Exclusion>,
    /// Whether it fits is to be seen once it is enriched.
    pub(super) open: bool,
}

fn model() -> Result<Model> {
    Model::of_version(Model::latest_version()).map_err(|e| Error::Internal(e.to_string()))
}

fn stands(model: &Model, icp: &Icp, lead: &LeadRecord, known: Option<&EnrichmentRecord>) -> Standing {
    let technologies = known.into_iter().flat_map(|known| &known.enrichment.company.technologies);
    let technologies: Vec<String> = technologies.map(|technology| technology.name.clone()).collect();
    let found =
        known.map(|known| Found { description: known.enrichment.company.description.as_deref(), technologies: &technologies });
    standing(model, icp, &lead.profile, found)
}

/// How leads stand to a campaign's ICP, by what is known of them: also by what was found of them before, where that decides it.
async fn standings(app: &App, campaign: &CampaignRecord, leads: &[LeadRecord]) -> Result<HashMap<LeadId, Standing>> {
    let (model, icp, entity) = (model()?, &campaign.spec.icp, campaign.entity_id);
    let mut all: HashMap<LeadId, Standing> = leads.iter().map(|lead| (lead.id, stands(&model, icp, lead, None))).collect();
    let open: HashMap<LeadId, &LeadRecord> =
        leads.iter().filter(|lead| all.get(&lead.id) == Some(&Standing::Open)).map(|lead| (lead.id, lead)).collect();
    let keys: Vec<_> = open.keys().map(|lead| EnrichmentRecord::key_of(entity, *lead)).collect();
    if !keys.is_empty() {
        for known in app.table().await.get_many::<EnrichmentRecord>(&keys, app.now()).await? {
            if let Some(lead) = open.get(&known.value.lead_id) {
                all.insert(lead.id, stands(&model, icp, lead, Some(&known.value)));
            }
        }
    }
    Ok(all)
}

/// Whether a lead that was enriched, as far as that was possible, has what the campaign's ICP asks for and only enrichment can find. One
/// read unit, if the ICP asks for such.
pub(super) async fn fits_what_was_found(app: &App, campaign: &CampaignRecord, lead: &LeadRecord) -> Result<bool> {
    let Some(icp) = campaign.spec.icp.found_by_enrichment() else { return Ok(true) };
    let key = EnrichmentRecord::key_of(campaign.entity_id, lead.id);
    let known = app.table().await.get::<EnrichmentRecord>(&key, app.now()).await?;
    Ok(stands(&model()?, &icp, lead, known.as_ref().map(|known| &known.value)) == Standing::Fits)
}

/// A page of a campaign's leads, newest first. Without attached leads those outside the ICP are none of its leads.
pub(super) async fn page(
    app: &App,
    campaign: &CampaignRecord,
    attached_only: bool,
    after: Option<&str>,
) -> Result<(Vec<Judged>, Option<String>)> {
    let (table, entity, now) = (app.table().await, campaign.entity_id, app.now());
    let query = LeadQuery { campaign_id: attached_only.then_some(campaign.id), ..LeadQuery::default() };
    let (leads, next) = table.leads(entity, &query, after, PAGE, now).await?;
    let mut leads: Vec<LeadRecord> = leads.into_iter().map(|lead| lead.value).collect();
    let standings = standings(app, campaign, &leads).await?;
    let stands = |lead: &LeadRecord| standings.get(&lead.id).copied().unwrap_or(Standing::Outside);
    if !attached_only {
        leads.retain(|lead| stands(lead) != Standing::Outside);
    }
    let ids: Vec<LeadId> = leads.iter().map(|lead| lead.id).collect();
    let (unwanted, live) =
        tokio::try_join!(unwanted(app, campaign, &leads), async { Ok(table.live_leads(entity, &ids, now).await?) })?;
    let elsewhere: HashMap<LeadId, bool> = live.into_iter().map(|l| (l.lead_id, l.campaign_id != campaign.id)).collect();
    let judge = |lead: LeadRecord| {
        let candidate = Candidate {
            profile: &lead.profile,
            standing: stands(&lead),
            status: lead.status,
            unwanted: unwanted.get(&lead.id).copied().unwrap_or_default(),
            elsewhere: elsewhere.get(&lead.id).copied().unwrap_or(false),
        };
        Judged { exclusion: candidate.exclusion(&campaign.spec), open: candidate.standing == Standing::Open, lead }
    };
    Ok((leads.into_iter().map(judge).collect(), next))
}

/// What the suppression list says of leads' addresses.
async fn unwanted(app: &App, campaign: &CampaignRecord, leads: &[LeadRecord]) -> Result<HashMap<LeadId, Unwanted>> {
    let entity = campaign.entity_id;
    let mut owners: HashMap<String, Vec<LeadId>> = HashMap::new();
    for lead in leads {
        let addresses = [lead.profile.email.clone().map(String::from), lead.profile.phone.clone().map(String::from)];
        for address in addresses.into_iter().flatten() {
            owners.entry(app.address_hash(entity, &address).await?).or_default().push(lead.id);
        }
    }
    let keys: Vec<_> = owners.keys().map(|hash| SuppressionRecord::key_of(entity, hash)).collect();
    let listed = app.table().await.get_many::<SuppressionRecord>(&keys, app.now()).await?;
    let mut unwanted: HashMap<LeadId, Unwanted> = HashMap::new();
    for record in listed {
        for lead in owners.get(&record.value.id).into_iter().flatten() {
            let of = unwanted.entry(*lead).or_default();
            match record.value.origin {
                SuppressionOrigin::Manual | SuppressionOrigin::Complaint | SuppressionOrigin::Erasure => of.suppressed = true,
                SuppressionOrigin::Unsubscribe => of.unsubscribed = true,
                SuppressionOrigin::Bounce => of.bounced = true,
            }
        }
    }
    Ok(unwanted)
}

/// Leads that are left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Excluded {
    pub reason: Exclusion,
    pub count: u64,
    /// A few of them.
    pub samples: Vec<LeadId>,
}

/// Whom a launch is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Targets {
    /// Leads attached to the campaign, or without any, leads that fit its ICP: the eligible and the excluded together.
    pub matched: u64,
    /// Those that can be written to.
    pub eligible: u64,
    /// Those of them that are written to: all, or the test cohort.
    pub cohort: u64,
    /// A few of the cohort.
    pub samples: Vec<LeadId>,
    /// In the order of the reasons; each lead under the first that is true of it.
    pub excluded: Vec<Excluded>,
    pub sends_per_day: u64,
    pub estimated_days: u64,
    /// False when there were more leads than could be looked at for one answer: the numbers are of those looked at, and a launch
    /// without a test cohort goes on to all.
    pub complete: bool,
}

/// What was found when the leads were looked at.
pub(super) struct Survey {
    pub(super) targets: Targets,
    /// The largest number of the cohort, if there is one.
    pub(super) cohort_to: Option<u64>,
    /// Leads of the cohort of whom enrichment has to say whether they fit.
    pub(super) open: u64,
    /// Where the look ended, if that was not the end.
    pub(super) until: Option<String>,
}

/// Looks at a campaign's leads, as far as one request can.
pub(super) async fn survey(app: &App, campaign: &CampaignRecord, attached_only: bool, size: Option<u64>) -> Result<Survey> {
    let started = Instant::now();
    let (mut after, mut looked_at, mut complete) = (None, 0, true);
    let mut eligible: Vec<(u64, LeadId, bool)> = Vec::new();
    let mut excluded: BTreeMap<Exclusion, Vec<LeadId>> = BTreeMap::new();
    loop {
        let (judged, next) = page(app, campaign, attached_only, after.as_deref()).await?;
        looked_at += PAGE;
        for Judged { lead, exclusion, open } in judged {
            match exclusion {
                None => eligible.push((cohort_number(campaign.id, lead.id), lead.id, open)),
                Some(reason) => excluded.entry(reason).or_default().push(lead.id),
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
        if looked_at >= LOOKED_AT_MAX || started.elapsed() >= TIME_MAX {
            complete = false;
            break;
        }
    }
    let all = eligible.len() as u64;
    let left_out: u64 = excluded.values().map(|ids| ids.len() as u64).sum();
    eligible.sort_unstable();
    if let Some(size) = size {
        eligible.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    }
    let reason = |(reason, ids): (Exclusion, Vec<LeadId>)| {
        let count = ids.len() as u64;
        Excluded { reason, count, samples: ids.into_iter().take(SAMPLES).collect() }
    };
    let targets = Targets {
        matched: all + left_out,
        eligible: all,
        cohort: eligible.len() as u64,
        samples: eligible.iter().take(SAMPLES).map(|(_, lead, _)| *lead).collect(),
        excluded: excluded.into_iter().map(reason).collect(),
        complete,
        ..Targets::default()
    };
    let cohort_to = size.and_then(|_| eligible.last().map(|(number, ..)| *number));
    let open = eligible.iter().filter(|(_, _, open)| *open).count() as u64;
    Ok(Survey { targets, cohort_to, open, until: if complete { None } else { after } })
}

//! Leads on their way through campaigns.

use axle_domain::campaign::run::{RunState, StopCause, run_id, run_trace};
use axle_domain::cost::CostCategory;
use axle_domain::trace::{Attributes, SpanId, name};
use axle_domain::{CampaignId, CampaignRunId, CommunicationId, EntityId, LeadId, Micros, Time, TraceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deliveries::due_partition;
use crate::error::Result;
use crate::item::{Job, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::leads::LeadRecord;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tx::Tx;

/// The queue of a campaign's work.
pub const QUEUE: &str = "campaign";
/// Partitions that a campaign's runs are listed in.
const SHARDS: u128 = 8;
/// Things that a run remembers having happened: a few for each step of the longest sequence.
const NOTES_KEPT: usize = 64;

/// The board of exact numbers of a campaign's runs: `targeted`, `active`, `sent`.
pub fn board(campaign: CampaignId) -> String {
    format!("RUNS#{campaign}")
}

/// A message of the sequence, as its run remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMessage {
    pub step: u32,
    pub id: CommunicationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What was reserved of the budget for it.
    pub cost: Micros,
    /// The day, in the window's zone, on which it has a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    pub queued_at: Time,
    /// Whether its outcome was taken note of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// Something that happened to a run: what its trace is made of, in words for the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunNote {
    /// When it ended.
    pub at: Time,
    /// A span's name, such as `lead.enrich`.
    pub what: String,
    pub detail: String,
    /// When it began, if it took time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl RunNote {
    pub fn new(at: Time, what: &str, detail: impl Into<String>) -> Self {
        let (what, detail) = (what.to_owned(), detail.into());
        Self { at, what, detail, since: None, step: None, failed: false, attributes: Attributes::default() }
    }

    #[must_use]
    pub fn since(mut self, at: Time) -> Self {
        self.since = Some(at).filter(|since| *since < self.at);
        self
    }

    #[must_use]
    pub fn step(mut self, step: u32) -> Self {
        self.step = Some(step);
        self
    }

    #[must_use]
    pub fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.attributes.set(name, value);
        self
    }
}

/// Work that somebody is paid for by the piece, such as a call of an enrichment API or of a model. Who has claimed it does it alone.
///
/// The most that it can cost is taken from the budget with the claim, and what was not spent is given back with the result. Of a claim that
/// ran out nobody knows whether the call was made: its whole amount counts as spent, so a budget is never overdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub id: Uuid,
    pub category: CostCategory,
    pub reserved: Micros,
    /// Until then nobody else does it.
    pub until: Time,
}

/// A lead's way through a campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub entity_id: EntityId,
    pub id: CampaignRunId,
    pub campaign_id: CampaignId,
    pub lead_id: LeadId,
    /// Projected, so that a listing can filter by it.
    #[serde(rename = "status")]
    pub state: RunState,
    /// What it was before its campaign was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_from: Option<RunState>,
    /// The step that comes next or is under way, counted from 1.
    pub step: u32,
    #[serde(default)]
    pub messages: Vec<RunMessage>,
    /// When somebody has to look at it again, at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// The draft of this step was approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// Who does the paid work that is next, if somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Claims for that work that ran out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u32,
    /// Passing failures in a row of the model that is to draft the next message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// When it came to where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// It is to end once the message that is on its way has arrived, or is called back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StopCause>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<RunNote>,
    pub trace_id: TraceId,
    pub created_at: Time,
    pub updated_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// The job that makes a worker look at a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunJob {
    pub entity_id: EntityId,
    pub run_id: CampaignRunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

impl RunRecord {
    pub fn key_of(entity: EntityId, id: CampaignRunId) -> Key {
        Key::thing(entity, "RUN", id)
    }

    /// A lead's run, from its beginning.
    pub fn new(entity_id: EntityId, campaign_id: CampaignId, lead_id: LeadId, now: Time) -> Self {
        let id = run_id(campaign_id, lead_id);
        Self {
            entity_id,
            id,
            campaign_id,
            lead_id,
            state: RunState::Enriching,
            paused_from: None,
            step: 1,
            messages: Vec::new(),
            due_at: None,
            approved: false,
            claim: None,
            lost: 0,
            refused: 0,
            since: None,
            stopping: None,
            reason: None,
            notes: Vec::new(),
            trace_id: run_trace(id),
            created_at: now,
            updated_at: now,
            ended_at: None,
        }
    }

    pub fn job(&self) -> RunJob {
        RunJob { entity_id: self.entity_id, run_id: self.id, trace_id: Some(self.trace_id) }
    }

    /// What all other steps of its trace follow from.
    pub fn root_span(&self) -> SpanId {
        SpanId::of(self.trace_id, name::SEQUENCE, self.id)
    }

    pub fn note(&mut self, note: RunNote) {
        self.notes.push(note);
        let surplus = self.notes.len().saturating_sub(NOTES_KEPT);
        self.notes.drain(..surplus);
    }

    /// The message that is on its way.
    pub fn pending_message(&self) -> Option<&RunMessage> {
        self.messages.last().filter(|message| !message.settled)
    }

    pub fn message(&self, id: CommunicationId) -> Option<&RunMessage> {
        self.messages.iter().find(|message| message.id == id)
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn partition(entity: EntityId, campaign: CampaignId, shard: u128) -> String {
    format!("E#{entity}#CAMPAIGN#{campaign}#RUNS#{shard}")
}

impl Record for RunRecord {
    const TYPE: &'static str = "campaign_run";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let listed = partition(self.entity_id, self.campaign_id, self.id.uuid().as_u128() % SHARDS);
        Placement {
            gsi1: Some((listed, format!("{}#{}", self.created_at, self.lead_id))),
            gsi3: self.due_at.map(|at| (due_partition(self.id.uuid()), format!("{at}#{}", self.id))),
            job: Some(Job { queue: QUEUE, body: serde_json::json!(self.job()).to_string() }),
            ..Placement::default()
        }
    }
}

/// A message that waits for approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DraftRecord {
    pub entity_id: EntityId,
    pub run_id: CampaignRunId,
    pub step: u32,
    pub words: axle_domain::campaign::words::Words,
    pub created_at: Time,
}

impl DraftRecord {
    pub fn key_of(entity: EntityId, run: CampaignRunId) -> Key {
        Key { pk: RunRecord::key_of(entity, run).pk, sk: "DRAFT".to_owned() }
    }
}

impl Record for DraftRecord {
    const TYPE: &'static str = "campaign_draft";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.run_id)
    }
}

/// Stands beside a lead while a campaign writes to it, so that no other does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LiveRecord {
    pub entity_id: EntityId,
    pub lead_id: LeadId,
    pub campaign_id: CampaignId,
    /// The run.
    pub owner: CampaignRunId,
    pub since: Time,
}

impl LiveRecord {
    pub fn key_of(entity: EntityId, lead: LeadId) -> Key {
        Key { pk: LeadRecord::key_of(entity, lead).pk, sk: "LIVE".to_owned() }
    }
}

impl Record for LiveRecord {
    const TYPE: &'static str = "live_lead";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.lead_id)
    }
}

/// Makes a worker look at a run at once: with this record goes the message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunNudgeRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    pub run_id: CampaignRunId,
    pub trace_id: TraceId,
    pub created_at: Time,
}

impl Record for RunNudgeRecord {
    const TYPE: &'static str = "campaign_nudge";
    fn key(&self) -> Key {
        Key::thing(self.entity_id, "CAMPAIGNJOB", self.id.as_hyphenated())
    }
    fn placement(&self) -> Placement {
        let job = RunJob { entity_id: self.entity_id, run_id: self.run_id, trace_id: Some(self.trace_id) };
        let job = Job { queue: QUEUE, body: serde_json::json!(job).to_string() };
        Placement { job: Some(job), expires_at: Some(self.created_at.plus_days(1)), ..Placement::default() }
    }
}

/// What is to be done for all leads of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignTask {
    /// Lets the leads in that it was launched for.
    Enrol,
    /// Looks at every run that is not over: the campaign was resumed or cancelled.
    Rouse,
}

/// A job for a campaign as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignJob {
    pub entity_id: EntityId,
    pub campaign_id: CampaignId,
    pub task: CampaignTask,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

/// Sends a campaign's job: with this record goes the message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignJobRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    pub campaign_id: CampaignId,
    pub task: CampaignTask,
    pub trace_id: TraceId,
    pub created_at: Time,
}

impl Record for CampaignJobRecord {
    const TYPE: &'static str = "campaign_job";
    fn key(&self) -> Key {
        Key::thing(self.entity_id, "CAMPAIGNJOB", self.id.as_hyphenated())
    }
    fn placement(&self) -> Placement {
        let Self { entity_id, campaign_id, task, trace_id, .. } = *self;
        let job = CampaignJob { entity_id, campaign_id, task, after: None, trace_id: Some(trace_id) };
        let job = Job { queue: QUEUE, body: serde_json::json!(job).to_string() };
        Placement { job: Some(job), expires_at: Some(self.created_at.plus_days(1)), ..Placement::default() }
    }
}

impl Tx<'_> {
    /// Counts a run's way to a state; `None` for one that is new. Beside the numbers of the runs goes the lead's own mark, which nobody
    /// else's campaign may have set.
    pub fn count_run(&mut self, run: &RunRecord, from: Option<RunState>) {
        let (was, is) = (from.is_some_and(|state| !state.is_over()), !run.state.is_over());
        let mut deltas = vec![("active", i64::from(is) - i64::from(was))];
        if from.is_none() {
            deltas.push(("targeted", 1));
        }
        self.tally(run.entity_id, &board(run.campaign_id), run.id.uuid().as_u128(), &deltas);
        if from.is_none() {
            let live = LiveRecord {
                entity_id: run.entity_id,
                lead_id: run.lead_id,
                campaign_id: run.campaign_id,
                owner: run.id,
                since: run.created_at,
            };
            self.create("live", &live);
        } else if was && !is {
            // Of a lead that is deleted the mark is gone with it.
            let key = LiveRecord::key_of(run.entity_id, run.lead_id);
            self.delete_if("live", key, "attribute_not_exists(pk) OR #owner = :owner", &run.id.to_string());
        }
    }

    /// Counts a message of a run that went out.
    pub fn count_run_message(&mut self, run: &RunRecord) {
        self.tally(run.entity_id, &board(run.campaign_id), run.id.uuid().as_u128(), &[("sent", 1)]);
    }
}

impl Table {
    pub async fn run(&self, entity: EntityId, id: CampaignRunId, now: Time) -> Result<Option<Versioned<RunRecord>>> {
        self.get(&RunRecord::key_of(entity, id), now).await
    }

    /// Which campaigns are writing to leads at the moment; eventually consistent.
    pub async fn live_leads(&self, entity: EntityId, leads: &[LeadId], now: Time) -> Result<Vec<LiveRecord>> {
        let keys: Vec<Key> = leads.iter().map(|lead| LiveRecord::key_of(entity, *lead)).collect();
        Ok(self.get_many::<LiveRecord>(&keys, now).await?.into_iter().map(|live| live.value).collect())
    }

    /// Which campaign is writing to a lead at the moment.
    pub async fn live_lead(&self, entity: EntityId, lead: LeadId, now: Time) -> Result<Option<LiveRecord>> {
        Ok(self.get(&LiveRecord::key_of(entity, lead), now).await?.map(|live| live.value))
    }

    /// A page of a campaign's runs, newest first.
    pub async fn runs(
        &self,
        entity: EntityId,
        campaign: CampaignId,
        states: &[RunState],
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<RunRecord>>, Option<String>)> {
        let page = self.run_page(entity, campaign, states, after, limit).await?;
        let keys: Vec<Key> = page.0.iter().map(|id| RunRecord::key_of(entity, *id)).collect();
        let found = self.get_many::<RunRecord>(&keys, now).await?;
        // The index may lag behind.
        let found = found.into_iter().filter(|run| states.is_empty() || states.contains(&run.value.state));
        Ok((found.collect(), page.1))
    }

    /// The ids of a page of a campaign's runs, from the index alone.
    pub async fn run_page(
        &self,
        entity: EntityId,
        campaign: CampaignId,
        states: &[RunState],
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<CampaignRunId>, Option<String>)> {
        let partitions = (0..SHARDS).map(|shard| partition(entity, campaign, shard)).collect();
        let listing = Listing { index: Some("gsi1"), partitions, ascending: false };
        let mut filter = Filter::default();
        filter.any("status", &states.iter().map(|state| state.as_str().to_owned()).collect::<Vec<_>>(), &[]);
        let page = self.page(&listing, &Span::default(), after, &filter, limit).await?;
        Ok((page.items.iter().filter_map(|item| text(item, "id")?.parse().ok()).collect(), page.next))
    }

    /// The exact numbers of a campaign's runs: `targeted`, `active`, `sent`.
    pub async fn campaign_run_numbers(
        &self,
        entity: EntityId,
        campaign: CampaignId,
    ) -> Result<std::collections::BTreeMap<String, i64>> {
        self.tally(entity, &board(campaign)).await
    }
}

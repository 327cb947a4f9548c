//! Messages to people. What changes (status, attempts, engagement) is one small item; what does not (text, HTML, headers) is another,
//! written once, so that a change of status never pays for a newsletter.

use std::collections::BTreeMap;

use axle_domain::communication::{Category, CommunicationStatus, MessageChannel, Track};
use axle_domain::{
    Actor, AgentId, CampaignId, CommunicationId, ContactId, DealId, EntityId, LeadId, SendingIdentityId, Time, TraceId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deliveries::due_partition;
use crate::error::Result;
use crate::item::{Job, Placement, Record, Versioned, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tx::Tx;

/// The board that messages are counted on by status.
pub const BOARD: &str = "OUTBOX";
/// Attempts that a message remembers.
const ATTEMPTS_KEPT: usize = 20;
/// Partitions that a tenant's messages are listed in.
const SHARDS: u128 = 8;
/// Partitions that a tenant's waiting messages are listed in, oldest first.
const WAITING_SHARDS: u128 = 4;
/// Partitions that a campaign's messages are listed in.
const CAMPAIGN_SHARDS: u128 = 4;
/// Reports about a message that are remembered, so that none counts twice.
const REPORTS_KEPT: usize = 20;

/// One attempt to send, or why none was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAttempt {
    pub at: Time,
    pub duration_ms: u64,
    /// `sent`, `failed`, `retry`, `unknown` or `suppressed`.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What came back of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Engagement {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounced_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complained_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replied_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribed_at: Option<Time>,
    /// By people.
    pub opens: u32,
    pub clicks: u32,
    /// By scanners, prefetchers and the like.
    pub machine_opens: u32,
    pub machine_clicks: u32,
    /// Replies by people.
    #[serde(skip_serializing_if = "is_zero")]
    pub replies: u32,
    /// Ids of the provider's reports that were recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
    /// The latest clicks as (number of the link, time), by which sweeps are recognised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<(u16, Time)>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Engagement {
    /// Remembers a report; false if it is known.
    pub fn report(&mut self, id: &str) -> bool {
        if self.reports.iter().any(|known| known == id) {
            return false;
        }
        self.reports.push(id.to_owned());
        let surplus = self.reports.len().saturating_sub(REPORTS_KEPT);
        self.reports.drain(..surplus);
        true
    }

    /// Whether anything came back that shows that the provider had taken the message.
    pub fn shows_that_it_went_out(&self) -> bool {
        [self.delivered_at, self.bounced_at, self.complained_at, self.opened_at, self.clicked_at, self.replied_at]
            .iter()
            .any(Option::is_some)
            || !self.reports.is_empty()
    }
}

/// A message as far as it changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommunicationRecord {
    pub entity_id: EntityId,
    pub id: CommunicationId,
    pub channel: MessageChannel,
    pub category: Category,
    pub status: CommunicationStatus,
    /// In normal form.
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    /// The agent that sent it in a run or an execution of its own: it is what it cost that agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The deal in whose timeline it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<SendingIdentityId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub track: Track,
    /// Not before this.
    pub scheduled_send_time: Time,
    /// When it was due at first, if it is being tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_since: Option<Time>,
    /// The recipient's IANA zone, for sending windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The latest attempts, oldest first.
    #[serde(default)]
    pub attempts: Vec<SendAttempt>,
    /// Attempts of this round; a retry by hand starts a new one.
    pub tries: u32,
    /// When somebody has to look at it again, at the latest. A new message has none: its job is on its way with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// Who holds it while it is `processing`, and until when the outcome must be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Time>,
    /// The day of the identity on which it has a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// The `Message-ID` that the recipient sees, without brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// Why it failed or is tried again, in words for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Failed without its being known whether the provider took it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outcome_unknown: bool,
    #[serde(default)]
    pub engagement: Engagement,
    /// Mails that answer it and lie beside it, those of programs included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replies_kept: u32,
    pub actor: Actor,
    pub trace_id: TraceId,
    pub created_at: Time,
    pub updated_at: Time,
}

/// The job that makes a worker look at a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxJob {
    pub entity_id: EntityId,
    pub communication_id: CommunicationId,
}

impl CommunicationRecord {
    pub fn key_of(entity: EntityId, id: CommunicationId) -> Key {
        Key::thing(entity, "COMMUNICATION", id)
    }

    pub fn job(&self) -> OutboxJob {
        OutboxJob { entity_id: self.entity_id, communication_id: self.id }
    }

    /// Remembers an attempt.
    pub fn note(&mut self, attempt: SendAttempt) {
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
    }
}

fn job_body(entity: EntityId, id: CommunicationId) -> serde_json::Value {
    serde_json::json!({"entity_id": entity, "communication_id": id})
}

fn shard(id: CommunicationId, of: u128) -> u128 {
    id.uuid().as_u128() % of
}

impl Record for CommunicationRecord {
    const TYPE: &'static str = "communication";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let listed = format!("E#{}#COMMUNICATIONS#{}", self.entity_id, shard(self.id, SHARDS));
        let waits = self.status == CommunicationStatus::Pending;
        let waiting = format!("E#{}#WAITING#{}", self.entity_id, shard(self.id, WAITING_SHARDS));
        Placement {
            gsi1: Some((listed, format!("{}#{}", self.created_at, self.id))),
            gsi2: waits.then(|| (waiting, format!("{}#{}", self.scheduled_send_time, self.id))),
            gsi3: self.due_at.map(|at| (due_partition(self.id.uuid()), format!("{at}#{}", self.id))),
            job: Some(Job { queue: "outbox", body: job_body(self.entity_id, self.id).to_string() }),
            ..Placement::default()
        }
    }
}

/// A message as far as it stays the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContentRecord {
    pub entity_id: EntityId,
    pub communication_id: CommunicationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Targets of the tracked links, in the order of their numbers: redirects lead to these and nowhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
}

impl ContentRecord {
    pub fn key_of(entity: EntityId, id: CommunicationId) -> Key {
        Key { pk: CommunicationRecord::key_of(entity, id).pk, sk: "CONTENT".to_owned() }
    }
}

impl Record for ContentRecord {
    const TYPE: &'static str = "communication_content";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.communication_id)
    }
}

/// Finds a message from its lead (same partition) and from its campaign (index).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommunicationEntry {
    pub entity_id: EntityId,
    pub id: CommunicationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    pub created_at: Time,
}

impl CommunicationEntry {
    /// The entry of a message; `None` if it has neither lead nor campaign.
    pub fn of(record: &CommunicationRecord) -> Option<Self> {
        let CommunicationRecord { entity_id, id, lead_id, campaign_id, created_at, .. } = *record;
        (lead_id.is_some() || campaign_id.is_some()).then_some(Self { entity_id, id, lead_id, campaign_id, created_at })
    }
}

fn lead_partition(entity: EntityId, lead: LeadId) -> String {
    format!("E#{entity}#LEAD#{lead}#COMMUNICATIONS")
}

fn campaign_partition(entity: EntityId, campaign: CampaignId, shard: u128) -> String {
    format!("E#{entity}#CAMPAIGN#{campaign}#COMMUNICATIONS#{shard}")
}

impl Record for CommunicationEntry {
    const TYPE: &'static str = "communication_entry";
    fn key(&self) -> Key {
        let sk = format!("{}#{}", self.created_at, self.id);
        match self.lead_id {
            Some(lead) => Key { pk: lead_partition(self.entity_id, lead), sk },
            None => Key { pk: CommunicationRecord::key_of(self.entity_id, self.id).pk, sk: "ENTRY".to_owned() },
        }
    }
    fn placement(&self) -> Placement {
        let partition = self.campaign_id.map(|id| campaign_partition(self.entity_id, id, shard(self.id, CAMPAIGN_SHARDS)));
        Placement { gsi1: partition.map(|pk| (pk, format!("{}#{}", self.created_at, self.id))), ..Placement::default() }
    }
}

/// Sends a message's job once more: with this record goes the message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NudgeRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    pub communication_id: CommunicationId,
    pub created_at: Time,
}

impl Record for NudgeRecord {
    const TYPE: &'static str = "nudge";
    fn key(&self) -> Key {
        Key::thing(self.entity_id, "NUDGE", self.id.as_hyphenated())
    }
    fn placement(&self) -> Placement {
        let job = Job { queue: "outbox", body: job_body(self.entity_id, self.communication_id).to_string() };
        Placement { job: Some(job), expires_at: Some(self.created_at.plus_days(1)), ..Placement::default() }
    }
}

/// What to look for among messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommunicationQuery {
    pub status: Option<CommunicationStatus>,
    pub lead_id: Option<LeadId>,
    pub campaign_id: Option<CampaignId>,
}

impl CommunicationQuery {
    fn listing(&self, entity: EntityId) -> Listing {
        let (index, partitions) = match (self.lead_id, self.campaign_id) {
            (Some(lead), _) => (None, vec![lead_partition(entity, lead)]),
            (None, Some(id)) => (Some("gsi1"), (0..CAMPAIGN_SHARDS).map(|n| campaign_partition(entity, id, n)).collect()),
            _ => (Some("gsi1"), (0..SHARDS).map(|n| format!("E#{entity}#COMMUNICATIONS#{n}")).collect()),
        };
        Listing { index, partitions, ascending: false }
    }

    fn matches(&self, record: &CommunicationRecord) -> bool {
        self.status.is_none_or(|status| status == record.status)
            && self.campaign_id.is_none_or(|id| Some(id) == record.campaign_id)
            && self.lead_id.is_none_or(|id| Some(id) == record.lead_id)
    }
}

/// Rounds of reading that one page may take when entries are judged by their messages.
const ROUNDS: usize = 50;

impl Tx<'_> {
    /// Counts a message's way from one status to another; `None` for one that is new.
    pub fn count_communication(&mut self, record: &CommunicationRecord, from: Option<CommunicationStatus>) {
        let mut deltas = vec![(record.status.as_str(), 1)];
        if let Some(from) = from.filter(|from| *from != record.status) {
            deltas.push((from.as_str(), -1));
        } else if from.is_some() {
            return;
        }
        self.tally(record.entity_id, BOARD, record.id.uuid().as_u128(), &deltas);
    }
}

impl Table {
    pub async fn communication(
        &self,
        entity: EntityId,
        id: CommunicationId,
        now: Time,
    ) -> Result<Option<Versioned<CommunicationRecord>>> {
        self.get(&CommunicationRecord::key_of(entity, id), now).await
    }

    pub async fn communication_content(&self, entity: EntityId, id: CommunicationId, now: Time) -> Result<Option<ContentRecord>> {
        Ok(self.get(&ContentRecord::key_of(entity, id), now).await?.map(|found| found.value))
    }

    /// A page of messages, newest first.
    pub async fn communications(
        &self,
        entity: EntityId,
        query: &CommunicationQuery,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<CommunicationRecord>>, Option<String>)> {
        let listing = query.listing(entity);
        let mut filter = Filter::default();
        // Entries under a lead or campaign do not repeat the status, so it is judged on the message itself.
        if let (Some(status), None, None) = (query.status, query.lead_id, query.campaign_id) {
            filter.equals("status", status.as_str());
        }
        let mut after = after.map(str::to_owned);
        let mut found: Vec<Versioned<CommunicationRecord>> = Vec::new();
        for _ in 0..ROUNDS {
            let page = self.page(&listing, &Span::default(), after.as_deref(), &filter, limit - found.len()).await?;
            let ids = page.items.iter().filter_map(|item| text(item, "id")?.parse().ok());
            let keys: Vec<Key> = ids.map(|id| CommunicationRecord::key_of(entity, id)).collect();
            let records = self.get_many::<CommunicationRecord>(&keys, now).await?;
            found.extend(records.into_iter().filter(|record| query.matches(&record.value)));
            after = page.next;
            if found.len() >= limit || after.is_none() {
                break;
            }
        }
        Ok((found, after))
    }

    /// When the message that waits longest was to go out; from the index, which may lag a moment behind.
    pub async fn oldest_waiting(&self, entity: EntityId) -> Result<Option<Time>> {
        let partitions = (0..WAITING_SHARDS).map(|n| format!("E#{entity}#WAITING#{n}")).collect();
        let listing = Listing { index: Some("gsi2"), partitions, ascending: true };
        let page = self.page(&listing, &Span::default(), None, &Filter::default(), 1).await?;
        let oldest = page.items.first().and_then(|item| text(item, "gsi2sk")?.split('#').next()?.parse().ok());
        Ok(oldest)
    }
}

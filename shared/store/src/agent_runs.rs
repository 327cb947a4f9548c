//! Agents at work: a job is one call of an agent, a run is up to 200 of its people, and each of them has an item of its own that says
//! how far the playbook is done for them. That item's version is what makes a step happen once: whoever did a step writes its result
//! and its effects in one transaction, and only if nobody else has touched the item meanwhile.

use axle_domain::agent::{
    ACTIONS, ActionKind, ActionStatus, AgentInput, AgentRole, ContactCounts, ContactKind, Playbook, RunStatus,
};
use axle_domain::model::ModelConfig;
use axle_domain::{Actor, AgentId, AgentJobId, EntityId, Micros, RunContactId, RunId, SendingIdentityId, Time, TraceId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::deliveries::due_partition;
use crate::error::Result;
use crate::item::{Job, Placement, Record, Versioned, from_item};
use crate::key::Key;
use crate::listing::{Filter, Listing};
use crate::table::{Table, Update};
use crate::tx::{CommitError, Tx};

/// People of one run.
pub const RUN_SIZE: usize = 200;

/// What `agent-runner` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentTask {
    /// Find the people of a job, and make its runs.
    Plan(AgentJobId),
    /// Go on with one person.
    Work(RunContactId),
    /// Forget the runs of an agent that was deleted.
    Forget(AgentId),
}

/// The message of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentMessage {
    pub entity_id: EntityId,
    pub task: AgentTask,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

fn job_of(entity_id: EntityId, task: AgentTask, trace_id: TraceId) -> Option<Job> {
    let body = serde_json::json!(AgentMessage { entity_id, task, trace_id: Some(trace_id) }).to_string();
    Some(Job { queue: "agents", body })
}

/// Somebody an agent is to work for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    pub kind: ContactKind,
    pub id: Uuid,
}

impl Target {
    /// Whether it has been erased: then it keeps a place among the others, and nothing more.
    pub fn is_erased(&self) -> bool {
        self.id.is_nil()
    }
}

/// One call of an agent, with all that it needs: a later change of the agent changes nothing about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRecord {
    pub entity_id: EntityId,
    pub id: AgentJobId,
    pub agent_id: AgentId,
    pub agent_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<AgentRole>,
    #[serde(with = "crate::json_text")]
    pub playbook: Playbook,
    #[serde(with = "crate::json_text")]
    pub model: ModelConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<SendingIdentityId>,
    #[serde(with = "crate::json_text")]
    pub input: Value,
    /// Whom for; absent until the agent's own targeting was followed.
    #[serde(with = "crate::json_text")]
    pub targets: Option<Vec<Target>>,
    /// All runs are made.
    #[serde(default)]
    pub planned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    pub trace_id: TraceId,
    pub created_at: Time,
}

impl JobRecord {
    pub fn key_of(entity: EntityId, id: AgentJobId) -> Key {
        Key::thing(entity, "AGENTJOB", id)
    }

    /// The ids of its runs.
    pub fn runs(&self) -> Vec<RunId> {
        let people = self.targets.as_ref().map_or(0, Vec::len);
        (0..people.div_ceil(RUN_SIZE)).map(|part| self.run(part)).collect()
    }

    /// The id of the run that has the people from `part` times 200.
    pub fn run(&self, part: usize) -> RunId {
        RunId::from_uuid(Uuid::new_v5(&self.id.uuid(), format!("run/{part}").as_bytes()))
    }

    /// The people of a run.
    pub fn people(&self, part: usize) -> &[Target] {
        let all = self.targets.as_deref().unwrap_or_default();
        all.chunks(RUN_SIZE).nth(part).unwrap_or_default()
    }
}

impl Record for JobRecord {
    const TYPE: &'static str = "agent_job";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        Placement { job: job_of(self.entity_id, AgentTask::Plan(self.id), self.trace_id), ..Placement::default() }
    }
}

/// A part of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub entity_id: EntityId,
    pub id: RunId,
    pub job_id: AgentJobId,
    pub agent_id: AgentId,
    /// Which part of its job's people.
    pub part: usize,
    pub total: u64,
    /// As it was when somebody last looked; what its people's numbers say is newer.
    pub status: RunStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
    pub trace_id: TraceId,
    pub actor: Actor,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl RunRecord {
    pub fn key_of(entity: EntityId, id: RunId) -> Key {
        Key::thing(entity, "AGENTRUN", id)
    }
}

fn runs_partition(entity: EntityId, agent: AgentId) -> String {
    format!("E#{entity}#AGENT#{agent}#RUNS")
}

impl Record for RunRecord {
    const TYPE: &'static str = "agent_run";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let gsi1 = Some((runs_partition(self.entity_id, self.agent_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

/// One action for one person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    pub index: usize,
    pub step_id: String,
    pub action: ActionKind,
    /// With its places filled once it was begun.
    pub params: Value,
    pub status: ActionStatus,
    #[serde(default)]
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    #[serde(default)]
    pub cost: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When a wait or the pause before another attempt is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Time>,
}

/// One person's way through a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunContactRecord {
    pub entity_id: EntityId,
    pub id: RunContactId,
    pub run_id: RunId,
    pub job_id: AgentJobId,
    pub agent_id: AgentId,
    pub target: Target,
    pub status: RunStatus,
    #[serde(with = "crate::json_text")]
    pub actions: Vec<ActionRecord>,
    /// Who is at it, and until when they must have written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Time>,
    /// When somebody has to look at it again, at the latest. A new one has none: its message is on its way with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// What the action that is being done holds of the job's budget.
    #[serde(default)]
    pub reserved: Micros,
    #[serde(default)]
    pub cost: Micros,
    /// Time spent on its actions; waits and decisions of people are not in it.
    #[serde(default)]
    pub worked_ms: u64,
    /// Why it ended without having done everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub trace_id: TraceId,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl RunContactRecord {
    pub fn key_of(entity: EntityId, id: RunContactId) -> Key {
        Key::thing(entity, "RUNCONTACT", id)
    }

    /// The first action that is not done with.
    pub fn current(&self) -> Option<usize> {
        self.actions.iter().position(|action| !action.status.is_final())
    }
}

impl Record for RunContactRecord {
    const TYPE: &'static str = "run_contact";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        Placement {
            gsi3: self.due_at.map(|at| (due_partition(self.id.uuid()), format!("{at}#{}", self.id))),
            job: job_of(self.entity_id, AgentTask::Work(self.id), self.trace_id),
            ..Placement::default()
        }
    }
}

/// Makes the runner look at people again, or forget runs: with this record go the messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentNudgeRecord {
    pub entity_id: EntityId,
    pub id: Uuid,
    /// At most 200.
    #[serde(with = "crate::json_text")]
    pub tasks: Vec<AgentTask>,
    pub trace_id: TraceId,
    pub created_at: Time,
}

impl AgentNudgeRecord {
    pub fn new(entity_id: EntityId, tasks: Vec<AgentTask>, trace_id: TraceId, now: Time) -> Self {
        let id = axle_domain::id::v7_at(now, axle_domain::id::entropy());
        Self { entity_id, id, tasks, trace_id, created_at: now }
    }
}

impl Record for AgentNudgeRecord {
    const TYPE: &'static str = "agent_nudge";
    fn key(&self) -> Key {
        Key::thing(self.entity_id, "AGENTNUDGE", self.id.as_hyphenated())
    }
    fn placement(&self) -> Placement {
        let message =
            |task: &AgentTask| AgentMessage { entity_id: self.entity_id, task: task.clone(), trace_id: Some(self.trace_id) };
        let bodies: Vec<AgentMessage> = self.tasks.iter().map(message).collect();
        let job = Job { queue: "agents", body: serde_json::json!(bodies).to_string() };
        Placement { job: Some(job), expires_at: Some(self.created_at.plus_days(1)), ..Placement::default() }
    }
}

/// Leads from a person to their way through a run: for who looks for everything of theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonRunRecord {
    pub entity_id: EntityId,
    pub id: RunContactId,
    pub person: Uuid,
    /// The run's.
    pub trace_id: TraceId,
}

fn person_runs(person: Uuid) -> String {
    format!("PERSONRUNS#{}", person.as_hyphenated())
}

impl PersonRunRecord {
    pub fn key_of(entity: EntityId, person: Uuid, id: RunContactId) -> Key {
        Key::member(entity, &person_runs(person), id)
    }
}

impl Record for PersonRunRecord {
    const TYPE: &'static str = "person_run";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.person, self.id)
    }
}

/// What an attempt at a step has paid others, written with what it was paid for. Should the attempt die before the step is written
/// down, the next one adds it to the step's cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepPaidRecord {
    pub entity_id: EntityId,
    /// What the step's effects are known by.
    pub step: Uuid,
    pub attempt: u32,
    pub cost: Micros,
    pub at: Time,
}

impl StepPaidRecord {
    pub fn key_of(entity: EntityId, step: Uuid, attempt: u32) -> Key {
        Key::thing(entity, "STEPPAID", format!("{}#{attempt}", step.as_hyphenated()))
    }
}

impl Record for StepPaidRecord {
    const TYPE: &'static str = "step_paid";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.step, self.attempt)
    }
    fn placement(&self) -> Placement {
        // Far longer than a step is begun again.
        Placement { expires_at: Some(self.at.plus_days(7)), ..Placement::default() }
    }
}

/// What a claim takes of its job's limits, and within which it has to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetChange {
    /// More or less of what is held: reserved or spent.
    pub held: Micros,
    pub actions: u32,
    /// Only if no more is held afterwards.
    pub max_held: Option<Micros>,
    pub max_actions: Option<u32>,
}

fn run_board(run: RunId) -> String {
    format!("RUN#{run}")
}

/// The name of the number that adds up what a run has cost, in micro-units.
const COST: &str = "cost";

impl Table {
    /// How many people of a run stand where, and what it has cost so far; strongly consistent.
    pub async fn run_numbers(&self, entity: EntityId, run: RunId) -> Result<(ContactCounts, Micros)> {
        let numbers = self.tally(entity, &run_board(run)).await?;
        let n = |name: &str| numbers.get(name).copied().unwrap_or(0);
        Ok((ContactCounts::read(n), Micros(n(COST))))
    }

    /// Some of an agent's runs, newest first, and how many there are.
    pub async fn agent_runs(
        &self,
        entity: EntityId,
        agent: AgentId,
        status: Option<RunStatus>,
        offset: usize,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<RunRecord>>, u64)> {
        let mut filter = Filter::default();
        if let Some(status) = status {
            filter.equals("status", status.as_str());
        }
        let ids = self.all_ids(&runs_listing(entity, agent), &filter).await?;
        let page = ids.iter().skip(offset).take(limit).filter_map(|id| id.parse().ok());
        let keys: Vec<Key> = page.map(|id| RunRecord::key_of(entity, id)).collect();
        Ok((self.get_many_now(&keys, now).await?, ids.len() as u64))
    }

    /// The ids of all runs of an agent.
    pub async fn run_ids(&self, entity: EntityId, agent: AgentId) -> Result<Vec<RunId>> {
        let ids = self.all_ids(&runs_listing(entity, agent), &Filter::default()).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Some of the ways that a person was taken, or is, through runs.
    pub async fn person_runs(&self, entity: EntityId, person: Uuid, limit: usize, now: Time) -> Result<Vec<PersonRunRecord>> {
        let partition = format!("E#{entity}#{}", person_runs(person));
        let items = self.first_items(&partition, limit, true).await?;
        let found: Vec<Option<Versioned<PersonRunRecord>>> =
            items.into_iter().map(|item| from_item(item, Some(now))).collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().map(|found| found.value).collect())
    }

    /// What attempts at a step before `attempt` have paid without writing the step down.
    pub async fn paid_before(&self, entity: EntityId, step: Uuid, attempt: u32, now: Time) -> Result<Micros> {
        if attempt <= 1 {
            return Ok(Micros::ZERO);
        }
        let keys: Vec<Key> = (1..attempt).map(|attempt| StepPaidRecord::key_of(entity, step, attempt)).collect();
        let paid = self.get_many_now::<StepPaidRecord>(&keys, now).await?;
        Ok(Micros(paid.iter().map(|paid| paid.value.cost.0).sum()))
    }

    /// Everyone's way through a run, strongly consistent.
    pub async fn run_contacts(
        &self,
        entity: EntityId,
        ids: &[RunContactId],
        now: Time,
    ) -> Result<Vec<Versioned<RunContactRecord>>> {
        let keys: Vec<Key> = ids.iter().map(|id| RunContactRecord::key_of(entity, *id)).collect();
        self.get_many_now(&keys, now).await
    }

    /// Writes a run that was read at `version`; false if somebody else wrote it meanwhile.
    pub async fn save_run(&self, run: &RunRecord, version: u64) -> Result<bool> {
        let mut tx = self.tx();
        tx.replace("run", run, version);
        match tx.commit_alone().await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition { .. }) => Ok(false),
            Err(CommitError::Store(e)) => Err(e),
        }
    }
}

fn runs_listing(entity: EntityId, agent: AgentId) -> Listing {
    Listing { index: Some("gsi1"), partitions: vec![runs_partition(entity, agent)], ascending: false }
}

impl Tx<'_> {
    /// Someone's way through a run, at its beginning, counted.
    pub fn create_run_contact(&mut self, contact: &RunContactRecord) {
        self.create("contact", contact);
        let RunContactRecord { entity_id, id, target, trace_id, .. } = *contact;
        self.create("person's run", &PersonRunRecord { entity_id, id, person: target.id, trace_id });
        self.count_contact(contact, None);
    }

    /// Replaces what was read at `version`; the run's numbers follow its status and its cost.
    pub fn replace_run_contact(&mut self, old: &RunContactRecord, new: &RunContactRecord, version: u64) {
        self.replace("contact", new, version);
        self.count_contact(new, Some(old));
    }

    /// Deletes someone's way that was read at `version`. The run's numbers keep it: as cancelled, if it had not ended.
    pub fn forget_run_contact(&mut self, contact: &RunContactRecord, version: u64) {
        self.delete("contact", contact.key(), version);
        if !contact.status.is_final() {
            let deltas = [(contact.status.as_str(), -1), (RunStatus::Cancelled.as_str(), 1)];
            self.tally(contact.entity_id, &run_board(contact.run_id), contact.id.uuid().as_u128(), &deltas);
        }
    }

    /// Deletes a job and what it holds of its budget.
    pub fn forget_job(&mut self, entity: EntityId, id: AgentJobId) {
        self.remove("job", JobRecord::key_of(entity, id));
        self.remove("budget", budget_key(entity, id));
    }

    fn count_contact(&mut self, new: &RunContactRecord, old: Option<&RunContactRecord>) {
        let (board, subject) = (run_board(new.run_id), new.id.uuid().as_u128());
        let done = |contact: &RunContactRecord| {
            i64::try_from(contact.actions.iter().filter(|action| action.status == ActionStatus::Done).count()).unwrap_or(0)
        };
        let mut deltas = vec![(new.status.as_str(), 1), (COST, new.cost.0), (ACTIONS, done(new))];
        if let Some(old) = old {
            deltas.extend([(old.status.as_str(), -1), (COST, -old.cost.0), (ACTIONS, -done(old))]);
        }
        self.tally(new.entity_id, &board, subject, &deltas);
    }

    /// Takes or gives back a part of a job's limits. A failed condition labelled `budget` means that they are reached.
    pub fn change_budget(&mut self, entity: EntityId, job: AgentJobId, change: BudgetChange) {
        let BudgetChange { held, actions, max_held, max_actions } = change;
        let mut update = Update::new("ADD held :held, actions :actions SET #type = :type")
            .number(":held", held.0)
            .number(":actions", actions)
            .name("#type", "type")
            .text(":type", "agent_budget");
        let mut conditions = Vec::new();
        if let Some(max) = max_held {
            let room = max.0.saturating_sub(held.0);
            // Nothing is held before the first claim.
            conditions.push(if room >= 0 { "(attribute_not_exists(held) OR held <= :room)" } else { "held <= :room" });
            update = update.number(":room", room);
        }
        if let Some(max) = max_actions {
            let room = i64::from(max) - i64::from(actions);
            conditions.push(if room >= 0 { "(attribute_not_exists(actions) OR actions <= :left)" } else { "actions <= :left" });
            update = update.number(":left", room);
        }
        if !conditions.is_empty() {
            update = update.when(conditions.join(" AND "));
        }
        self.update("budget", budget_key(entity, job), update);
    }
}

fn budget_key(entity: EntityId, job: AgentJobId) -> Key {
    Key { pk: JobRecord::key_of(entity, job).pk, sk: "BUDGET".to_owned() }
}

/// What an agent is when it is called: its definition as a snapshot for a job.
pub fn model_of(spec: &AgentInput) -> ModelConfig {
    let mut faults = axle_domain::Faults::new();
    spec.llm_config.as_ref().and_then(|llm| llm.parse(&mut faults)).unwrap_or_default()
}

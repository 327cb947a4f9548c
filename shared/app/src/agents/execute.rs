//! One execution of an agent, here and now: its steps for what it is told, and an answer.
//!
//! What the steps change in the table is written at the end, in one transaction with the answer, so a repeated request does nothing
//! twice. What they did elsewhere before that transaction failed is known there by the same keys when the request is repeated, and what
//! it cost is written down by itself. Nothing waits here: a step that waits or needs an approval is left out, and said to be; a run does those.

use std::time::{Duration, Instant};

use axle_domain::agent::{
    ActionKind, ActionStatus, AgentRole, Condition, ContactKind, OnError, Playbook, RunStatus, Runtime, Step, execution_id,
    step_key,
};
use axle_domain::model::ModelConfig;
use axle_domain::trace::attribute;
use axle_domain::{AgentId, Faults, Input, Micros, RunContactId, Time, TraceId};
use axle_store::agent_runs::{ActionRecord, Target, model_of};
use axle_store::agents::AgentRecord;
use axle_store::costs::CostRecord;
use axle_store::spans::SpanRecord;
use axle_store::{CommitError, Versioned};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::registry;
use super::work::{
    Doing, EXECUTE, Effect, Outcome, Person, Spent, ended, perform, planned_actions, prepared_params, step_span, whole_span,
};
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::input;

/// Time for all steps together; API Gateway gives up after 30 s.
const PATIENCE: Duration = Duration::from_secs(22);
/// Writes of one transaction: DynamoDB's limit.
const MAX_WRITES: usize = 100;

/// What an agent is told.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ExecuteInput, example = json!({"input": {}}))]
pub struct ExecuteInput {
    /// As the agent's `input_schema` has it. With `lead_id` or `contact_id` in it the steps are about that person.
    #[schema(required = true)]
    pub input: Map<String, Value>,
    /// Shows what would be done: nothing is sent, called or changed. Models are asked, and cost what they cost.
    pub dry_run: bool,
}

impl Input for ExecuteInput {
    fn note_faults(&self, faults: &mut Faults) {
        axle_domain::agent::check_json("/input", &Value::Object(self.input.clone()), faults);
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Executed {
    pub execution_id: Uuid,
    pub agent_id: AgentId,
    /// `completed` or `failed`.
    pub status: RunStatus,
    /// Of an agent with one step its result, else what each step came to.
    pub output: Value,
    pub duration_ms: u64,
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost: Micros,
    pub trace_id: TraceId,
    pub started_at: Time,
}

/// Executes an agent.
///
/// # Errors
/// [`Error::Invalid`] for an input that its schema does not accept; [`Error::Conflict`] if it is disabled or has nothing to do.
pub async fn execute(
    app: &App,
    ctx: &Ctx,
    id: AgentId,
    wish: ExecuteInput,
    answer: impl FnOnce(&Executed) -> Result<Answer>,
) -> Result<Answer> {
    let agent = registry::get(app, ctx, id).await?.value;
    if !agent.is_enabled() {
        return Err(Error::Conflict("the agent is disabled; enable it first".to_owned()));
    }
    let told = Value::Object(wish.input);
    let playbook = playbook(&agent, &told)?;
    let mut faults = Faults::new();
    if let Some(schema) = &agent.spec.input_schema {
        input::check_against(&Value::Object(schema.clone()), &told, "/input", &mut faults).map_err(Error::Internal)?;
    }
    let person = person(app, ctx, &told, &mut faults).await?;
    faults.check().map_err(Error::Invalid)?;
    if playbook.writes() > MAX_WRITES {
        return Err(Error::Conflict(
            "the playbook does more than an execution can write down together; trigger a run instead".to_owned(),
        ));
    }
    // Repeated, a request is the same execution: others know it by its key.
    let execution_id = match &ctx.idempotency {
        Some(claim) => execution_id(ctx.entity_id, &claim.claim().request()),
        None => axle_domain::id::v7_at(ctx.now, axle_domain::id::entropy()),
    };
    let mut run = Execution {
        app,
        ctx,
        model: model_of(&agent.spec),
        actions: planned_actions(&playbook),
        playbook,
        told,
        person,
        dry_run: wish.dry_run,
        key: RunContactId::from_uuid(execution_id),
        deadline: Instant::now() + PATIENCE,
        effects: Vec::new(),
        spent: Spent::default(),
        costs: Vec::new(),
        spans: Vec::new(),
        agent,
    };
    let began = Instant::now();
    let status = run.go().await;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
    let costs = run.costs.clone();
    let finished = match status {
        Ok(status) => run.finish(status, took, answer).await,
        Err(e) => Err(e),
    };
    if finished.is_err() {
        keep(app, &costs).await;
    }
    finished
}

/// Writes down what was spent on an execution that came to nothing: it was spent all the same.
async fn keep(app: &App, costs: &[CostRecord]) {
    for cost in costs {
        if let Err(e) = app.table().await.record_cost(cost).await {
            tracing::error!(error = %e, "what a failed execution cost could not be written down");
        }
    }
}

/// What an agent does: its playbook, one question to its model, or a call of its service.
fn playbook(agent: &AgentRecord, told: &Value) -> Result<Playbook> {
    let spec = &agent.spec;
    let mut playbook = match spec.runtime.unwrap_or(Runtime::Playbook) {
        Runtime::Playbook => spec
            .effective_playbook()
            .ok_or_else(|| Error::Conflict("the agent has no playbook that it could follow".to_owned()))?,
        Runtime::Model => {
            let prompt = spec.description.clone().unwrap_or_else(|| spec.name.clone());
            single("answer", ActionKind::Model, json!({"prompt": prompt, "output_schema": spec.output_schema}))
        }
        Runtime::Http => {
            let body = json!({"agent_id": agent.id, "input": told});
            single("call", ActionKind::Http, json!({"url": spec.endpoint, "method": "post", "body": body}))
        }
    };
    // What a built-in agent is told replaces what it would do by default.
    let by_name = agent.role.is_some_and(|role| !matches!(role, AgentRole::Sender | AgentRole::ReplyClassifier));
    if let (true, Some(step), Some(told)) = (by_name, playbook.steps.first_mut(), told.as_object()) {
        let params = told.iter().filter(|(name, _)| !matches!(name.as_str(), "lead_id" | "contact_id"));
        step.params.extend(params.map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(playbook)
}

fn single(id: &str, action: ActionKind, params: Value) -> Playbook {
    let params = match crate::outreach::leads::without_nulls(params) {
        Value::Object(params) => params,
        _ => Map::new(),
    };
    let step = Step { id: id.to_owned(), action, params, requires_approval: false, when: None, on_error: OnError::Fail };
    Playbook { steps: vec![step], ..Playbook::default() }
}

/// Whom it is about, or the fault noted.
async fn person(app: &App, ctx: &Ctx, told: &Value, faults: &mut Faults) -> Result<Person> {
    for (name, kind) in [("lead_id", ContactKind::Lead), ("contact_id", ContactKind::Contact)] {
        let Some(text) = told[name].as_str() else { continue };
        let id = text.parse::<axle_domain::ContactId>().ok();
        let found = match id {
            Some(id) => Person::find(app, ctx, Target { kind, id: id.uuid() }).await?,
            None => None,
        };
        match found {
            Some(person) => return Ok(person),
            None => faults.add(format!("/input/{name}"), format!("no {kind} has this id")),
        }
    }
    Ok(Person::Nobody)
}

struct Execution<'a> {
    app: &'a App,
    ctx: &'a Ctx,
    agent: AgentRecord,
    model: ModelConfig,
    playbook: Playbook,
    actions: Vec<ActionRecord>,
    told: Value,
    person: Person,
    dry_run: bool,
    /// What the effects of its steps are known by.
    key: RunContactId,
    deadline: Instant,
    effects: Vec<Effect>,
    spent: Spent,
    costs: Vec<CostRecord>,
    spans: Vec<SpanRecord>,
}

impl Execution<'_> {
    async fn go(&mut self) -> Result<RunStatus> {
        for index in 0..self.actions.len() {
            let Some(step) = self.playbook.steps.get(index).cloned() else { break };
            self.step(index, &step).await?;
            if self.actions[index].status == ActionStatus::Failed && step.on_error != OnError::Skip {
                return Ok(RunStatus::Failed);
            }
        }
        Ok(RunStatus::Completed)
    }

    fn skip(&mut self, index: usize, why: impl Into<String>) {
        self.actions[index].status = ActionStatus::Skipped;
        self.actions[index].error = Some(why.into());
    }

    fn fail(&mut self, index: usize, why: impl Into<String>) {
        self.actions[index].status = ActionStatus::Failed;
        self.actions[index].error = Some(why.into());
    }

    /// What an agent that is a service is told is passed on as it is: only who wrote a playbook writes templates.
    fn raw_params(&self, action: ActionKind) -> &'static [&'static str] {
        match self.agent.spec.runtime {
            Some(Runtime::Http) => &["url", "body"],
            _ => action.raw_params(),
        }
    }

    async fn step(&mut self, index: usize, step: &Step) -> Result<()> {
        let context = self.person.context(&self.agent.spec.name, &self.told, &self.actions);
        match step.when.as_deref().map(|when| Condition::judge(when, &context)) {
            Some(Ok(Condition::NotMet)) => {
                self.skip(index, "its condition was not met");
                return Ok(());
            }
            Some(Err(e)) => {
                self.fail(index, format!("its condition cannot be judged: {e}"));
                return Ok(());
            }
            _ => {}
        }
        match prepared_params(&self.actions[index], &context, &self.actions, self.raw_params(step.action)) {
            Ok(params) => self.actions[index].params = params,
            Err(e) => {
                self.fail(index, e);
                return Ok(());
            }
        }
        if step.action == ActionKind::Wait {
            self.skip(index, "an execution does not wait; trigger a run");
            return Ok(());
        }
        if step.requires_approval {
            self.skip(index, "it needs an approval; trigger a run");
            return Ok(());
        }
        let acts_elsewhere = matches!(
            step.action,
            ActionKind::Http | ActionKind::AddToList | ActionKind::Enrich | ActionKind::Score | ActionKind::UpdateStage
        );
        if self.dry_run && acts_elsewhere {
            self.actions[index].result = Some(json!({"params": self.actions[index].params}));
            self.skip(index, "a dry run does nothing");
            return Ok(());
        }
        let begun = self.actions.iter().filter(|action| action.attempts > 0).count();
        if self.playbook.limits.max_actions.is_some_and(|most| begun >= most as usize) {
            self.fail(index, "the limits of the playbook are reached: max_actions");
            return Ok(());
        }
        self.perform(index).await
    }

    async fn perform(&mut self, index: usize) -> Result<()> {
        let started = self.app.now();
        self.actions[index].started_at = Some(started);
        self.actions[index].attempts = 1;
        let doing = Doing {
            person: &self.person,
            action: &self.actions[index],
            earlier: &self.actions[..index],
            agent_id: self.agent.id,
            role: self.agent.role,
            model: &self.model,
            identity_id: self.agent.spec.identity_id,
            sender_name: None,
            input: &self.told,
            run_id: None,
            key: step_key(self.key, index),
            deadline: self.deadline,
        };
        let request = doing.request(self.app).await?;
        if let Some(max) = self.playbook.limits.max_cost
            && doing.most(self.app, self.ctx, request.as_ref()).await?.0 > max.0 - self.spent.cost.0
        {
            self.fail(index, "the limits of the playbook are reached: max_cost");
            return Ok(());
        }
        let began = Instant::now();
        let outcome = perform(self.app, self.ctx, &doing, request).await?;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
        if matches!(self.actions[index].action, ActionKind::Enrich | ActionKind::Score) {
            self.look_again().await?;
        }
        let spent = self.note(index, outcome);
        self.account(index, took, started, spent);
        Ok(())
    }

    /// Enriching and scoring write the lead: what earlier steps want of it is wanted of what it is now.
    async fn look_again(&mut self) -> Result<()> {
        let Some(lead) = self.person.lead_id() else { return Ok(()) };
        let mut found = crate::outreach::leads::get(self.app, self.ctx, lead).await?;
        for effect in &mut self.effects {
            if let Effect::Lead { new, version } = effect {
                found.value.status = new.status;
                (**new, *version) = (found.value.clone(), found.version);
            }
        }
        self.person = Person::Lead(Box::new(found));
        Ok(())
    }

    fn note(&mut self, index: usize, outcome: Outcome) -> Spent {
        match outcome {
            Outcome::Done { result, effect, spent } => {
                if let Some(Effect::Lead { new, version }) = &effect {
                    // Later steps see the lead as it will be; it is written once.
                    self.person = Person::Lead(Box::new(Versioned { value: (**new).clone(), version: *version }));
                    self.effects.retain(|effect| !matches!(effect, Effect::Lead { .. }));
                }
                self.effects.extend(effect.filter(|_| !self.dry_run));
                self.actions[index].status = ActionStatus::Done;
                self.actions[index].result = Some(result);
                spent
            }
            Outcome::Skipped { reason } => {
                self.skip(index, reason);
                Spent::default()
            }
            Outcome::Failed { error, spent, .. } => {
                self.fail(index, error);
                spent
            }
        }
    }

    fn account(&mut self, index: usize, took: u64, started: Time, spent: Spent) {
        let action = &mut self.actions[index];
        action.cost = spent.cost;
        self.spent.cost.0 += spent.cost.0;
        self.spent.input_tokens += spent.input_tokens;
        self.spent.output_tokens += spent.output_tokens;
        self.spent.model = spent.model.clone().or_else(|| self.spent.model.take());
        let (trace, key) = (self.ctx.trace_id, step_key(self.key, index));
        // A repeated request pays for its answers again: each time is a cost of its own.
        let time = self.ctx.now;
        if let Some(category) = spent.category.filter(|_| spent.cost != Micros::ZERO) {
            let cost = CostRecord::new(self.ctx.entity_id, category, format!("{key}/{time}"), time, spent.cost, spent.item);
            self.costs.push(cost.agent(self.agent.id).lead(self.person.lead_id()).trace(trace));
        }
        let whole = whole_span(trace, EXECUTE, self.key, started).span_id;
        let mut span = step_span(trace, action, key, started).parent(whole).agent(self.agent.spec.name.clone());
        spent.attributes.into_iter().for_each(|(name, value)| span.attributes.set(&name, value));
        let span = span.with(attribute::AGENT_ID, self.agent.id.to_string()).with("axle.step_id", action.step_id.clone());
        let error = action.error.as_deref().filter(|_| action.status == ActionStatus::Failed);
        let record = SpanRecord::new(self.ctx.entity_id, trace, ended(span, took, error));
        self.spans.push(record.lead(self.person.lead_id()));
    }

    /// Writes everything down, with the answer.
    async fn finish(mut self, status: RunStatus, took: u64, answer: impl FnOnce(&Executed) -> Result<Answer>) -> Result<Answer> {
        let (app, ctx, entity) = (self.app, self.ctx, self.ctx.entity_id);
        let mut tx = app.table().await.tx();
        let mut added: Vec<(&'static str, Value)> =
            self.effects.iter().filter_map(|effect| effect.put(app, ctx, &mut tx)).collect();
        for action in &mut self.actions {
            // The ids of what was made, in the order in which it was.
            let makes = matches!(action.action, ActionKind::CreateTask | ActionKind::CreateFollowUp)
                && action.status == ActionStatus::Done;
            if let (true, Some(Value::Object(result)), false) = (makes, &mut action.result, added.is_empty()) {
                let (name, value) = added.remove(0);
                result.insert(name.to_owned(), value);
            }
        }
        let executed = Executed {
            execution_id: self.key.uuid(),
            agent_id: self.agent.id,
            status,
            output: self.output(),
            duration_ms: took,
            model: self.spent.model.clone().unwrap_or_else(|| self.model.model.clone()),
            input_tokens: self.spent.input_tokens,
            output_tokens: self.spent.output_tokens,
            cost: self.spent.cost,
            trace_id: ctx.trace_id,
            started_at: ctx.now,
        };
        self.costs.iter().for_each(|cost| tx.cost(cost));
        self.spans.iter().for_each(|span| tx.span(span));
        tx.span(&self.span(status, took));
        if !self.dry_run {
            let (id, succeeded) = (self.key.uuid(), status == RunStatus::Completed);
            tx.count_execution_of(entity, self.agent.id, id.as_u128(), succeeded, took, ctx.now);
            tx.count_execution(entity, id, ctx.now, succeeded, took);
        }
        let answer = answer(&executed)?;
        ctx.keep(&mut tx, &answer);
        match tx.commit().await {
            Ok(()) => Ok(answer),
            Err(CommitError::Condition { label: "lead", .. }) => {
                Err(Error::Conflict("the lead changed at the same moment; try again".to_owned()))
            }
            Err(e) => Err(e.into()),
        }
    }

    fn output(&self) -> Value {
        if let [only] = self.actions.as_slice()
            && only.status == ActionStatus::Done
        {
            return only.result.clone().unwrap_or_else(|| json!({}));
        }
        let step = |action: &ActionRecord| {
            let seen = json!({"status": action.status, "result": action.result, "error": action.error});
            (action.step_id.clone(), crate::outreach::leads::without_nulls(seen))
        };
        json!({"steps": self.actions.iter().map(step).collect::<Map<_, _>>()})
    }

    fn span(&self, status: RunStatus, took: u64) -> SpanRecord {
        let span = whole_span(self.ctx.trace_id, EXECUTE, self.key, self.ctx.now)
            .agent(self.agent.spec.name.clone())
            .with(attribute::OPERATION, "invoke_agent")
            .with(attribute::AGENT_ID, self.agent.id.to_string())
            .with(attribute::AGENT_NAME, self.agent.spec.name.clone())
            .with(attribute::REQUEST_MODEL, self.model.model.clone())
            .with(attribute::COST, self.spent.cost.to_string())
            .with("axle.dry_run", self.dry_run);
        let failed = self.actions.iter().rev().find_map(|action| action.error.as_deref()).unwrap_or("it failed");
        let span = ended(span, took, (status == RunStatus::Failed).then_some(failed));
        SpanRecord::new(self.ctx.entity_id, self.ctx.trace_id, span).lead(self.person.lead_id())
    }
}

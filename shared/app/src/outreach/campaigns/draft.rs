//! Messages that have no words of their own: an agent of the campaign's squad drafts them.

use std::time::Duration;

use axle_domain::Micros;
use axle_domain::agent::AgentRole;
use axle_domain::campaign::SequenceStep;
use axle_domain::campaign::run::{RunState, ask_again_after};
use axle_domain::campaign::words::Words;
use axle_domain::cost::CostCategory;
use axle_domain::enrich::Enrichment;
use axle_domain::lead::LeadProfile;
use axle_domain::model::{LlmConfig, ModelConfig, PriceTable, Usage};
use axle_domain::prompt::{DraftTask, Fact, MAX_FACTS, Person, SenderProfile, Task};
use axle_domain::trace::{attribute, name};
use axle_domain::{AgentId, Faults};
use axle_providers::model::{ModelAnswer, ModelError, ModelRequest};
use axle_store::CommitError;
use axle_store::agents::AgentRecord;
use axle_store::campaigns::CampaignRecord;
use axle_store::costs::CostRecord;
use axle_store::enrichment::EnrichmentRecord;
use axle_store::runs::{Claim, DraftRecord, RunNote};

use super::claim::{self, Taken};
use super::run::{Next, Turn};
use crate::agents;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Time for a draft, further attempts and repairs included, and seconds until somebody else may try.
const DRAFT_TIME: Duration = Duration::from_secs(15);
const DRAFT_LEASE: i64 = 30;
/// Open positions and technologies that a model is told of.
const EXAMPLES: usize = 5;

/// Who drafts a campaign's messages, and by which model.
pub(super) struct Copywriter {
    id: AgentId,
    name: String,
    instructions: Option<String>,
    model: ModelConfig,
}

impl Copywriter {
    /// The campaign's own, or why it has none.
    pub(super) async fn of(app: &App, ctx: &Ctx, campaign: &CampaignRecord) -> Result<std::result::Result<Self, String>> {
        let member = campaign.agent_squad.iter().find(|member| member.role == AgentRole::Copywriter.as_str());
        let Some(id) = member.and_then(|member| member.agent_id.parse().ok()) else {
            return Ok(Err("there is no copywriter in the campaign's squad".to_owned()));
        };
        let agent = agents::get(app, ctx, id).await?.value;
        if !agent.is_enabled() {
            return Ok(Err("the copywriter is disabled".to_owned()));
        }
        Ok(model(&agent, campaign.spec.agents.model.as_deref()).map(|model| Self {
            id,
            name: agent.spec.name.clone(),
            instructions: instructions(&agent),
            model,
        }))
    }

    /// What a draft costs, as far as that can be told beforehand.
    pub(super) fn estimate(&self, usage: Usage) -> Micros {
        axle_domain::model::cost_of(PriceTable::built_in(), &self.model, usage)
    }

    pub(super) fn model_name(&self) -> &str {
        &self.model.model
    }
}

/// The agent's model, or the one of its provider that the campaign names.
fn model(agent: &AgentRecord, wanted: Option<&str>) -> std::result::Result<ModelConfig, String> {
    let mut config = agent.spec.llm_config.clone().unwrap_or_default();
    if let Some(wanted) = wanted {
        config.model = Some(wanted.to_owned());
    }
    let mut faults = Faults::new();
    LlmConfig::parse(&config, &mut faults).ok_or_else(|| {
        let why = faults.into_vec().first().map_or_else(String::new, |fault| format!(": {} {}", fault.pointer, fault.detail));
        format!("the copywriter has no model that could be asked{why}")
    })
}

/// What the agent's own playbook says about how to write.
fn instructions(agent: &AgentRecord) -> Option<String> {
    let playbook = agent.spec.effective_playbook()?;
    playbook.steps.iter().find_map(|step| step.params.get("instructions")?.as_str().map(str::to_owned))
}

/// What came of it.
pub(super) enum Drafted<'a> {
    Words(Box<Turn<'a>>, Words),
    /// For this lead there will be none, and why.
    Unable(Box<Turn<'a>>, String),
    /// The run is to be looked at again, or not.
    Ended(Next),
}

/// Drafts the message of a step. What was paid for is kept until it is queued, so nobody pays for it twice.
pub(super) async fn draft<'a>(
    turn: Turn<'a>,
    step: &SequenceStep,
    lead: &LeadProfile,
    from: Option<String>,
) -> Result<Drafted<'a>> {
    let (app, ctx) = (turn.app, turn.ctx.clone());
    if turn.run.lost >= claim::ATTEMPTS {
        return Ok(Drafted::Unable(
            Box::new(turn),
            format!("step {} could not be drafted in {} attempts", step.step, claim::ATTEMPTS),
        ));
    }
    let copywriter = match Copywriter::of(app, &ctx, &turn.campaign).await {
        Ok(Ok(copywriter)) => copywriter,
        Ok(Err(why)) => return Ok(Drafted::Unable(Box::new(turn), format!("step {} has no words: {why}", step.step))),
        Err(Error::NotFound(_)) => {
            return Ok(Drafted::Unable(Box::new(turn), format!("step {} has no words: the copywriter is gone", step.step)));
        }
        Err(e) => return Err(e),
    };
    let request = request(&turn, &copywriter, step, lead, from).await?;
    let most = request.upper_bound(PriceTable::built_in());
    let mut turn = turn;
    let mut claimed = None;
    if most > Micros::ZERO {
        match claim::take(turn, CostCategory::AiInference, most, DRAFT_LEASE).await? {
            Taken::Mine(mine, claim) => (turn, claimed) = (*mine, Some(claim)),
            Taken::Not(next) => return Ok(Drafted::Ended(next)),
        }
    }
    let answer = app.models().complete(&request, DRAFT_TIME).await;
    let note = note(&turn, &copywriter, step, &request, &answer);
    let cost = answer.as_ref().map_or_else(|e| e.cost, |answer| answer.cost);
    turn.run.note(note);
    match (answer, claimed) {
        (Ok(answer), None) => Ok(Drafted::Words(Box::new(turn), words(&answer))),
        (Ok(answer), Some(claim)) => keep(turn, &copywriter, step, &claim, &answer).await.map(Drafted::Ended),
        (Err(e), claimed) if e.kind.is_transient() => again_later(turn, &copywriter, claimed, &e, cost).await.map(Drafted::Ended),
        (Err(e), None) => Ok(Drafted::Unable(Box::new(turn), format!("step {} could not be drafted: {e}", step.step))),
        (Err(e), Some(claim)) => {
            turn.run.state = RunState::Failed;
            turn.run.reason = Some(format!("step {} could not be drafted: {e}", step.step));
            pay(turn, &copywriter, &claim, cost, &request.config.model).await.map(Drafted::Ended)
        }
    }
}

fn words(answer: &ModelAnswer) -> Words {
    let text = |name: &str| answer.output[name].as_str().map(str::to_owned);
    Words { subject: text("subject"), text: text("body"), html: None }
}

async fn request(
    turn: &Turn<'_>,
    copywriter: &Copywriter,
    step: &SequenceStep,
    lead: &LeadProfile,
    from: Option<String>,
) -> Result<ModelRequest> {
    let (app, ctx, messaging) = (turn.app, &turn.ctx, &turn.campaign.spec.messaging);
    let table = app.table().await;
    let known = table.get::<EnrichmentRecord>(&EnrichmentRecord::key_of(ctx.entity_id, turn.run.lead_id), ctx.now).await?;
    let last = turn.run.messages.iter().rev().find(|message| message.settled).map(|message| message.id);
    let previous = match last {
        Some(id) => table.communication_content(ctx.entity_id, id, ctx.now).await?.and_then(|content| content.text),
        None => None,
    };
    let task = Task::Draft(DraftTask {
        person: Person::from(lead),
        channel: step.channel,
        instructions: copywriter.instructions.clone(),
        value_proposition: messaging.value_proposition.clone(),
        tone: messaging.tone.clone(),
        language: messaging.language.clone(),
        sender: SenderProfile { name: from, company: None },
        facts: known.map(|known| facts(&known.value.enrichment)).unwrap_or_default(),
        previous,
    });
    Ok(ModelRequest::new(copywriter.model.clone(), task, app.fence_key().await?))
}

/// What is known of the lead's company, sentence by sentence.
fn facts(known: &Enrichment) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut tell = |text: String, source: Option<String>| facts.push(Fact { text, source });
    if let Some(description) = &known.company.description {
        tell(description.clone(), known.company.website.clone());
    }
    let signals = &known.intent_signals;
    if let Some(funding) = &signals.recent_funding {
        tell(funding.headline.clone(), Some(funding.url.clone()));
    }
    for posting in signals.hiring_activity.iter().take(EXAMPLES) {
        tell(format!("The company is hiring: {}", posting.title), posting.url.clone());
    }
    for change in signals.technology_migrations.iter().take(EXAMPLES) {
        match (&change.from, &change.to) {
            (Some(from), Some(to)) => tell(format!("The company moved from {from} to {to}"), None),
            (None, Some(to)) => tell(format!("The company has begun to use {to}"), None),
            _ => {}
        }
    }
    let names: Vec<&str> = known.company.technologies.iter().take(EXAMPLES).map(|technology| technology.name.as_str()).collect();
    if !names.is_empty() {
        tell(format!("The company uses {}", names.join(", ")), None);
    }
    facts.truncate(MAX_FACTS);
    facts
}

/// The step as its trace shows it, by OpenTelemetry's names.
fn note(
    turn: &Turn<'_>,
    copywriter: &Copywriter,
    step: &SequenceStep,
    request: &ModelRequest,
    answer: &std::result::Result<ModelAnswer, ModelError>,
) -> RunNote {
    let (usage, cost) = answer.as_ref().map_or_else(|e| (e.usage, e.cost), |answer| (answer.usage, answer.cost));
    let detail = match answer {
        Ok(_) => format!("step {} was drafted by {}, for {cost}", step.step, copywriter.name),
        Err(e) => format!("step {} was not drafted: {e}", step.step),
    };
    let note = RunNote::new(turn.app.now(), name::DRAFT, detail)
        .since(turn.ctx.now)
        .step(step.step)
        .with(attribute::OPERATION, "chat")
        .with(attribute::MODEL_PROVIDER, request.config.provider.as_str())
        .with(attribute::REQUEST_MODEL, request.config.model.clone())
        .with(attribute::AGENT_ID, copywriter.id.to_string())
        .with(attribute::AGENT_NAME, copywriter.name.clone())
        .with(attribute::INPUT_TOKENS, usage.input_tokens)
        .with(attribute::OUTPUT_TOKENS, usage.output_tokens)
        .with(attribute::COST, cost.to_string());
    match answer {
        Ok(answer) => note.with(attribute::RESPONSE_MODEL, answer.model.clone()),
        Err(e) => note.with(attribute::ERROR_TYPE, e.kind.name()).failed(),
    }
}

fn cost_record(turn: &Turn<'_>, copywriter: &Copywriter, claim: &Claim, cost: Micros, model: &str) -> CostRecord {
    CostRecord::new(turn.ctx.entity_id, CostCategory::AiInference, claim.id, turn.app.now(), cost, model)
        .agent(copywriter.id)
        .campaign(Some(turn.campaign.id))
        .lead(Some(turn.run.lead_id))
        .trace(turn.run.trace_id)
}

/// Keeps what was paid for, with what was paid.
async fn keep(
    mut turn: Turn<'_>,
    copywriter: &Copywriter,
    step: &SequenceStep,
    claim: &Claim,
    answer: &ModelAnswer,
) -> Result<Next> {
    let draft = DraftRecord {
        entity_id: turn.ctx.entity_id,
        run_id: turn.run.id,
        step: step.step,
        words: words(answer),
        created_at: turn.app.now(),
    };
    let mut tx = turn.app.table().await.tx();
    tx.overwrite("draft", &draft);
    (turn.run.lost, turn.run.refused) = (0, 0);
    turn.run.due_at = Some(turn.ctx.now);
    write(turn, tx, copywriter, claim, answer.cost, &answer.model).await
}

/// Writes down what was paid for nothing.
async fn pay(turn: Turn<'_>, copywriter: &Copywriter, claim: &Claim, cost: Micros, model: &str) -> Result<Next> {
    let tx = turn.app.table().await.tx();
    write(turn, tx, copywriter, claim, cost, model).await
}

async fn write(
    mut turn: Turn<'_>,
    mut tx: axle_store::Tx<'_>,
    copywriter: &Copywriter,
    claim: &Claim,
    cost: Micros,
    model: &str,
) -> Result<Next> {
    let paid = cost_record(&turn, copywriter, claim, cost, model);
    claim::settle(&mut turn, &mut tx, claim, cost);
    tx.cost(&paid);
    turn.put(&mut tx);
    match tx.commit().await {
        Ok(()) => Ok(Next::GoOn),
        Err(CommitError::Condition { .. }) => {
            claim::release(turn.app, turn.ctx.entity_id, turn.run.id, claim, cost, |tx| tx.cost(&paid)).await?;
            Ok(Next::GoOn)
        }
        Err(e) => Err(e.into()),
    }
}

/// Has the model asked again in a while: a passing failure of its provider is no fault of the lead's.
async fn again_later(
    mut turn: Turn<'_>,
    copywriter: &Copywriter,
    claimed: Option<Claim>,
    error: &ModelError,
    cost: Micros,
) -> Result<Next> {
    tracing::info!(run_id = %turn.run.id, error = %error, "a model is asked again later");
    let Some(wait) = ask_again_after(turn.run.refused) else {
        turn.run.state = RunState::Failed;
        turn.run.reason = Some(format!("{} attempts in a row failed to draft the message: {error}", turn.run.refused + 1));
        return match claimed {
            Some(claim) => pay(turn, copywriter, &claim, cost, &copywriter.model.model).await,
            None => turn.save().await,
        };
    };
    let due = turn.ctx.now.plus_secs(wait);
    turn.run.refused += 1;
    turn.run.due_at = Some(due);
    turn.come_back(due).await?;
    match claimed {
        Some(claim) => {
            let model = copywriter.model.model.clone();
            pay(turn, copywriter, &claim, cost, &model).await.map(|_| Next::Rest)
        }
        None => turn.save().await.map(|_| Next::Rest),
    }
}

//! What agents ask models, and what they make of the answers.

use std::time::Duration;

use axle_domain::Micros;
use axle_domain::agent::{ActionKind, AgentRole, DraftChannel, DraftParams, ModelParams, ResearchParams};
use axle_domain::campaign::Channel;
use axle_domain::cost::CostCategory;
use axle_domain::model::PriceTable;
use axle_domain::prompt::{DataText, DraftTask, Fact, FreeTask, MAX_FACTS, ReplyTask, ResearchTask, SenderProfile, Task};
use axle_providers::model::{ModelAnswer, ModelError, ModelRequest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::perform::Doing;
use super::{Outcome, Person, Spent};
use crate::context::App;
use crate::error::{Error, Result};

/// Time for one answer, further attempts and repairs included.
const PATIENCE: Duration = Duration::from_secs(25);

/// What an action asks a model; `None` if it asks none.
pub(super) async fn request(app: &App, doing: &Doing<'_>) -> Result<Option<ModelRequest>> {
    let task = match doing.action.action {
        ActionKind::Research => Some(research(doing)?),
        ActionKind::DraftMessage => draft(app, doing)?,
        ActionKind::Model => Some(free(doing)?),
        _ => None,
    };
    let Some(task) = task else { return Ok(None) };
    Ok(Some(ModelRequest::new(doing.model.clone(), task, app.fence_key().await?)))
}

/// The most that it can cost.
pub(super) fn reserve(request: Option<&ModelRequest>) -> Micros {
    request.map_or(Micros::ZERO, |request| request.upper_bound(PriceTable::built_in()))
}

pub(super) fn typed<T: DeserializeOwned>(doing: &Doing<'_>) -> Result<T> {
    serde_json::from_value(doing.action.params.clone()).map_err(|e| Error::Internal(e.to_string()))
}

fn research(doing: &Doing<'_>) -> Result<Task> {
    let ResearchParams { questions } = typed(doing)?;
    Ok(Task::Research(ResearchTask { person: doing.person.described(), questions, facts: facts(doing) }))
}

fn draft(app: &App, doing: &Doing<'_>) -> Result<Option<Task>> {
    let params: DraftParams = typed(doing)?;
    if params.body.is_some() {
        return Ok(None);
    }
    let channel = match params.channel {
        DraftChannel::Email => Channel::Email,
        DraftChannel::Sms => Channel::Sms,
        DraftChannel::Linkedin => Channel::Linkedin,
    };
    let name = doing
        .sender_name
        .clone()
        .or_else(|| app.config().sender.as_ref().and_then(|sender| sender.name.as_ref().map(ToString::to_string)));
    Ok(Some(Task::Draft(DraftTask {
        person: doing.person.described(),
        channel,
        instructions: params.instructions,
        value_proposition: None,
        tone: params.tone,
        language: None,
        sender: SenderProfile { name, company: None },
        facts: facts(doing),
        previous: None,
    })))
}

fn free(doing: &Doing<'_>) -> Result<Task> {
    let ModelParams { prompt, output_schema } = typed(doing)?;
    let text = |name: &str| doing.input[name].as_str().unwrap_or_default().to_owned();
    if doing.role == Some(AgentRole::ReplyClassifier) {
        return Ok(Task::ClassifyReply(ReplyTask { subject: text("subject"), text: text("text") }));
    }
    let person = (!matches!(doing.person, Person::Nobody)).then(|| doing.person.described());
    Ok(Task::Free(FreeTask { prompt, output_schema, person, facts: facts(doing), texts: earlier(doing) }))
}

/// What earlier steps found out, sentence by sentence.
fn facts(doing: &Doing<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for done in doing.earlier {
        let Some(result) = &done.result else { continue };
        for answer in result["answers"].as_array().into_iter().flatten().filter(|answer| answer["known"] == true) {
            facts
                .extend(answer["answer"].as_str().map(|text| Fact { text: text.to_owned(), source: Some(done.step_id.clone()) }));
        }
        for fact in result["facts"].as_array().into_iter().flatten() {
            facts.extend(
                fact["text"]
                    .as_str()
                    .map(|text| Fact { text: text.to_owned(), source: fact["source"].as_str().map(str::to_owned) }),
            );
        }
    }
    facts.truncate(MAX_FACTS);
    facts
}

/// Results of earlier steps and what the agent was told, as data: nothing in them is an instruction.
fn earlier(doing: &Doing<'_>) -> Vec<DataText> {
    let results =
        doing.earlier.iter().filter_map(|done| Some((format!("step {}", done.step_id), done.result.as_ref()?.to_string())));
    let told = doing.input.as_object().filter(|fields| !fields.is_empty()).map(|_| ("input".to_owned(), doing.input.to_string()));
    results.chain(told).map(|(name, text)| DataText { name, text }).collect()
}

/// Asks, within the time that the invocation has left.
pub(super) async fn ask(app: &App, doing: &Doing<'_>, request: &ModelRequest, left: Duration) -> Outcome {
    let attributes = attributes(request);
    match app.models().complete(request, PATIENCE.min(left)).await {
        Ok(answer) => {
            let spent = spent_on(&answer, attributes);
            Outcome::Done { result: result(doing, request, answer.output), effect: None, spent }
        }
        Err(e) => {
            let (error, passing) = (e.to_string(), e.kind.is_transient());
            Outcome::Failed { error, passing, spent: wasted_on(request, &e, attributes) }
        }
    }
}

/// OpenTelemetry's GenAI attributes of a call.
fn attributes(request: &ModelRequest) -> Map<String, Value> {
    let config = &request.config;
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Value| drop((!value.is_null()).then(|| attributes.insert(name.to_owned(), value)));
    set("gen_ai.operation.name", json!("chat"));
    set("gen_ai.provider.name", json!(config.provider.as_str()));
    set("gen_ai.request.model", json!(config.model));
    set("gen_ai.request.temperature", json!(config.temperature));
    set("gen_ai.request.max_tokens", json!(config.output_tokens()));
    attributes
}

fn spent_on(answer: &ModelAnswer, mut attributes: Map<String, Value>) -> Spent {
    let ModelAnswer { usage, cost, model, attempts, .. } = answer;
    attributes.insert("gen_ai.response.model".to_owned(), json!(model));
    count(&mut attributes, usage.input_tokens, usage.output_tokens, *attempts);
    Spent {
        cost: *cost,
        category: Some(CostCategory::AiInference),
        item: model.clone(),
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        model: Some(model.clone()),
        attributes,
    }
}

fn wasted_on(request: &ModelRequest, error: &ModelError, mut attributes: Map<String, Value>) -> Spent {
    attributes.insert("error.type".to_owned(), json!(error.kind.name()));
    count(&mut attributes, error.usage.input_tokens, error.usage.output_tokens, error.attempts);
    Spent {
        cost: error.cost,
        category: Some(CostCategory::AiInference),
        item: request.config.model.clone(),
        input_tokens: error.usage.input_tokens,
        output_tokens: error.usage.output_tokens,
        model: Some(request.config.model.clone()),
        attributes,
    }
}

fn count(attributes: &mut Map<String, Value>, input: u64, output: u64, attempts: u32) {
    attributes.insert("gen_ai.usage.input_tokens".to_owned(), json!(input));
    attributes.insert("gen_ai.usage.output_tokens".to_owned(), json!(output));
    attributes.insert("axle.model.attempts".to_owned(), json!(attempts));
}

/// The answer as later steps know it.
fn result(doing: &Doing<'_>, request: &ModelRequest, output: Value) -> Value {
    match (&request.builtin, output) {
        (Task::Draft(_), Value::Object(mut draft)) => {
            draft.insert("channel".to_owned(), doing.action.params["channel"].clone());
            Value::Object(draft)
        }
        (Task::Research(task), Value::Object(mut found)) => {
            // The questions beside their answers, for who reads them.
            for answer in found.get_mut("answers").and_then(Value::as_array_mut).into_iter().flatten() {
                let index = answer["question"].as_u64().and_then(|n| usize::try_from(n).ok());
                if let Some(question) = index.and_then(|n| task.questions.get(n)) {
                    answer["question"] = json!(question);
                }
            }
            Value::Object(found)
        }
        (_, Value::Object(fields)) => Value::Object(fields),
        (_, other) => json!({"text": other}),
    }
}

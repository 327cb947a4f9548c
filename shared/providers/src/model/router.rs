//! All providers behind one trait: form, retries, repairs, accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::Fault;
use axle_domain::model::{MAX_REPAIR_BYTES, MAX_REPAIRS, ModelProvider, PriceTable, Usage, cost_of, most_bytes};
use serde_json::Value;
use tokio::time::Instant;

use super::anthropic::Anthropic;
use super::bedrock::{Bedrock, BedrockAccess};
use super::builtin;
use super::conversation::{Conversation, Dialect, Failure, Form, Said, Turn};
use super::endpoint::Endpoint;
use super::openai::Openai;
use super::shape::Shape;
use super::{ModelAnswer, ModelError, ModelErrorKind, ModelRequest, Models};
use crate::outbound::Client;
use crate::secrets::Secrets;
use crate::{Lazy, outbound};

const OPENAI_URL: &str = "https://api.openai.com/v1";
const ANTHROPIC_URL: &str = "https://api.anthropic.com";
/// Calls for one answer that are made at most while the provider says "not now".
const MAX_TRIES: u32 = 4;
/// A call that has less time than this is not begun.
const LEAST_TIME: Duration = Duration::from_millis(200);
/// Endpoints of which is remembered how they take a schema.
const MAX_REMEMBERED: usize = 256;

/// Where the providers are, and which secrets hold the deployment's keys.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    pub openai_url: String,
    /// Name or ARN in Secrets Manager; an endpoint of one's own may need none.
    pub openai_key_secret: Option<String>,
    pub anthropic_url: String,
    pub anthropic_key_secret: Option<String>,
    /// Other than the region's own.
    pub bedrock_url: Option<String>,
    pub prices: PriceTable,
    /// How long to wait before a second try when the provider does not say; doubled for each further one.
    pub backoff: Duration,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            openai_url: OPENAI_URL.to_owned(),
            openai_key_secret: None,
            anthropic_url: ANTHROPIC_URL.to_owned(),
            anthropic_key_secret: None,
            bedrock_url: None,
            prices: PriceTable::built_in().clone(),
            backoff: Duration::from_millis(500),
        }
    }
}

/// Answers by the provider that each request names. Cheap to make: connections, keys and credentials come with their first use.
pub struct ModelRouter {
    openai: Openai,
    anthropic: Anthropic,
    bedrock: Bedrock,
    prices: PriceTable,
    backoff: Duration,
    forms: Mutex<HashMap<Place, Form>>,
}

impl ModelRouter {
    /// `bedrock`: the deployment's access, `None` where there is none.
    pub fn new(
        settings: ModelSettings,
        secrets: Arc<Secrets>,
        bedrock: Lazy<Option<BedrockAccess>>,
        client: Arc<Client>,
    ) -> Self {
        let endpoint = |base_url, default_url, key_secret: Option<String>| Endpoint {
            base_url,
            default_url,
            secrets: Arc::clone(&secrets),
            key_secret: key_secret.filter(|id| !id.is_empty()),
        };
        Self {
            openai: Openai {
                client: Arc::clone(&client),
                endpoint: endpoint(settings.openai_url, OPENAI_URL, settings.openai_key_secret),
            },
            anthropic: Anthropic {
                client: Arc::clone(&client),
                endpoint: endpoint(settings.anthropic_url, ANTHROPIC_URL, settings.anthropic_key_secret),
            },
            bedrock: Bedrock { client, access: bedrock, endpoint_url: settings.bedrock_url.filter(|url| !url.is_empty()) },
            prices: settings.prices,
            backoff: settings.backoff,
            forms: Mutex::default(),
        }
    }

    /// One that has access to nothing but the built-in model.
    pub fn builtin_only() -> Self {
        let client = Arc::new(Client::new(outbound::NetworkPolicy::PUBLIC_ONLY));
        Self::new(ModelSettings::default(), Arc::new(Secrets::fixed([])), Lazy::new(|| None), client)
    }

    /// What calls cost here; for [`ModelRequest::upper_bound`].
    pub fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// One answer that fits, or the reason why there is none; `spent` counts all the same.
    async fn talk(
        &self,
        dialect: &dyn Dialect,
        request: &ModelRequest,
        shape: Option<&Shape>,
        deadline: Instant,
        spent: &mut Spent,
    ) -> Result<Value, ModelErrorKind> {
        let mut conversation = Conversation {
            config: &request.config,
            credentials: request.credentials.as_ref(),
            system: &request.system,
            user: &request.user,
            shape,
            repairs: Vec::new(),
        };
        loop {
            let turn = self.ask(dialect, &conversation, deadline, spent).await?;
            if turn.refused {
                return Err(ModelErrorKind::Refused);
            }
            let Some(shape) = shape else { return text(turn) };
            let checked = match &turn.said {
                Said::Json(value) => shape.check(value.clone()),
                Said::Text(text) => shape.check_text(text),
            };
            let mut faults = match checked {
                Ok(output) => return Ok(output),
                Err(faults) => faults,
            };
            if turn.cut {
                let allowed = request.config.output_tokens();
                faults.insert(0, Fault::new("", format!("was cut off after {allowed} tokens; it must be shorter")));
            }
            if conversation.repairs.len() >= MAX_REPAIRS as usize {
                return Err(ModelErrorKind::BadOutput { faults });
            }
            conversation.repairs.push(repair(&request.config, &turn.said, &faults));
        }
    }

    /// One answer of the provider: in the best form it knows, waiting while it says "not now" and there is time.
    async fn ask(
        &self,
        dialect: &dyn Dialect,
        conversation: &Conversation<'_>,
        deadline: Instant,
        spent: &mut Spent,
    ) -> Result<Turn, ModelErrorKind> {
        let mut form = self.form(dialect, conversation);
        let mut tries = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < LEAST_TIME {
                return Err(ModelErrorKind::Timeout { provider: dialect.provider() });
            }
            spent.attempts += 1;
            let said = tokio::time::timeout(left, dialect.say(conversation, form, left)).await;
            let failure = match said {
                Ok(Ok(turn)) => {
                    spent.usage += turn.usage.unwrap_or_else(|| estimate(conversation, &turn.said));
                    if turn.model.is_some() {
                        spent.model.clone_from(&turn.model);
                    }
                    return Ok(turn);
                }
                Ok(Err(failure)) => failure,
                Err(_) => return Err(ModelErrorKind::Timeout { provider: dialect.provider() }),
            };
            match failure {
                Failure::Form(kind) => {
                    let next = dialect.forms().iter().skip_while(|known| **known != form).nth(1);
                    form = *next.ok_or(kind)?;
                    self.remember(conversation, form);
                }
                Failure::Again { kind, after } => {
                    tries += 1;
                    let wait = after.unwrap_or_else(|| jittered(self.backoff * 2u32.pow(tries - 1)));
                    let left = deadline.saturating_duration_since(Instant::now());
                    // A wait that leaves no time to ask is none worth taking.
                    if tries >= MAX_TRIES || wait + LEAST_TIME > left {
                        return Err(kind);
                    }
                    tokio::time::sleep(wait).await;
                }
                Failure::Final(_) => return Err(failure.into_kind()),
            }
        }
    }

    fn form(&self, dialect: &dyn Dialect, conversation: &Conversation<'_>) -> Form {
        let best = dialect.forms().first().copied().unwrap_or(Form::Words);
        let forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        forms.get(&place(conversation)).copied().unwrap_or(best)
    }

    fn remember(&self, conversation: &Conversation<'_>, form: Form) {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.len() >= MAX_REMEMBERED {
            forms.clear();
        }
        forms.insert(place(conversation), form);
    }
}

/// Which model where: its provider, a tenant's own address, its name.
type Place = (ModelProvider, Option<String>, String);

fn place(conversation: &Conversation<'_>) -> Place {
    let url = conversation.credentials.and_then(|own| own.base_url.clone());
    (conversation.config.provider, url, conversation.config.model.clone())
}

/// What a call has used so far.
#[derive(Default)]
struct Spent {
    usage: Usage,
    attempts: u32,
    model: Option<String>,
}

/// Any text, but some.
fn text(turn: Turn) -> Result<Value, ModelErrorKind> {
    match turn.said {
        Said::Text(text) if text.trim().is_empty() => {
            Err(ModelErrorKind::BadOutput { faults: vec![Fault::new("", "must not be empty")] })
        }
        Said::Text(text) => Ok(Value::String(text.trim().to_owned())),
        Said::Json(value) => Ok(Value::String(value.to_string())),
    }
}

/// The answer that did not fit, and what to say about it. Both are bounded by what was reserved for them.
fn repair(config: &axle_domain::model::ModelConfig, said: &Said, faults: &[Fault]) -> (String, String) {
    let mut answer = match said {
        Said::Json(value) => value.to_string(),
        Said::Text(text) => text.trim().to_owned(),
    };
    answer.truncate(answer.floor_char_boundary(most_bytes(config.output_tokens())));
    if answer.is_empty() {
        // No provider takes an empty turn.
        answer = "(nothing)".to_owned();
    }
    let mut words = "That answer does not have the form that was asked for:\n".to_owned();
    for fault in faults {
        words.push_str(&format!(
            "- {}: {}\n",
            if fault.pointer.is_empty() { "the answer" } else { &fault.pointer },
            fault.detail
        ));
    }
    words.push_str("Give the whole answer again, corrected, and nothing else.");
    words.truncate(words.floor_char_boundary(MAX_REPAIR_BYTES));
    (answer, words)
}

/// For endpoints that do not count: three bytes a token, which is more tokens than most texts have.
fn estimate(conversation: &Conversation<'_>, said: &Said) -> Usage {
    let prompt: usize = conversation.system.len() + conversation.turns().map(|(_, text)| text.len()).sum::<usize>();
    let answer = match said {
        Said::Json(value) => value.to_string().len(),
        Said::Text(text) => text.len(),
    };
    Usage { input_tokens: prompt.div_ceil(3) as u64, output_tokens: answer.div_ceil(3) as u64 }
}

/// Between half of the time and all of it, so that callers who were throttled together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
}

#[async_trait]
impl Models for ModelRouter {
    async fn complete(&self, request: &ModelRequest, timeout: Duration) -> Result<ModelAnswer, ModelError> {
        let deadline = Instant::now() + timeout;
        let mut spent = Spent::default();
        let outcome = match request.output_schema.as_ref().map(Shape::new).transpose() {
            Err(reason) => {
                let reason = format!("the output schema cannot be used: {reason}");
                Err(ModelErrorKind::Unconfigured { provider: "the request", reason })
            }
            Ok(shape) => {
                let shape = shape.as_ref();
                let dialect: Option<&dyn Dialect> = match request.config.provider {
                    ModelProvider::Builtin => None,
                    ModelProvider::Bedrock => Some(&self.bedrock),
                    ModelProvider::Openai => Some(&self.openai),
                    ModelProvider::Anthropic => Some(&self.anthropic),
                };
                match dialect {
                    Some(dialect) => self.talk(dialect, request, shape, deadline, &mut spent).await,
                    None => {
                        spent.attempts = 1;
                        let output = builtin::answer(&request.builtin);
                        let checked = shape.map_or(Ok(output.clone()), |shape| shape.check(output));
                        checked.map_err(|faults| ModelErrorKind::BadOutput { faults })
                    }
                }
            }
        };
        let Spent { usage, attempts, model } = spent;
        let cost = cost_of(&self.prices, &request.config, usage);
        match outcome {
            Ok(output) => {
                let model = model.unwrap_or_else(|| request.config.model.clone());
                Ok(ModelAnswer { output, usage, cost, model, attempts })
            }
            Err(kind) => Err(ModelError { kind, usage, cost, attempts }),
        }
    }
}

impl std::fmt::Debug for ModelRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModelRouter(..)")
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;

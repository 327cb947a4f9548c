//! Anthropic's Messages.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::model::Usage;
use serde_json::{Value, json};

use super::conversation::{Conversation, Dialect, Failure, Form, Said, Turn};
use super::endpoint::Endpoint;
use super::http::{post, tokens, unreadable};
use crate::outbound::{Client, Request};

const PROVIDER: &str = "Anthropic";
const VERSION: &str = "2023-06-01";
/// The tool that stands for the answer: a model that must use it answers in its schema.
const TOOL: &str = "answer";

pub(super) struct Anthropic {
    pub(super) client: Arc<Client>,
    pub(super) endpoint: Endpoint,
}

#[async_trait]
impl Dialect for Anthropic {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Native, Form::Words]
    }

    async fn say(&self, conversation: &Conversation<'_>, form: Form, timeout: Duration) -> Result<Turn, Failure> {
        let access = self.endpoint.access(conversation.credentials, PROVIDER).await?;
        let mut request = Request::post(format!("{}/v1/messages", access.base_url), "").timeout(timeout);
        request = request.header("anthropic-version", VERSION);
        if let Some(key) = &access.api_key {
            request = request.header("x-api-key", key.reveal());
        }
        let body = body(conversation, form).to_string().into_bytes();
        let answer = post(&self.client, request, body, PROVIDER, access.api_key.as_ref(), form).await?;
        turn(&answer)
    }
}

fn body(conversation: &Conversation<'_>, form: Form) -> Value {
    let config = conversation.config;
    let mut body = json!({
        "model": config.model,
        "max_tokens": config.output_tokens(),
        "system": conversation.system_text(form),
        "messages": conversation.messages(),
    });
    if let Some(temperature) = config.temperature {
        body["temperature"] = temperature.into();
    }
    if let (Form::Native, Some(shape)) = (form, conversation.shape) {
        body["tools"] = json!([{"name": TOOL, "description": "Gives the answer.", "input_schema": shape.wrapped()}]);
        body["tool_choice"] = json!({"type": "tool", "name": TOOL});
    }
    body
}

fn turn(answer: &Value) -> Result<Turn, Failure> {
    let blocks = answer["content"].as_array().ok_or_else(|| unreadable(PROVIDER))?;
    let stop = answer["stop_reason"].as_str().unwrap_or_default();
    let tool = blocks.iter().find(|block| block["type"] == "tool_use").map(|block| Said::Json(block["input"].clone()));
    let text: String = blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect();
    // Tokens of the cache are tokens of the prompt; we never ask for one, so that there are none.
    let cached = |name| tokens(answer, name).unwrap_or_default();
    let input = tokens(answer, "/usage/input_tokens")
        .map(|plain| plain + cached("/usage/cache_creation_input_tokens") + cached("/usage/cache_read_input_tokens"));
    let usage = input.zip(tokens(answer, "/usage/output_tokens"));
    Ok(Turn {
        said: tool.unwrap_or(Said::Text(text)),
        usage: usage.map(|(input_tokens, output_tokens)| Usage { input_tokens, output_tokens }),
        model: answer["model"].as_str().map(str::to_owned),
        cut: matches!(stop, "max_tokens" | "model_context_window_exceeded"),
        refused: stop == "refusal",
    })
}

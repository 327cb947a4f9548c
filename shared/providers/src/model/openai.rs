//! OpenAI's chat completions, and whatever speaks them: vLLM, Ollama, OpenRouter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axle_domain::model::Usage;
use serde_json::{Value, json};

use super::conversation::{Conversation, Dialect, Failure, Form, Said, Turn};
use super::endpoint::Endpoint;
use super::http::{post, tokens, unreadable};
use crate::outbound::{Client, Request};

const PROVIDER: &str = "OpenAI";

pub(super) struct Openai {
    pub(super) client: Arc<Client>,
    pub(super) endpoint: Endpoint,
}

#[async_trait]
impl Dialect for Openai {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Native, Form::Json, Form::Words]
    }

    async fn say(&self, conversation: &Conversation<'_>, form: Form, timeout: Duration) -> Result<Turn, Failure> {
        let access = self.endpoint.access(conversation.credentials, PROVIDER).await?;
        let mut request = Request::post(format!("{}/chat/completions", access.base_url), "").timeout(timeout);
        if let Some(key) = &access.api_key {
            request = request.header("authorization", format!("Bearer {}", key.reveal()));
        }
        let body = body(conversation, form, access.is_default).to_string().into_bytes();
        let answer = post(&self.client, request, body, PROVIDER, access.api_key.as_ref(), form).await?;
        turn(&answer)
    }
}

fn body(conversation: &Conversation<'_>, form: Form, is_openai: bool) -> Value {
    let config = conversation.config;
    let mut messages = vec![json!({"role": "system", "content": conversation.system_text(form)})];
    messages.extend(conversation.messages());
    let mut body = json!({"model": config.model, "messages": messages});
    // OpenAI's newer models refuse the old name, and other servers do not know the new one.
    let limit = if is_openai { "max_completion_tokens" } else { "max_tokens" };
    body[limit] = config.output_tokens().into();
    if let Some(temperature) = config.temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(shape) = conversation.shape {
        match form {
            Form::Native => {
                let schema = json!({"name": "answer", "schema": shape.wrapped(), "strict": shape.is_strict()});
                body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
            }
            Form::Json => body["response_format"] = json!({"type": "json_object"}),
            Form::Words => {}
        }
    }
    body
}

fn turn(answer: &Value) -> Result<Turn, Failure> {
    let choice = answer.pointer("/choices/0").ok_or_else(|| unreadable(PROVIDER))?;
    let text = |pointer: &str| choice.pointer(pointer).and_then(Value::as_str);
    let finish = text("/finish_reason").unwrap_or_default();
    let usage = tokens(answer, "/usage/prompt_tokens").zip(tokens(answer, "/usage/completion_tokens"));
    Ok(Turn {
        said: Said::Text(text("/message/content").unwrap_or_default().to_owned()),
        usage: usage.map(|(input_tokens, output_tokens)| Usage { input_tokens, output_tokens }),
        model: answer["model"].as_str().map(str::to_owned),
        cut: finish == "length",
        refused: finish == "content_filter" || text("/message/refusal").is_some_and(|words| !words.is_empty()),
    })
}

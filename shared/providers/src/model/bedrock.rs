//! Amazon Bedrock, by the Converse operation.
//!
//! A request of our own, signed with the library that the AWS clients sign with: their crate for Bedrock would add types for images,
//! documents, streams and guardrails to every function that can reach a model, for one JSON body in and one out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axle_domain::model::Usage;
use serde_json::{Value, json};

use super::ModelErrorKind;
use super::conversation::{Conversation, Dialect, Failure, Form, Said, Turn};
use super::http::{post, tokens, unreadable};
use crate::Lazy;
use crate::outbound::{Client, Request};

const PROVIDER: &str = "Bedrock";
/// What requests are signed for; the endpoint has another name.
const SIGNING_NAME: &str = "bedrock";
const TOOL: &str = "answer";

/// The deployment's access to Bedrock.
#[derive(Clone, Debug)]
pub struct BedrockAccess {
    pub credentials: SharedCredentialsProvider,
    pub region: String,
}

pub(super) struct Bedrock {
    pub(super) client: Arc<Client>,
    pub(super) access: Lazy<Option<BedrockAccess>>,
    /// Other than the region's own.
    pub(super) endpoint_url: Option<String>,
}

impl Bedrock {
    async fn signed(&self, url: &str, body: &[u8], access: &BedrockAccess) -> Result<Vec<(String, String)>, Failure> {
        let unconfigured =
            |reason: &str| Failure::Final(ModelErrorKind::Unconfigured { provider: PROVIDER, reason: reason.to_owned() });
        let credentials = access.credentials.provide_credentials().await.map_err(|error| {
            tracing::error!(error = %error, "no AWS credentials for Bedrock");
            unconfigured("the deployment has no AWS credentials")
        })?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&access.region)
            .name(SIGNING_NAME)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unconfigured("the request cannot be signed"))?;
        let headers = [("content-type", "application/json")];
        let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| unconfigured("the request cannot be signed"))?;
        let (instructions, _) =
            sign(request, &params.into()).map_err(|_| unconfigured("the request cannot be signed"))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[async_trait]
impl Dialect for Bedrock {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Native, Form::Words]
    }

    async fn say(&self, conversation: &Conversation<'_>, form: Form, timeout: Duration) -> Result<Turn, Failure> {
        let Some(access) = self.access.get().await else {
            let reason = "this deployment has no access to it".to_owned();
            return Err(Failure::Final(ModelErrorKind::Unconfigured { provider: PROVIDER, reason }));
        };
        let base = match &self.endpoint_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://bedrock-runtime.{}.amazonaws.com", access.region),
        };
        let url = format!("{base}/model/{}/converse", segment(&conversation.config.model));
        let body = body(conversation, form).to_string().into_bytes();
        let mut request = Request::post(&url, "").timeout(timeout);
        for (name, value) in self.signed(&url, &body, access).await? {
            request = request.header(name, value);
        }
        let answer = post(&self.client, request, body, PROVIDER, None, form).await?;
        turn(&answer)
    }
}

/// A model's name as one segment of a path: ARNs have slashes and colons.
fn segment(model: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    model.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn body(conversation: &Conversation<'_>, form: Form) -> Value {
    let config = conversation.config;
    let messages: Vec<Value> =
        conversation.turns().map(|(role, text)| json!({"role": role, "content": [{"text": text}]})).collect();
    let mut body = json!({
        "system": [{"text": conversation.system_text(form)}],
        "messages": messages,
        "inferenceConfig": {"maxTokens": config.output_tokens()},
    });
    if let Some(temperature) = config.temperature {
        body["inferenceConfig"]["temperature"] = temperature.into();
    }
    if let (Form::Native, Some(shape)) = (form, conversation.shape) {
        let tool = json!({"name": TOOL, "description": "Gives the answer.", "inputSchema": {"json": shape.wrapped()}});
        body["toolConfig"] = json!({"tools": [{"toolSpec": tool}], "toolChoice": {"tool": {"name": TOOL}}});
    }
    body
}

fn turn(answer: &Value) -> Result<Turn, Failure> {
    let blocks = answer.pointer("/output/message/content").and_then(Value::as_array).ok_or_else(|| unreadable(PROVIDER))?;
    let stop = answer["stopReason"].as_str().unwrap_or_default();
    let tool = blocks.iter().find_map(|block| block.pointer("/toolUse/input")).map(|input| Said::Json(input.clone()));
    let text: String = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    let usage = tokens(answer, "/usage/inputTokens").zip(tokens(answer, "/usage/outputTokens"));
    Ok(Turn {
        said: tool.unwrap_or(Said::Text(text)),
        usage: usage.map(|(input_tokens, output_tokens)| Usage { input_tokens, output_tokens }),
        // Converse does not say which model it was.
        model: None,
        cut: matches!(stop, "max_tokens" | "model_context_window_exceeded"),
        refused: matches!(stop, "guardrail_intervened" | "content_filtered"),
    })
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn models_are_one_segment_of_the_path() {
        assert_eq!(segment("amazon.nova-lite-v1:0"), "amazon.nova-lite-v1%3A0");
        assert_eq!(segment("arn:aws:bedrock:eu-west-1:1:x/y"), "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ax%2Fy");
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used)]
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axle_domain::Micros;
use axle_domain::mail::Secret;
use axle_domain::model::ModelConfig;
use axle_domain::prompt::{FreeTask, Task};
use rstest::rstest;
use serde_json::json;
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::ModelCredentials;
use super::*;
use crate::outbound::NetworkPolicy;

const KEY: &str = "sk-very-secret-0123456789";
const TIME: Duration = Duration::from_secs(20);
use ModelProvider::{Anthropic as AnthropicApi, Bedrock as BedrockApi, Openai as OpenaiApi};
const ALL: [ModelProvider; 3] = [OpenaiApi, AnthropicApi, BedrockApi];

fn router_with(server: &MockServer, policy: NetworkPolicy) -> ModelRouter {
    let settings = ModelSettings {
        openai_url: format!("{}/v1/", server.uri()),
        openai_key_secret: Some("openai".to_owned()),
        anthropic_url: server.uri(),
        anthropic_key_secret: Some("anthropic".to_owned()),
        bedrock_url: Some(server.uri()),
        backoff: Duration::from_millis(1),
        ..ModelSettings::default()
    };
    let access = Lazy::new(|| {
        let credentials = Credentials::new("AKID", "aws-very-secret", Some("session".to_owned()), None, "test");
        Some(BedrockAccess { credentials: SharedCredentialsProvider::new(credentials), region: "eu-west-1".to_owned() })
    });
    let secrets = Arc::new(Secrets::fixed([("openai", KEY), ("anthropic", KEY)]));
    ModelRouter::new(settings, secrets, access, Arc::new(Client::new(policy)))
}

fn router(server: &MockServer) -> ModelRouter {
    router_with(server, NetworkPolicy::WITH_LOCAL)
}

fn schema() -> Value {
    json!({"type": "object", "required": ["n"], "additionalProperties": false, "properties": {"n": {"type": "integer"}}})
}

fn request(provider: ModelProvider, output_schema: Option<Value>) -> ModelRequest {
    let model = match provider {
        OpenaiApi => "gpt-4o-mini",
        AnthropicApi => "claude-haiku-4-5",
        _ => "amazon.nova-lite-v1:0",
    };
    let config = ModelConfig { provider, model: model.to_owned(), temperature: Some(0.5), max_tokens: Some(300) };
    let task = FreeTask { prompt: "Count the letters".to_owned(), output_schema, ..FreeTask::default() };
    ModelRequest::new(config, Task::Free(task), b"0123456789abcdef")
}

const fn route(provider: ModelProvider) -> &'static str {
    match provider {
        OpenaiApi => "/v1/chat/completions",
        AnthropicApi => "/v1/messages",
        _ => "/model/amazon.nova-lite-v1%3A0/converse",
    }
}

fn asks(provider: ModelProvider) -> wiremock::MockBuilder {
    Mock::given(method("POST")).and(path(route(provider)))
}

/// An answer in a provider's documented form: a text, and its tokens.
fn says(provider: ModelProvider, text: &str, (input, output): (u64, u64)) -> ResponseTemplate {
    let body = match provider {
        OpenaiApi => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": text, "refusal": null}}],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
        }),
        AnthropicApi => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": input, "output_tokens": output},
        }),
        _ => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": input, "outputTokens": output, "totalTokens": input + output},
            "metrics": {"latencyMs": 7},
        }),
    };
    ResponseTemplate::new(200).set_body_json(body)
}

/// An answer by the tool that stands for it; OpenAI has a response format instead.
fn gives(provider: ModelProvider, value: &Value, tokens: (u64, u64)) -> ResponseTemplate {
    let (input, output) = tokens;
    let body = match provider {
        OpenaiApi => return says(provider, &value.to_string(), tokens),
        AnthropicApi => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "answer", "input": value}], "stop_reason": "tool_use",
            "usage": {"input_tokens": input, "output_tokens": output},
        }),
        _ => json!({
            "output": {"message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "answer", "input": value}}]}},
            "stopReason": "tool_use", "usage": {"inputTokens": input, "outputTokens": output, "totalTokens": input + output},
        }),
    };
    ResponseTemplate::new(200).set_body_json(body)
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[rstest]
#[tokio::test]
async fn a_text_and_what_it_cost(#[values(OpenaiApi, AnthropicApi, BedrockApi)] provider: ModelProvider) {
    let server = MockServer::start().await;
    asks(provider).respond_with(says(provider, " five \n", (1_000, 10))).expect(1).mount(&server).await;
    let request = request(provider, None);
    let answer = router(&server).complete(&request, TIME).await.unwrap();
    let cost = cost_of(PriceTable::built_in(), &request.config, Usage { input_tokens: 1_000, output_tokens: 10 });
    assert_eq!((&answer.output, answer.usage.input_tokens, answer.cost, answer.attempts), (&json!("five"), 1_000, cost, 1));
    assert!(answer.cost > Micros::ZERO && answer.cost <= request.upper_bound(PriceTable::built_in()));
    assert!(answer.model.starts_with(&request.config.model), "{}", answer.model);
}

#[tokio::test]
async fn openai_is_asked_as_documented() {
    let server = MockServer::start().await;
    let bearer = format!("Bearer {KEY}");
    asks(OpenaiApi)
        .and(header("authorization", bearer.as_str()))
        .respond_with(gives(OpenaiApi, &json!({"n": 5}), (9, 9)))
        .mount(&server)
        .await;
    let request = request(OpenaiApi, Some(schema()));
    assert_eq!(router(&server).complete(&request, TIME).await.unwrap().output, json!({"n": 5}));
    assert_eq!(
        bodies(&server).await,
        [json!({
            "model": "gpt-4o-mini", "temperature": 0.5, "max_tokens": 300,
            "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema()}},
        })]
    );
}

#[tokio::test]
async fn anthropic_is_asked_as_documented() {
    let server = MockServer::start().await;
    let asked = asks(AnthropicApi).and(header("x-api-key", KEY)).and(header("anthropic-version", "2023-06-01"));
    asked.respond_with(gives(AnthropicApi, &json!({"n": 5}), (9, 9))).mount(&server).await;
    let request = request(AnthropicApi, Some(schema()));
    assert_eq!(router(&server).complete(&request, TIME).await.unwrap().output, json!({"n": 5}));
    assert_eq!(
        bodies(&server).await,
        [json!({
            "model": "claude-haiku-4-5", "temperature": 0.5, "max_tokens": 300, "system": request.system,
            "messages": [{"role": "user", "content": request.user}],
            "tools": [{"name": "answer", "description": "Gives the answer.", "input_schema": schema()}],
            "tool_choice": {"type": "tool", "name": "answer"},
        })]
    );
}

#[tokio::test]
async fn bedrock_is_asked_as_documented_and_signed() {
    let server = MockServer::start().await;
    asks(BedrockApi).respond_with(gives(BedrockApi, &json!({"n": 5}), (9, 9))).mount(&server).await;
    let request = request(BedrockApi, Some(schema()));
    assert_eq!(router(&server).complete(&request, TIME).await.unwrap().output, json!({"n": 5}));
    let tool = json!({"name": "answer", "description": "Gives the answer.", "inputSchema": {"json": schema()}});
    assert_eq!(
        bodies(&server).await,
        [json!({
            "system": [{"text": request.system}],
            "messages": [{"role": "user", "content": [{"text": request.user}]}],
            "inferenceConfig": {"maxTokens": 300, "temperature": 0.5},
            "toolConfig": {"tools": [{"toolSpec": tool}], "toolChoice": {"tool": {"name": "answer"}}},
        })]
    );
    let sent: Request = server.received_requests().await.unwrap().remove(0);
    let signature = sent.headers["authorization"].to_str().unwrap();
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && signature.contains("/eu-west-1/bedrock/aws4_request"));
    assert!(sent.headers.contains_key("x-amz-date") && sent.headers["x-amz-security-token"] == "session");
}

#[rstest]
#[tokio::test]
async fn throttled_then_answered(
    #[values(OpenaiApi, AnthropicApi, BedrockApi)] provider: ModelProvider,
    #[values(429, 503)] status: u16,
) {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(status).insert_header("retry-after", "0");
    asks(provider).respond_with(busy).up_to_n_times(2).mount(&server).await;
    asks(provider).respond_with(says(provider, "five", (10, 1))).mount(&server).await;
    let answer = router(&server).complete(&request(provider, None), TIME).await.unwrap();
    assert_eq!((answer.attempts, answer.usage.input_tokens), (3, 10));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_taken() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(ResponseTemplate::new(429).insert_header("retry-after", "60")).expect(1).mount(&server).await;
    let error = router(&server).complete(&request(OpenaiApi, None), TIME).await.unwrap_err();
    let kind = ModelErrorKind::Throttled { provider: "OpenAI", retry_after: Some(Duration::from_secs(60)) };
    assert!(error.kind.is_transient());
    assert_eq!(error, ModelError { kind, usage: Usage::default(), cost: Micros::ZERO, attempts: 1 });
}

#[tokio::test]
async fn throttling_that_does_not_end() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(ResponseTemplate::new(529)).expect(u64::from(MAX_TRIES)).mount(&server).await;
    let error = router(&server).complete(&request(OpenaiApi, None), TIME).await.unwrap_err();
    assert_eq!((error.kind.name(), error.attempts), ("unavailable", MAX_TRIES));
}

#[tokio::test]
async fn an_answer_that_comes_too_late() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(says(OpenaiApi, "x", (1, 1)).set_delay(TIME)).expect(1).mount(&server).await;
    let error = router(&server).complete(&request(OpenaiApi, None), Duration::from_millis(500)).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Timeout { provider: "OpenAI" });
}

#[rstest]
#[tokio::test]
async fn a_wrong_answer_is_repaired_and_all_of_it_is_paid(
    #[values(OpenaiApi, AnthropicApi, BedrockApi)] provider: ModelProvider,
) {
    let server = MockServer::start().await;
    asks(provider).respond_with(says(provider, "five, I think", (100, 7))).up_to_n_times(1).mount(&server).await;
    asks(provider).respond_with(gives(provider, &json!({"n": "five"}), (200, 8))).up_to_n_times(1).mount(&server).await;
    asks(provider).respond_with(gives(provider, &json!({"n": 5}), (300, 9))).mount(&server).await;
    let request = request(provider, Some(schema()));
    let answer = router(&server).complete(&request, TIME).await.unwrap();
    let usage = Usage { input_tokens: 600, output_tokens: 24 };
    let cost = cost_of(PriceTable::built_in(), &request.config, usage);
    assert_eq!((answer.output, answer.usage, answer.cost, answer.attempts), (json!({"n": 5}), usage, cost, 3));
    let last = bodies(&server).await.pop().unwrap();
    let turns = last["messages"].as_array().unwrap();
    let said = turns.iter().filter(|turn| turn["role"] != "system").map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said.len(), 5);
    assert!(said[1].contains("five, I think") && said[2].contains("is not JSON") && said[4].contains("/n: "), "{said:?}");
}

#[tokio::test]
async fn repairs_have_an_end_and_are_paid_too() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(says(OpenaiApi, "never", (100, 7))).expect(3).mount(&server).await;
    let request = request(OpenaiApi, Some(schema()));
    let error = router(&server).complete(&request, TIME).await.unwrap_err();
    let usage = Usage { input_tokens: 300, output_tokens: 21 };
    assert_eq!(
        (error.kind.name(), error.usage, error.cost),
        ("bad_output", usage, cost_of(PriceTable::built_in(), &request.config, usage))
    );
    assert!(error.cost > Micros::ZERO);
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_shorter() {
    let server = MockServer::start().await;
    let mut body = json!({"choices": [{"finish_reason": "length", "message": {"content": "{\"n\": 55555"}}]});
    body["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 300});
    asks(OpenaiApi).respond_with(ResponseTemplate::new(200).set_body_json(body)).up_to_n_times(1).mount(&server).await;
    asks(OpenaiApi).respond_with(gives(OpenaiApi, &json!({"n": 5}), (1, 1))).mount(&server).await;
    assert!(router(&server).complete(&request(OpenaiApi, Some(schema())), TIME).await.is_ok());
    assert!(bodies(&server).await[1].to_string().contains("cut off after 300 tokens"));
}

#[rstest]
#[case::openai(OpenaiApi, json!({"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "I can't help"}}], "usage": {"prompt_tokens": 50, "completion_tokens": 3}}))]
#[case::openai_filter(OpenaiApi, json!({"choices": [{"finish_reason": "content_filter", "message": {"content": ""}}], "usage": {"prompt_tokens": 50, "completion_tokens": 3}}))]
#[case::anthropic(AnthropicApi, json!({"content": [], "stop_reason": "refusal", "usage": {"input_tokens": 50, "output_tokens": 3}}))]
#[case::bedrock(BedrockApi, json!({"output": {"message": {"content": [{"text": "Sorry."}]}}, "stopReason": "guardrail_intervened", "usage": {"inputTokens": 50, "outputTokens": 3}}))]
#[tokio::test]
async fn refusals_are_final_and_paid(#[case] provider: ModelProvider, #[case] body: Value) {
    let server = MockServer::start().await;
    asks(provider).respond_with(ResponseTemplate::new(200).set_body_json(body)).expect(1).mount(&server).await;
    let error = router(&server).complete(&request(provider, Some(schema())), TIME).await.unwrap_err();
    assert_eq!((error.kind, error.usage), (ModelErrorKind::Refused, Usage { input_tokens: 50, output_tokens: 3 }));
}

#[tokio::test]
async fn a_huge_answer_is_not_read() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(says(OpenaiApi, &"x".repeat(2 * 1024 * 1024), (1, 1))).expect(1).mount(&server).await;
    let error = router(&server).complete(&request(OpenaiApi, None), TIME).await.unwrap_err();
    assert_eq!(error.kind.name(), "bad_output");
}

#[rstest]
#[case::wrong_key(401, json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key"}}), "unconfigured")]
#[case::forbidden(403, json!({"message": "no"}), "unconfigured")]
#[case::unknown_model(404, json!({"error": {"message": "The model `x` does not exist"}}), "unconfigured")]
#[case::echoed_key(400, json!({"error": {"message": format!("bad header {KEY}")}}), "unconfigured")]
#[case::quota(429, json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}), "unconfigured")]
#[case::filtered(400, json!({"error": {"message": "flagged", "code": "content_filter"}}), "refused")]
#[case::redirect(302, json!({}), "unconfigured")]
#[case::not_json(200, json!("nonsense"), "unavailable")]
#[case::no_choices(200, json!({"choices": []}), "unavailable")]
#[tokio::test]
async fn error_answers(#[case] status: u16, #[case] body: Value, #[case] kind: &str) {
    let server = MockServer::start().await;
    for provider in ALL {
        asks(provider).respond_with(ResponseTemplate::new(status).set_body_json(&body)).expect(1).mount(&server).await;
        let error = router(&server).complete(&request(provider, None), TIME).await.unwrap_err();
        assert_eq!((error.kind.name(), error.attempts), (kind, 1), "{provider}: {error}");
        let told = format!("{error} {error:?}");
        // Bedrock has no key that it could repeat.
        assert!((provider == BedrockApi || !told.contains(KEY)) && !told.contains("aws-very-secret"), "{told}");
    }
}

#[tokio::test]
async fn endpoints_that_know_no_schemas_are_told_in_words_and_remembered() {
    let server = MockServer::start().await;
    let no =
        |what: &str| ResponseTemplate::new(400).set_body_json(json!({"error": {"message": format!("{what} is not supported")}}));
    let format = |kind: &str| body_partial_json(json!({"response_format": {"type": kind}}));
    asks(OpenaiApi).and(format("json_schema")).respond_with(no("response_format json_schema")).expect(1).mount(&server).await;
    asks(OpenaiApi).and(format("json_object")).respond_with(no("response_format json_object")).expect(1).mount(&server).await;
    asks(OpenaiApi).respond_with(says(OpenaiApi, "Sure: {\"n\": 5}", (1, 1))).expect(2).mount(&server).await;
    let (router, request) = (router(&server), request(OpenaiApi, Some(schema())));
    assert_eq!(router.complete(&request, TIME).await.unwrap().attempts, 3);
    assert_eq!(router.complete(&request, TIME).await.unwrap().attempts, 1);
    let last = bodies(&server).await.pop().unwrap();
    assert!(
        last["messages"][0]["content"].as_str().unwrap().contains(&schema().to_string()) && last.get("response_format").is_none()
    );
}

#[tokio::test]
async fn the_deployments_key_never_goes_to_a_tenants_address() {
    let server = MockServer::start().await;
    asks(OpenaiApi).respond_with(says(OpenaiApi, "x", (1, 1))).mount(&server).await;
    let own = ModelCredentials { base_url: Some(format!("{}/v1", server.uri())), api_key: None };
    let request = request(OpenaiApi, None).with_credentials(Some(own));
    router(&server).complete(&request, TIME).await.unwrap();
    assert!(!server.received_requests().await.unwrap()[0].headers.contains_key("authorization"));
    let own = ModelCredentials { base_url: None, api_key: Some(Secret::new("sk-own")) };
    router(&server).complete(&request.with_credentials(Some(own)), TIME).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap()[1].headers["authorization"], "Bearer sk-own");
}

#[tokio::test]
async fn addresses_inside_are_refused() {
    let server = MockServer::start().await;
    let router = router_with(&server, NetworkPolicy::PUBLIC_ONLY);
    for provider in ALL {
        let error = router.complete(&request(provider, None), TIME).await.unwrap_err();
        assert_eq!(error.kind.name(), "unconfigured", "{error}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn without_any_access_only_the_builtin_model_answers() {
    let router = ModelRouter::builtin_only();
    for provider in ALL {
        assert_eq!(router.complete(&request(provider, None), TIME).await.unwrap_err().kind.name(), "unconfigured");
    }
    let request = ModelRequest { config: ModelConfig::builtin(), ..request(OpenaiApi, Some(schema())) };
    let answer = router.complete(&request, TIME).await.unwrap();
    assert_eq!((answer.output, answer.cost, answer.usage), (json!({"n": 0}), Micros::ZERO, Usage::default()));
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_costs_nothing() {
    let server = MockServer::start().await;
    let remote = json!({"$ref": "https://evil.example/schema.json"});
    let error = router(&server).complete(&request(OpenaiApi, Some(remote)), TIME).await.unwrap_err();
    assert_eq!((error.kind.name(), error.cost, error.attempts), ("unconfigured", Micros::ZERO, 0));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn endpoints_that_do_not_count_are_counted_for() {
    let server = MockServer::start().await;
    let body = json!({"choices": [{"message": {"content": "123456789"}}]});
    asks(OpenaiApi).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let request = request(OpenaiApi, None);
    let answer = router(&server).complete(&request, TIME).await.unwrap();
    let input = (request.system.len() + request.user.len()).div_ceil(3) as u64;
    assert_eq!(answer.usage, Usage { input_tokens: input, output_tokens: 3 });
}

#[test]
fn nothing_that_is_printed_shows_a_key() {
    let own = ModelCredentials { base_url: None, api_key: Some(Secret::new(KEY)) };
    let request = request(OpenaiApi, None).with_credentials(Some(own));
    assert!(!format!("{request:?}").contains(KEY));
}

//! Which model answers, and how: an agent's `llm_config`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::{Faults, Input};

/// The one model of [`ModelProvider::Builtin`].
pub const BUILTIN_MODEL: &str = "builtin-1";
/// Longest name of a model, in characters; ARNs of inference profiles are the longest.
pub const MAX_MODEL_NAME: usize = 200;
/// Most tokens that an answer may be allowed.
pub const MAX_OUTPUT_TOKENS: u32 = 32_000;
/// Tokens that an answer is allowed when nothing is said.
pub const DEFAULT_OUTPUT_TOKENS: u32 = 2_048;

/// Who runs the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelProvider {
    /// Rules and templates of this deployment: deterministic, free of charge, no network.
    #[default]
    Builtin,
    /// Amazon Bedrock, by the Converse operation.
    Bedrock,
    /// OpenAI, or any endpoint that speaks its chat completions.
    Openai,
    /// Anthropic's Messages.
    Anthropic,
}

crate::text::text_enum!(ModelProvider, Builtin = "builtin", Bedrock = "bedrock", Openai = "openai", Anthropic = "anthropic");

/// Which model answers, as users write it. Without anything: the built-in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// `builtin` unless said.
    #[schema(value_type = ModelProvider)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ModelProvider>,
    /// The provider's name of the model; every provider but `builtin` needs one.
    #[schema(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", example = "builtin-1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// From 0 (the likeliest words) to 2, for `bedrock` and `anthropic` to 1; kept to three decimal places. The provider's own
    /// default unless said.
    #[schema(minimum = 0, maximum = 2, example = 0.3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of an answer; 2,048 unless said.
    #[schema(minimum = 1, maximum = 32000, example = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl LlmConfig {
    /// The configuration, or every fault of it, with pointers relative to `llm_config`.
    pub fn parse(&self, faults: &mut Faults) -> Option<ModelConfig> {
        let before = faults.iter().count();
        let provider = self.provider.unwrap_or_default();
        let model = match (provider, self.model.as_deref()) {
            (ModelProvider::Builtin, None | Some(BUILTIN_MODEL)) => BUILTIN_MODEL,
            (ModelProvider::Builtin, Some(_)) => {
                faults.add("/model", format!("must be {BUILTIN_MODEL} or absent: the provider builtin has no other"));
                ""
            }
            (_, None) => {
                faults.add("/model", format!("is required for the provider {provider}"));
                ""
            }
            (_, Some(name)) => {
                if name.chars().count() > MAX_MODEL_NAME || !is_model_name(name) {
                    faults.add("/model", "must be the name of a model: letters, digits and . _ : / @ + -, 200 at most");
                }
                name
            }
        };
        let hottest = match provider {
            ModelProvider::Bedrock | ModelProvider::Anthropic => 1.0,
            ModelProvider::Builtin | ModelProvider::Openai => 2.0,
        };
        if self.temperature.is_some_and(|t| !(0.0..=hottest).contains(&t)) {
            faults.add("/temperature", format!("must be from 0 to {hottest} for the provider {provider}"));
        }
        if self.max_tokens.is_some_and(|tokens| !(1..=MAX_OUTPUT_TOKENS).contains(&tokens)) {
            faults.add("/max_tokens", format!("must be from 1 to {MAX_OUTPUT_TOKENS}"));
        }
        (faults.iter().count() == before).then(|| ModelConfig {
            provider,
            model: model.to_owned(),
            temperature: self.temperature.map(|t| (t * 1_000.0).round() / 1_000.0),
            max_tokens: self.max_tokens,
        })
    }
}

impl Input for LlmConfig {
    fn note_faults(&self, faults: &mut Faults) {
        self.parse(faults);
    }
}

fn is_model_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@+-".contains(&b))
}

/// A checked configuration, as it is kept and as answers show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelConfig {
    pub provider: ModelProvider,
    #[schema(example = "builtin-1")]
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl ModelConfig {
    /// The built-in model.
    pub fn builtin() -> Self {
        Self { provider: ModelProvider::Builtin, model: BUILTIN_MODEL.to_owned(), temperature: None, max_tokens: None }
    }

    /// Most tokens of one answer.
    pub fn output_tokens(&self) -> u32 {
        self.max_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS)
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self::builtin()
    }
}

impl From<ModelConfig> for LlmConfig {
    fn from(config: ModelConfig) -> Self {
        let ModelConfig { provider, model, temperature, max_tokens } = config;
        Self { provider: Some(provider), model: Some(model), temperature, max_tokens }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parse(body: serde_json::Value) -> Result<ModelConfig, Vec<String>> {
        let mut faults = Faults::new();
        let config = serde_json::from_value::<LlmConfig>(body).unwrap().parse(&mut faults);
        match faults.check() {
            Ok(()) => Ok(config.unwrap()),
            Err(found) => {
                assert_eq!(config, None);
                Err(found.into_iter().map(|fault| fault.pointer).collect())
            }
        }
    }

    #[test]
    fn nothing_said_is_the_builtin_model() {
        assert_eq!(parse(json!({})).unwrap(), ModelConfig::builtin());
        assert_eq!(parse(json!({"provider": "builtin", "model": "builtin-1"})).unwrap(), ModelConfig::builtin());
        assert_eq!(ModelConfig::default().output_tokens(), DEFAULT_OUTPUT_TOKENS);
    }

    #[rstest]
    #[case::openai(json!({"provider": "openai", "model": "meta-llama/Llama-3.1-8B-Instruct", "temperature": 2}))]
    #[case::ollama(json!({"provider": "openai", "model": "qwen2.5:7b", "max_tokens": 1}))]
    #[case::bedrock(json!({"provider": "bedrock", "model": "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"}))]
    #[case::anthropic(json!({"provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 1, "max_tokens": 32000}))]
    fn good(#[case] body: serde_json::Value) {
        let config = parse(body).unwrap();
        assert_eq!(parse(serde_json::to_value(LlmConfig::from(config.clone())).unwrap()).unwrap(), config);
    }

    #[rstest]
    #[case::no_model(json!({"provider": "openai"}), &["/model"])]
    #[case::other_builtin(json!({"model": "gpt-4o"}), &["/model"])]
    #[case::bad_name(json!({"provider": "openai", "model": "a b"}), &["/model"])]
    #[case::path_name(json!({"provider": "bedrock", "model": "../x"}), &["/model"])]
    #[case::long_name(json!({"provider": "openai", "model": "a".repeat(201)}), &["/model"])]
    #[case::all_at_once(
        json!({"provider": "anthropic", "model": "", "temperature": 1.5, "max_tokens": 0}),
        &["/model", "/temperature", "/max_tokens"]
    )]
    #[case::cold(json!({"temperature": -0.1}), &["/temperature"])]
    #[case::long(json!({"max_tokens": 32001}), &["/max_tokens"])]
    fn faults(#[case] body: serde_json::Value, #[case] pointers: &[&str]) {
        assert_eq!(parse(body).unwrap_err(), pointers);
    }

    #[test]
    fn a_temperature_has_three_places() {
        assert_eq!(parse(json!({"temperature": 1e-200})).unwrap().temperature, Some(0.0));
        assert_eq!(parse(json!({"temperature": 0.12345})).unwrap().temperature, Some(0.123));
    }
}

#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn config(provider: ModelProvider, model: &str) -> ModelConfig {
    ModelConfig { provider, model: model.to_owned(), temperature: None, max_tokens: None }
}

use ModelProvider::{Anthropic, Bedrock, Builtin, Openai};

#[test]
fn the_file_can_be_read_and_its_fallbacks_are_the_dearest() {
    let table = PriceTable::parse(BUILT_IN).unwrap();
    assert!(table.as_of() >= "2026-01-01".parse().unwrap());
    for (name, provider) in &table.providers {
        for (model, price) in &provider.models {
            assert!(price.input <= provider.fallback.input && price.output <= provider.fallback.output, "{name} {model}");
            assert!(price.input <= price.output, "{name} {model}");
        }
    }
}

#[rstest]
#[case::exact(Openai, "gpt-4o-mini", 150_000)]
#[case::dated(Openai, "gpt-4o-mini-2024-07-18", 150_000)]
#[case::longest(Openai, "gpt-4o-2024-05-13", 5_000_000)]
#[case::latest(Anthropic, "claude-3-5-haiku-latest", 800_000)]
#[case::later_version(Anthropic, "claude-sonnet-4-20250514", 3_000_000)]
#[case::vertex(Anthropic, "claude-haiku-4-5@20251001", 1_000_000)]
#[case::bedrock(Bedrock, "amazon.nova-lite-v1:0", 60_000)]
#[case::region(Bedrock, "eu.anthropic.claude-haiku-4-5-20251001-v1:0", 1_000_000)]
#[case::arn(Bedrock, "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", 800_000)]
#[case::free(Builtin, "builtin-1", 0)]
fn listed(#[case] provider: ModelProvider, #[case] model: &str, #[case] input: u64) {
    let (price, basis) = PriceTable::built_in().price(&config(provider, model));
    assert_eq!((price.input, basis), (input, PriceBasis::Listed));
}

#[rstest]
#[case::self_hosted(Openai, "qwen2.5:7b")]
#[case::sibling(Openai, "o1-pro")]
#[case::longer_word(Openai, "gpt-4omni")]
#[case::later_family(Openai, "gpt-5.9")]
#[case::other_provider(Anthropic, "gpt-4o")]
#[case::application_profile(Bedrock, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123")]
fn not_listed(#[case] provider: ModelProvider, #[case] model: &str) {
    let table = PriceTable::built_in();
    let fallback = table.providers[&provider].fallback;
    assert_eq!(table.price(&config(provider, model)), (fallback, PriceBasis::Fallback));
}

#[rstest]
#[case::not_json("{")]
#[case::other_currency(&BUILT_IN.replace("\"USD\"", "\"EUR\""))]
#[case::unknown_provider(&BUILT_IN.replace("\"openai\": {", "\"gemini\": {"))]
#[case::negative(&BUILT_IN.replace("\"input\": 150000,", "\"input\": -1,"))]
#[case::misspelt(&BUILT_IN.replace("\"fallback\"", "\"fall_back\""))]
fn tables_that_cannot_be_used(#[case] json: &str) {
    assert!(PriceTable::parse(json).is_err());
}

#[rstest]
#[case::exact(1_000_000, 1_000_000, 150_000 + 600_000)]
#[case::rounded_up_once(1, 1, 1)]
#[case::small(1_000, 100, 150 + 60)]
#[case::fraction(7, 0, 2)]
#[case::none(0, 0, 0)]
#[case::absurd(u64::MAX, u64::MAX, i64::MAX)]
fn costs(#[case] input_tokens: u64, #[case] output_tokens: u64, #[case] micros: i64) {
    let config = config(Openai, "gpt-4o-mini");
    assert_eq!(cost_of(PriceTable::built_in(), &config, Usage { input_tokens, output_tokens }), Micros(micros));
}

proptest! {
    // What the calls of one request can use at most: each token at least a byte, each answer within its limit.
    #[test]
    fn a_call_never_costs_more_than_its_bound(
        bytes in 0u64..2_000_000,
        max_tokens in 1u32..32_000,
        spent in proptest::collection::vec((0.0f64..=1.0, 0.0f64..=1.0), 1..=3),
        has_schema: bool,
    ) {
        let config = ModelConfig { max_tokens: Some(max_tokens), ..config(Anthropic, "claude-haiku-4-5") };
        let table = PriceTable::built_in();
        let bound = table.upper_bound(&config, PromptSize { bytes, has_schema });
        let mut usage = Usage::default();
        let calls = if has_schema { spent.len() } else { 1 };
        for (n, (input, output)) in spent.into_iter().take(calls).enumerate() {
            let grown = if n == 0 { 0 } else { u64::from(max_tokens) + 2_000 };
            usage += Usage {
                input_tokens: ((bytes + grown) as f64 * input) as u64,
                output_tokens: (f64::from(max_tokens) * output) as u64,
            };
        }
        prop_assert!(cost_of(table, &config, usage) <= bound);
    }
}

#[test]
fn the_builtin_model_reserves_nothing() {
    let size = PromptSize { bytes: 1_000_000, has_schema: true };
    assert_eq!(PriceTable::built_in().upper_bound(&ModelConfig::builtin(), size), Micros::ZERO);
}

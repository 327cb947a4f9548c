//! What tokens cost: a table that is data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{ModelConfig, ModelProvider, Usage};
use crate::{Date, Micros, Time};

/// How often a model is told what is wrong with its answer and asked again, at most.
pub const MAX_REPAIRS: u32 = 2;
/// Tokens that providers add to a prompt on their own: the framing of messages, and of tools for structured answers.
const FRAMING_TOKENS: u64 = 1_500;
/// Most bytes of faults that a repair shows to the model.
pub const MAX_REPAIR_BYTES: usize = 4_000;
/// No token stands for more of an answer than this many bytes; the long ones are runs of blanks.
const BYTES_PER_TOKEN: usize = 16;

static BUILT_IN: &str = include_str!("../../data/model-prices.json");

/// Prices in micro-units (of US dollars) per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub output: u64,
}

/// How a price was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceBasis {
    /// The table lists the model, or the name of which it is a version.
    Listed,
    /// It does not: the provider's fallback, dearer than most, so that budgets err on the safe side.
    Fallback,
}

/// The table as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// When the prices were looked up.
    as_of: Date,
    currency: String,
    /// What the numbers mean and how names are matched.
    #[serde(rename = "notes")]
    _notes: Vec<String>,
    providers: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    #[serde(rename = "source")]
    _source: String,
    fallback: Price,
    models: BTreeMap<String, Price>,
}

/// Why a price table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price table cannot be used: {0}")]
pub struct PriceFault(String);

/// What each provider's models cost.
///
/// A model is looked up by its whole name, then by the longest listed name that it continues with a version or
/// date (`gpt-4o-mini-2024-07-18` is a `gpt-4o-mini`); in front of Bedrock's names the region of an inference profile and the ARN do not
/// count. A model that is not found costs what its provider's `fallback` says. The built-in model is free.
#[derive(Clone, Debug)]
pub struct PriceTable {
    as_of: Date,
    providers: BTreeMap<ModelProvider, Provider>,
}

impl PriceTable {
    /// The table that ships with Axle.
    pub fn built_in() -> &'static Self {
        static TABLE: LazyLock<PriceTable> = LazyLock::new(|| {
            // The file is part of the program; a test reads it.
            PriceTable::parse(BUILT_IN)
                .unwrap_or(PriceTable { as_of: Date::of(Time::from_millis(0)), providers: BTreeMap::new() })
        });
        &TABLE
    }

    /// Reads a table in the form of `data/model-prices.json`.
    pub fn parse(json: &str) -> Result<Self, PriceFault> {
        let Listing { as_of, currency, _notes: _, providers } =
            serde_json::from_str(json).map_err(|error| PriceFault(error.to_string()))?;
        if currency != "USD" {
            return Err(PriceFault("the currency must be USD".to_owned()));
        }
        let named = providers.into_iter().map(|(name, provider)| Ok((name.parse()?, provider)));
        let providers: BTreeMap<ModelProvider, Provider> = named.collect::<Result<_, String>>().map_err(PriceFault)?;
        match [ModelProvider::Bedrock, ModelProvider::Openai, ModelProvider::Anthropic]
            .iter()
            .find(|p| !providers.contains_key(p))
        {
            Some(missing) => Err(PriceFault(format!("the provider {missing} is missing"))),
            None => Ok(Self { as_of, providers }),
        }
    }

    /// The day on which the prices were looked up.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// What the model costs, and whether that is known.
    pub fn price(&self, config: &ModelConfig) -> (Price, PriceBasis) {
        if config.provider == ModelProvider::Builtin {
            return (Price { input: 0, output: 0 }, PriceBasis::Listed);
        }
        let Some(provider) = self.providers.get(&config.provider) else {
            // Only a table that is broken lacks one; nothing may then seem free.
            return (Price { input: 100_000_000, output: 500_000_000 }, PriceBasis::Fallback);
        };
        let name = plain_name(config);
        let continues = |listed: &&String| name.strip_prefix(listed.as_str()).is_some_and(is_version);
        let family = provider.models.keys().filter(continues).max_by_key(|listed| listed.len());
        match family.and_then(|listed| provider.models.get(listed)) {
            Some(price) => (*price, PriceBasis::Listed),
            None => (provider.fallback, PriceBasis::Fallback),
        }
    }

    /// The most that one call can cost, with all its repairs: for reserving budget before it. A token is never less than a byte of
    /// text, so bytes bound tokens whatever the tokenizer.
    pub fn upper_bound(&self, config: &ModelConfig, prompt: PromptSize) -> Micros {
        let answer = u64::from(config.output_tokens());
        let repairs = if prompt.has_schema { u64::from(MAX_REPAIRS) } else { 0 };
        let first = prompt.bytes.saturating_add(FRAMING_TOKENS);
        // Each repair sends the prompt again, the last answer and what is wrong with it.
        let again = first.saturating_add(answer.saturating_mul(BYTES_PER_TOKEN as u64)).saturating_add(MAX_REPAIR_BYTES as u64);
        let usage = Usage {
            input_tokens: first.saturating_add(again.saturating_mul(repairs)),
            output_tokens: answer.saturating_mul(1 + repairs),
        };
        cost_of(self, config, usage)
    }
}

/// How large a prompt is, for [`PriceTable::upper_bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptSize {
    /// Of both texts and the schema.
    pub bytes: u64,
    /// Whether the answer is checked, and so perhaps repaired.
    pub has_schema: bool,
}

/// As much of an answer of so many tokens as a repair shows to the model again, in bytes.
pub fn most_bytes(tokens: u32) -> usize {
    tokens as usize * BYTES_PER_TOKEN
}

/// What usage costs, rounded up to a whole micro-unit once.
pub fn cost_of(prices: &PriceTable, config: &ModelConfig, usage: Usage) -> Micros {
    let (price, _) = prices.price(config);
    let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
    let total = part(usage.input_tokens, price.input) + part(usage.output_tokens, price.output);
    Micros(i64::try_from(total.div_ceil(1_000_000)).unwrap_or(i64::MAX))
}

/// Whether what follows a listed name only says which version of it is meant; `-pro` and `-mini` are other models.
fn is_version(rest: &str) -> bool {
    let Some(version) = rest.strip_prefix(['-', ':', '@']) else { return rest.is_empty() };
    let number = version.strip_prefix('v').unwrap_or(version);
    number.starts_with(|c: char| c.is_ascii_digit()) || version == "latest"
}

/// The name without what does not change the price.
fn plain_name(config: &ModelConfig) -> &str {
    if config.provider != ModelProvider::Bedrock {
        return &config.model;
    }
    let name = if config.model.starts_with("arn:") { config.model.rsplit('/').next().unwrap_or_default() } else { &config.model };
    let regions = ["us-gov.", "us.", "eu.", "apac.", "jp.", "au.", "ca.", "global."];
    regions.iter().find_map(|region| name.strip_prefix(region)).unwrap_or(name)
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;

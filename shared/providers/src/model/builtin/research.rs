//! Answers from given facts alone: those that share the question's words, or speak of what it asks for.

use std::collections::BTreeSet;

use axle_domain::prompt::{MAX_FACTS, MAX_QUESTIONS, ResearchTask};
use axle_domain::text::fold;
use serde_json::{Value, json};

use super::{cut, plain};

/// Most facts that one answer rests on.
const MAX_USED: usize = 3;
const MAX_ANSWER: usize = 600;

/// Words that say nothing of what is asked.
const STOP: &[&str] = &[
    "a",
    "about",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "by",
    "can",
    "company",
    "could",
    "did",
    "do",
    "does",
    "for",
    "from",
    "had",
    "has",
    "have",
    "how",
    "in",
    "is",
    "it",
    "its",
    "of",
    "on",
    "or",
    "our",
    "person",
    "tell",
    "that",
    "the",
    "their",
    "them",
    "there",
    "they",
    "this",
    "to",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "currently",
    "now",
    "recent",
    "recently",
    "lead",
    "much",
    "many",
    "kind",
    "use",
    "uses",
    "using",
];

/// Words that ask for the same.
const TOPICS: &[&[&str]] = &[
    &["hiring", "hire", "jobs", "job", "careers", "vacancies", "openings", "recruiting", "roles", "headcount"],
    &["funding", "funded", "raised", "raise", "investment", "investors", "round", "series", "seed", "capital"],
    &["technology", "technologies", "tech", "stack", "software", "tools", "platform", "infrastructure", "built"],
    &["size", "employees", "headcount", "people", "staff", "large", "big"],
    &["industry", "sector", "market", "vertical"],
    &["location", "located", "based", "headquarters", "office", "offices", "country", "city"],
    &["product", "products", "offers", "offer", "sells", "sell", "services", "service", "provides"],
    &["customers", "customer", "clients", "client", "audience"],
    &["title", "role", "position", "responsible", "seniority"],
    &["news", "announced", "announcement", "launched", "launch", "acquired", "acquisition"],
];

pub(super) fn answer(task: &ResearchTask) -> Value {
    // What the person's own fields say is known too, but is no numbered fact.
    let fields: Vec<String> = task.person.fields().map(|(name, value)| format!("{name}: {value}")).collect();
    let facts: Vec<&str> = task.facts.iter().take(MAX_FACTS).map(|fact| fact.text.as_str()).collect();
    let answers: Vec<Value> = task
        .questions
        .iter()
        .take(MAX_QUESTIONS)
        .enumerate()
        .map(|(n, question)| {
            let asked = meaning(question);
            let mut fitting: Vec<(usize, usize)> =
                facts.iter().enumerate().map(|(at, fact)| (shared(&asked, fact), at)).filter(|(score, _)| *score > 0).collect();
            fitting.sort_by_key(|(score, at)| (usize::MAX - score, *at));
            let best = fitting.first().map_or(0, |(score, _)| *score);
            // Facts that fit far worse than the best are about something else.
            let mut used: Vec<usize> =
                fitting.iter().filter(|(score, _)| score * 2 >= best).take(MAX_USED).map(|(_, at)| *at).collect();
            used.sort_unstable();
            let mut parts: Vec<String> = used.iter().filter_map(|at| facts.get(*at)).map(|fact| sentence(fact)).collect();
            if parts.is_empty() {
                parts = fields.iter().filter(|field| shared(&asked, field) > 0).map(|field| sentence(field)).collect();
            }
            let answer = cut(parts.join(" ").trim(), MAX_ANSWER);
            json!({"question": n, "known": !answer.is_empty(), "answer": answer, "facts": if answer.is_empty() { vec![] } else { used }})
        })
        .collect();
    json!({"answers": answers})
}

fn sentence(text: &str) -> String {
    let text = plain(text);
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

/// The words that matter, without their endings, and what else asks for the same.
fn meaning(question: &str) -> BTreeSet<String> {
    let mut words = stems(question);
    for topic in TOPICS {
        let topic: Vec<String> = topic.iter().map(|word| stem(word)).collect();
        if topic.iter().any(|word| words.contains(word)) {
            words.extend(topic);
        }
    }
    words
}

fn shared(asked: &BTreeSet<String>, text: &str) -> usize {
    stems(text).intersection(asked).count()
}

fn stems(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1 && !STOP.contains(word));
    words.map(stem).collect()
}

/// Without the endings of plurals and tenses.
fn stem(word: &str) -> String {
    for ending in ["ies", "ing", "ers", "es", "ed", "er", "s", "y"] {
        if let Some(root) = word.strip_suffix(ending).filter(|root| root.chars().count() >= 4) {
            return root.to_owned();
        }
    }
    word.to_owned()
}

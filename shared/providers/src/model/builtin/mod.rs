//! The built-in model: rules and templates. The same task always has the same answer, nothing leaves the function, and nothing is
//! charged.
//!
//! It reads the task's typed inputs and no prose, so no text can talk it into anything.

mod draft;
mod free;
mod research;

use axle_domain::prompt::Task;
use axle_domain::reply::classify;
use serde_json::{Value, json};

/// The answer to a task, in the form that its schema asks for.
pub(super) fn answer(task: &Task) -> Value {
    match task {
        Task::Research(task) => research::answer(task),
        Task::Draft(task) => draft::answer(task),
        Task::Free(task) => free::answer(task),
        Task::ClassifyReply(task) => {
            let found = classify(&task.subject, &task.text);
            json!({"class": found.class, "confidence": found.confidence, "evidence": found.evidence})
        }
    }
}

/// At most so many characters, ending at a word.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let head: String = text.chars().take(max.saturating_sub(1)).collect();
    let end = head.rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(head.len());
    format!("{}…", head[..end].trim_end())
}

/// One line of text by strangers, without what could be taken for a link, an address or markup.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| {
        let lower = word.to_lowercase();
        !(lower.contains("://") || lower.contains("www.") || lower.contains('@') || lower.contains(['<', '>', '{', '}']))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;

//! The texts that are sent to a model.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value as Var};
use serde_json::Value;

use super::fence::Fence;
use super::person::{Fact, Person};
use super::task::{MAX_FACTS, MAX_QUESTIONS, MAX_TEXT_BYTES, Task};
use crate::model::PromptSize;

/// What a model is asked, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Rules, from the template alone.
    pub system: String,
    /// The task: the tenant's instructions, and data within the fence.
    pub user: String,
    /// What the answer has to look like; `None`: any text.
    pub output_schema: Option<Value>,
}

impl Prompt {
    /// Its size, for reserving budget.
    pub fn size(&self) -> PromptSize {
        let schema = self.output_schema.as_ref().map(|schema| schema.to_string().len()).unwrap_or_default();
        PromptSize { bytes: (self.system.len() + self.user.len() + schema) as u64, has_schema: self.output_schema.is_some() }
    }
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());
    let files = [
        ("system.txt", include_str!("../../data/prompts/system.txt")),
        ("research.txt", include_str!("../../data/prompts/research.txt")),
        ("draft_message.txt", include_str!("../../data/prompts/draft_message.txt")),
        ("model.txt", include_str!("../../data/prompts/model.txt")),
        ("classify_reply.txt", include_str!("../../data/prompts/classify_reply.txt")),
    ];
    for (name, source) in files {
        // A test renders every one of them.
        let _ = env.add_template(name, source);
    }
    env
});

/// The prompt for a task. `key` makes the fence unforgeable; see [`Fence::new`].
pub fn prompt(task: &Task, key: &[u8]) -> Prompt {
    let data = Data::of(task);
    let fence = Fence::new(key, data.texts());
    let system = render("system.txt", Var::from_pairs([("task", Var::from(task.name())), ("fence", Var::from(fence.name()))]));
    let user = match task {
        Task::Research(task) => {
            let questions: Vec<String> = task.questions.iter().take(MAX_QUESTIONS).map(|q| q.trim().to_owned()).collect();
            let context = [("questions", Var::from(questions)), ("data", Var::from(data.fenced(&fence)))];
            render("research.txt", Var::from_pairs(context))
        }
        Task::Draft(task) => {
            let text = |text: &Option<String>| Var::from(text.as_deref().map(str::trim).unwrap_or_default());
            let context = [
                ("channel", Var::from(channel_name(task.channel))),
                ("instructions", text(&task.instructions)),
                ("value_proposition", text(&task.value_proposition)),
                ("tone", text(&task.tone)),
                ("language", text(&task.language)),
                ("sender_name", text(&task.sender.name)),
                ("sender_company", text(&task.sender.company)),
                ("follows_up", Var::from(task.previous.is_some())),
                ("data", Var::from(data.fenced(&fence))),
            ];
            render("draft_message.txt", Var::from_pairs(context))
        }
        Task::Free(task) => {
            let context = [("prompt", Var::from(task.prompt.trim())), ("data", Var::from(data.fenced(&fence)))];
            render("model.txt", Var::from_pairs(context))
        }
        Task::ClassifyReply(_) => render("classify_reply.txt", Var::from_pairs([("data", Var::from(data.fenced(&fence)))])),
    };
    Prompt { system, user, output_schema: task.output_schema() }
}

fn channel_name(channel: crate::campaign::Channel) -> &'static str {
    use crate::campaign::Channel;
    match channel {
        Channel::Email => "e-mail",
        Channel::Sms => "text message",
        Channel::Linkedin => "LinkedIn message",
        Channel::Webhook => "message",
    }
}

fn render(name: &str, context: Var) -> String {
    let rendered = TEMPLATES.get_template(name).and_then(|template| template.render(context));
    // Templates are part of the program, and tests render them with and without every value.
    rendered.unwrap_or_default().trim().to_owned()
}

/// What strangers wrote, by kind.
struct Data(Vec<(&'static str, String)>);

impl Data {
    fn of(task: &Task) -> Self {
        let mut data = Self(Vec::new());
        match task {
            Task::Research(task) => {
                data.person(&task.person);
                data.facts(&task.facts);
            }
            Task::Draft(task) => {
                data.person(&task.person);
                data.facts(&task.facts);
                data.text("previous message", task.previous.as_deref().unwrap_or_default());
            }
            Task::Free(task) => {
                if let Some(person) = &task.person {
                    data.person(person);
                }
                data.facts(&task.facts);
                for text in &task.texts {
                    data.text("text", &format!("{}:\n{}", text.name.trim(), text.text));
                }
            }
            Task::ClassifyReply(task) => {
                data.text("reply subject", &task.subject);
                data.text("reply", &task.text);
            }
        }
        data
    }

    fn text(&mut self, label: &'static str, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.0.push((label, text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()));
        }
    }

    fn person(&mut self, person: &Person) {
        let lines: Vec<String> = person.fields().map(|(name, value)| format!("{name}: {value}")).collect();
        self.text("person", &lines.join("\n"));
    }

    /// Numbered, so that an answer can say which of them it rests on.
    fn facts(&mut self, facts: &[Fact]) {
        let line = |(n, fact): (usize, &Fact)| match &fact.source {
            Some(source) => format!("[{n}] {} (source: {source})", fact.text.trim()),
            None => format!("[{n}] {}", fact.text.trim()),
        };
        let lines: Vec<String> = facts.iter().take(MAX_FACTS).enumerate().map(line).collect();
        self.text("facts", &lines.join("\n"));
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, text)| text.as_str())
    }

    fn fenced(&self, fence: &Fence) -> String {
        let parts: Vec<String> = self.0.iter().map(|(label, text)| fence.wrap(label, text)).collect();
        parts.join("\n\n")
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;

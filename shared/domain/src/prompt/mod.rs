//! What models are asked: tasks with typed inputs, and the texts made from them.
//!
//! Instructions come from templates and from the tenant alone. Whatever strangers wrote (fields of leads, web pages, e-mails)
//! enters only as data inside a [`Fence`], and what comes back is checked against a schema that has no place for an action or an
//! address: a text can talk a model into a bad answer, but not into doing something or writing to somebody else.

mod fence;
mod person;
mod render;
mod task;

pub use fence::Fence;
pub use person::{Fact, Person, SenderProfile};
pub use render::{Prompt, prompt};
pub use task::{
    DataText, DraftTask, FreeTask, MAX_ANSWER, MAX_ANSWER_BYTES, MAX_BODY, MAX_FACTS, MAX_QUESTIONS, MAX_SUBJECT, MAX_TEXT_BYTES,
    ReplyTask, ResearchTask, Task,
};

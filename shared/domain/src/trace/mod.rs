//! Traces: what happened to a lead or a message, step by step, across functions.
//!
//! A trace is the set of its spans. Its status and duration follow from them, so nothing has to be kept in step.

mod derived;
mod span;

pub use derived::{Summary, order, summarise};
pub use span::{Attributes, MAX_ATTRIBUTES, Span, SpanId, SpanStatus, attribute, name};

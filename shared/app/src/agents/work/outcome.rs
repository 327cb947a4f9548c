//! What doing an action came to, before it is written down.

use axle_domain::Micros;
use axle_domain::cost::CostCategory;
use axle_domain::crm::task::{Chore, Related};
use axle_domain::event::Event;
use axle_store::Tx;
use axle_store::leads::LeadRecord;
use serde_json::{Map, Value};

use crate::communications::Prepared;
use crate::context::{App, Ctx};
use crate::crm::tasks;

/// What an action cost, and what it is found by in a trace.
#[derive(Clone, Debug, Default)]
pub(in crate::agents) struct Spent {
    pub(in crate::agents) cost: Micros,
    /// None for what whoever was asked has written down already.
    pub(in crate::agents) category: Option<CostCategory>,
    /// Who was paid for what.
    pub(in crate::agents) item: String,
    pub(in crate::agents) input_tokens: u64,
    pub(in crate::agents) output_tokens: u64,
    pub(in crate::agents) model: Option<String>,
    /// OpenTelemetry attributes of the span.
    pub(in crate::agents) attributes: Map<String, Value>,
}

/// What an action changes in the table. It is written with the action's result, so it happens once and with it.
#[derive(Debug)]
pub(in crate::agents) enum Effect {
    Message(Box<Prepared>),
    Task(Box<Chore>, Option<Related>),
    Event(Box<Event>),
    Lead { new: Box<LeadRecord>, version: u64 },
}

impl Effect {
    /// Puts the change into the transaction; answers what it adds to the action's result.
    pub(in crate::agents) fn put(&self, app: &App, ctx: &Ctx, tx: &mut Tx<'_>) -> Option<(&'static str, Value)> {
        match self {
            Self::Message(message) => {
                message.put(tx);
                None
            }
            Self::Task(chore, related) => {
                let task = tasks::add(app, ctx, tx, (**chore).clone(), ctx.user_id, related.clone());
                Some(("task_id", task.id.to_string().into()))
            }
            Self::Event(event) => {
                tx.emit(event, app.config().event_retention_days);
                None
            }
            Self::Lead { new, version } => {
                tx.replace("lead", &**new, *version);
                None
            }
        }
    }
}

/// What an action came to.
#[derive(Debug)]
pub(in crate::agents) enum Outcome {
    Done {
        result: Value,
        effect: Option<Effect>,
        spent: Spent,
    },
    /// It could not be done for this person, and need not be.
    Skipped {
        reason: String,
    },
    /// It went wrong. `passing`: it may go well another time.
    Failed {
        error: String,
        passing: bool,
        spent: Spent,
    },
}

impl Outcome {
    pub(in crate::agents) fn done(result: Value) -> Self {
        Self::Done { result, effect: None, spent: Spent::default() }
    }

    pub(in crate::agents) fn with(result: Value, effect: Effect) -> Self {
        Self::Done { result, effect: Some(effect), spent: Spent::default() }
    }

    pub(in crate::agents) fn failed(error: impl Into<String>) -> Self {
        Self::Failed { error: error.into(), passing: false, spent: Spent::default() }
    }

    pub(in crate::agents) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped { reason: reason.into() }
    }
}

//! Costs, traces and service levels, on an embedded table with a clock that the tests move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod lost_answers;
mod slos;
#[path = "../communications/stage.rs"]
#[allow(dead_code)]
mod stage;
mod traces;

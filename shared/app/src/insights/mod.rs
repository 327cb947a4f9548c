//! What it costs and why: costs, traces and service levels.

pub mod economics;
pub mod slos;
mod steps;
pub mod traces;

//! Webhooks from end to end: events through the relay, the dispatcher and the deliverer to local receivers, on an embedded table
//! with a clock that the tests move.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod capacity;
mod endpoints;
mod network;
mod replay;
mod stage;
mod sweep;
mod trouble;

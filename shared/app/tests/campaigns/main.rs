//! Campaigns from launch to end on an embedded table: leads let in, messages sent by a provider that only remembers, with a clock that
//! the tests move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod crm;
mod launching;
mod numbers;
mod paid;
mod races;
mod sequence;
mod stage;
mod targeting;
mod windows;

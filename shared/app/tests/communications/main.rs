//! Messages from end to end: queued, relayed, claimed, handed to a provider that only remembers, on an embedded table with a clock that
//! the tests move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod feedback;
mod health;
mod inbound;
mod leads;
mod limits;
mod links;
mod meetings;
mod posts;
mod races;
mod sending;
mod stage;

//! The process half of the CRM on an embedded table: deals on their way, what follows from it, and the dashboard's numbers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dashboard;
mod erasure;
mod lists;
mod moves;
mod office;
mod races;
mod reminders;
mod search;
mod workload;

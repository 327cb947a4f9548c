//! The HTTP surface, router by router, on an embedded table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod budgets;
mod campaigns;
mod coverage;
mod events;
mod idempotency;
mod keys;
mod leads;
mod limits;
mod openapi;
mod samples;
mod support;

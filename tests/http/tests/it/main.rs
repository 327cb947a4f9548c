//! The HTTP surface, router by router, on an embedded table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod budgets;
mod campaigns;
mod communications;
mod coverage;
mod crm_companies;
mod crm_contacts;
mod crm_erase;
mod crm_merge;
mod crm_outbound;
mod crm_process;
mod crm_settings;
mod enrichment;
mod events;
mod idempotency;
mod inbound;
mod keys;
mod leads;
mod limits;
mod meetings;
mod openapi;
mod public;
mod samples;
mod scoring;
mod support;

//! The CRM's records. Their listings are numbered, and their totals exact.

pub mod activities;
pub mod companies;
pub mod contacts;
pub mod counted;
pub mod custom_fields;
pub mod deals;
pub mod erasure;
pub mod marketing_lists;
pub mod memberships;
mod numbered;
pub mod numbers;
pub mod search;
pub mod tasks;
pub mod timeline;

//! The CRM's records. Their listings are numbered, and their totals exact.

pub mod companies;
pub mod contacts;
pub mod custom_fields;
pub mod marketing_lists;
pub mod memberships;
mod numbered;

//! The CRM: companies, the people in them, deals, and what is done with them.

pub mod activities;
pub mod companies;
pub mod contacts;
pub mod custom_fields;
pub mod dashboard;
pub mod deals;
pub mod erase;
pub mod export;
pub mod marketing_lists;
pub mod memberships;
pub mod merge;
pub mod operator;
pub mod outbound;
pub(crate) mod promote;
mod races;
pub mod search;
pub(crate) mod shared;
pub mod stages;
pub mod tasks;

pub use shared::Numbered;

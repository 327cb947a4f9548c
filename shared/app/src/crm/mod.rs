//! The CRM: companies and the people in them.

pub mod companies;
pub mod contacts;
pub mod custom_fields;
pub mod export;
pub mod marketing_lists;
pub mod memberships;
pub mod merge;
pub(crate) mod shared;

pub use shared::Numbered;

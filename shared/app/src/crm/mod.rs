//! The CRM: companies and the people in them.

pub mod companies;
pub(crate) mod shared;

pub use shared::Numbered;

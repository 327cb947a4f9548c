//! Credentials, API keys, tenants.

pub mod audit;
mod authenticate;
pub mod entities;
pub mod keys;
pub mod operator;

pub use authenticate::{Caller, authenticate, authorise, count, count_public};

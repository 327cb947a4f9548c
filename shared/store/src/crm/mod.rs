//! The CRM's records. Their listings are numbered, and their totals exact: see [`numbered`].

pub mod companies;
mod numbered;

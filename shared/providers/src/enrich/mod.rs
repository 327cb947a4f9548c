//! Where enrichment comes from: companies' own sites, and APIs that tenants configure. Everything goes through the
//! [outbound client](crate::outbound).

mod api;
mod body;
mod crawl;
mod fetch;
mod website;

pub use api::{Api, ask};
pub use fetch::{USER_AGENT, Unreadable};
pub use website::{Settings, read_site};

//! The one HTTP client for addresses that tenants choose.
//!
//! Such a call must not become a way into the network it is made from (server-side request forgery), nor a way to hold us
//! up. So: the URL obeys [`EndpointUrl`]'s rules; every address that its name resolves to is checked, and the
//! connection goes to those very addresses, so that a name which changes between check and call (DNS rebinding)
//! gains nothing; redirects and proxies are not followed; time and size are bounded; and what is reported back says nothing
//! about the inside.

mod client;
mod error;
mod request;
mod resolver;

pub use axle_domain::webhook::{EndpointUrl, NetworkPolicy, UrlFault};
pub use client::{CONNECT_TIMEOUT, Client};
pub use error::{Error, Refusal};
pub use request::{BodyLimit, Exchange, Request, Response};
pub use reqwest::Method;
pub use resolver::{Resolver, SystemResolver};

#[cfg(test)]
mod tests;

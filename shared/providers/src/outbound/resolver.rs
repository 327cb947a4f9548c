//! Name resolution that lets no forbidden address through.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axle_domain::webhook::NetworkPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Turns host names into addresses. Replaced in tests to play a hostile name server.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of `host`.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver (getaddrinfo).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name gave no addresses to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name does not resolve")]
    NotFound,
    #[error("the name resolves to an address that is not public")]
    Forbidden,
}

/// A resolver whose every answer has been checked. One forbidden address spoils the answer: who mixes public and internal
/// addresses is trying something.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: NetworkPolicy,
}

impl Guarded {
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let addresses = self.resolver.resolve(host).await.map_err(|_| ResolveError::NotFound)?;
        if addresses.is_empty() {
            return Err(ResolveError::NotFound);
        }
        if addresses.iter().all(|ip| self.policy.permits(*ip)) { Ok(addresses) } else { Err(ResolveError::Forbidden) }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.clone();
        Box::pin(async move {
            let addresses = guarded.addresses(name.as_str()).await?;
            // Port 0 stands for the URL's own port.
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

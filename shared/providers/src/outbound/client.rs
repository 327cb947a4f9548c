//! The client itself.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axle_domain::webhook::{EndpointUrl, NetworkPolicy};
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};

use super::error::{Error, Refusal, classify};
use super::request::{BodyLimit, Exchange, Request, Response};
use super::resolver::{Guarded, Resolver, SystemResolver};

/// Time for resolving the name, connecting and the TLS handshake together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than common servers keep idle connections, so that one thawed after a Lambda freeze is not used when it is dead.
const KEEP_IDLE: Duration = Duration::from_secs(3);
const MAX_IDLE_PER_HOST: usize = 4;

/// A guarded HTTP client; see the [module](super). Cheap to make: TLS roots are loaded at the first call.
pub struct Client {
    policy: NetworkPolicy,
    guarded: Guarded,
    connect_timeout: Duration,
    inner: OnceLock<Result<reqwest::Client, Error>>,
}

impl Client {
    /// A client that resolves names as the system does.
    pub fn new(policy: NetworkPolicy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A client with another source of addresses; they are checked all the same.
    pub fn with_resolver(policy: NetworkPolicy, resolver: Arc<dyn Resolver>) -> Self {
        let guarded = Guarded { resolver, policy };
        Self { policy, guarded, connect_timeout: CONNECT_TIMEOUT, inner: OnceLock::new() }
    }

    /// Lets URLs be local while addresses must be public, so that tests can watch the address check with listeners on
    /// loopback; and does not wait long for addresses that nobody answers on.
    #[cfg(test)]
    pub(super) fn address_check_only(resolver: Arc<dyn Resolver>) -> Self {
        let mut client = Self::with_resolver(NetworkPolicy::PUBLIC_ONLY, resolver);
        client.policy = NetworkPolicy::WITH_LOCAL;
        client.connect_timeout = Duration::from_millis(100);
        client
    }

    /// What this client may reach.
    pub fn policy(&self) -> NetworkPolicy {
        self.policy
    }

    /// Checks a URL the way a call to it would: its form, and where its name leads at present. For the moment that a tenant
    /// enters it; [`Error::Dns`] may then be forgiven, since names appear late and every call checks again.
    pub async fn check(&self, url: &str) -> Result<EndpointUrl, Error> {
        let url = self.parse(url)?;
        if let (None, Some(host)) = (url.literal_address(), url.url().host_str()) {
            let addresses = tokio::time::timeout(self.connect_timeout, self.guarded.addresses(host));
            addresses.await.map_err(|_| Error::Dns)??;
        }
        Ok(url)
    }

    /// The addresses at which to reach a host by another protocol than HTTP, every one of them checked; `host` is a name or a
    /// literal address without brackets. The connection has to go to one of these, not to the name.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let literal = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        // What a host may look like is the same whatever is spoken with it.
        let url = self.parse(&format!("https://{literal}"))?;
        let addresses = match (url.literal_address(), url.url().host_str()) {
            (Some(ip), _) if self.guarded.policy.permits(ip) => vec![ip],
            (None, Some(name)) => {
                let addresses = tokio::time::timeout(self.connect_timeout, self.guarded.addresses(name));
                addresses.await.map_err(|_| Error::Dns)??
            }
            _ => return Err(Refusal::Address.into()),
        };
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// Makes the call. Every failure is an [`Error`] whose text the tenant may see; nothing is tried twice.
    pub async fn send(&self, request: Request) -> Exchange {
        let started = Instant::now();
        let outcome = self.call(request, started).await;
        Exchange { duration: started.elapsed(), outcome }
    }

    async fn call(&self, request: Request, started: Instant) -> Result<Response, Error> {
        let url = self.parse(&request.url)?;
        // Literal addresses never reach the resolver, so the parser's verdict is repeated under the guard's own policy.
        if url.literal_address().is_some_and(|ip| !self.guarded.policy.permits(ip)) {
            return Err(Refusal::Address.into());
        }
        let deadline = started + request.timeout;
        let late = Error::Timeout(request.timeout);
        let mut call = self.http()?.request(request.method, url.url().clone()).body(request.body);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        let answer = timeout_at(deadline, call.send()).await.map_err(|_| late.clone())?;
        let answer = answer.map_err(|error| classify(&error, self.connect_timeout))?;
        let header = |name: HeaderName| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (status, retry_after, content_type) = (answer.status().as_u16(), header(RETRY_AFTER), header(CONTENT_TYPE));
        let pair = |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
        let headers = answer.headers().iter().filter_map(pair).collect();
        let (body, truncated) = match request.limit {
            BodyLimit::First(max) => read_first(answer, max, deadline).await,
            BodyLimit::Whole(max) => {
                let body = timeout_at(deadline, read_whole(answer, max, self.connect_timeout));
                (body.await.map_err(|_| late)??, false)
            }
        };
        Ok(Response { status, retry_after, content_type, headers, body, truncated })
    }

    fn parse(&self, url: &str) -> Result<EndpointUrl, Error> {
        EndpointUrl::parse(url, self.policy).map_err(|fault| Refusal::Url(fault).into())
    }

    fn http(&self) -> Result<&reqwest::Client, Error> {
        self.inner.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<reqwest::Client, Error> {
        let built = reqwest::Client::builder()
            .dns_resolver(self.guarded.clone())
            .https_only(!self.policy.allow_local)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .build();
        built.map_err(|error| {
            tracing::error!(error = %error, "the outbound HTTP client could not be built");
            Error::Tls("no trusted root certificates are installed")
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The first `max` bytes, and whether there was more or the body broke off. Dropping the answer unread closes its connection.
async fn read_first(mut answer: reqwest::Response, max: usize, deadline: Instant) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    loop {
        match timeout_at(deadline, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = max - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (body.freeze(), true);
                }
            }
            Ok(Ok(None)) => return (body.freeze(), false),
            Ok(Err(_)) | Err(_) => return (body.freeze(), true),
        }
    }
}

/// All of the body, refused as soon as it is known to be longer than `max`.
async fn read_whole(mut answer: reqwest::Response, max: usize, connect_timeout: Duration) -> Result<Bytes, Error> {
    let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= max);
    if answer.content_length().is_some_and(|length| !fits(length)) {
        return Err(Error::TooLarge(max));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| classify(&error, connect_timeout))? {
        if chunk.len() > max - body.len() {
            return Err(Error::TooLarge(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

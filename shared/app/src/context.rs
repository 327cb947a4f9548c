//! What every use case is given: the application's parts, and who calls.

use std::net::IpAddr;
use std::sync::Arc;

use axle_domain::address::Email;
use axle_domain::identity::{Plan, ScopeSet};
use axle_domain::mail::{LinkKey, Mailbox};
use axle_domain::rate::{Limits, source_network};
use axle_domain::webhook::{NetworkPolicy, Schedule, SigningSecret};
use axle_domain::{Actor, EntityId, Time, TraceId, UserId};
use axle_providers::Lazy;
use axle_providers::mail::Sender;
use axle_providers::model::Models;
use axle_providers::objects::ObjectStore;
use axle_providers::outbound;
use axle_providers::queue::Queue;
use axle_providers::secrets::Secrets;
use axle_providers::vault::Vault;
use axle_store::{CursorKey, Table, Tx};
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::answer::{Answer, IdempotencyClaim};
use crate::cache::CredentialCache;
use crate::error::{Error, Result};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Settings, from the environment in a function.
#[derive(Clone, Debug)]
pub struct Config {
    /// Id or ARN of the secret that API keys are hashed and cursors are signed under.
    pub key_secret: String,
    pub event_retention_days: i64,
    pub network: NetworkPolicy,
    pub webhook_schedule: Schedule,
    /// The API's public base URL, for links in messages.
    pub base_url: String,
    /// Whom messages of tenants without an identity of their own come from; none if the deployment has no sender address.
    pub sender: Option<Mailbox>,
    /// The AWS region, which is a part of the ids that SES gives to messages.
    pub region: String,
    /// Domain at which SES takes in mail for us; empty if it does not.
    pub inbound_domain: String,
}

impl Default for Config {
    fn default() -> Self {
        let network = NetworkPolicy { allow_local: false };
        Self {
            key_secret: String::new(),
            event_retention_days: 90,
            network,
            webhook_schedule: Schedule::default(),
            base_url: String::new(),
            sender: None,
            region: "us-east-1".to_owned(),
            inbound_domain: String::new(),
        }
    }
}

impl Config {
    /// An address at which SES takes in mail for us, if it does.
    pub(crate) fn inbound_address(&self, local: &str) -> Option<Email> {
        (!self.inbound_domain.is_empty()).then(|| Email::parse(&format!("{local}@{}", self.inbound_domain)).ok()).flatten()
    }
}

/// What an application is put together from. Everything that takes time is built at its first use.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub table: Lazy<Table>,
    pub secrets: Arc<Secrets>,
    pub vault: Vault,
    pub objects: Arc<dyn ObjectStore>,
    pub deliver_queue: Arc<dyn Queue>,
    pub import_queue: Arc<dyn Queue>,
    pub outbox_queue: Arc<dyn Queue>,
    pub agents_queue: Arc<dyn Queue>,
    pub campaign_queue: Arc<dyn Queue>,
    pub outbound: outbound::Client,
    pub sender: Arc<dyn Sender>,
    pub models: Arc<dyn Models>,
}

/// The application, shared by all requests of an environment.
pub struct App {
    parts: Parts,
    derived: OnceCell<Derived>,
    pub(crate) credentials: CredentialCache,
}

/// Keys that are derived from the one secret.
struct Derived {
    pepper: Vec<u8>,
    cursors: CursorKey,
    sources: Vec<u8>,
    /// Hashes addresses on suppression lists.
    addresses: Vec<u8>,
    /// Signs links in messages.
    links: LinkKey,
    /// Signs receipts of erasures.
    receipts: Vec<u8>,
    /// Makes each tenant's first secret for posts of messages.
    posts: Vec<u8>,
    fence: Vec<u8>,
}

fn derive(secret: &[u8], purpose: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).map(|mut mac| {
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().to_vec()
    });
    mac.unwrap_or_default()
}

impl App {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, derived: OnceCell::new(), credentials: CredentialCache::default() })
    }

    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    pub fn now(&self) -> Time {
        (self.parts.clock)()
    }

    pub async fn table(&self) -> &Table {
        self.parts.table.get().await
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    pub(crate) fn objects(&self) -> &dyn ObjectStore {
        &*self.parts.objects
    }

    pub(crate) fn deliver_queue(&self) -> &dyn Queue {
        &*self.parts.deliver_queue
    }

    pub(crate) fn import_queue(&self) -> &dyn Queue {
        &*self.parts.import_queue
    }

    pub(crate) fn outbox_queue(&self) -> &dyn Queue {
        &*self.parts.outbox_queue
    }

    pub(crate) fn campaign_queue(&self) -> &dyn Queue {
        &*self.parts.campaign_queue
    }

    pub(crate) fn agents_queue(&self) -> &dyn Queue {
        &*self.parts.agents_queue
    }

    /// What answers for agents.
    pub(crate) fn models(&self) -> &dyn Models {
        &*self.parts.models
    }

    /// What data by strangers is fenced with in prompts.
    pub(crate) async fn fence_key(&self) -> Result<&[u8]> {
        Ok(&self.derived().await?.fence)
    }

    /// What messages go out by.
    pub(crate) fn sender(&self) -> &dyn Sender {
        &*self.parts.sender
    }

    pub(crate) fn outbound(&self) -> &outbound::Client {
        &self.parts.outbound
    }

    async fn derived(&self) -> Result<&Derived> {
        let make = async || {
            let secret = self.parts.secrets.get(&self.parts.config.key_secret).await?;
            let secret = secret.expose_secret().as_bytes();
            Ok(Derived {
                pepper: derive(secret, "api-key-pepper"),
                cursors: CursorKey::new(&derive(secret, "cursors")),
                sources: derive(secret, "sources"),
                addresses: derive(secret, "suppressed addresses"),
                links: LinkKey::derive(secret),
                receipts: derive(secret, "erasure receipts"),
                posts: derive(secret, "secrets of posted messages"),
                fence: derive(secret, "prompts"),
            })
        };
        self.derived.get_or_try_init(make).await
    }

    pub(crate) async fn pepper(&self) -> Result<&[u8]> {
        Ok(&self.derived().await?.pepper)
    }

    /// A keyed hash of what an address is counted as: addresses are personal data, and a plain hash of so few can be undone.
    pub(crate) async fn source_hash(&self, source: IpAddr) -> Result<String> {
        let hash = derive(&self.derived().await?.sources, &source_network(source).to_string());
        Ok(hash.iter().take(16).map(|b| format!("{b:02x}")).collect())
    }

    /// The name of an address on a tenant's suppression list: a keyed hash in hex, of no use without the key.
    pub(crate) async fn address_hash(&self, entity: EntityId, address: &str) -> Result<String> {
        let hash = derive(&self.derived().await?.addresses, &format!("{entity}/{address}"));
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// HMAC-SHA256 in hex.
    pub(crate) async fn sign_receipt(&self, text: &str) -> Result<String> {
        let mac = derive(&self.derived().await?.receipts, text);
        Ok(mac.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The secret that a tenant's posts are signed with until it asks for another one. It follows from the deployment's, so a message that
    /// goes out before anybody asked can be verified afterwards.
    pub(crate) async fn first_post_secret(&self, entity: EntityId) -> Result<SigningSecret> {
        let key = derive(&self.derived().await?.posts, &entity.to_string());
        SigningSecret::from_bytes(key).map_err(|e| Error::Internal(e.to_string()))
    }

    pub(crate) async fn link_key(&self) -> Result<&LinkKey> {
        Ok(&self.derived().await?.links)
    }

    async fn cursor_key(&self) -> Result<&CursorKey> {
        Ok(&self.derived().await?.cursors)
    }
}

/// The address that a request came from, as the gateway saw it: never from a header, which the caller writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceIp(pub IpAddr);

/// Who calls, when, and under which names the call is found again.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub entity_id: EntityId,
    pub actor: Actor,
    /// The person behind the call: the token's user, or the maker of the API key.
    pub user_id: Option<UserId>,
    pub scopes: ScopeSet,
    pub plan: Plan,
    pub limits: Limits,
    pub now: Time,
    pub request_id: String,
    pub trace_id: TraceId,
    /// Set for a POST that named itself.
    pub idempotency: Option<Arc<IdempotencyClaim>>,
}

impl Ctx {
    /// The context of a part of the system that works for a tenant of itself.
    pub fn system(entity_id: EntityId, part: &str, now: Time, trace_id: TraceId) -> Self {
        Self {
            entity_id,
            actor: Actor::system(part),
            user_id: None,
            scopes: ScopeSet::default(),
            plan: Plan::default(),
            limits: Limits::default(),
            now,
            request_id: trace_id.to_string(),
            trace_id,
            idempotency: None,
        }
    }

    /// Puts the answer of an idempotent request into its transaction.
    pub fn keep(&self, tx: &mut Tx<'_>, answer: &Answer) {
        if let Some(claim) = &self.idempotency {
            claim.join(tx, answer);
        }
    }

    /// The position in a cursor of this tenant and query; `None` for the first page.
    pub(crate) async fn open_cursor(&self, app: &App, query: &str, cursor: Option<&str>) -> Result<Option<String>> {
        let Some(cursor) = cursor else { return Ok(None) };
        Ok(Some(app.cursor_key().await?.open(&self.cursor_scope(query), cursor)?))
    }

    pub(crate) async fn seal_cursor(&self, app: &App, query: &str, position: Option<String>) -> Result<Option<String>> {
        let Some(position) = position else { return Ok(None) };
        Ok(Some(app.cursor_key().await?.seal(&self.cursor_scope(query), &position)))
    }

    fn cursor_scope(&self, query: &str) -> String {
        format!("{}/{query}", self.entity_id)
    }
}

//! For tests only: the application on an embedded table, with a clock that tests move and queues and objects in memory.

// A test helper that cannot set up its world has nothing better to do than to say so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http;
mod table;

pub use http::{Answered, call, request};
pub use table::TestTable;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axle_app::identity::operator::{CreateKey, Operation, operate};
use axle_app::{App, Clock, Config, Parts};
use axle_domain::address::Email;
use axle_domain::identity::{Plan, Scope};
use axle_domain::mail::Mailbox;
use axle_domain::rate::Limits;
use axle_domain::webhook::{NetworkPolicy, Schedule};
use axle_domain::{EntityId, Time};
use axle_providers::Lazy;
use axle_providers::mail::Capture;
use axle_providers::model::ScriptedModels;
use axle_providers::objects::MemoryObjects;
use axle_providers::outbound;
use axle_providers::queue::MemoryQueue;
use axle_providers::secrets::Secrets;
use axle_providers::vault::Vault;
use axle_store::crm::search::Searching;
use axle_store::{Meter, Table};

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    pub fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
    pub fn advance_secs(&self, secs: i64) {
        self.0.fetch_add(secs * 1000, Ordering::SeqCst);
    }
    pub fn advance_millis(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// One application with everything around it.
pub struct World {
    pub app: Arc<App>,
    pub clock: FakeClock,
    pub table: TestTable,
    pub objects: MemoryObjects,
    pub import_queue: Arc<MemoryQueue>,
    pub deliver_queue: Arc<MemoryQueue>,
    pub outbox_queue: Arc<MemoryQueue>,
    pub agents_queue: Arc<MemoryQueue>,
    pub campaign_queue: Arc<MemoryQueue>,
    /// What would have been sent.
    pub sent: Arc<Capture>,
    /// What agents ask.
    pub models: Arc<ScriptedModels>,
    pub meter: Meter,
    config: Config,
    secrets: Arc<Secrets>,
}

/// A tenant with a key.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub entity_id: EntityId,
    pub api_key: String,
    pub key_id: String,
}

/// Segments of a few records, of what is a minute old; patches are folded in soon.
pub const FEW_ARE_MANY: Searching =
    Searching { large: 6, shallow: 2, rows: 5, text: 1_000, round: 2, rest_secs: 60, fold: 4, look: 1, ask_again_secs: 0 };

const SECRET: &str = "a secret of the tests that is long enough for every use of it";

/// Calls to loopback are allowed, and there is a sender address.
fn settings() -> Config {
    Config {
        key_secret: "key".to_owned(),
        network: NetworkPolicy { allow_local: true },
        webhook_schedule: Schedule::default(),
        base_url: "https://axle.example.com".to_owned(),
        sender: Some(Mailbox::new(Email::parse("sales@axle.example.com").unwrap(), Some("Axle"))),
        ..Config::default()
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world with other settings. Calls to loopback are allowed unless the settings say otherwise.
    pub async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = settings();
        adjust(&mut config);
        let network = config.network;
        Self::build(config, outbound::Client::new(network)).await
    }

    /// A world whose messages go out by way of this capture.
    pub async fn sending(sent: Capture) -> Self {
        let config = settings();
        Self::assemble(config.clone(), outbound::Client::new(config.network), sent, Searching::default()).await
    }

    /// A world in which a few records are very many.
    pub async fn searching(searching: Searching) -> Self {
        let config = settings();
        Self::assemble(config.clone(), outbound::Client::new(config.network), Capture::new(), searching).await
    }

    /// A world with its own way to the outside.
    pub async fn build(config: Config, outbound: outbound::Client) -> Self {
        Self::assemble(config, outbound, Capture::new(), Searching::default()).await
    }

    async fn assemble(config: Config, outbound: outbound::Client, sent: Capture, searching: Searching) -> Self {
        let (sent, table) = (Arc::new(sent), TestTable::start().await);
        // A Tuesday morning, in the middle of every rate-limit window.
        let clock = FakeClock(Arc::new(AtomicI64::new(1_795_509_030_000)));
        let secrets = Arc::new(Secrets::fixed([("key", SECRET), ("vault", SECRET)]));
        let (objects, meter) = (MemoryObjects::default(), Meter::default());
        let (import_queue, deliver_queue) = (Arc::new(MemoryQueue::default()), Arc::new(MemoryQueue::default()));
        let (outbox_queue, agents_queue) = (Arc::new(MemoryQueue::default()), Arc::new(MemoryQueue::default()));
        let models = Arc::new(ScriptedModels::new());
        let campaign_queue = Arc::new(MemoryQueue::default());
        let handle = Table::new(table.client(), TestTable::NAME).metered(meter.clone()).searching(searching);
        let time = clock.clone();
        let app = App::new(Parts {
            config: config.clone(),
            clock: Arc::new(move || time.now()),
            table: Lazy::new(move || handle.clone()),
            vault: Vault::new(Arc::clone(&secrets), "vault"),
            secrets: Arc::clone(&secrets),
            objects: Arc::new(objects.clone()),
            deliver_queue: deliver_queue.clone(),
            import_queue: import_queue.clone(),
            outbox_queue: outbox_queue.clone(),
            agents_queue: agents_queue.clone(),
            campaign_queue: campaign_queue.clone(),
            models: models.clone(),
            outbound,
            sender: sent.clone(),
        });
        Self {
            app,
            clock,
            table,
            objects,
            import_queue,
            deliver_queue,
            outbox_queue,
            agents_queue,
            campaign_queue,
            sent,
            models,
            meter,
            config,
            secrets,
        }
    }

    /// The same application in another process, with a clock of its own.
    pub fn another_app(&self, clock: Clock) -> Arc<App> {
        let table = Table::new(self.table.client(), TestTable::NAME);
        App::new(Parts {
            config: self.config.clone(),
            clock,
            table: Lazy::new(move || table.clone()),
            vault: Vault::new(Arc::clone(&self.secrets), "vault"),
            secrets: Arc::clone(&self.secrets),
            objects: Arc::new(self.objects.clone()),
            deliver_queue: self.deliver_queue.clone(),
            import_queue: self.import_queue.clone(),
            outbox_queue: self.outbox_queue.clone(),
            agents_queue: self.agents_queue.clone(),
            campaign_queue: self.campaign_queue.clone(),
            models: self.models.clone(),
            outbound: outbound::Client::new(self.config.network),
            sender: self.sent.clone(),
        })
    }

    /// A new tenant with a key of these scopes on `enterprise`, with limits that are not in the way.
    pub async fn tenant(&self, scopes: &[Scope]) -> Tenant {
        let plenty = Some(1_000_000);
        let limits = Limits { campaigns: plenty, leads: plenty, agents: plenty, queries: plenty, plan: plenty };
        self.key("new", scopes, Plan::Enterprise, limits).await
    }

    /// A key for a tenant (`new` or an id).
    pub async fn key(&self, entity: &str, scopes: &[Scope], plan: Plan, limits: Limits) -> Tenant {
        let create = CreateKey {
            entity_id: entity.to_owned(),
            entity_name: Some("Acme".to_owned()),
            name: Some("test".to_owned()),
            scopes: scopes.to_vec(),
            plan,
            limits,
            expires_at: None,
        };
        let made = operate(&self.app, Operation::CreateKey(create)).await.expect("the operator can make a key");
        Tenant { entity_id: made.entity_id, api_key: made.api_key, key_id: made.key_id }
    }
}

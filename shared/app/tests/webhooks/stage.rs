//! A tenant, everything between the table and the receivers, and a clock.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axle_app::webhooks::{self, Deliverer, Dispatcher, Limits};
use axle_app::{Answer, App, Config, Ctx, PageRequest};
use axle_domain::event::{Event, EventType, Subject, sample::sample};
use axle_domain::webhook::{DEFAULT_TOLERANCE, DeliveryStatus, NetworkPolicy, SigningSecret, WebhookInput, verify};
use axle_domain::{EntityId, Time, TraceId, WebhookId};
use axle_messaging::{Bus, Envelope, Publication, Relay};
use axle_providers::outbound;
use axle_providers::queue::Queue;
use axle_store::deliveries::{DeliverJob, DeliveryRecord};
use axle_store::webhooks::WebhookRecord;
use axle_testkit::World;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// What the relay publishes.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Vec<Publication>>>);

#[async_trait]
impl Bus for Published {
    async fn publish(&self, batch: &[Publication]) -> Vec<(usize, String)> {
        self.0.lock().unwrap().extend_from_slice(batch);
        Vec::new()
    }
}

pub struct Stage {
    pub world: World,
    pub entity: EntityId,
    /// How long receivers may take.
    pub timeout: Duration,
    relay: Relay,
    published: Published,
    /// Delayed messages, and when they come.
    waiting: Mutex<Vec<(Time, String)>>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::over(World::new().await)
    }

    pub async fn with_outbound(policy: NetworkPolicy, outbound: outbound::Client) -> Self {
        let config = Config { key_secret: "key".to_owned(), network: policy, ..Config::default() };
        Self::over(World::build(config, outbound).await)
    }

    pub fn over(world: World) -> Self {
        let published = Published::default();
        let deliver: Arc<dyn Queue> = world.deliver_queue.clone();
        let relay = Relay::new(published.clone(), [("deliver", deliver)]);
        let entity = EntityId::new_at(world.clock.now());
        Self { world, entity, timeout: Duration::from_secs(5), relay, published, waiting: Mutex::default() }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.world.app
    }

    pub fn ctx(&self) -> Ctx {
        Ctx::system(self.entity, "test", self.app().now(), TraceId::random())
    }

    /// Makes an endpoint as a tenant would.
    pub async fn try_endpoint(&self, input: Value) -> axle_app::Result<(WebhookId, String)> {
        let input: WebhookInput = serde_json::from_value(input).unwrap();
        let answer = |endpoint: &axle_store::Versioned<WebhookRecord>, secret: &str| {
            Answer::new(201, json!({"id": endpoint.value.id, "secret": secret}))
        };
        let body = webhooks::create(self.app(), &self.ctx(), input, answer).await?.body;
        Ok((body["id"].as_str().unwrap().parse().unwrap(), body["secret"].as_str().unwrap().to_owned()))
    }

    pub async fn endpoint(&self, url: &str) -> WebhookId {
        self.try_endpoint(json!({"url": url})).await.unwrap().0
    }

    pub async fn record(&self, id: WebhookId) -> WebhookRecord {
        webhooks::get(self.app(), &self.ctx(), id).await.unwrap().value
    }

    pub async fn patch(&self, id: WebhookId, change: Value) -> WebhookRecord {
        webhooks::patch(self.app(), &self.ctx(), id, &change, None).await.unwrap().value
    }

    /// Something happens.
    pub async fn happen(&self, event_type: EventType) -> Event {
        let event = sample(event_type, self.entity, self.app().now()).trace(TraceId::random());
        self.emit(&event).await;
        event
    }

    pub async fn emit(&self, event: &Event) {
        let mut tx = self.app().table().await.tx();
        tx.emit(event, 90);
        tx.commit().await.unwrap();
    }

    /// An event about one of the tenant's endpoints.
    pub fn about(&self, id: WebhookId) -> Event {
        let mut event = sample(EventType::WebhookDisabled, self.entity, self.app().now());
        event.subject = Subject::new("webhook", id);
        event
    }

    /// Runs the relay over what the table's stream has new; answers with the events published, as consumers get them.
    pub async fn relayed(&self) -> Vec<Event> {
        let batch = serde_json::from_value(json!({"Records": self.world.table.new_records()})).unwrap();
        self.relay.run(batch, Instant::now() + Duration::from_secs(10)).await.unwrap();
        let events = std::mem::take(&mut *self.published.0.lock().unwrap());
        let open =
            |event: Publication| serde_json::from_str::<Envelope>(&format!(r#"{{"detail":{}}}"#, event.detail)).unwrap().detail;
        events.into_iter().map(open).collect()
    }

    /// Dispatches all events that have happened, and puts the deliveries' messages into the queue.
    pub async fn dispatched(&self) -> usize {
        let dispatcher = Dispatcher::new(Arc::clone(self.app()));
        let mut wanted = 0;
        for event in self.relayed().await {
            wanted += dispatcher.dispatch(&event).await.unwrap();
        }
        assert!(self.relayed().await.is_empty());
        wanted
    }

    /// Notes when the messages in the queue are to be received.
    fn enqueue(&self) -> MutexGuard<'_, Vec<(Time, String)>> {
        let now = self.world.clock.now();
        let mut waiting = self.waiting.lock().unwrap();
        let delayed = |delay: Duration| now.plus_millis(i64::try_from(delay.as_millis()).unwrap());
        waiting.extend(self.world.deliver_queue.take().into_iter().map(|message| (delayed(message.delay), message.body)));
        waiting
    }

    /// Takes from the queue what is there to be received now. The others wait.
    pub fn messages(&self) -> Vec<DeliverJob> {
        let now = self.world.clock.now();
        let mut waiting = self.enqueue();
        let ready: Vec<(Time, String)> = waiting.extract_if(.., |(at, _)| *at <= now).collect();
        ready.into_iter().map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    /// How long the delayed messages still have to wait, in seconds.
    pub fn waits(&self) -> Vec<i64> {
        assert!(self.messages().is_empty());
        let now = self.world.clock.now();
        self.waiting.lock().unwrap().iter().map(|(at, _)| at.since(now) / 1000).collect()
    }

    pub async fn deliver(&self, jobs: &[DeliverJob]) {
        let limits = Limits { timeout: self.timeout };
        for batch in jobs.chunks(10) {
            let deliverer = Deliverer::new(Arc::clone(self.app()), limits);
            let handled = batch.iter().map(|job| deliverer.deliver(job));
            futures_util::future::join_all(handled).await.into_iter().for_each(|outcome| assert!(outcome.is_ok(), "{outcome:?}"));
        }
    }

    /// Lets everything happen that follows now: events, dispatch, deliveries.
    pub async fn settle(&self) {
        loop {
            self.dispatched().await;
            let jobs = self.messages();
            if jobs.is_empty() {
                return;
            }
            self.deliver(&jobs).await;
        }
    }

    /// Moves the clock and lets everything happen that follows.
    pub async fn later(&self, secs: i64) {
        drop(self.enqueue());
        self.world.clock.advance_secs(secs);
        self.settle().await;
    }

    pub async fn sweep(&self) -> u64 {
        axle_app::schedule::sweep(self.app(), Instant::now() + Duration::from_secs(30)).await.unwrap().sent
    }

    pub async fn deliveries(&self, id: WebhookId, status: Option<DeliveryStatus>) -> Vec<DeliveryRecord> {
        let page = PageRequest { cursor: None, limit: 100 };
        let found = webhooks::deliveries(self.app(), &self.ctx(), id, status, page).await.unwrap();
        found.items.into_iter().map(|delivery| delivery.value).collect()
    }

    /// The one delivery of an endpoint.
    pub async fn only(&self, id: WebhookId) -> DeliveryRecord {
        let mut all = self.deliveries(id, None).await;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

/// A receiver that answers everything the same way.
pub async fn answering(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(response).mount(&server).await;
    server
}

pub async fn receiver(status: u16) -> MockServer {
    answering(ResponseTemplate::new(status)).await
}

/// Makes a receiver answer otherwise from now on.
pub async fn turn(server: &MockServer, status: u16) {
    server.reset().await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(status)).mount(server).await;
}

pub async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

pub fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).unwrap().to_str().unwrap()
}

/// Whether a receiver that knows this secret believes the request.
pub fn believes(secret: &str, request: &Request, now: Time) -> bool {
    let secrets = [SigningSecret::parse(secret).unwrap()];
    let (id, at, signatures) =
        (header(request, "webhook-id"), header(request, "webhook-timestamp"), header(request, "webhook-signature"));
    verify(&secrets, id, at, signatures, &request.body, now.secs(), DEFAULT_TOLERANCE).is_ok()
}

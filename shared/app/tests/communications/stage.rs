//! A tenant, everything between the table and the providers, and a clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axle_app::communications::{self, OutboxJob, send};
use axle_app::outreach::leads;
use axle_app::{Answer, App, Ctx, PageRequest};
use axle_domain::communication::{CommunicationInput, CommunicationStatus, IdentityInput};
use axle_domain::event::Event;
use axle_domain::lead::LeadStatus;
use axle_domain::mail::Feedback;
use axle_domain::{CommunicationId, EntityId, LeadId, SendingIdentityId, Time, TraceId};
use axle_messaging::{Bus, Envelope, Publication, Relay};
use axle_providers::mail::Capture;
use axle_providers::queue::Queue;
use axle_store::communications::CommunicationRecord;
use axle_testkit::World;
use serde_json::{Value, json};

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
    relay: Relay,
    published: Published,
    events: Mutex<Vec<Event>>,
    waiting: Mutex<Vec<(Time, String)>>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::over(World::new().await)
    }

    pub async fn sending(capture: Capture) -> Self {
        Self::over(World::sending(capture).await)
    }

    pub fn over(world: World) -> Self {
        let published = Published::default();
        let outbox: Arc<dyn Queue> = world.outbox_queue.clone();
        let relay = Relay::new(published.clone(), [("outbox", outbox)]);
        let entity = EntityId::new_at(world.clock.now());
        Self { world, entity, relay, published, events: Mutex::default(), waiting: Mutex::default() }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.world.app
    }

    pub fn ctx(&self) -> Ctx {
        Ctx::system(self.entity, "test", self.app().now(), TraceId::random())
    }

    pub async fn try_queue(&self, input: Value) -> axle_app::Result<CommunicationId> {
        let input: CommunicationInput = serde_json::from_value(input).unwrap();
        let answer =
            communications::queue(self.app(), &self.ctx(), input, |record| Answer::new(202, json!({"id": record.id}))).await?;
        Ok(answer.body["id"].as_str().unwrap().parse().unwrap())
    }

    pub async fn queue(&self, input: Value) -> CommunicationId {
        self.try_queue(input).await.unwrap()
    }

    /// Queues a plain e-mail to this address.
    pub async fn mail(&self, to: &str) -> CommunicationId {
        self.queue(mail(to)).await
    }

    pub async fn identity(&self, input: Value) -> SendingIdentityId {
        let input: IdentityInput = serde_json::from_value(input).unwrap();
        let ctx = self.ctx();
        let made = communications::create_identity(self.app(), &ctx, input, |i| Answer::new(201, json!({"id": i.value.id})));
        made.await.unwrap().body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn record(&self, id: CommunicationId) -> CommunicationRecord {
        self.app().table().await.communication(self.entity, id, self.app().now()).await.unwrap().unwrap().value
    }

    pub async fn status(&self, id: CommunicationId) -> CommunicationStatus {
        self.record(id).await.status
    }

    /// Runs the relay over what the stream has new, and keeps the events.
    pub async fn relay(&self) {
        let batch = serde_json::from_value(json!({"Records": self.world.table.new_records()})).unwrap();
        self.relay.run(batch, Instant::now() + Duration::from_secs(10)).await.unwrap();
        let events = std::mem::take(&mut *self.published.0.lock().unwrap());
        let open =
            |event: Publication| serde_json::from_str::<Envelope>(&format!(r#"{{"detail":{}}}"#, event.detail)).unwrap().detail;
        self.events.lock().unwrap().extend(events.into_iter().map(open));
    }

    /// Types of all events so far, in order.
    pub async fn told(&self) -> Vec<String> {
        self.relay().await;
        self.events.lock().unwrap().iter().map(|event| event.event_type.to_string()).collect()
    }

    pub async fn events(&self) -> Vec<Event> {
        self.relay().await;
        self.events.lock().unwrap().clone()
    }

    /// Takes from the queue what is there to be received now.
    pub async fn jobs(&self) -> Vec<OutboxJob> {
        self.relay().await;
        let now = self.world.clock.now();
        let mut waiting = self.waiting.lock().unwrap();
        let delayed = |delay: Duration| now.plus_millis(i64::try_from(delay.as_millis()).unwrap());
        waiting.extend(self.world.outbox_queue.take().into_iter().map(|message| (delayed(message.delay), message.body)));
        let ready: Vec<(Time, String)> = waiting.extract_if(.., |(at, _)| *at <= now).collect();
        ready.into_iter().map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    pub fn outbox(&self) -> send::Outbox {
        send::Outbox::new(Arc::clone(self.app()), send::Limits { timeout: Duration::from_secs(5) })
    }

    pub async fn send(&self, jobs: &[OutboxJob]) {
        for batch in jobs.chunks(10) {
            let outbox = self.outbox();
            let handled = batch.iter().map(|job| outbox.send(job));
            futures_util::future::join_all(handled).await.into_iter().for_each(|outcome| {
                outcome.unwrap();
            });
        }
    }

    /// Lets everything happen that follows now.
    pub async fn settle(&self) {
        loop {
            let jobs = self.jobs().await;
            if jobs.is_empty() {
                return;
            }
            self.send(&jobs).await;
        }
    }

    /// Moves the clock, sweeps, and lets everything happen that follows.
    pub async fn later(&self, secs: i64) {
        drop(self.jobs().await.into_iter().map(|job| panic!("{job:?} is due before the clock moves")).collect::<Vec<()>>());
        self.world.clock.advance_secs(secs);
        self.sweep().await;
        self.settle().await;
    }

    pub async fn sweep(&self) -> u64 {
        axle_app::schedule::sweep(self.app(), Instant::now() + Duration::from_secs(30)).await.unwrap().sent
    }

    /// Counts by status, without the zeros.
    pub async fn counts(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = communications::outbox(self.app(), &self.ctx()).await.unwrap().counts;
        counts.retain(|_, n| *n != 0);
        counts
    }

    pub async fn suppress(&self, address: &str) {
        let input = serde_json::from_value(json!({"address": address})).unwrap();
        communications::suppress(self.app(), &self.ctx(), input, |record| Answer::new(201, json!({"address": record.address})))
            .await
            .unwrap();
    }

    /// Addresses that were written to, in order.
    pub fn recipients(&self) -> Vec<String> {
        self.world.sent.emails().into_iter().map(|email| email.to.address.to_string()).collect()
    }

    /// A lead with this address.
    pub async fn lead(&self, email: &str) -> LeadId {
        let input = serde_json::from_value(json!({"email": email, "first_name": "Ada"})).unwrap();
        let ctx = self.ctx();
        let made = leads::create(self.app(), &ctx, input, |lead| Answer::new(201, json!({"id": lead.value.id})));
        made.await.unwrap().body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn lead_status(&self, id: LeadId) -> LeadStatus {
        leads::get(self.app(), &self.ctx(), id).await.unwrap().value.status
    }

    /// Sends an e-mail to a lead.
    pub async fn sent_to(&self, lead: LeadId) -> CommunicationId {
        let id = self.queue(json!({"channel": "email", "lead_id": lead, "subject": "Hello", "text": "How are you?"})).await;
        self.settle().await;
        id
    }

    /// Addresses on the suppression list, with how they came there.
    pub async fn suppressed(&self) -> Vec<(String, String)> {
        let page = PageRequest { cursor: None, limit: 100 };
        let found = communications::suppressions(self.app(), &self.ctx(), page).await.unwrap().items;
        found.into_iter().map(|record| (record.address, record.origin.to_string())).collect()
    }

    /// A report of SES about a message, as its configuration set sends it.
    pub fn report(&self, id: CommunicationId, more: Value) -> Feedback {
        let tags = json!({"entity_id": [self.entity], "communication_id": [id]});
        let mail = json!({"timestamp": self.app().now(), "messageId": "captured-1", "tags": tags});
        report(mail, more)
    }
}

/// A report of SES.
pub fn report(mail: Value, more: Value) -> Feedback {
    let mut body = json!({"eventType": "x", "mail": mail});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Feedback::parse(&body.to_string()).unwrap()
}

pub fn bounce(kind: &str, feedback_id: &str) -> Value {
    let recipients = json!([{"emailAddress": "ada@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 no such user"}]);
    json!({"bounce": {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": recipients, "feedbackId": feedback_id}})
}

pub fn complaint(feedback_id: &str) -> Value {
    let recipients = json!([{"emailAddress": "ada@example.com"}]);
    json!({"complaint": {"complainedRecipients": recipients, "complaintFeedbackType": "abuse", "feedbackId": feedback_id}})
}

pub fn delivery() -> Value {
    json!({"delivery": {"recipients": ["ada@example.com"]}})
}

pub fn mail(to: &str) -> Value {
    json!({"channel": "email", "to": to, "subject": "Hello", "text": "How are you?"})
}

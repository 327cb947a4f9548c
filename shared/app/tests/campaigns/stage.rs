//! A tenant with leads and a campaign, and everything between the table, the queues and the provider.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axle_app::communications::{self, OutboxJob, send};
use axle_app::outreach::campaigns::{self, AttachInput, CampaignJob, Command, Member, Overview, RunJob};
use axle_app::outreach::leads;
use axle_app::{Answer, App, Ctx, PageRequest, Result};
use axle_domain::campaign::CampaignStatus;
use axle_domain::campaign::run::RunState;
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::{Actor, CampaignId, EntityId, LeadId, SendingIdentityId, Time, TraceId};
use axle_messaging::{Bus, Envelope, Publication, Relay};
use axle_providers::queue::Queue;
use axle_store::campaigns::CampaignRecord;
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
    pub events: Mutex<Vec<Event>>,
    waiting: Mutex<Vec<(Time, Work)>>,
}

/// What is on the queues.
#[derive(Clone, Debug)]
pub enum Work {
    Outbox(OutboxJob),
    Run(RunJob),
    Campaign(CampaignJob),
    Event(Box<Event>),
}

pub const ONE_STEP: &str = r#"[{"step": 1, "channel": "email", "subject": "Hi {{ lead.first_name | default('there') }}", "body": "Hello https://a.example/x"}]"#;

/// A campaign with this sequence.
pub fn spec(sequence: &str, more: Value) -> Value {
    let sequence: Value = serde_json::from_str(sequence).unwrap();
    let mut spec = json!({"name": "North", "channels": ["email", "sms", "linkedin"], "messaging": {"sequence": sequence}});
    for (name, value) in more.as_object().unwrap() {
        spec["messaging"][name] = value.clone();
    }
    spec
}

impl Stage {
    pub async fn new() -> Self {
        Self::of(World::new().await)
    }

    pub fn of(world: World) -> Self {
        let published = Published::default();
        let (outbox, campaign): (Arc<dyn Queue>, Arc<dyn Queue>) = (world.outbox_queue.clone(), world.campaign_queue.clone());
        let relay = Relay::new(published.clone(), [("outbox", outbox), ("campaign", campaign)]);
        let entity = EntityId::new_at(world.clock.now());
        Self { world, entity, relay, published, events: Mutex::default(), waiting: Mutex::default() }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.world.app
    }

    pub fn ctx(&self) -> Ctx {
        Ctx::system(self.entity, "test", self.app().now(), TraceId::random())
    }

    pub async fn lead(&self, input: Value) -> LeadId {
        let input = serde_json::from_value(input).unwrap();
        let ctx = self.ctx();
        let made = leads::create(self.app(), &ctx, input, |lead| Answer::new(201, json!({"id": lead.value.id}))).await.unwrap();
        made.body["id"].as_str().unwrap().parse().unwrap()
    }

    /// So many leads with nothing but an address.
    pub async fn crowd(&self, count: usize) -> Vec<LeadId> {
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(self.lead(json!({"email": format!("p{n}@example.com"), "title": "CTO"})).await);
        }
        ids
    }

    /// An SMTP identity.
    pub async fn identity(&self, more: Value) -> SendingIdentityId {
        let mut input = json!({"kind": "smtp", "from": "ada@example.com",
            "credentials": {"host": "127.0.0.1", "port": 2525, "tls": "none"}});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input = serde_json::from_value(input).unwrap();
        let ctx = self.ctx();
        let made = communications::create_identity(self.app(), &ctx, input, |i| Answer::new(201, json!({"id": i.value.id})));
        made.await.unwrap().body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn draft(&self, spec: Value) -> CampaignId {
        let spec = serde_json::from_value(spec).unwrap();
        let ctx = self.ctx();
        let made = campaigns::create(self.app(), &ctx, spec, |c| Answer::new(201, json!({"id": c.value.id}))).await.unwrap();
        made.body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn try_launch(&self, id: CampaignId, input: Value) -> Result<Value> {
        let input = serde_json::from_value(input).unwrap();
        Ok(campaigns::launch(self.app(), &self.ctx(), id, input).await?.body)
    }

    /// A campaign that was launched.
    pub async fn launched(&self, spec: Value, input: Value) -> CampaignId {
        let id = self.draft(spec).await;
        self.try_launch(id, input).await.unwrap();
        id
    }

    pub async fn attach(&self, id: CampaignId, lead_ids: Vec<LeadId>) -> Result<Value> {
        Ok(campaigns::attach(self.app(), &self.ctx(), id, AttachInput { lead_ids }).await?.body)
    }

    pub async fn command(&self, id: CampaignId, command: Command) -> Result<Answer> {
        campaigns::command(self.app(), &self.ctx(), id, command, |_, _| Answer::new(200, json!({}))).await
    }

    pub async fn campaign(&self, id: CampaignId) -> CampaignRecord {
        campaigns::get(self.app(), &self.ctx(), id).await.unwrap().value
    }

    pub async fn status(&self, id: CampaignId) -> CampaignStatus {
        self.campaign(id).await.status
    }

    pub async fn overview(&self, id: CampaignId) -> Overview {
        campaigns::overview(self.app(), &self.campaign(id).await).await.unwrap()
    }

    pub async fn members(&self, id: CampaignId, state: Option<RunState>) -> Vec<Member> {
        let page = PageRequest { cursor: None, limit: 1_000 };
        campaigns::members(self.app(), &self.ctx(), id, state, page).await.unwrap().items
    }

    pub async fn member(&self, id: CampaignId, lead: LeadId) -> Member {
        self.members(id, None).await.into_iter().find(|member| member.lead_id == lead).unwrap()
    }

    pub async fn state(&self, id: CampaignId, lead: LeadId) -> RunState {
        self.member(id, lead).await.state
    }

    /// Runs the relay over what the stream has new: events are kept, and those that campaigns listen to are put on their queue.
    pub async fn relay(&self) {
        let batch = serde_json::from_value(json!({"Records": self.world.table.new_records()})).unwrap();
        self.relay.run(batch, Instant::now() + Duration::from_secs(10)).await.unwrap();
        let now = self.world.clock.now();
        let mut waiting = self.waiting.lock().unwrap();
        for event in std::mem::take(&mut *self.published.0.lock().unwrap()) {
            let event = serde_json::from_str::<Envelope>(&format!(r#"{{"detail":{}}}"#, event.detail)).unwrap().detail;
            waiting.push((now, Work::Event(Box::new(event.clone()))));
            self.events.lock().unwrap().push(event);
        }
        let at = |delay: Duration| now.plus_millis(i64::try_from(delay.as_millis()).unwrap());
        for message in self.world.outbox_queue.take() {
            waiting.push((at(message.delay), Work::Outbox(serde_json::from_str(&message.body).unwrap())));
        }
        for message in self.world.campaign_queue.take() {
            let work = match serde_json::from_str(&message.body) {
                Ok(job) => Work::Run(job),
                Err(_) => Work::Campaign(serde_json::from_str(&message.body).unwrap()),
            };
            // What is done for a whole campaign can be done at any time, and nothing waits for the second look.
            let wait = if matches!(work, Work::Campaign(_)) { Duration::ZERO } else { message.delay };
            waiting.push((at(wait), work));
        }
    }

    /// Takes from the queues what is there to be received now.
    pub async fn work(&self) -> Vec<Work> {
        self.relay().await;
        let now = self.world.clock.now();
        self.waiting.lock().unwrap().extract_if(.., |(at, _)| *at <= now).map(|(_, work)| work).collect()
    }

    pub async fn do_one(&self, work: &Work) -> Result<()> {
        let app = self.app();
        match work {
            Work::Outbox(job) => {
                send::Outbox::new(Arc::clone(app), send::Limits { timeout: Duration::from_secs(5) }).send(job).await.map(drop)
            }
            Work::Run(job) => campaigns::advance(app, job).await,
            Work::Campaign(job) => campaigns::work(app, job.clone(), Instant::now() + Duration::from_secs(60)).await,
            Work::Event(event) => campaigns::hear(app, event).await,
        }
    }

    /// Lets everything happen that follows now.
    pub async fn settle(&self) {
        for _ in 0..200 {
            let all = self.work().await;
            if all.is_empty() {
                return;
            }
            for work in &all {
                self.do_one(work).await.unwrap();
            }
        }
        panic!("it does not come to rest");
    }

    /// Moves the clock, sweeps, and lets everything happen that follows.
    pub async fn later(&self, secs: i64) {
        self.world.clock.advance_secs(secs);
        axle_app::schedule::sweep(self.app(), Instant::now() + Duration::from_secs(30)).await.unwrap();
        self.settle().await;
    }

    /// Types of all events so far of campaigns and budgets, in order.
    pub async fn told(&self) -> Vec<String> {
        self.relay().await;
        let events = self.events.lock().unwrap();
        let ours = events.iter().map(|event| event.event_type.to_string());
        ours.filter(|kind| kind.starts_with("campaign.") || kind.starts_with("budget.")).collect()
    }

    pub fn told_of(&self, kind: EventType) -> Vec<Event> {
        self.events.lock().unwrap().iter().filter(|event| event.event_type == kind).cloned().collect()
    }

    /// Addresses that were written to.
    pub fn recipients(&self) -> Vec<String> {
        self.world.sent.emails().into_iter().map(|email| email.to.address.to_string()).collect()
    }

    /// The messages of a lead in a campaign, oldest first.
    pub async fn messages(&self, id: CampaignId, lead: LeadId) -> Vec<CommunicationRecord> {
        let mut found = Vec::new();
        for message in self.member(id, lead).await.messages {
            found.push(
                self.app().table().await.communication(self.entity, message.id, self.app().now()).await.unwrap().unwrap().value,
            );
        }
        found
    }

    /// Says that something happened, as those do who hear of it.
    pub async fn happens(&self, kind: EventType, subject: Subject, campaign: Option<CampaignId>, lead: LeadId, data: Value) {
        let event = Event::new(kind, self.entity, self.app().now(), Actor::system("test"), subject, data);
        let mut tx = self.app().table().await.tx();
        tx.emit(&event.campaign(campaign).lead(lead), 90);
        tx.commit().await.unwrap();
    }

    /// The lead answers the latest message of a campaign.
    pub async fn replies(&self, id: CampaignId, lead: LeadId, data: Value) {
        let message = self.messages(id, lead).await.pop().unwrap().id;
        self.happens(EventType::CommunicationReplied, Subject::new("communication", message), Some(id), lead, data).await;
    }

    pub async fn suppress(&self, address: &str) {
        let input = serde_json::from_value(json!({"address": address})).unwrap();
        communications::suppress(self.app(), &self.ctx(), input, |_| Answer::new(201, json!({}))).await.unwrap();
    }
}

pub fn launched(body: Value) -> (u64, u64, u64) {
    let number = |name: &str| body["targets"][name].as_u64().unwrap();
    (number("matched"), number("eligible"), number("cohort"))
}

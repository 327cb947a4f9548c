//! A tenant with leads and agents, and a runner that tests drive.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::agents::work::{Worked, work};
use axle_app::agents::{AgentMessage, RunView, Slice, TriggerInput};
use axle_app::{Answer, App, Ctx, agents, schedule};
use axle_domain::agent::{AgentInput, ApprovalStatus};
use axle_domain::cost::CostCategory;
use axle_domain::{Actor, ActorKind, AgentId, AgentJobId, ContactId, Date, EntityId, Micros, TraceId};
use axle_store::approvals::ApprovalRecord;
use axle_store::leads::LeadRecord;
use axle_testkit::World;
use serde_json::{Value, json};

pub struct Stage {
    pub world: World,
    pub entity: EntityId,
    /// Everything that the stream brought: events, messages.
    pub seen: std::sync::Mutex<Vec<Value>>,
}

pub fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// `{"S": "x"}` and the like, of an image's attribute.
pub fn text(record: &Value, name: &str) -> String {
    record["dynamodb"]["NewImage"][name]["S"].as_str().unwrap_or_default().to_owned()
}

impl Stage {
    pub async fn new() -> Self {
        let world = World::new().await;
        world.models.answer(|request| match request.builtin.name() {
            "draft_message" => Ok(json!({"subject": "A question", "body": "How do you do?"})),
            "research" => Ok(json!({"answers": [{"question": 0, "known": true, "answer": "They sell rope.", "facts": []}]})),
            _ => Ok(json!({"good": true})),
        });
        let entity = EntityId::new_at(world.clock.now());
        Self { world, entity, seen: Default::default() }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.world.app
    }

    pub fn ctx(&self) -> Ctx {
        let ctx = Ctx::system(self.entity, "test", self.world.clock.now(), TraceId::random());
        Ctx { actor: Actor { kind: ActorKind::ApiKey, id: "7Gk2mQ9xTb4L".to_owned() }, ..ctx }
    }

    pub async fn leads(&self, count: usize) -> Vec<ContactId> {
        let mut ids = Vec::new();
        for n in 0..count {
            let input = serde_json::from_value(
                json!({"email": format!("p{n}@example.com"), "first_name": "Ada", "company": {"name": "Ropes"}}),
            );
            let ctx = self.ctx();
            let made =
                axle_app::outreach::leads::create(self.app(), &ctx, input.unwrap(), |lead| Answer::new(201, lead.value.id));
            ids.push(serde_json::from_value(made.await.unwrap().body).unwrap());
        }
        ids
    }

    /// A marketing list.
    pub async fn list(&self) -> Value {
        let (input, ctx) = (serde_json::from_value(json!({"name": "Fair"})).unwrap(), self.ctx());
        let made = axle_app::crm::marketing_lists::create(self.app(), &ctx, input, |list| Answer::new(201, list.list.value.id));
        made.await.unwrap().body
    }

    pub async fn lead(&self, id: ContactId) -> LeadRecord {
        let id = axle_domain::LeadId::from_uuid(id.uuid());
        axle_app::outreach::leads::get(self.app(), &self.ctx(), id).await.unwrap().value
    }

    pub async fn agent(&self, spec: Value) -> AgentId {
        let spec: AgentInput = axle_app::input::read(spec).unwrap();
        let ctx = self.ctx();
        let made = agents::create(self.app(), &ctx, spec, |agent| Answer::new(201, agent.value.id));
        serde_json::from_value(made.await.unwrap().body).unwrap()
    }

    /// An agent with these steps.
    pub async fn agent_of(&self, steps: Value) -> AgentId {
        self.agent(json!({"name": "Test", "playbook": {"steps": steps}})).await
    }

    pub async fn trigger(&self, agent: AgentId, people: &[ContactId]) -> AgentJobId {
        let wish = TriggerInput { contact_ids: (!people.is_empty()).then(|| people.to_vec()), input: None };
        let made = agents::trigger(self.app(), &self.ctx(), agent, wish, |job| Answer::new(200, job)).await.unwrap();
        serde_json::from_value(made.body).unwrap()
    }

    /// The runner's messages since the last look, from the stream and from the scheduler.
    pub fn messages(&self) -> VecDeque<AgentMessage> {
        let records = self.world.table.new_records();
        let mut found: VecDeque<AgentMessage> = VecDeque::new();
        for record in &records {
            if text(record, "job") == "agents" {
                let body: Value = serde_json::from_str(&text(record, "job_body")).unwrap();
                let all = if let Value::Array(all) = body { all } else { vec![body] };
                found.extend(all.into_iter().map(|body| serde_json::from_value::<AgentMessage>(body).unwrap()));
            }
        }
        self.seen.lock().unwrap().extend(records);
        let due = self.world.agents_queue.take();
        found.extend(due.into_iter().map(|message| serde_json::from_str(&message.body).unwrap()));
        found
    }

    /// Does everything that can be done now.
    pub async fn run(&self) -> Vec<Worked> {
        let mut all = Vec::new();
        loop {
            let messages = self.messages();
            if messages.is_empty() {
                return all;
            }
            for message in messages {
                all.push(work(self.app(), &message, in_time()).await.unwrap());
            }
        }
    }

    /// Lets time pass, and does what has fallen due.
    pub async fn wait(&self, secs: i64) -> Vec<Worked> {
        self.world.clock.advance_secs(secs);
        self.sweep().await;
        self.run().await
    }

    pub async fn sweep(&self) {
        schedule::sweep(self.app(), in_time()).await.unwrap();
    }

    /// The only run of a job.
    pub async fn view(&self, job: AgentJobId) -> RunView {
        let job = agents::get_job(self.app(), &self.ctx(), job).await.unwrap().job;
        agents::get_run(self.app(), &self.ctx(), job.run(0)).await.unwrap()
    }

    /// What models have cost so far.
    pub async fn costs(&self) -> Micros {
        let today = Date::of(self.world.clock.now());
        let rows = self.app().table().await.cost_rows(self.entity, today.plus_days(-9), today).await.unwrap();
        Micros(rows.iter().map(|row| row.sums.amount(CostCategory::AiInference).0).sum())
    }

    pub async fn pending(&self) -> Vec<ApprovalRecord> {
        let slice = Slice { offset: 0, limit: 1_000 };
        agents::approvals(self.app(), &self.ctx(), ApprovalStatus::Pending, slice).await.unwrap().items
    }

    /// How many events of a type there were.
    pub fn events(&self, event_type: &str) -> usize {
        self.messages();
        self.seen.lock().unwrap().iter().filter(|record| text(record, "event_type") == event_type).count()
    }

    /// The leads that messages were queued for, one entry a message.
    pub fn written_to(&self) -> Vec<String> {
        self.messages();
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|record| text(record, "type") == "communication").map(|record| text(record, "lead_id")).collect()
    }
}

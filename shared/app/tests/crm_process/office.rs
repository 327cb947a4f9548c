//! A tenant at work, and short ways to do what it does.

use axle_app::crm::{activities, companies, deals, stages, tasks};
use axle_app::{Answer, App, Ctx, Error, PageRequest, Result};
use axle_domain::crm::PageNumber;
use axle_domain::crm::deal::StageInput;
use axle_domain::event::Event;
use axle_domain::{CompanyId, DealId, EntityId, TraceId, UserId};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::deals::DealRecord;
use axle_store::crm::tasks::{TaskQuery, TaskRecord};
use axle_store::crm::timeline::TimelineRecord;
use axle_store::events::EventQuery;
use axle_testkit::World;
use serde_json::{Value, json};

pub struct Office {
    pub world: World,
    pub entity: EntityId,
    pub user: UserId,
}

pub const ALL: PageNumber = PageNumber { page: 1, size: 1_000 };

impl Office {
    pub async fn new() -> Self {
        Self::of(World::new().await)
    }

    pub fn of(world: World) -> Self {
        let (entity, user) = (EntityId::new_at(world.clock.now()), UserId::new_at(world.clock.now()));
        Self { world, entity, user }
    }

    pub fn app(&self) -> &App {
        &self.world.app
    }

    pub fn ctx(&self) -> Ctx {
        let ctx = Ctx::system(self.entity, "test", self.app().now(), TraceId::random());
        Ctx { user_id: Some(self.user), ..ctx }
    }

    pub async fn company(&self, status: &str) -> CompanyId {
        let input = serde_json::from_value(json!({"name": "Example Ltd", "status": status})).unwrap();
        let ctx = self.ctx();
        let answer = companies::create(self.app(), &ctx, input, |c| Answer::new(201, json!({"id": c.value.id})));
        answer.await.unwrap().body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn company_now(&self, id: CompanyId) -> CompanyRecord {
        companies::get(self.app(), &self.ctx(), id).await.unwrap().value
    }

    pub async fn set_status(&self, id: CompanyId, status: &str) {
        companies::patch(self.app(), &self.ctx(), id, &json!({"status": status}), None).await.unwrap();
    }

    pub async fn try_deal(&self, input: Value) -> Result<DealId> {
        let input = serde_json::from_value(input).unwrap();
        let answer = deals::create(self.app(), &self.ctx(), input, |d| Answer::new(201, json!({"id": d.value.id}))).await?;
        Ok(answer.body["id"].as_str().unwrap().parse().unwrap())
    }

    pub async fn deal(&self, input: Value) -> DealId {
        self.try_deal(input).await.unwrap()
    }

    /// A deal of a company.
    pub async fn deal_with(&self, company: CompanyId) -> DealId {
        self.deal(json!({"title": "Fifty seats", "companyId": company, "valueMinor": 1000, "ownerUserId": self.user})).await
    }

    pub async fn deal_now(&self, id: DealId) -> DealRecord {
        deals::get(self.app(), &self.ctx(), id).await.unwrap().value
    }

    pub async fn try_shift(&self, id: DealId, wish: Value) -> Result<axle_store::Versioned<DealRecord>> {
        let wish: StageInput = serde_json::from_value(wish).unwrap();
        stages::shift(self.app(), &self.ctx(), id, wish, None).await
    }

    pub async fn shift(&self, id: DealId, stage: &str) -> DealRecord {
        let mut wish = json!({"stage": stage});
        if stage == "lost" {
            wish["lostReason"] = json!("price");
        }
        self.try_shift(id, wish).await.unwrap().value
    }

    pub async fn patch(&self, id: DealId, change: Value) -> Result<DealRecord> {
        Ok(deals::patch(self.app(), &self.ctx(), id, &change, None).await?.value)
    }

    pub async fn note(&self, input: Value) -> Value {
        let input = serde_json::from_value(input).unwrap();
        let ctx = self.ctx();
        let answer = activities::create(self.app(), &ctx, input, |a| Answer::new(201, json!({"id": a.id, "task": a.task_id})));
        answer.await.unwrap().body
    }

    pub async fn tasks(&self) -> Vec<TaskRecord> {
        let found = tasks::list(self.app(), &self.ctx(), &TaskQuery::default(), ALL).await.unwrap();
        found.items.into_iter().map(|task| task.value).collect()
    }

    /// The newest task.
    pub async fn task(&self) -> TaskRecord {
        self.tasks().await.into_iter().next().unwrap()
    }

    /// What was told of deals, tasks and reminders, oldest first: type and data.
    pub async fn told(&self) -> Vec<(String, Value)> {
        self.events().await.into_iter().rev().map(|e| (e.event_type.to_string(), e.data)).collect()
    }

    pub async fn events(&self) -> Vec<Event> {
        let prefixes = ["lead.", "task.", "reminder."].map(str::to_owned).to_vec();
        let query = EventQuery { prefixes, ..EventQuery::default() };
        self.app().table().await.events(self.entity, &query, None, 1_000, self.app().now()).await.unwrap().0
    }

    /// A deal's timeline, newest first.
    pub async fn timeline(&self, id: DealId) -> Vec<TimelineRecord> {
        let page = PageRequest { cursor: None, limit: 100 };
        activities::timeline(self.app(), &self.ctx(), id, page).await.unwrap().items
    }
}

/// The pointers of a refusal's faults.
pub fn pointers<T: std::fmt::Debug>(refused: Result<T>) -> Vec<String> {
    match refused {
        Err(Error::Invalid(faults)) => faults.into_iter().map(|f| f.pointer).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

//! Imports from end to end, on an embedded table and objects in memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod exact;
mod files;
mod interrupted;
mod requests;
mod updates;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::outreach::imports::{
    ErrorsCsv, ImportJob, ImportOptions, ImportRequest, ImportView, OnDuplicate, SentAs, Source, WorkOutcome, errors, get, start,
    work,
};
use axle_app::{Answer, App, Clock, Config, Ctx, Error, Parts};
use axle_domain::webhook::NetworkPolicy;
use axle_domain::{EntityId, ImportJobId, TraceId};
use axle_providers::objects::MemoryObjects;
use axle_providers::{Lazy, outbound, secrets::Secrets, vault::Vault};
use axle_store::Table;
use axle_store::leads::{LeadQuery, LeadRecord};
use axle_testkit::{TestTable, World};
use serde_json::{Value, json};

const SKIP: ImportOptions = ImportOptions { dedupe: true, on_duplicate: OnDuplicate::Skip, campaign_id: None, mapping: None };
const UPDATE: ImportOptions = ImportOptions { on_duplicate: OnDuplicate::Update, ..SKIP };

/// A tenant of its own in a world of its own.
struct Tenant {
    world: World,
    entity: EntityId,
}

impl Tenant {
    async fn new() -> Self {
        let world = World::new().await;
        let entity = EntityId::new_at(world.clock.now());
        Self { world, entity }
    }

    fn app(&self) -> &Arc<App> {
        &self.world.app
    }

    fn ctx(&self) -> Ctx {
        Ctx::system(self.entity, "test", self.app().now(), TraceId::random())
    }

    /// What the request is answered with.
    async fn request(&self, source: Source, options: ImportOptions) -> Result<Value, Error> {
        let answer =
            start(self.app(), &self.ctx(), ImportRequest { source, options }, |started| Answer::new(202, started)).await?;
        assert_eq!(answer.status, 202);
        Ok(answer.body)
    }

    async fn start(&self, csv: &str, options: ImportOptions) -> Value {
        let source = Source::Inline { bytes: csv.to_owned().into(), sent_as: SentAs::Body };
        self.request(source, options).await.unwrap()
    }

    fn job(&self, started: &Value) -> ImportJob {
        let import_job_id: ImportJobId = started["import_job_id"].as_str().unwrap().parse().unwrap();
        ImportJob { entity_id: self.entity, import_job_id, trace_id: None }
    }

    /// Another process of the same application on the same table.
    fn another_app(&self, clock: Clock, objects: MemoryObjects) -> Arc<App> {
        let table = Table::new(self.world.table.client(), TestTable::NAME);
        let secrets = Arc::new(Secrets::fixed([]));
        App::new(Parts {
            config: Config::default(),
            clock,
            table: Lazy::new(move || table.clone()),
            vault: Vault::new(Arc::clone(&secrets), "vault"),
            secrets,
            objects: Arc::new(objects),
            deliver_queue: self.world.deliver_queue.clone(),
            import_queue: self.world.import_queue.clone(),
            outbox_queue: Arc::new(axle_providers::queue::MemoryQueue::default()),
            campaign_queue: Arc::new(axle_providers::queue::MemoryQueue::default()),
            agents_queue: Arc::new(axle_providers::queue::MemoryQueue::default()),
            models: Arc::new(axle_providers::model::ScriptedModels::new()),
            sender: Arc::new(axle_providers::mail::Capture::new()),
            outbound: outbound::Client::new(NetworkPolicy::PUBLIC_ONLY),
        })
    }

    async fn work(&self, job: &ImportJob) -> WorkOutcome {
        work(self.app(), job.clone(), in_time()).await.outcome.unwrap()
    }

    async fn view(&self, job: &ImportJob) -> ImportView {
        get(self.app(), &self.ctx(), job.import_job_id).await.unwrap()
    }

    /// Starts an import and does all of it.
    async fn import(&self, csv: &str, options: ImportOptions) -> (ImportView, String) {
        let job = self.job(&self.start(csv, options).await);
        assert_eq!(self.work(&job).await, WorkOutcome::Ended);
        (self.view(&job).await, self.errors(&job).await)
    }

    async fn errors(&self, job: &ImportJob) -> String {
        match errors(self.app(), &self.ctx(), job.import_job_id).await.unwrap() {
            ErrorsCsv::Inline(csv) => String::from_utf8(csv).unwrap(),
            ErrorsCsv::Redirect(url) => panic!("redirected to {url}"),
        }
    }

    /// Every lead of the tenant, by e-mail address.
    async fn leads(&self) -> Vec<LeadRecord> {
        let table = self.app().table().await;
        let (mut leads, mut after) = (Vec::new(), None);
        loop {
            let page = table.leads(self.entity, &LeadQuery::default(), after.as_deref(), 1000, self.app().now()).await.unwrap();
            leads.extend(page.0.into_iter().map(|lead| lead.value));
            after = page.1;
            if after.is_none() {
                leads.sort_by_key(|lead: &LeadRecord| (lead.profile.email.clone(), lead.id));
                return leads;
            }
        }
    }

    /// The bodies of the events since the last look.
    fn events(&self) -> Vec<Value> {
        let bodies = self.world.table.new_records().into_iter().filter_map(|record| {
            let image = &record["dynamodb"]["NewImage"];
            (image["type"]["S"] == "event").then(|| serde_json::from_str(image["body"]["S"].as_str().unwrap()).unwrap())
        });
        bodies.collect()
    }
}

fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// created, updated, skipped, failed
fn ends(view: &ImportView) -> [u64; 4] {
    assert_eq!(view.processed, view.created + view.updated + view.skipped + view.failed);
    [view.created, view.updated, view.skipped, view.failed]
}

/// The counts of an answer: rows, valid, duplicates, invalid.
fn counted(started: &Value) -> Value {
    json!([started["row_count"], started["valid_row_count"], started["duplicate_count"], started["invalid_row_count"]])
}

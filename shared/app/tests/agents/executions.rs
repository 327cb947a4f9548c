//! Executions on the spot.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axle_app::agents::work::work;
use axle_app::agents::{ExecuteInput, Executed, execute};
use axle_app::communications::send::{Limits, Outbox};
use axle_app::outreach::enrichment::put_provider;
use axle_app::{Answer, Error};
use axle_domain::agent::{ActionStatus, AgentRole, RunStatus, built_in_id};
use axle_domain::cost::CostCategory;
use axle_domain::{AgentId, Date, Micros};
use axle_store::communications::OutboxJob;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::Stage;
use crate::stage::{in_time, text};

async fn executed(stage: &Stage, agent: AgentId, input: Value, dry_run: bool) -> Result<Value, Vec<String>> {
    let wish = ExecuteInput { input: input.as_object().unwrap().clone(), dry_run };
    let seen = |executed: &Executed| {
        Answer::new(200, json!({"status": executed.status, "output": executed.output, "cost": executed.cost}))
    };
    match execute(stage.app(), &stage.ctx(), agent, wish, seen).await {
        Ok(answer) => Ok(answer.body),
        Err(Error::Invalid(faults)) => Err(faults.into_iter().map(|fault| fault.pointer).collect()),
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_squad_does_what_it_is_told() {
    let stage = Stage::new().await;
    let lead = stage.leads(1).await[0];
    let of = |role| built_in_id(stage.entity, role);
    let draft = executed(&stage, of(AgentRole::Copywriter), json!({"lead_id": lead, "tone": "warm"}), false).await.unwrap();
    assert_eq!(draft["output"], json!({"channel": "email", "subject": "A question", "body": "How do you do?"}));
    let found =
        executed(&stage, of(AgentRole::Researcher), json!({"lead_id": lead, "questions": ["Rope?"]}), false).await.unwrap();
    assert_eq!(found["output"]["answers"][0]["question"], "Rope?");
    let message = json!({"lead_id": lead, "subject": "Hi {{ x }}", "body": "{{ contact.email }}"});
    let dry = executed(&stage, of(AgentRole::Sender), message.clone(), true).await.unwrap();
    assert_eq!((dry["status"].as_str(), stage.written_to().len()), (Some("completed"), 0));
    executed(&stage, of(AgentRole::Sender), message, false).await.unwrap();
    assert_eq!(stage.written_to(), [lead.to_string()]);
    let task = executed(&stage, of(AgentRole::Scheduler), json!({"lead_id": lead, "due_in_hours": 5}), false).await.unwrap();
    assert!(task["output"]["task_id"].is_string(), "{task}");
    let skipped = executed(&stage, of(AgentRole::Enricher), json!({"lead_id": lead}), false).await.unwrap();
    assert_eq!(skipped["output"]["steps"]["enrich"]["status"], "skipped");
    for (role, input, pointers) in [
        (AgentRole::Sender, json!({"lead_id": lead}), vec!["/input/body", "/input/subject"]),
        (AgentRole::Copywriter, json!({"lead_id": "7"}), vec!["/input/lead_id"]),
        (AgentRole::Copywriter, json!({"lead_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"}), vec!["/input/lead_id"]),
        (AgentRole::Scorer, json!({"lead_id": lead, "x": 1}), vec!["/input/x"]),
    ] {
        let mut found = executed(&stage, of(role), input, false).await.unwrap_err();
        found.sort();
        assert_eq!(found, pointers, "{role}");
    }
    let numbers = stage.app().table().await.agent_numbers(stage.entity, of(AgentRole::Sender)).await.unwrap();
    assert_eq!((numbers.executions, numbers.succeeded, numbers.last_at), (1, 1, Some(stage.world.clock.now())));
}

/// An API that says how large a company is, for 0.02 a call.
async fn sizes(stage: &Stage) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(json!({"size": 120}))).mount(&server).await;
    let sizes =
        json!({"url": format!("{}/{{email}}", server.uri()), "mapping": {"company.size": "$.size"}, "cost_per_call": "0.02"});
    let (name, input) = ("sizes".parse().unwrap(), axle_app::input::read(sizes).unwrap());
    put_provider(stage.app(), &stage.ctx(), &name, input, None).await.unwrap();
    server
}

/// What enrichment has cost so far.
async fn enriching(stage: &Stage) -> i64 {
    let today = Date::of(stage.world.clock.now());
    let rows = stage.app().table().await.cost_rows(stage.entity, today.plus_days(-1), today).await.unwrap();
    rows.iter().map(|row| row.sums.amount(CostCategory::DataEnrichment).0).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn enriching_stays_within_max_cost() {
    let stage = Stage::new().await;
    let server = sizes(&stage).await;
    let people = stage.leads(9).await;
    let agent = stage
        .agent(json!({"name": "Thrifty", "playbook": {"limits": {"max_cost": "0.05"}, "steps": [
            {"id": "enrich", "action": "enrich", "params": {"providers": ["website", "sizes"]}}]}}))
        .await;
    let job = stage.trigger(agent, &people).await;
    let plan = stage.messages().pop_front().unwrap();
    work(stage.app(), &plan, in_time()).await.unwrap();
    let workers = stage.messages().into_iter().map(|message| {
        let app = stage.app().clone();
        tokio::spawn(async move { work(&app, &message, in_time()).await.unwrap() })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let run = stage.view(job).await;
    assert_eq!((run.cost, enriching(&stage).await), (Micros(40_000), 40_000), "as many as there is money for");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    let refused =
        run.contacts.iter().filter(|(contact, _)| contact.reason.as_deref().is_some_and(|why| why.contains("max_cost")));
    assert_eq!(refused.count(), 7);
    // On the spot as well.
    let lead = people[8];
    let spec =
        json!({"name": "One", "playbook": {"limits": {"max_cost": "0.01"}, "steps": [{"id": "enrich", "action": "enrich"}]}});
    let one = stage.agent(spec).await;
    let done = executed(&stage, one, json!({"lead_id": lead}), false).await.unwrap();
    assert_eq!((done["status"].as_str(), done["cost"].as_str()), (Some("failed"), Some("0")), "{done}");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_dead_worker_paid_is_the_runs_cost() {
    let stage = Stage::new().await;
    let server = sizes(&stage).await;
    let people = stage.leads(12).await;
    let agent = stage
        .agent(json!({"name": "Careful", "playbook": {"limits": {"max_cost": "0.30"}, "steps": [
            {"id": "enrich", "action": "enrich", "params": {"providers": ["sizes"]}},
            {"id": "tell", "action": "notify", "params": {"message": "{{ lead.company.size }}"}}]}}))
        .await;
    let (mut costs, mut deaths) = (0, 0);
    for (n, person) in people.iter().enumerate() {
        let job = stage.trigger(agent, &[*person]).await;
        let plan = stage.messages().pop_front().unwrap();
        work(stage.app(), &plan, in_time()).await.unwrap();
        for message in stage.messages() {
            // Each dies a look at the clock later than the one before.
            let (clock, left) = (stage.world.clock.clone(), AtomicI64::new(i64::try_from(n).unwrap() + 1));
            let app = stage.world.another_app(Arc::new(move || {
                assert!(left.fetch_sub(1, Ordering::SeqCst) > 0, "killed");
                clock.now()
            }));
            let first = message.clone();
            deaths += usize::from(tokio::spawn(async move { work(&app, &first, in_time()).await.is_ok() }).await.is_err());
            // The queue hands it out again when its worker is surely dead.
            stage.world.clock.advance_secs(120);
            work(stage.app(), &message, in_time()).await.unwrap();
        }
        stage.wait(120).await;
        let run = stage.view(job).await;
        assert_eq!((run.status, run.cost), (RunStatus::Completed, Micros(20_000)), "{n} {:?}", run.contacts);
        costs += run.cost.0;
        assert_eq!(enriching(&stage).await, costs, "{n}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), people.len(), "nobody is asked twice for the same");
    assert!(deaths > 3, "{deaths}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_enriching_costs_is_counted_once_and_for_the_agent() {
    let stage = Stage::new().await;
    let server = sizes(&stage).await;
    let people = stage.leads(1).await;
    let steps = json!([
        {"id": "enrich", "action": "enrich", "params": {"providers": ["sizes"]}},
        {"id": "score", "action": "score"},
        {"id": "tell", "action": "notify", "when": "steps.score.score >= 0 and steps.enrich.company.size == '120'", "params": {"message": "x"}},
    ]);
    let agent = stage.agent_of(steps).await;
    // The second time it is known, and costs nothing.
    for (cost, events) in [(20_000, 1), (0, 2)] {
        let job = stage.trigger(agent, &people).await;
        stage.run().await;
        let run = stage.view(job).await;
        let (contact, _) = &run.contacts[0];
        assert!(contact.actions.iter().all(|action| action.status == ActionStatus::Done), "{contact:?}");
        assert_eq!((run.cost, stage.events("agent.notified")), (Micros(cost), events));
        let today = Date::of(stage.world.clock.now());
        let rows = stage.app().table().await.cost_rows(stage.entity, today, today).await.unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.agent_id.as_deref(), row.sums.total()), (Some(agent.to_string().as_str()), Micros(20_000)));
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    assert_eq!(stage.lead(people[0]).await.status.as_str(), "scored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agents_messages_cost_is_the_agents() {
    let stage = Stage::new().await;
    let people = stage.leads(2).await;
    let steps =
        json!([{"id": "send", "action": "send_message", "params": {"channel": "email", "subject": "Hi", "body": "there"}}]);
    let agent = stage.agent_of(steps).await;
    stage.trigger(agent, &people[..1]).await;
    stage.run().await;
    executed(&stage, agent, json!({"lead_id": people[1]}), false).await.unwrap();
    stage.messages();
    let jobs: Vec<OutboxJob> = {
        let seen = stage.seen.lock().unwrap();
        let ours = seen.iter().filter(|record| text(record, "job") == "outbox");
        ours.map(|record| serde_json::from_str(&text(record, "job_body")).unwrap()).collect()
    };
    assert_eq!(jobs.len(), 2);
    let outbox = Outbox::new(stage.app().clone(), Limits { timeout: Duration::from_secs(5) });
    for job in &jobs {
        outbox.send(job).await.unwrap();
    }
    assert_eq!(stage.events("communication.sent"), 2);
    let of_agent =
        |record: &&Value| text(record, "event_type") == "communication.sent" && text(record, "agent_id") == agent.to_string();
    assert_eq!(stage.seen.lock().unwrap().iter().filter(of_agent).count(), 2);
    let today = Date::of(stage.world.clock.now());
    let rows = stage.app().table().await.cost_rows(stage.entity, today, today).await.unwrap();
    let sent: i64 = rows.iter().map(|row| row.sums.amount(CostCategory::ChannelCosts).0).sum();
    assert!(sent > 0 && rows.iter().all(|row| row.agent_id == Some(agent.to_string())), "{rows:?}");
}

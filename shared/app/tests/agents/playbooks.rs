//! What playbooks do, step by step.

use std::time::{Duration, Instant};

use axle_app::agents::work::{Worked, work};
use axle_app::{Answer, Error, agents};
use axle_domain::agent::{ActionStatus, RunStatus};
use axle_providers::model::ModelErrorKind;
use axle_store::agent_runs::JobRecord;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn every_action_does_its_work_once() {
    let stage = Stage::new().await;
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(json!({"seats": 5}))).mount(&server).await;
    let people = stage.leads(1).await;
    let list = stage.list().await;
    let agent = stage
        .agent_of(json!([
            {"id": "enrich", "action": "enrich"},
            {"id": "score", "action": "score"},
            {"id": "research", "action": "research", "params": {"questions": ["What do they sell?"]}},
            {"id": "ask", "action": "model", "params": {"prompt": "Good?", "output_schema": {"type": "object"}}},
            {"id": "call", "action": "http", "params": {"url": format!("{}/x", server.uri()), "method": "post", "body": {"who": "{{ contact.email }}"}}},
            {"id": "draft", "action": "draft_message", "params": {"channel": "email", "instructions": "Say hello."}},
            {"id": "send", "action": "send_message", "when": "steps.ask.good and steps.call.body.seats == 5", "params": {"channel": "email", "from_step": "draft"}},
            {"id": "never", "action": "notify", "when": "steps.call.body.seats > 5", "params": {"message": "x"}},
            {"id": "stage", "action": "update_stage", "params": {"stage": "contacted"}},
            {"id": "list", "action": "add_to_list", "params": {"list_id": list}},
            {"id": "task", "action": "create_task", "params": {"title": "Call {{ contact.name }}", "due_in_hours": 2}},
            {"id": "again", "action": "create_follow_up", "params": {"subject": "Ask again", "due_in_hours": 72}},
            {"id": "tell", "action": "notify", "params": {"message": "{{ contact.first_name }}: {{ steps.research.answers[0].answer }}"}},
        ]))
        .await;
    let job = stage.trigger(agent, &people).await;
    assert_eq!(stage.run().await, [Worked::Made, Worked::Ended]);
    let run = stage.view(job).await;
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.contacts);
    let actions = &run.contacts[0].0.actions;
    let statuses: Vec<(&str, &str)> = actions.iter().map(|action| (action.step_id.as_str(), action.status.as_str())).collect();
    assert_eq!(
        statuses,
        [
            ("enrich", "skipped"),
            ("score", "done"),
            ("research", "done"),
            ("ask", "done"),
            ("call", "done"),
            ("draft", "done"),
            ("send", "done"),
            ("never", "skipped"),
            ("stage", "done"),
            ("list", "skipped"),
            ("task", "done"),
            ("again", "done"),
            ("tell", "done"),
        ]
    );
    assert!(actions[9].error.as_ref().unwrap().contains("a lead has none") && actions[0].error.is_some());
    assert_eq!(stage.written_to(), [people[0].to_string()]);
    assert_eq!(stage.lead(people[0]).await.status.as_str(), "contacted");
    assert_eq!((stage.events("agent.notified"), stage.events("task.created"), stage.events("agent.run.completed")), (1, 2, 1));
    let calls = server.received_requests().await.unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(serde_json::from_slice::<Value>(&calls[0].body).unwrap(), json!({"who": "p0@example.com"}));
    assert_eq!(calls[0].headers["idempotency-key"].to_str().unwrap().len(), 36);
    // A message that comes again finds nothing to do.
    assert!(stage.run().await.is_empty());
    let person = &run.contacts[0].1;
    assert_eq!((person.name.as_deref(), person.company.as_deref()), (Some("Ada"), Some("Ropes")));
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_are_over_when_they_are_and_runs_in_time() {
    let stage = Stage::new().await;
    let people = stage.leads(2).await;
    let agent = stage
        .agent(json!({"name": "Slow", "playbook": {"limits": {"max_duration_seconds": 7_200}, "steps": [
            {"id": "wait", "action": "wait", "params": {"hours": 1}},
            {"id": "tell", "action": "notify", "params": {"message": "now"}},
            {"id": "more", "action": "wait", "params": {"hours": 10}},
            {"id": "never", "action": "notify", "params": {"message": "never"}}]}}))
        .await;
    let job = stage.trigger(agent, &people).await;
    assert_eq!(stage.run().await, [Worked::Made, Worked::Parked, Worked::Parked]);
    let seen = agents::get_job(stage.app(), &stage.ctx(), job).await.unwrap();
    assert_eq!((seen.status, seen.counts.waiting, seen.total), (RunStatus::Waiting, 2, 2));
    assert!(stage.wait(3_599).await.is_empty(), "too early");
    assert_eq!(stage.wait(1).await, [Worked::Parked, Worked::Parked]);
    assert_eq!(stage.events("agent.notified"), 2);
    assert_eq!(stage.wait(3_600).await, [Worked::Ended, Worked::Ended]);
    let run = stage.view(job).await;
    assert_eq!((run.status, stage.events("agent.notified"), stage.events("agent.run.failed")), (RunStatus::Failed, 2, 1));
    assert!(run.contacts[0].0.reason.as_ref().unwrap().contains("max_duration_seconds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_left_out_or_the_end() {
    let stage = Stage::new().await;
    let people = stage.leads(1).await;
    let passing = || Err(ModelErrorKind::Unavailable { provider: "test", reason: "down".to_owned() });
    for (on_error, failures, ends) in
        [("fail", 1, "failed"), ("skip", 1, "completed"), ("retry", 2, "completed"), ("retry", 4, "failed")]
    {
        let agent = stage
            .agent_of(json!([
                {"id": "draft", "action": "draft_message", "on_error": on_error, "params": {"channel": "email", "instructions": "x"}},
                {"id": "tell", "action": "notify", "params": {"message": "on"}}]))
            .await;
        (0..failures).for_each(|_| stage.world.models.next(passing()));
        let job = stage.trigger(agent, &people).await;
        stage.run().await;
        for _ in 0..4 {
            stage.wait(1_000).await;
        }
        let run = stage.view(job).await;
        assert_eq!(run.status.as_str(), ends, "{on_error} {failures}");
        let done = run.contacts[0].0.actions[1].status == ActionStatus::Done;
        assert_eq!(done, ends == "completed", "{on_error} {failures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_hold_for_everybody_together() {
    let stage = Stage::new().await;
    let people = stage.leads(12).await;
    let agent = stage
        .agent(json!({"name": "Thrifty", "llm_config": {"provider": "openai", "model": "no-such-model"}, "playbook": {
            "limits": {"max_cost": "10", "max_actions": 5},
            "steps": [{"id": "ask", "action": "model", "params": {"prompt": "x", "output_schema": {"type": "object"}}}]}}))
        .await;
    let job = stage.trigger(agent, &people).await;
    let plan = stage.messages().pop_front().unwrap();
    axle_app::agents::work::work(stage.app(), &plan, crate::stage::in_time()).await.unwrap();
    let workers: Vec<_> = stage
        .messages()
        .into_iter()
        .map(|message| {
            let app = stage.app().clone();
            tokio::spawn(async move { axle_app::agents::work::work(&app, &message, crate::stage::in_time()).await.unwrap() })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let run = stage.view(job).await;
    let done = run.contacts.iter().filter(|(contact, _)| contact.actions[0].status == ActionStatus::Done).count();
    assert_eq!((done, stage.world.models.asked().len()), (5, 5));
    assert!(
        run.contacts.iter().filter(|(contact, _)| contact.status == RunStatus::Failed).all(|(c, _)| c
            .reason
            .as_ref()
            .unwrap()
            .contains("max_actions"))
    );
    let spent = stage.costs().await;
    assert!(spent.0 > 0 && run.cost == spent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_begins_nothing_new() {
    let stage = Stage::new().await;
    let people = stage.leads(3).await;
    let agent = stage
        .agent_of(json!([
            {"id": "tell", "action": "notify", "requires_approval": true, "params": {"message": "now"}},
            {"id": "more", "action": "notify", "params": {"message": "more"}}]))
        .await;
    let job = stage.trigger(agent, &people).await;
    stage.run().await;
    let run = stage.view(job).await;
    assert_eq!((run.status, stage.pending().await.len()), (RunStatus::PendingApproval, 3));
    let ctx = stage.ctx();
    let cancel = || agents::cancel(stage.app(), &ctx, run.run.id, |run| Answer::new(200, run.status));
    cancel().await.unwrap();
    assert!(matches!(cancel().await, Err(Error::Conflict(_))));
    stage.run().await;
    let run = stage.view(job).await;
    assert_eq!((run.status, stage.pending().await.len(), stage.events("agent.notified")), (RunStatus::Cancelled, 0, 0));
    assert_eq!(stage.events("agent.run.cancelled"), 1);
    assert!(run.contacts.iter().all(|(contact, _)| contact.status == RunStatus::Cancelled && contact.reason.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn targeting_finds_its_people_and_deleted_agents_leave_nothing() {
    let stage = Stage::new().await;
    stage.leads(3).await;
    let agent = stage
        .agent(json!({"name": "T", "playbook": {"targeting": {"source": "leads", "status": "new", "limit": 2}, "steps": [
            {"id": "tell", "action": "notify", "requires_approval": true, "params": {"message": "now"}}]}}))
        .await;
    let job = stage.trigger(agent, &[]).await;
    stage.run().await;
    let run = stage.view(job).await;
    assert_eq!((run.contacts.len(), stage.pending().await.len()), (2, 2));
    agents::delete(stage.app(), &stage.ctx(), agent, None).await.unwrap();
    assert!(matches!(agents::get_run(stage.app(), &stage.ctx(), run.run.id).await, Err(Error::NotFound("run"))));
    assert_eq!(stage.run().await, [Worked::Made]);
    assert!(stage.pending().await.is_empty());
    // A decision that comes too late finds nothing.
    let place = (run.run.id, axle_domain::ContactId::from_uuid(run.contacts[0].0.target.id), 0);
    let ctx = stage.ctx();
    let late = agents::approve(stage.app(), &ctx, place, Default::default(), |_| Answer::new(200, ()));
    assert!(matches!(late.await, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_was_approved_begins_then() {
    let stage = Stage::new().await;
    let people = stage.leads(1).await;
    let agent = stage
        .agent_of(json!([
            {"id": "wait", "action": "wait", "requires_approval": true, "params": {"hours": 2}},
            {"id": "tell", "action": "notify", "params": {"message": "now"}}]))
        .await;
    let job = stage.trigger(agent, &people).await;
    stage.run().await;
    let asked = stage.pending().await.remove(0);
    let (ctx, place) = (stage.ctx(), (asked.run_id, axle_domain::ContactId::from_uuid(asked.target.id), 0));
    agents::approve(stage.app(), &ctx, place, Default::default(), |_| Answer::new(200, ())).await.unwrap();
    assert_eq!(stage.run().await, [Worked::Parked]);
    assert_eq!(stage.view(job).await.status, RunStatus::Waiting);
    assert!(stage.wait(7_199).await.is_empty(), "too early");
    assert_eq!(stage.wait(1).await, [Worked::Ended]);
    let run = stage.view(job).await;
    assert_eq!((run.status, stage.events("agent.notified")), (RunStatus::Completed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_their_way_stops_when_their_agent_is_deleted() {
    let stage = Stage::new().await;
    let people = stage.leads(3).await;
    let agent = stage
        .agent_of(json!([
            {"id": "wait", "action": "wait", "params": {"hours": 1}},
            {"id": "tell", "action": "notify", "params": {"message": "now"}}]))
        .await;
    stage.trigger(agent, &people).await;
    stage.run().await;
    agents::delete(stage.app(), &stage.ctx(), agent, None).await.unwrap();
    // Before their runs are deleted their time comes.
    let forget = stage.messages();
    assert_eq!(stage.wait(3_600).await, [Worked::Ended; 3]);
    assert_eq!((stage.events("agent.notified"), stage.events("agent.run.cancelled")), (0, 1));
    // A worker without time passes the rest on; in the end nothing is left.
    let late = Instant::now() + Duration::from_secs(2);
    let passed_on = work(stage.app(), &forget[0], late).await.unwrap();
    assert_eq!((passed_on, stage.run().await), (Worked::Continued, vec![Worked::Made]));
    let table = stage.app().table().await;
    assert!(table.run_ids(stage.entity, agent).await.unwrap().is_empty());
    for person in people {
        assert!(table.person_runs(stage.entity, person.uuid(), 5, stage.world.clock.now()).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_agent_is_deleted_before_it_begins_leaves_nothing() {
    let stage = Stage::new().await;
    let people = stage.leads(1).await;
    let agent = stage.agent_of(json!([{"id": "tell", "action": "notify", "params": {"message": "now"}}])).await;
    let job = stage.trigger(agent, &people).await;
    agents::delete(stage.app(), &stage.ctx(), agent, None).await.unwrap();
    assert_eq!(stage.run().await, [Worked::Made, Worked::Made]);
    let key = JobRecord::key_of(stage.entity, job);
    assert!(stage.app().table().await.get::<JobRecord>(&key, stage.world.clock.now()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_deal_is_moved_before_one_that_was_closed() {
    let stage = Stage::new().await;
    let ctx = stage.ctx();
    let contact = serde_json::from_value(json!({"firstName": "Ada"})).unwrap();
    let contact = axle_app::crm::contacts::create(stage.app(), &ctx, contact, |made| Answer::new(201, made.value.id)).await;
    let contact: axle_domain::ContactId = serde_json::from_value(contact.unwrap().body).unwrap();
    let mut deals = Vec::new();
    // The lost one is the newer.
    for stage_of_deal in ["proposal", "lost"] {
        stage.world.clock.advance_secs(1);
        let deal = json!({"title": "Ropes", "contactId": contact, "stage": stage_of_deal, "lostReason": (stage_of_deal == "lost").then_some("price")});
        let deal = axle_app::input::read(deal).unwrap();
        let made = axle_app::crm::deals::create(stage.app(), &stage.ctx(), deal, |made| Answer::new(201, made.value.id)).await;
        deals.push(serde_json::from_value::<axle_domain::DealId>(made.unwrap().body).unwrap());
    }
    let agent = stage.agent_of(json!([{"id": "move", "action": "update_stage", "params": {"stage": "lost"}}])).await;
    let job = stage.trigger(agent, &[contact]).await;
    stage.run().await;
    let result = stage.view(job).await.contacts[0].0.actions[0].result.clone().unwrap();
    assert_eq!(result, json!({"stage": "lost", "deal_id": deals[0]}));
}

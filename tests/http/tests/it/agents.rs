//! Agents at work: jobs, runs, and what people decide about them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_domain::identity::Scope;
use axle_testkit::{Answered, call, request};
use serde_json::{Value, json};

use crate::support::{Api, each, id, jobs_of, queue_of};

const NOBODY: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";

/// Does everything that agents were told to do.
async fn work(api: &Api) {
    loop {
        let records = api.world.table.new_records();
        let ours = records.iter().filter(|record| queue_of(record) == Some("agents"));
        let mut messages: Vec<Value> = ours.flat_map(jobs_of).collect();
        messages.extend(api.world.agents_queue.take().iter().map(|due| serde_json::from_str::<Value>(&due.body).unwrap()));
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let (message, deadline) = (serde_json::from_value(message).unwrap(), Instant::now() + Duration::from_secs(60));
            axle_app::agents::work::work(&api.world.app, &message, deadline).await.unwrap();
        }
    }
}

async fn leads(api: &Api, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let lead = json!({"email": format!("p{n}@example.com"), "first_name": "Ada", "last_name": format!("L{n}"), "company": {"name": "Ropes"}});
        ids.push(id(&api.post("/leads", lead).await));
    }
    ids
}

async fn made(api: &Api, spec: Value) -> String {
    let made = api.post("/v1/agents", spec).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json()["agent"]["id"].as_str().unwrap().to_owned()
}

/// An agent that asks before it writes.
async fn asking(api: &Api) -> String {
    let steps = json!([
        {"id": "send", "action": "send_message", "requires_approval": true,
            "params": {"channel": "email", "subject": "Hi {{ contact.first_name }}", "body": "How do you do?"}},
        {"id": "tell", "action": "notify", "on_error": "skip", "params": {"message": "written"}}]);
    made(api, json!({"name": "Asking", "playbook": {"steps": steps}})).await
}

async fn triggered(api: &Api, agent: &str, people: &[String]) -> String {
    api.world.clock.advance_millis(5);
    let answer = api.post(&format!("/v1/agents/{agent}/trigger"), json!({"contact_ids": people})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("success")), "{}", answer.text);
    answer.json()["job_id"].as_str().unwrap().to_owned()
}

async fn read(api: &Api, path: &str) -> Value {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{path} {}", answer.text);
    assert_eq!(answer.json()["status"], "success", "{path}");
    answer.json()
}

/// The path of an action that an approval is about.
fn action(approval: &Value) -> String {
    let text = |name: &str| approval[name].as_str().unwrap().to_owned();
    format!("/v1/agents/runs/{}/contacts/{}/actions/{}", text("run_id"), text("contact_id"), approval["action_index"])
}

fn refused(answer: &Answered, status: u16) -> String {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["status"]), (status, &json!("error")), "{}", answer.text);
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// Messages that were queued for a lead.
async fn messages(api: &Api, lead: &str) -> Vec<Value> {
    api.pages(&format!("/communications?lead_id={lead}"), "communications").await
}

#[tokio::test]
async fn what_is_another_tenants_is_not_there() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 1).await);
    let job = triggered(&api, &agent, &people).await;
    work(&api).await;
    let stranger = api.world.tenant(&[Scope::All]).await;
    let asked = read(&api, "/v1/approvals").await["approvals"][0].clone();
    let run = asked["run_id"].as_str().unwrap();
    let (path, before) = (action(&asked), read(&api, &format!("/v1/agents/runs/{run}")).await);
    let (approve, reject) = (format!("{path}/approve"), format!("{path}/reject"));
    let (cancel, of_run) = (format!("/v1/agents/runs/{run}/cancel"), format!("/v1/agents/runs/{run}"));
    let (of_job, of_agent) = (format!("/v1/agents/jobs/{job}"), format!("/v1/agents/{agent}/runs"));
    let calls =
        [("GET", &of_run), ("GET", &of_job), ("GET", &of_agent), ("POST", &cancel), ("POST", &approve), ("POST", &reject)];
    for (method, path) in calls {
        let answer = api.send_as(&stranger.api_key, method, path, (method == "POST").then(|| json!({}))).await;
        refused(&answer, 404);
    }
    let theirs = call(&api.router, request("GET", "/v1/approvals", Some(&stranger.api_key), None)).await.json();
    assert_eq!((&theirs["total"], &theirs["approvals"]), (&json!(0), &json!([])));
    assert_eq!(read(&api, &of_run).await, before, "and nothing has changed");
    // Nor is what there never was.
    for bad in [
        of_run.replace(run, NOBODY),
        of_run.replace(run, "nonsense"),
        of_job.replace(&job, NOBODY),
        of_job.replace(&job, "nonsense"),
    ] {
        refused(&api.get(&bad).await, 404);
    }
    for bad in [
        approve.replace(run, NOBODY),
        approve.replace(&people[0], NOBODY),
        approve.replace("/0/", "/7/"),
        approve.replace("/0/", "/x/"),
        reject.replace(&people[0], "nonsense"),
        cancel.replace(run, NOBODY),
    ] {
        refused(&api.post(&bad, json!({})).await, 404);
    }
    // A lead of somebody else's in a body is an id that there is not.
    let other =
        call(&api.router, request("POST", "/leads", Some(&stranger.api_key), Some(json!({"email": "x@example.com"})))).await;
    let wish = json!({"contact_ids": [people[0], id(&other), NOBODY]});
    let answer = api.post(&format!("/v1/agents/{agent}/trigger"), wish).await;
    assert_eq!(
        (answer.status.as_u16(), answer.pointers()),
        (422, vec!["/contact_ids/1".to_owned(), "/contact_ids/2".to_owned()])
    );
    assert_eq!(api.post(&approve, json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_approvals_at_once_do_it_once() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 1).await);
    triggered(&api, &agent, &people).await;
    work(&api).await;
    let path = format!("{}/approve", action(&read(&api, "/v1/approvals").await["approvals"][0]));
    let at = api.world.clock.now().to_string();
    let barrier = Arc::new(tokio::sync::Barrier::new(50));
    let calls = (0..50).map(|_| {
        let (router, key, path, barrier) = (api.router.clone(), api.me.api_key.clone(), path.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            call(&router, request("POST", &path, Some(&key), Some(json!({})))).await
        })
    });
    let mut done = 0;
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        if answer.status == 200 {
            done += 1;
            let action = &answer.json()["action"];
            assert_eq!((&action["status"], &action["decided_by"]["id"]), (&json!("approved"), &json!(api.me.key_id)));
        } else {
            let why = refused(&answer, 409);
            assert_eq!(why, format!("the action was approved by api_key {} at {at}", api.me.key_id));
        }
    }
    assert_eq!(done, 1);
    work(&api).await;
    assert_eq!(messages(&api, &people[0]).await.len(), 1);
    // Also long after it was done.
    let late = api.post(&path.replace("approve", "reject"), json!({"reason": "no"})).await;
    assert_eq!(refused(&late, 409), format!("the action was approved by api_key {} at {at}", api.me.key_id));
    let events = api.pages("/events?type=agent.action.approved", "events").await;
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn a_decision_is_about_what_was_shown() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 3).await);
    triggered(&api, &agent, &people).await;
    work(&api).await;
    let asked = read(&api, "/v1/approvals").await["approvals"].as_array().unwrap().clone();
    assert_eq!(asked[0]["params"], json!({"channel": "email", "subject": "Hi Ada", "body": "How do you do?"}));
    let path = action(&asked[0]);
    let approve = format!("{path}/approve");
    let other = api.post(&approve, json!({"expected_hash": "0".repeat(64)})).await;
    assert!(refused(&other, 409).ends_with(asked[0]["hash"].as_str().unwrap()), "{}", other.text);
    for (body, pointer) in [
        (json!({"expected_hash": "7"}), "/expected_hash"),
        (json!({"edit": {}}), "/edit"),
        (json!({"edits": {"subject": null}}), "/edits/subject"),
        (json!({"edits": {"to": "eve@example.com"}}), "/edits/to"),
        (json!({"edits": {"lead_id": NOBODY}}), "/edits/lead_id"),
        (json!({"edits": {"channel": "carrier pigeon"}}), "/edits/channel"),
        (json!({"edits": {"body": ""}}), "/edits/body"),
    ] {
        let answer = api.post(&approve, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec![pointer.to_owned()]), "{body}");
    }
    let wish = json!({"edits": {"subject": "Dear {{ contact.email }}"}, "expected_hash": asked[0]["hash"]});
    let answer = api.post_with(&approve, wish.clone(), &[("idempotency-key", "yes")]).await;
    let action_now = answer.json()["action"].clone();
    assert_eq!(answer.status, 200, "{}", answer.text);
    // A merge patch: what it leaves out stays. And nobody's text is a template any more.
    let shown = json!({"channel": "email", "subject": "Dear {{ contact.email }}", "body": "How do you do?"});
    assert_eq!((&action_now["params"], &action_now["status"]), (&shown, &json!("approved")));
    assert_ne!(action_now["hash"], asked[0]["hash"]);
    let again = api.post_with(&approve, wish, &[("idempotency-key", "yes")]).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, Some("true")));

    let no = api.post(&format!("{}/reject", action(&asked[1])), json!({"reason": " not them "})).await;
    assert_eq!((no.status.as_u16(), &no.json()["action"]["status"]), (200, &json!("rejected")), "{}", no.text);
    assert_eq!(no.json()["action"]["error"], "it was rejected: not them");
    let second = api.post(&format!("{}/approve", action(&asked[1])), json!({})).await;
    assert!(refused(&second, 409).starts_with(&format!("the action was rejected by api_key {}", api.me.key_id)));
    work(&api).await;
    let run = read(&api, &format!("/v1/agents/runs/{}", asked[0]["run_id"].as_str().unwrap())).await["run"].clone();
    for contact in run["contacts"].as_array().unwrap() {
        let n = asked.iter().position(|asked| asked["contact_id"] == contact["contact_id"]).unwrap();
        let (status, statuses) = [
            ("completed", ["done", "done"]),
            ("cancelled", ["rejected", "skipped"]),
            ("pending_approval", ["pending_approval", "pending"]),
        ][n];
        assert_eq!(
            (contact["status"].as_str().unwrap(), each(&contact["actions"], "status")),
            (status, statuses.map(str::to_owned).to_vec())
        );
        assert_eq!(contact["contact"]["company"], "Ropes");
        let sent = messages(&api, contact["contact_id"].as_str().unwrap()).await;
        assert_eq!(sent.len(), usize::from(n == 0));
        if let [sent] = &sent[..] {
            assert_eq!(
                (&sent["subject"], sent["to"].as_str().unwrap().starts_with('p')),
                (&json!("Dear {{ contact.email }}"), true)
            );
        }
    }
    let told = api.pages("/events?type=agent.action.rejected", "events").await;
    assert_eq!((told.len(), &told[0]["data"]["reason"]), (1, &json!("not them")));

    // What is cancelled is not decided any more, and says by whom.
    let run = asked[2]["run_id"].as_str().unwrap();
    let cancelled = api.post(&format!("/v1/agents/runs/{run}/cancel"), json!({})).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["run"]["status"]), (200, &json!("cancelled")), "{}", cancelled.text);
    assert!(cancelled.json()["run"]["contacts"][0]["actions"].is_array(), "{}", cancelled.text);
    let late = api.post(&format!("{}/approve", action(&asked[2])), json!({})).await;
    assert!(refused(&late, 409).starts_with(&format!("the run was cancelled by api_key {} at ", api.me.key_id)), "{}", late.text);
    refused(&api.post(&format!("/v1/agents/runs/{run}/cancel"), json!({})).await, 409);
}

#[tokio::test]
async fn who_decides_too_late_decides_nothing() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 1).await);
    triggered(&api, &agent, &people).await;
    work(&api).await;
    let asked = read(&api, "/v1/approvals").await["approvals"][0].clone();
    let expires: axle_domain::Time = asked["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, api.world.clock.now().plus_secs(72 * 3_600));
    api.world.clock.advance_secs(72 * 3_600);
    let path = action(&asked);
    let late = format!("the action expired at {expires}: nobody had decided by then");
    assert_eq!(refused(&api.post(&format!("{path}/approve"), json!({})).await, 409), late, "also before the sweep");
    axle_app::schedule::sweep(&api.world.app, Instant::now() + Duration::from_secs(30)).await.unwrap();
    work(&api).await;
    assert_eq!(refused(&api.post(&format!("{path}/reject"), json!({})).await, 409), late);
    assert_eq!(read(&api, "/v1/approvals").await["total"], 0);
    let expired = read(&api, "/v1/approvals?status=expired").await;
    assert_eq!((&expired["total"], &expired["approvals"][0]["decided_by"]), (&json!(1), &Value::Null));
    let runs = read(&api, &format!("/v1/agents/{agent}/runs?status=failed")).await;
    assert_eq!(runs["total"], 1, "{runs}");
    assert!(messages(&api, &people[0]).await.is_empty());
}

#[tokio::test]
async fn lists_by_status_and_position() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 5).await);
    let jobs = [triggered(&api, &agent, &people).await, triggered(&api, &agent, &people[..1]).await];
    work(&api).await;
    let mut found = Vec::new();
    for offset in [0, 2, 4, 6, 8] {
        let page = read(&api, &format!("/v1/approvals?status=pending&limit=2&offset={offset}")).await;
        assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(6), &json!(2), &json!(offset)));
        found.extend(page["approvals"].as_array().unwrap().iter().map(action));
    }
    assert_eq!(found.len(), 6);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 6, "each once");
    for bad in ["limit=0", "limit=101", "offset=-1", "status=lost", "stat=pending"] {
        assert_eq!(api.get(&format!("/v1/approvals?{bad}")).await.status, 422, "{bad}");
    }
    let runs = read(&api, &format!("/v1/agents/{agent}/runs?limit=1")).await;
    assert_eq!((&runs["total"], &runs["runs"][0]["job_id"]), (&json!(2), &json!(jobs[1])), "the newest first");
    assert!(runs["runs"][0].get("contacts").is_none());
    let asked = read(&api, "/v1/approvals?limit=100").await["approvals"].as_array().unwrap().clone();
    let second = runs["runs"][0]["id"].clone();
    let one = asked.iter().find(|asked| asked["run_id"] == second).unwrap();
    assert_eq!(api.post(&format!("{}/approve", action(one)), json!({})).await.status, 200);
    work(&api).await;
    for (status, total) in [("completed", 1), ("pending_approval", 1), ("failed", 0)] {
        assert_eq!(read(&api, &format!("/v1/agents/{agent}/runs?status={status}")).await["total"], total, "{status}");
    }
    assert_eq!(api.get(&format!("/v1/agents/{agent}/runs?status=lost")).await.status, 422);
    let job = read(&api, &format!("/v1/agents/jobs/{}", jobs[0])).await["job"].clone();
    let numbers = ["total", "completed", "failed", "waiting"].map(|name| job[name].as_u64().unwrap());
    assert_eq!((job["status"].as_str(), numbers), (Some("pending_approval"), [5, 0, 0, 5]));
    let job = read(&api, &format!("/v1/agents/jobs/{}", jobs[1])).await["job"].clone();
    assert_eq!((job["status"].as_str(), job["completed"].as_u64()), (Some("completed"), Some(1)));
    // One person was taken to the end: the agent's numbers say so, however often they are looked at.
    for _ in 0..2 {
        let squad = api.pages("/agents?limit=3", "agents").await;
        let own = squad.iter().find(|entry| entry["id"] == json!(agent)).unwrap();
        assert_eq!((&own["metrics"]["total_executions"], &own["metrics"]["success_rate"]), (&json!(1), &json!(1.0)), "{own}");
        assert_eq!(squad.len(), 8);
    }
    // With the agent its runs are gone.
    let deleted = api.send("DELETE", &format!("/v1/agents/{agent}"), None).await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["agent"]["id"]), (200, &json!(agent)), "{}", deleted.text);
    work(&api).await;
    let gone = asked.iter().find(|asked| asked["run_id"] != second).unwrap();
    refused(&api.post(&format!("{}/approve", action(gone)), json!({})).await, 404);
    refused(&api.get(&format!("/v1/agents/jobs/{}", jobs[0])).await, 404);
    assert_eq!(read(&api, "/v1/approvals").await["total"], 0);
    let left: Vec<_> =
        api.world.table.items().into_iter().map(|item| item["type"]["S"].as_str().unwrap_or_default().to_owned()).collect();
    for kind in ["agent_run", "run_contact", "agent_job", "approval", "person_run", "agent_budget"] {
        assert!(!left.iter().any(|left| left == kind), "{kind}");
    }
}

#[tokio::test]
async fn the_registry() {
    let api = Api::new().await;
    let agent =
        made(&api, json!({"name": "Outreach", "playbook_template": "cold_outreach", "monitoring": {"alert": {"to": "me"}}}))
            .await;
    made(&api, json!({"name": "Idle", "enabled": false, "playbook": {"steps": [{"id": "score", "action": "score"}]}})).await;
    for (query, total) in [("", 9), ("?enabled=false", 1), ("?enabled=true&limit=2", 8), ("?playbook_template=cold_outreach", 1)]
    {
        let list = read(&api, &format!("/v1/agents{query}")).await;
        assert_eq!(list["total"], total, "{query}");
    }
    let path = format!("/v1/agents/{agent}");
    let got = api.get(&path).await;
    let etag = got.header("etag").unwrap().to_owned();
    assert_eq!(got.json()["agent"]["playbook"]["steps"].as_array().unwrap().len(), 5);
    let patched = api.patch(&path, json!({"description": "x", "monitoring": {"alert": {"by": "mail"}}})).await;
    assert_eq!(patched.json()["agent"]["monitoring"], json!({"alert": {"to": "me", "by": "mail"}}), "{}", patched.text);
    let mut late = request("PATCH", &path, Some(&api.me.api_key), Some(json!({"name": "y"})));
    late.headers_mut().insert("if-match", etag.parse().unwrap());
    assert_eq!(call(&api.router, late).await.status, 412);
    let cleared = api.patch(&path, json!({"description": null, "monitoring": null})).await.json()["agent"].clone();
    assert_eq!(
        (&cleared["description"], &cleared["monitoring"], &cleared["name"]),
        (&Value::Null, &Value::Null, &json!("Outreach"))
    );
    let bad = json!({"playbook": {"steps": [{"id": "x", "action": "score", "when": "lead.score >"}]}, "llm_config": {"provider": "openai"}});
    let mut pointers = api.patch(&path, bad).await.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/llm_config/model", "/playbook/steps/0/when"]);
    // What a playbook names may go; the agent can still be changed elsewhere.
    let campaign = id(&api.post("/campaigns", json!({"name": "x", "channels": ["email"]})).await);
    let targeting = json!({"source": "leads", "campaign_id": campaign});
    let steps = json!([{"id": "x", "action": "score"}]);
    assert_eq!(api.patch(&path, json!({"playbook": {"targeting": targeting, "steps": steps}})).await.status, 200);
    let squad = api.pages("/agents", "agents").await;
    let built_in = squad.iter().find(|agent| agent["role"] == "sender").unwrap()["id"].as_str().unwrap().to_owned();
    refused(&api.send("DELETE", &format!("/v1/agents/{built_in}"), None).await, 409);
    assert_eq!(api.patch(&format!("/v1/agents/{built_in}"), json!({"enabled": false})).await.status, 200);
    let off = api
        .post(&format!("/agents/{built_in}/execute"), json!({"input": {"lead_id": NOBODY, "subject": "s", "body": "b"}}))
        .await;
    assert_eq!(off.status, 409, "{}", off.text);
    assert_eq!(api.post(&format!("/v1/agents/{built_in}/trigger"), json!({"contact_ids": [NOBODY]})).await.status, 409);
}

#[tokio::test]
async fn an_execution_is_repeated_by_its_key_only() {
    let api = Api::new().await;
    let lead = leads(&api, 1).await.remove(0);
    let squad = api.pages("/agents", "agents").await;
    let sender = squad.iter().find(|agent| agent["role"] == "sender").unwrap()["id"].as_str().unwrap().to_owned();
    let (path, wish) =
        (format!("/agents/{sender}/execute"), json!({"input": {"lead_id": lead, "subject": "Hi", "body": "there"}}));
    let dry = api.post(&path, json!({"input": wish["input"], "dry_run": true})).await;
    assert_eq!((dry.status.as_u16(), messages(&api, &lead).await.len()), (200, 0), "{}", dry.text);
    for replayed in [None, Some("true")] {
        let answer = api.post_with(&path, wish.clone(), &[("idempotency-key", "once")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed")), (200, replayed), "{}", answer.text);
        let metadata = &answer.json()["metadata"];
        assert_eq!((&metadata["model"], &metadata["cost"]), (&json!("builtin-1"), &json!("0")), "{metadata}");
        let trace = api.get(&format!("/traces/{}", metadata["trace_id"].as_str().unwrap())).await.json();
        assert!(each(&trace["spans"], "name").contains(&"agent.execute".to_owned()), "{trace}");
    }
    assert_eq!(messages(&api, &lead).await.len(), 1);
    let bad = api.post(&path, json!({"input": {"lead_id": lead, "subject": "s"}, "dry": true})).await;
    assert_eq!((bad.status.as_u16(), bad.pointers()), (422, vec!["/dry".to_owned()]));
    assert_eq!(api.post(&path, json!({"input": {"lead_id": lead, "subject": "s"}})).await.pointers(), ["/input/body"]);
}

/// The idempotency keys of what a service was sent, and the bodies.
async fn received(server: &wiremock::MockServer) -> Vec<(String, Value)> {
    let calls = server.received_requests().await.unwrap();
    let seen = |call: &wiremock::Request| {
        (call.headers["idempotency-key"].to_str().unwrap().to_owned(), serde_json::from_slice(&call.body).unwrap())
    };
    calls.iter().map(seen).collect()
}

#[tokio::test]
async fn a_service_is_told_what_the_caller_said_and_nothing_else() {
    let api = Api::new().await;
    let lead = leads(&api, 1).await.remove(0);
    let server = wiremock::MockServer::start().await;
    let good = wiremock::ResponseTemplate::new(200).set_body_json(json!({"ok": true}));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(good).mount(&server).await;
    let agent = made(&api, json!({"name": "Service", "runtime": "http", "endpoint": format!("{}/x", server.uri())})).await;
    let input = json!({"lead_id": lead, "text": "Dear {{ name }}, {{ contact.email }} {% if"});
    let answer = api.post(&format!("/agents/{agent}/execute"), json!({"input": input})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("completed")), "{}", answer.text);
    let [(_, body)] = &received(&server).await[..] else { panic!("not one call") };
    assert_eq!((&body["input"], &body["agent_id"]), (&input, &json!(agent)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_comes_again_is_the_same_to_others() {
    let api = Api::new().await;
    let lead = leads(&api, 1).await.remove(0);
    let server = wiremock::MockServer::start().await;
    let slow = wiremock::ResponseTemplate::new(200).set_body_json(json!({})).set_delay(Duration::from_secs(1));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(slow).mount(&server).await;
    let steps = json!([
        {"id": "ask", "action": "model", "params": {"prompt": "x", "output_schema": {"type": "object"}}},
        {"id": "call", "action": "http", "params": {"url": format!("{}/x", server.uri()), "method": "post", "body": {}}},
        {"id": "move", "action": "update_stage", "params": {"stage": "contacted"}}]);
    let config = json!({"provider": "openai", "model": "no-such-model"});
    let agent = made(&api, json!({"name": "Caller", "llm_config": config, "playbook": {"steps": steps}})).await;
    api.world.models.answer(|_| Ok(json!({})));
    let (path, wish) = (format!("/agents/{agent}/execute"), json!({"input": {"lead_id": lead}}));
    let execute = || api.post_with(&path, wish.clone(), &[("idempotency-key", "once")]);
    // The lead changes while the service takes its time: the execution cannot be written down.
    let change = async {
        while received(&server).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(api.patch(&format!("/leads/{lead}"), json!({"title": "CTO"})).await.status, 200);
    };
    let (first, ()) = futures_util::join!(execute(), change);
    assert_eq!(first.status, 409, "{}", first.text);
    api.world.clock.advance_secs(1);
    let second = execute().await;
    assert_eq!((second.status.as_u16(), &second.json()["status"]), (200, &json!("completed")), "{}", second.text);
    let calls = received(&server).await;
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].0, calls[1].0, "a service that knows the key does it once");
    // Two answers of the model were paid for.
    let today = axle_domain::Date::of(api.world.clock.now());
    let rows = api.world.app.table().await.cost_rows(api.me.entity_id, today, today).await.unwrap();
    let spent: i64 = rows.iter().map(|row| row.sums.total().0).sum();
    let cost: f64 = second.json()["metadata"]["cost"].as_str().unwrap().parse().unwrap();
    assert!(cost > 0.0 && ((spent as f64) / 1e6 - 2.0 * cost).abs() < 1e-9, "{spent} {cost}");
    // Under another key it is another execution.
    assert_eq!(api.post_with(&path, wish.clone(), &[("idempotency-key", "twice")]).await.status, 200);
    assert_ne!(received(&server).await[2].0, calls[0].0);
}

#[tokio::test]
async fn an_execution_keeps_to_what_one_can_do() {
    let api = Api::new().await;
    let lead = leads(&api, 1).await.remove(0);
    let send = |n: usize| json!({"id": format!("s{n}"), "action": "send_message", "params": {"channel": "email", "subject": "Hi", "body": "there"}});
    let many: Vec<Value> = (0..16).map(send).collect();
    let agent = made(&api, json!({"name": "Many", "playbook": {"steps": many}})).await;
    let wish = json!({"input": {"lead_id": lead}});
    let why = api.post(&format!("/agents/{agent}/execute"), wish.clone()).await;
    assert_eq!(why.status, 409, "{}", why.text);
    assert!(why.text.contains("trigger a run"), "{}", why.text);
    let agent = made(&api, json!({"name": "Less", "playbook": {"steps": many[..15]}})).await;
    let all = api.post(&format!("/agents/{agent}/execute"), wish.clone()).await;
    assert_eq!((all.status.as_u16(), messages(&api, &lead).await.len()), (200, 15), "{}", all.text);
    let limits = json!({"max_actions": 2});
    let agent = made(&api, json!({"name": "Limited", "playbook": {"limits": limits, "steps": many[..3]}})).await;
    let some = api.post(&format!("/agents/{agent}/execute"), wish).await;
    assert_eq!(some.json()["status"], "failed", "{}", some.text);
    assert!(some.json()["output"]["steps"]["s2"]["error"].as_str().unwrap().contains("max_actions"), "{}", some.text);
    assert_eq!(messages(&api, &lead).await.len(), 17);
}

#[tokio::test]
async fn whose_steps_were_all_rejected_is_cancelled_and_not_failed() {
    let api = Api::new().await;
    let (agent, people) = (asking(&api).await, leads(&api, 2).await);
    let job = triggered(&api, &agent, &people).await;
    work(&api).await;
    for asked in read(&api, "/v1/approvals").await["approvals"].as_array().unwrap() {
        assert_eq!(api.post(&format!("{}/reject", action(asked)), json!({})).await.status, 200);
    }
    work(&api).await;
    let job = read(&api, &format!("/v1/agents/jobs/{job}")).await["job"].clone();
    let numbers = ["total", "completed", "failed", "cancelled", "waiting"].map(|name| job[name].as_u64().unwrap());
    assert_eq!((&job["status"], numbers), (&json!("cancelled"), [2, 0, 0, 2, 0]));
    let run = read(&api, &format!("/v1/agents/{agent}/runs")).await["runs"][0].clone();
    assert_eq!(run["status"], "cancelled");
    let events = api.pages("/events?type=agent.run.cancelled", "events").await;
    assert_eq!(events.len(), 1, "{events:?}");
}

//! What every operation and every step of a worker costs, against the budgets in `tests/budgets.json`, which `make costs` prices.
//!
//! Units are DynamoDB's own `ReturnConsumedCapacity` of the embedded table. A conditional put that fails is charged one write
//! unit which is not reported: where a step has one, its budget says `unseen_write`. The credential is in the cache, as it is for
//! all but the first request of a minute; the count against the rate limit, one write unit, is in every operation.
//!
//! `AXLE_UPDATE=1 cargo test -p axle-http-tests budgets` writes down what is measured: look at the difference before you keep it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::communications::send::{Limits as SendLimits, Outbox};
use axle_app::communications::{Noted, feedback};
use axle_app::outreach::campaigns;
use axle_app::outreach::imports::work;
use axle_app::webhooks::{DeliverJob, Deliverer, Dispatcher, Limits};
use axle_domain::TraceId;
use axle_domain::event::Event;
use axle_domain::mail::Feedback;
use axle_testkit::{Answered, call, request};
use serde_json::{Map, Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::coverage::{body_for, is_public, is_refusal, named, operations};
use crate::support::{Api, id, jobs_of};

mod own;

use own::Own;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../budgets.json");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A budget may exceed what is spent by no more than this: what is priced has to be near the truth.
const SLACK: f64 = 0.5;

/// What something spends: capacity units, events and jobs in its write.
type Spent = BTreeMap<&'static str, f64>;

fn budgets() -> Value {
    serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap()
}

/// What a page reads depends on how its entries fall on shards: this much more or less.
const SHARDS: f64 = 1.0;

/// Whether this is near enough to what a budget says. What depends on more than the shards of a page has a `slack` of its own.
fn within(name: &str, budget: &Value, what: &str, units: f64) -> bool {
    let by_chance = if name.starts_with("list") && what == "read" { SHARDS } else { 0.0 };
    let slack = budget["slack"].as_f64().unwrap_or(SLACK).max(by_chance);
    budget[what].as_f64().is_some_and(|allowed| units <= allowed + by_chance && allowed <= units + slack)
}

/// One line for each, so that changes of several people go together.
fn write_down(section: &str, measured: &BTreeMap<String, Spent>) {
    // Two tests may be at it at once, in processes of their own.
    let lock = std::fs::File::open(FILE).unwrap();
    lock.lock().unwrap();
    let mut all = budgets();
    for (name, spent) in measured {
        for (what, units) in spent {
            let budget = &all[section][name];
            if !budget["slack"].is_null() && within(name, budget, what, *units) {
                continue;
            }
            all[section][name][*what] = if units.fract() == 0.0 { json!(*units as u64) } else { json!(units) };
        }
    }
    let section = |(name, entries): (&String, &Value)| match entries {
        Value::Object(entries) => {
            let lines: Vec<String> = entries.iter().map(|(name, entry)| format!("    {}: {entry}", json!(name))).collect();
            format!("  {}: {{\n{}\n  }}", json!(name), lines.join(",\n"))
        }
        text => format!("  {}: {text}", json!(name)),
    };
    let sections: Vec<String> = all.as_object().unwrap().iter().map(section).collect();
    std::fs::write(FILE, format!("{{\n{}\n}}\n", sections.join(",\n"))).unwrap();
}

/// Each is within its budget, and each budget is somebody's.
fn compare(section: &str, measured: &BTreeMap<String, Spent>) {
    if std::env::var_os("AXLE_UPDATE").is_some() {
        write_down(section, measured);
    }
    let stated = budgets()[section].as_object().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    for (name, spent) in measured {
        let Some(budget) = stated.get(name) else {
            wrong.push(format!("{name} has no budget; it spends {spent:?}"));
            continue;
        };
        for (what, units) in spent {
            if !within(name, budget, what, *units) {
                wrong.push(format!("{name} spends {units} {what}, its budget is {}", budget[*what]));
            }
        }
    }
    wrong.extend(stated.keys().filter(|name| !measured.contains_key(*name)).map(|name| format!("{name} is no more")));
    assert!(wrong.is_empty(), "tests/budgets.json, {section}:\n{}", wrong.join("\n"));
}

/// Spent since the last look.
fn spent(api: &Api) -> Spent {
    let (read, write) = api.world.meter.take_units();
    let records = api.world.table.new_records();
    let events = records.iter().filter(|record| record["dynamodb"]["NewImage"]["type"]["S"] == "event").count();
    let jobs = records.iter().map(|record| jobs_of(record).len()).sum::<usize>();
    Spent::from([("read", read), ("write", write), ("events", events as f64), ("jobs", jobs as f64)])
}

fn event_of(record: &Value) -> Option<Event> {
    let image = &record["dynamodb"]["NewImage"];
    (image["type"]["S"] == "event").then(|| serde_json::from_str(image["body"]["S"].as_str().unwrap()).unwrap())
}

/// The budget's body with a number of its own and real things in it, or one that the operation accepts.
async fn body(own: &mut Own<'_>, entry: &Value, (method, path, operation): &(String, String, Value), n: usize) -> Option<Value> {
    match entry {
        _ if operation["requestBody"].is_null() => None,
        Value::Null => body_for(method, path),
        body => Some(serde_json::from_str(&own.fill(&body.to_string().replace("{n}", &format!("{n:04}"))).await).unwrap()),
    }
}

async fn send(api: &Api, method: &str, path: &str, body: Option<Value>) -> Answered {
    let answer = try_send(api, method, path, body).await;
    let good = answer.status.is_success() || answer.status == 303 || answer.status == 302;
    assert!(good, "{method} {path}: {} {}", answer.status, answer.text);
    answer
}

async fn try_send(api: &Api, method: &str, path: &str, body: Option<Value>) -> Answered {
    try_send_signed(api, method, path, body, Vec::new()).await
}

async fn try_send_signed(
    api: &Api,
    method: &str,
    path: &str,
    body: Option<Value>,
    signature: Vec<(&'static str, String)>,
) -> Answered {
    let path = named(path, api.me.entity_id);
    let mut request = request(method, &path, Some(&api.me.api_key), body);
    for (name, value) in signature {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.headers_mut().insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap());
    call(&api.router, request).await
}

/// Lets the dashboard's numbers follow what happened; answers how many changes were counted.
async fn count(api: &Api) -> usize {
    let changes = serde_json::from_value(Value::Array(api.world.table.new_changes())).unwrap();
    axle_app::crm::dashboard::count(&api.world.app, changes).await.unwrap()
}

#[tokio::test]
async fn every_operation_keeps_its_budget_and_its_events_the_callers_trace() {
    let stated = budgets()["operations"].clone();
    let all = operations();
    let by_id = |wanted: &str| all.iter().find(|(_, _, operation)| operation["operationId"] == wanted);
    let mut measured = BTreeMap::new();
    for each in &all {
        let (method, template, operation) = each;
        let name = operation["operationId"].as_str().unwrap();
        let entry = stated.get(name).cloned().unwrap_or(Value::Object(Map::new()));
        let api = Api::new().await;
        let mut own = Own::new(&api);
        let path = own.path(name, template).await;
        // What it reads, if it is a list.
        if let Some(before) = entry["after"].as_str() {
            let maker = by_id(before).unwrap_or_else(|| panic!("{name}: there is no operation {before}"));
            let path = if maker.1.contains("{id}") { path.clone() } else { own.fill(&maker.1).await };
            let made_of = if entry["after_body"].is_null() { &stated[before]["body"] } else { &entry["after_body"] };
            for n in 0..20 {
                let body = body(&mut own, made_of, maker, n).await;
                send(&api, &maker.0, &path, body).await;
            }
            count(&api).await;
        }
        let body = body(&mut own, &entry["body"], each, 9_999).await;
        api.get("/me").await;
        spent(&api);
        let query = entry["query"].as_str().map_or(String::new(), |query| format!("?{query}"));
        if is_refusal(operation) {
            let answer = try_send(&api, method, &path, body).await;
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
        } else {
            let signature = own.signature(body.as_ref());
            let answer = try_send_signed(&api, method, &format!("{path}{query}"), body, signature).await;
            let good = answer.status.is_success() || answer.status == 303 || answer.status == 302;
            assert!(good, "{method} {path}: {} {}", answer.status, answer.text);
        }

        let (read, write) = api.world.meter.take_units();
        let records = api.world.table.new_records();
        let events: Vec<Event> = records.iter().filter_map(event_of).collect();
        let traces: Vec<String> = events.iter().filter_map(|event| event.trace_id).map(|trace| trace.to_string()).collect();
        // Who follows a link has no trace to go on with.
        let begun = if is_public(operation) { traces.clone() } else { vec![TRACE.to_owned(); events.len()] };
        assert_eq!(traces, begun, "{name}: an event without the trace of the call that it tells of");
        let jobs = records.iter().map(|record| jobs_of(record).len()).sum::<usize>();
        let spent = [("read", read), ("write", write), ("events", events.len() as f64), ("jobs", jobs as f64)];
        measured.insert(name.to_owned(), Spent::from(spent));
    }
    compare("operations", &measured);
}

/// Runs an import of so many rows after another one of the same; answers what the second spends on a row.
async fn import(rows: usize, known: bool) -> Spent {
    let api = Api::new().await;
    let csv = |from: usize| {
        let row = |n: usize| format!("first.last{n}@company{}.example,First,Last {n},Head of Sales,Company {n}\n", n % 50);
        (from..from + rows).map(row).fold("Email,First Name,Last Name,Job Title,Company\n".to_owned(), |csv, row| csv + &row)
    };
    let mut last = Spent::new();
    for from in [0, if known { 0 } else { rows }] {
        api.post("/leads/import", json!({"csv": csv(from)})).await;
        let job = api.world.table.new_records().iter().flat_map(jobs_of).next().unwrap();
        api.world.meter.take();
        let worked = work(&api.world.app, serde_json::from_value(job).unwrap(), Instant::now() + Duration::from_secs(60)).await;
        worked.outcome.unwrap();
        let counts = (worked.rows.created, worked.rows.skipped);
        assert_eq!(counts, if known && last.contains_key("read") { (0, rows as u64) } else { (rows as u64, 0) });
        // Of all that an import needs beside its rows each row bears a share.
        last = spent(&api).into_iter().map(|(what, units)| (what, (units / rows as f64 * 1e3).round() / 1e3)).collect();
    }
    last
}

/// Dispatches an event to an endpoint that answers with `status`, and delivers it; answers what each of the two spends.
async fn notify(event_types: Value, status: u16) -> (Spent, Option<Spent>) {
    let api = Api::new().await;
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    let made = api.post("/webhooks", json!({"url": server.uri(), "event_types": event_types})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let mut last = (Spent::new(), None);
    // The first attempt also notes how the endpoint is doing; from then on that is no news.
    for n in 0..2 {
        api.post("/leads", json!({"email": format!("lead{n}@example.com")})).await;
        let event = api.world.table.new_records().iter().find_map(event_of).unwrap();
        api.world.meter.take();
        Dispatcher::new(Arc::clone(&api.world.app)).dispatch(&event).await.unwrap();
        let units = api.world.meter.take_units();
        let records = api.world.table.new_records();
        let jobs: Vec<DeliverJob> = records.iter().flat_map(jobs_of).map(|job| serde_json::from_value(job).unwrap()).collect();
        last.0 = Spent::from([("read", units.0), ("write", units.1), ("events", 0.0), ("jobs", jobs.len() as f64)]);
        let Some(job) = jobs.first() else { continue };
        assert_eq!(job.trace_id, event.trace_id);
        let deliverer = Deliverer::new(Arc::clone(&api.world.app), Limits::default());
        let tried = deliverer.deliver(job).await.unwrap().unwrap();
        assert_eq!((tried.status_code, tried.trace_id), (Some(status), event.trace_id));
        last.1 = Some(spent(&api));
    }
    last
}

/// Sends a plain message; answers what that spends.
async fn message() -> Spent {
    let api = Api::new().await;
    let mut last = Spent::new();
    // The second of an hour finds the hour's numbers there.
    for n in 0..2 {
        last = message_of(&api, n).await;
    }
    last
}

/// Records a report about a message to a lead; answers what that spends.
async fn reported(report: Value) -> Spent {
    let api = Api::new().await;
    let mut own = Own::new(&api);
    let lead = own.fill("{prospectId}").await;
    let mail = json!({"channel": "email", "lead_id": lead, "subject": "Hello", "text": "How are you?"});
    let id = api.post("/communications", mail).await.json()["id"].clone();
    let outbox = Outbox::new(Arc::clone(&api.world.app), SendLimits::default());
    for job in api.world.table.new_records().iter().flat_map(jobs_of) {
        outbox.send(&serde_json::from_value(job).unwrap()).await.unwrap();
    }
    let tags = json!({"entity_id": [api.me.entity_id], "communication_id": [id]});
    let mut body =
        json!({"eventType": "x", "mail": {"timestamp": api.world.clock.now(), "messageId": "captured-1", "tags": tags}});
    body.as_object_mut().unwrap().extend(report.as_object().unwrap().clone());
    let report = Feedback::parse(&body.to_string()).unwrap();
    spent(&api);
    assert_eq!(feedback(&api.world.app, &report, 1).await.unwrap(), Noted::Recorded);
    spent(&api)
}

/// Sends a message that no lead and no campaign has; answers what that spends.
async fn message_of(api: &Api, n: usize) -> Spent {
    let mail = json!({"channel": "email", "to": format!("ada{n}@example.com"), "subject": "Hello", "text": "How are you?"});
    api.post("/communications", mail).await;
    let job = api.world.table.new_records().iter().flat_map(jobs_of).next().unwrap();
    api.world.meter.take();
    let outbox = Outbox::new(Arc::clone(&api.world.app), SendLimits::default());
    outbox.send(&serde_json::from_value(job).unwrap()).await.unwrap();
    assert_eq!(api.world.sent.emails().len(), n + 1);
    spent(api)
}

/// Counts a new deal for the dashboard; answers what that spends.
async fn change() -> Spent {
    let api = Api::new().await;
    let mut own = Own::new(&api);
    let mut last = Spent::new();
    for _ in 0..2 {
        own.fill("{companyId}{contactId}").await;
        count(&api).await;
        own.fill("{newLead}").await;
        spent(&api);
        assert_eq!(count(&api).await, 1);
        last = spent(&api);
    }
    last
}

/// Takes somebody through a playbook of one step; answers what that spends.
async fn agent_step() -> Spent {
    let api = Api::new().await;
    let mut last = Spent::new();
    let steps = json!([{"id": "tell", "action": "notify", "params": {"message": "now"}}]);
    let agent = api.post("/v1/agents", json!({"name": "Own", "playbook": {"steps": steps}})).await.json();
    let path = format!("/v1/agents/{}/trigger", agent["agent"]["id"].as_str().unwrap());
    for n in 0..2 {
        let lead = api.post("/leads", json!({"email": format!("ada{n}@example.com")})).await.json();
        api.world.table.new_records();
        api.post(&path, json!({"contact_ids": [lead["id"]]})).await;
        // The plan, then the person.
        for _ in 0..2 {
            let job = api.world.table.new_records().iter().flat_map(jobs_of).next().unwrap();
            api.world.meter.take();
            let deadline = Instant::now() + Duration::from_secs(60);
            axle_app::agents::work::work(&api.world.app, &serde_json::from_value(job).unwrap(), deadline).await.unwrap();
        }
        last = spent(&api);
    }
    last
}

/// What a campaign's runner does for one lead: lets it in, brings it to its first message, and counts an event of it.
async fn campaign() -> [Spent; 3] {
    let api = Api::new().await;
    let step = json!({"step": 1, "channel": "email", "subject": "Hello", "body": "How are you?"});
    let draft = json!({"name": "x", "channels": ["email"], "messaging": {"sequence": [step]}});
    let id = id(&api.post("/campaigns", draft).await);
    let lead = api.post("/leads", json!({"email": "ada@example.com"})).await.json();
    api.post(&format!("/campaigns/{id}/leads"), json!({"lead_ids": [lead["id"]]})).await;
    let launched = api.post(&format!("/campaigns/{id}/launch"), json!({"budget_limit": 10, "daily_send_limit": 1000})).await;
    assert_eq!(launched.status, 202, "{}", launched.text);
    let (app, deadline) = (&api.world.app, Instant::now() + Duration::from_secs(60));
    let job = api.world.table.new_records().iter().flat_map(jobs_of).next_back().unwrap();
    api.world.meter.take();
    campaigns::work(app, serde_json::from_value(job).unwrap(), deadline).await.unwrap();
    for second in api.world.campaign_queue.take() {
        campaigns::work(app, serde_json::from_str(&second.body).unwrap(), deadline).await.unwrap();
    }
    let (read, write) = api.world.meter.take_units();
    let jobs: Vec<Value> = api.world.table.new_records().iter().flat_map(jobs_of).collect();
    let let_in = Spent::from([("read", read), ("write", write), ("events", 0.0), ("jobs", jobs.len() as f64)]);
    let run: campaigns::RunJob = serde_json::from_value(jobs[0].clone()).unwrap();
    campaigns::advance(app, &run).await.unwrap();
    let queued = spent(&api);
    let message = api.get(&format!("/campaigns/{id}/leads")).await.json()["leads"][0]["messages"][0]["communication_id"].clone();
    let subject = axle_domain::event::Subject::new("communication", message.as_str().unwrap());
    let mut opened = axle_domain::event::sample::sample(
        axle_domain::event::EventType::CommunicationOpened,
        api.me.entity_id,
        api.world.clock.now(),
    );
    opened.subject = subject;
    let opened = opened.campaign(Some(id.parse().unwrap())).lead(serde_json::from_value(lead["id"].clone()).unwrap());
    spent(&api);
    campaigns::hear(app, &opened).await.unwrap();
    [let_in, queued, spent(&api)]
}

/// A minute of the scheduler, with a reminder to give or without.
async fn minute(reminder: bool) -> Spent {
    let api = Api::new().await;
    if reminder {
        let at = api.world.clock.now().plus_secs(60);
        send(&api, "POST", "/api/crm/activities", Some(json!({"type": "task", "subject": "Call back", "dueAt": at}))).await;
        api.world.clock.advance_secs(60);
    }
    spent(&api);
    let swept = axle_app::schedule::sweep(&api.world.app, Instant::now() + Duration::from_secs(30)).await.unwrap();
    assert_eq!(swept.sent, u64::from(reminder));
    spent(&api)
}

/// A minute of the scheduler with a service level to judge, of an hour's messages.
async fn judgement() -> Spent {
    let api = Api::new().await;
    message_of(&api, 0).await;
    let promise = json!({"objective": "delivery_failure_rate", "threshold": 0.05, "window_minutes": 60});
    assert_eq!(api.send("PUT", "/slos/delivery", Some(promise)).await.status, 201);
    spent(&api);
    let swept = axle_app::schedule::sweep(&api.world.app, Instant::now() + Duration::from_secs(30)).await.unwrap();
    assert_eq!(swept.sent, 1);
    spent(&api)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_worker_keeps_its_budget() {
    let mut measured = BTreeMap::new();
    measured.insert("importRow", import(500, false).await);
    measured.insert("importKnownRow", import(500, true).await);
    let (dispatched, delivered) = notify(json!(["lead.*"]), 200).await;
    measured.insert("dispatchEvent", dispatched);
    measured.insert("deliver", delivered.unwrap());
    measured.insert("deliverInVain", notify(json!(["lead.*"]), 500).await.1.unwrap());
    measured.insert("dispatchUnwantedEvent", notify(json!(["campaign.*"]), 200).await.0);
    measured.insert("sendMessage", message().await);
    measured.insert("recordDelivery", reported(json!({"delivery": {"recipients": ["ada@example.com"]}})).await);
    let bounce =
        json!({"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "ada@example.com"}], "feedbackId": "f-1"});
    measured.insert("recordBounce", reported(json!({"bounce": bounce})).await);
    measured.insert("agentStep", agent_step().await);
    measured.insert("countChange", change().await);
    let [let_in, queued, heard] = campaign().await;
    measured.insert("enrolLead", let_in);
    measured.insert("runLead", queued);
    measured.insert("hearEvent", heard);
    measured.insert("sweep", minute(false).await);
    measured.insert("sweepReminder", minute(true).await);
    measured.insert("sweepServiceLevel", judgement().await);
    // It reads the stream and writes nothing to the table.
    measured.insert("relayEvent", Spent::from([("read", 0.0), ("write", 0.0), ("events", 0.0), ("jobs", 0.0)]));
    compare("workers", &measured.into_iter().map(|(name, spent)| (name.to_owned(), spent)).collect());
}

#[test]
fn every_worker_has_a_step_with_a_budget() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions");
    let http: Vec<&str> = axle_http_tests::groups().into_iter().map(|(name, _)| name).collect();
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let workers: std::collections::BTreeSet<String> =
        names.filter(|name| name != "noop" && !http.contains(&name.as_str())).collect();
    let steps =
        budgets()["workers"].as_object().unwrap().values().map(|step| step["function"].as_str().unwrap().to_owned()).collect();
    assert_eq!(workers, steps);
    assert!(TRACE.parse::<TraceId>().is_ok());
}

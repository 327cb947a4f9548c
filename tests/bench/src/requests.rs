//! Function time of warm requests: from the event being handed out to its whole answer being in.
//!
//! HTTP events are sent to the empty function too, in turn, since it answers any of them: what it takes is the cost of
//! the runtime and of this harness.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Result;
use crate::args::Args;
use crate::events::{self, Request};
use crate::function::Function;
use crate::pipeline::{RELAY_BATCH, Tenant, call, deliver, import_events};
use crate::report::{Report, Requests};
use crate::stats::{Samples, ms};
use crate::world::{BASELINE, World};

/// Requests that are not counted, after the first: the connection pool, the credential cache and the allocator warm up.
const WARM_UP: usize = 20;

/// Rows of the small CSV.
const SMALL_ROWS: usize = 20;

struct Scenario {
    function: &'static str,
    event: &'static str,
    expected: u16,
    /// The n-th request; writes differ, so that none is a duplicate.
    request: fn(&Tenant, usize) -> Request,
}

/// Writers come before readers, which then have something to read.
const SCENARIOS: [Scenario; 9] = [
    Scenario { function: "leads", event: "POST /leads", expected: 201, request: create_lead },
    Scenario { function: "leads", event: "GET /leads?limit=20", expected: 200, request: list_leads },
    Scenario { function: "campaigns", event: "POST /campaigns", expected: 201, request: create_campaign },
    Scenario { function: "communications", event: "POST /communications", expected: 202, request: queue_message },
    Scenario { function: "crm", event: "POST /api/crm/companies", expected: 201, request: create_company },
    Scenario { function: "crm", event: "GET /api/crm/companies?q=company", expected: 200, request: find_companies },
    Scenario { function: "agents", event: "POST /v1/agents", expected: 201, request: create_agent },
    Scenario { function: "insights", event: "GET /events?limit=20", expected: 200, request: list_events },
    Scenario { function: "leads", event: "POST /leads/import, 20 rows", expected: 202, request: import_leads },
];

pub async fn run(world: &mut World, tenant: &Tenant, args: &Args, report: &mut Report) -> Result<()> {
    for scenario in &SCENARIOS {
        if !world.is_built(scenario.function) {
            report.skip(format!("{}: {} is not built", scenario.event, scenario.function));
            continue;
        }
        match http(world, tenant, scenario, args.requests).await {
            Ok(row) => report.requests.push(row),
            Err(error) => report.fault(format!("{}: {error}", scenario.event)),
        }
    }
    if let Err(error) = workers(world, args.requests, report).await {
        report.fault(format!("worker events: {error}"));
    }
    Ok(())
}

async fn http(world: &World, tenant: &Tenant, scenario: &Scenario, count: usize) -> Result<Requests> {
    let mut function = Function::start(&world.launch(scenario.function)).await?;
    let mut baseline = Function::start(&world.launch(BASELINE)).await?;
    let event = |number| tenant.event(&(scenario.request)(tenant, number));

    let first = call(&mut function, event(0), scenario.expected).await?.time;
    let (mut times, mut baseline_times) = (Samples::default(), Samples::default());
    for number in 1..=WARM_UP + count {
        let event = event(number);
        let baseline_time = call(&mut baseline, event.clone(), 200).await?.time;
        let time = call(&mut function, event, scenario.expected).await?.time;
        if number > WARM_UP {
            times.push(time);
            baseline_times.push(baseline_time);
        }
    }
    Ok(Requests {
        event: scenario.event.to_owned(),
        function: scenario.function.to_owned(),
        requests: times.count(),
        first_ms: ms(first),
        median_ms: times.median_ms(),
        p95_ms: times.p95_ms(),
        cpu_ms: None,
        baseline_median_ms: Some(baseline_times.median_ms()),
        peak_memory_bytes: function.peak_memory()?,
    })
}

/// The workers' events are the ones that the requests before them left behind.
async fn workers(world: &mut World, count: usize, report: &mut Report) -> Result<()> {
    let records = world.table.new_records()?;
    let batches: Vec<Value> = records.chunks_exact(RELAY_BATCH).map(events::stream).collect();
    if batches.is_empty() || !world.is_built("event-relay") {
        report.skip("event-relay and import-worker: no stream records, or event-relay is not built".to_owned());
        return Ok(());
    }
    // Each batch once, so that every import message is sent, and then again until there are enough.
    let total = batches.len().max(count + WARM_UP);
    let title = format!("event-relay, {RELAY_BATCH} stream records");
    let published = world.aws.events();
    let row = worker(world, "event-relay", &title, batches.iter().cycle().take(total)).await?;
    report.requests.push(row);
    if world.aws.events() == published {
        report.fault("event-relay published nothing".to_owned());
    }

    // A record that was relayed twice has sent its message twice.
    let mut seen = BTreeSet::new();
    let imports: Vec<Value> =
        import_events(world).into_iter().filter(|event| seen.insert(event.to_string())).take(WARM_UP + count).collect();
    if imports.len() <= WARM_UP || !world.is_built("import-worker") {
        report.skip("import-worker: no import messages, or it is not built".to_owned());
        return Ok(());
    }
    let title = format!("import-worker, {SMALL_ROWS} rows");
    let row = worker(world, "import-worker", &title, imports.iter()).await?;
    report.requests.push(row);
    Ok(())
}

async fn worker(world: &World, name: &str, title: &str, mut batches: impl Iterator<Item = &Value>) -> Result<Requests> {
    let mut function = Function::start(&world.launch(name)).await?;
    let first = deliver(&mut function, batches.next().ok_or("no event to send")?).await?;
    let mut times = Samples::default();
    for (number, batch) in batches.enumerate() {
        let time = deliver(&mut function, batch).await?;
        if number >= WARM_UP {
            times.push(time);
        }
    }
    Ok(Requests {
        event: title.to_owned(),
        function: name.to_owned(),
        requests: times.count(),
        first_ms: ms(first),
        median_ms: times.median_ms(),
        p95_ms: times.p95_ms(),
        cpu_ms: None,
        baseline_median_ms: None,
        peak_memory_bytes: function.peak_memory()?,
    })
}

fn create_lead(_: &Tenant, number: usize) -> Request {
    Request::post_json(
        "/leads",
        &json!({
            "email": format!("lead{number:05}@company{:02}.example", number % 50),
            "first_name": "Ada",
            "last_name": format!("Example {number}"),
            "title": "Head of Sales",
            "company": {"name": format!("Company {}", number % 50), "industry": "Software", "size": "51-200"},
            "country": "DE",
        }),
    )
}

fn list_leads(_: &Tenant, _number: usize) -> Request {
    Request::get("/leads", "limit=20")
}

fn create_campaign(_: &Tenant, number: usize) -> Request {
    Request::post_json(
        "/campaigns",
        &json!({
            "name": format!("Campaign {number}"),
            "icp": {"industries": ["Software"], "company_size": {"min": 50, "max": 500}, "titles": ["Head of Sales"]},
            "channels": ["email"],
            "messaging": {
                "value_proposition": "Less manual work for sales teams",
                "tone": "friendly",
                "language": "en",
                "sequence": [
                    {"step": 1, "channel": "email", "delay_hours": 0, "subject": "A question",
                     "body": "Hello {{ lead.first_name | default(\"there\") }}, how do you find leads today?"},
                    {"step": 2, "channel": "email", "delay_hours": 72, "subject": "Once more", "body": "Any thoughts?"},
                ],
            },
        }),
    )
}

fn queue_message(_: &Tenant, number: usize) -> Request {
    Request::post_json(
        "/communications",
        &json!({"channel": "email", "to": format!("reader{number:05}@company.example"), "subject": "Your order", "text": "It is on its way."}),
    )
}

fn create_company(tenant: &Tenant, number: usize) -> Request {
    Request::post_json(
        "/api/crm/companies",
        &json!({"entityId": tenant.entity_id, "name": format!("Company {number}"), "domain": format!("company{number:05}.example")}),
    )
}

fn find_companies(tenant: &Tenant, _number: usize) -> Request {
    Request::get("/api/crm/companies", &format!("entityId={}&q=company&pageSize=20", tenant.entity_id))
}

fn create_agent(_: &Tenant, number: usize) -> Request {
    Request::post_json("/v1/agents", &json!({"name": format!("Agent {number}"), "playbook_template": "cold_outreach"}))
}

fn list_events(_: &Tenant, _number: usize) -> Request {
    Request::get("/events", "limit=20")
}

fn import_leads(_: &Tenant, number: usize) -> Request {
    let mut csv = String::from("Email,First Name,Last Name,Job Title,Company\r\n");
    for row in 0..SMALL_ROWS {
        csv += &format!("import{number:05}.{row:02}@company{:02}.example,Ada,Example,Head of Sales,Company\r\n", row % 50);
    }
    Request::post_csv("/leads/import", csv)
}

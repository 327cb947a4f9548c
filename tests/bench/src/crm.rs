//! The CRM's lists, filters and searches over a tenant with very many companies and contacts.
//!
//! The records are put straight into the embedded table, in the form that the store gives them (`shared/store/README.md`), with its
//! stream paused: by way of the API, a hundred thousand of them would take an hour. That the form is right shows in the answers: every
//! total is compared with what was put there. The segments that searches go through are made by `crm-aggregator` itself.

use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;
use crate::args::Args;
use crate::events::Request;
use crate::function::Function;
use crate::pipeline::{Tenant, call};
use crate::report::{Report, Requests};
use crate::stats::{Samples, ms};
use crate::table::Table;
use crate::world::World;

/// Contacts for each company.
const CONTACTS: usize = 3;
/// Items of one write (DynamoDB's limit for `BatchWriteItem`).
const BATCH: usize = 25;
/// Requests that are not counted, after the first.
const WARM_UP: usize = 3;
/// Owns every third company.
const OWNER: &str = "01939b1e-0000-7000-8000-00000000beef";
const STATUSES: [&str; 3] = ["prospect", "active", "inactive"];
const CREATED: &str = "2026-01-31T09:30:00.000Z";

pub async fn run(world: &World, tenant: &Tenant, args: &Args, report: &mut Report) -> Result<()> {
    if !world.is_built("crm") {
        report.skip("crm: the function is not built".to_owned());
        return Ok(());
    }
    let companies = args.companies;
    eprintln!("putting {companies} companies and {} contacts into the table ...", companies * CONTACTS);
    world.table.pause_stream()?;
    seed(&world.table, &tenant.entity_id, companies)?;
    if world.is_built("crm-aggregator") {
        reindex(world, tenant).await?;
    } else {
        report.skip("crm: crm-aggregator, which makes what searches go through, is not built".to_owned());
    }
    let mut function = Function::start(&world.launch("crm")).await?;
    for (path, query, total) in scenarios(companies) {
        let title = format!("GET {path}{}", if query.is_empty() { String::new() } else { format!("?{query}") });
        eprintln!("measuring {title} ...");
        match measure(&mut function, tenant, args.crm_requests, path, &query, total).await {
            Ok(row) => report.crm.push(Requests { event: title, ..row }),
            Err(error) => report.fault(format!("{title}: {error}")),
        }
    }
    Ok(())
}

/// Seals everything, as the operator's call does.
async fn reindex(world: &World, tenant: &Tenant) -> Result<()> {
    let mut aggregator = Function::start(&world.launch("crm-aggregator")).await?;
    let (since, mut from) = (Instant::now(), Value::Null);
    loop {
        let mut call = json!({"operator": {"reindex": {"entity_id": tenant.entity_id}}});
        if !from.is_null() {
            call["operator"]["reindex"]["from"] = from;
        }
        let answer: Value = serde_json::from_slice(&aggregator.invoke(call.to_string()).await?.body)?;
        from = answer["unfinished"].clone();
        if !answer["error"].is_null() {
            return Err(format!("the segments could not be made: {answer}").into());
        }
        if from.is_null() {
            let (took, cpu) = (since.elapsed().as_secs_f64(), aggregator.cpu_time()?.as_secs_f64());
            eprintln!("sealed in {took:.0} s, {cpu:.0} s of processor time");
            return Ok(());
        }
    }
}

/// Paths, queries, and the totals that they have to answer.
fn scenarios(companies: usize) -> Vec<(&'static str, String, Option<usize>)> {
    let every = |n: usize| companies.div_ceil(n);
    let last_page = (companies / 100).max(1);
    let both = (0..companies).filter(|n| n % 3 == 0 && status(*n) == "active").count();
    let (list, people) = ("/api/crm/companies", "/api/crm/contacts");
    vec![
        (list, String::new(), Some(companies)),
        (list, "sort=name&pageSize=100".to_owned(), Some(companies)),
        (list, format!("page={last_page}&pageSize=100"), Some(companies)),
        (list, "status=active".to_owned(), Some((0..companies).filter(|n| status(*n) == "active").count())),
        (list, format!("ownerUserId={OWNER}"), Some(every(3))),
        (list, format!("status=active&ownerUserId={OWNER}&q=%C3%9CNIT"), Some(both)),
        (list, format!("ownerUserId={OWNER}&q=manufact&sort=name&page=10"), Some(every(3))),
        (list, format!("q={:07}", companies / 2), Some(1)),
        (list, "q=nowhere".to_owned(), Some(0)),
        (people, String::new(), Some(companies * CONTACTS)),
        (people, format!("page={}&pageSize=100", (companies * CONTACTS / 100).max(1)), Some(companies * CONTACTS)),
        (people, format!("q=lovelace%20{:07}", companies / 2), Some(1)),
        (people, "q=engines.example".to_owned(), Some(companies * CONTACTS)),
        (people, "q=nowhere".to_owned(), Some(0)),
        ("/api/crm/dashboard", String::new(), None),
    ]
}

async fn measure(
    function: &mut Function,
    tenant: &Tenant,
    count: usize,
    path: &str,
    query: &str,
    total: Option<usize>,
) -> Result<Requests> {
    let joiner = if query.is_empty() { "" } else { "&" };
    let event = tenant.event(&Request::get(path, &format!("entityId={}{joiner}{query}", tenant.entity_id)));
    let first = call(function, event.clone(), 200).await?;
    if let Some(total) = total.filter(|total| first.body["total"] != *total) {
        return Err(format!("the total is {}, not {total}", first.body["total"]).into());
    }
    let (mut times, mut cpu) = (Samples::default(), function.cpu_time()?);
    for number in 0..WARM_UP + count {
        let time = call(function, event.clone(), 200).await?.time;
        if number >= WARM_UP {
            times.push(time);
        } else {
            cpu = function.cpu_time()?;
        }
    }
    let cpu = function.cpu_time()?.saturating_sub(cpu) / u32::try_from(count.max(1))?;
    Ok(Requests {
        event: String::new(),
        function: "crm".to_owned(),
        requests: times.count(),
        first_ms: ms(first.time),
        median_ms: times.median_ms(),
        p95_ms: times.p95_ms(),
        cpu_ms: Some(ms(cpu)),
        baseline_median_ms: None,
        peak_memory_bytes: function.peak_memory()?,
    })
}

fn status(n: usize) -> &'static str {
    STATUSES[n / 3 % STATUSES.len()]
}

fn seed(table: &Table, entity: &str, companies: usize) -> Result<()> {
    let records = (0..companies).map(|n| company(entity, n)).chain((0..companies * CONTACTS).map(|n| contact(entity, n)));
    let counts = STATUSES.map(|status| (status, (0..companies).filter(|n| self::status(*n) == status).count()));
    let tallies = [tally(entity, "crm-companies", &counts), tally(entity, "crm-contacts", &[("all", companies * CONTACTS)])];
    let mut batch = Vec::with_capacity(BATCH);
    for item in records.chain(tallies) {
        batch.push(item);
        if batch.len() == BATCH {
            table.put_all(std::mem::take(&mut batch))?;
        }
    }
    if batch.is_empty() { Ok(()) } else { table.put_all(batch) }
}

/// Later numbers are newer.
fn id(n: usize, kind: usize) -> String {
    format!("{:08x}-{kind:04x}-7000-8000-{n:012x}", 0x0193_9b1e + n / 65_536)
}

fn company(entity: &str, n: usize) -> Value {
    let (id, name, shard) = (id(n, 1), format!("Ünit {n:07} Manufacturing Company"), n % 8);
    let folded = name.to_lowercase();
    let mut item = json!({
        "pk": {"S": format!("E#{entity}#COMPANY#{id}")}, "sk": {"S": "COMPANY"}, "type": {"S": "company"}, "version": {"N": "1"},
        "entity_id": {"S": entity}, "id": {"S": id}, "status": {"S": status(n)}, "q": {"S": folded},
        "profile": {"M": {"name": {"S": name}, "industry": {"S": "Manufacturing"}, "size": {"S": "51-200"}}},
        "created_at": {"S": CREATED}, "updated_at": {"S": CREATED},
        "gsi1pk": {"S": format!("E#{entity}#COMPANIES#{shard}")}, "gsi1sk": {"S": format!("{CREATED}#{id}")},
        "gsi2pk": {"S": format!("E#{entity}#COMPANYNAMES#{shard}")}, "gsi2sk": {"S": format!("{folded}\u{1f}{id}")},
    });
    if n.is_multiple_of(3) {
        item["owner"] = json!({"S": OWNER});
    }
    item
}

fn contact(entity: &str, n: usize) -> Value {
    let (id, shard) = (id(n, 2), n % 8);
    let (last, email) = (format!("Lovelace {n:07}"), format!("ada{n:07}@engines.example"));
    json!({
        "pk": {"S": format!("E#{entity}#CONTACT#{id}")}, "sk": {"S": "CONTACT"}, "type": {"S": "contact"}, "version": {"N": "1"},
        "entity_id": {"S": entity}, "id": {"S": id}, "q": {"S": format!("ada {} {email}", last.to_lowercase())},
        "profile": {"M": {"first_name": {"S": "Ada"}, "last_name": {"S": last}, "email": {"S": email}}},
        "created_at": {"S": CREATED}, "updated_at": {"S": CREATED},
        "gsi1pk": {"S": format!("E#{entity}#CONTACTS#{shard}")}, "gsi1sk": {"S": format!("{CREATED}#{id}")},
    })
}

fn tally(entity: &str, board: &str, numbers: &[(&str, usize)]) -> Value {
    let mut item = json!({"pk": {"S": format!("E#{entity}#TALLY#{board}")}, "sk": {"S": "00"}, "type": {"S": "tally"}});
    for (name, n) in numbers {
        item[format!("n_{name}")] = json!({"N": n.to_string()});
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_that_sort_by_number() {
        let ids: Vec<String> = [0, 1, 65_535, 65_536, 300_000].map(|n| id(n, 1)).into();
        assert!(ids.iter().all(|id| id.len() == 36) && ids.is_sorted());
    }
}

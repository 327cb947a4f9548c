//! Every row ends in exactly one way, and the numbers say so.

use axle_app::outreach::imports::{ImportOptions, ImportStatus, WorkOutcome};
use serde_json::json;

use crate::*;

/// Of 100 rows, 82 are leads, 15 such leads again, and 3 without a valid address; 20 in all have a line break in a cell.
fn file(rows: usize) -> String {
    let mut csv = "\u{feff}E-mail;Full Name;Company;Notes\r\n".to_owned();
    for n in 0..rows {
        let note = if n % (rows / 20) == 7 { "\"two\r\nlines; and \"\"more\"\"\"" } else { "one line" };
        let address = match n {
            _ if n % 100 < 3 => format!("person{n}(at)example.com"),
            _ if n % 20 > 16 => format!("PERSON{}@Example.com", n - 10),
            _ => format!("person{n}@example.com"),
        };
        csv.push_str(&format!("{address};Ada {n};Company {};{note}\r\n", n % 50));
    }
    csv
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_to_one_end() {
    let tenant = Tenant::new().await;
    let started = tenant.start(&file(600), SKIP).await;
    assert_eq!(counted(&started), json!([600, 582, 90, 18]));
    let job = tenant.job(&started);
    assert_eq!(tenant.work(&job).await, WorkOutcome::Ended);
    let view = tenant.view(&job).await;
    assert_eq!((ends(&view), view.status, view.row_count), ([492, 0, 90, 18], ImportStatus::Completed, Some(600)));
    assert_eq!(tenant.leads().await.len(), 492);
    assert_eq!(tenant.errors(&job).await.lines().count(), 19);

    let events = tenant.events();
    let counts =
        json!({"import_job_id": job.import_job_id, "row_count": 600, "created": 492, "updated": 0, "skipped": 90, "failed": 18});
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["data"]), (&json!("lead.imported"), &counts));

    // Once more, in a file that is longer: only the rest is new, and nobody is told twice of the first.
    let started = tenant.start(&file(2_000), SKIP).await;
    assert_eq!(counted(&started), json!([2_000, 1_940, 300 + 492, 60]));
    assert_eq!(started["errors"].as_array().unwrap().len(), 20);
    assert_eq!(started["errors"][3], json!({"row": 102, "column": "E-mail", "message": "is not a valid e-mail address"}));
    let (again, _) = tenant.import(&file(600), SKIP).await;
    assert_eq!(ends(&again), [0, 0, 582, 18]);
    assert_eq!(tenant.work(&job).await, WorkOutcome::NothingToDo);
    assert_eq!((tenant.leads().await.len(), tenant.events().len()), (492, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_imports_make_each_lead_once() {
    let tenant = Tenant::new().await;
    let rows = |range: std::ops::Range<u32>| {
        range.map(|n| format!("p{n}@example.com\n")).fold("email\n".to_owned(), |csv, row| csv + &row)
    };
    let (first, second) = (tenant.start(&rows(0..300), SKIP).await, tenant.start(&rows(100..400), SKIP).await);
    let jobs = [tenant.job(&first), tenant.job(&second)];
    let workers = jobs.clone().map(|job| {
        let app = tenant.app().clone();
        tokio::spawn(async move { work(&app, job, in_time()).await.outcome.unwrap() })
    });
    for worker in workers {
        assert_eq!(worker.await.unwrap(), WorkOutcome::Ended);
    }
    let (a, b) = (ends(&tenant.view(&jobs[0]).await), ends(&tenant.view(&jobs[1]).await));
    assert_eq!((a[0] + a[2], b[0] + b[2]), (300, 300));
    assert_eq!((a[0] + b[0], a[2] + b[2]), (400, 200));
    assert_eq!((tenant.leads().await.len(), tenant.events().len()), (400, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dedupe_every_row_is_a_lead_of_its_own() {
    let tenant = Tenant::new().await;
    let csv = "email,first_name\na@example.com,One\na@example.com,Two\nb@example.com,Three\n";
    tenant.import("email\na@example.com\n", SKIP).await;
    let options = ImportOptions { dedupe: false, ..UPDATE };
    let started = tenant.start(csv, options).await;
    assert_eq!(counted(&started), json!([3, 3, 0, 0]));
    let job = tenant.job(&started);
    tenant.work(&job).await;
    assert_eq!(ends(&tenant.view(&job).await), [3, 0, 0, 0]);
    let leads = tenant.leads().await;
    let names: Vec<_> = leads.iter().map(|lead| lead.profile.first_name.as_deref().unwrap_or("-")).collect();
    assert_eq!((leads.len(), names.contains(&"One"), names.contains(&"Two")), (4, true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_given_up_can_be_imported() {
    let tenant = Tenant::new().await;
    tenant.import("email\nold@example.com\n", SKIP).await;
    let lead = tenant.leads().await.remove(0);
    let change = json!({"email": "new@example.com"});
    axle_app::outreach::leads::patch(tenant.app(), &tenant.ctx(), lead.id, &change, None).await.unwrap();

    let csv = "email\nold@example.com\nnew@example.com\n";
    let started = tenant.start(csv, SKIP).await;
    assert_eq!(counted(&started), json!([2, 2, 1, 0]), "only the new address is somebody's");
    let job = tenant.job(&started);
    tenant.work(&job).await;
    assert_eq!(ends(&tenant.view(&job).await), [1, 0, 1, 0]);
    // Now both are.
    let started = tenant.start(csv, SKIP).await;
    assert_eq!(counted(&started), json!([2, 2, 2, 0]));
    let (updated, _) = tenant.import("email,title\nnew@example.com,CTO\n", UPDATE).await;
    assert_eq!(ends(&updated), [0, 1, 0, 0]);
    let leads = tenant.leads().await;
    assert_eq!(leads.len(), 2);
    assert_eq!((leads[0].id, leads[0].profile.title.as_deref()), (lead.id, Some("CTO")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_lead_costs_two_write_units() {
    let tenant = Tenant::new().await;
    let mut csv = "Email,First Name,Last Name,Job Title,Company,Company Domain,Country\n".to_owned();
    for n in 0..60 {
        csv.push_str(&format!(
            "first.last{n}@company{n}.example,First{n},Last{n},Head of Sales,Company {n},company{n}.example,DE\n"
        ));
    }
    let started = tenant.start(&csv, SKIP).await;
    tenant.world.meter.take();
    tenant.work(&tenant.job(&started)).await;
    let spent = tenant.world.meter.take();
    let puts: f64 = spent.iter().filter(|s| s.operation == "PutItem").map(|s| s.units).sum();
    let all: f64 = spent.iter().map(|s| s.units).sum();
    // One for the item, one for its place in the listing; the checkpoints are few and small.
    assert!(puts <= 2.0 * 60.0 + 4.0, "{puts} units");
    assert!(all <= puts + 20.0, "{all} units");
    let largest = spent.iter().filter(|s| s.operation == "PutItem").skip(1).map(|s| s.units).fold(0.0, f64::max);
    assert!(largest <= 2.0, "{largest} units for one lead");

    // A duplicate writes nothing.
    let started = tenant.start(&csv, SKIP).await;
    tenant.world.meter.take();
    tenant.work(&tenant.job(&started)).await;
    let (_, write) = tenant.world.meter.take_units();
    assert!(write <= 20.0, "{write} units");
}

//! Workers that die, come twice, or run out of time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use std::sync::atomic::{AtomicI64, Ordering};

use axle_app::outreach::imports::ImportStatus;
use axle_store::imports::{ImportCounts, ImportRecord};

use crate::*;

/// 1,300 rows, three chunks: 200 leads, 50 of them twice, and 1,050 refused rows. With `tag` in every row.
fn file(tag: &str) -> String {
    let mut csv = "email,title,note\n".to_owned();
    for n in 0..1_300 {
        let address = match n % 26 {
            0..4 => format!("p{n}@example.com"),
            4 => format!("p{}@example.com", n - 1),
            _ => format!("not an address {n}"),
        };
        csv.push_str(&format!("{address},{tag} {n},{}\n", if n % 2 == 0 { "even" } else { "" }));
    }
    csv
}

/// A future that is dropped in mid-work, as a worker is that gets killed.
struct Killed<F> {
    work: Pin<Box<F>>,
    polls: u32,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(cx).map(Some)
    }
}

async fn killed_after(tenant: &Tenant, job: &ImportJob, polls: u32) -> Option<WorkOutcome> {
    let work = Box::pin(async { work(tenant.app(), job.clone(), in_time()).await.outcome });
    Killed { work, polls }.await.map(|outcome| outcome.unwrap())
}

/// The same application in a process that dies when it looks at the clock for the `nth` time, as it does before each write.
fn mortal(tenant: &Tenant, nth: i64) -> Arc<App> {
    let (clock, left) = (tenant.world.clock.clone(), AtomicI64::new(nth));
    let clock = Arc::new(move || {
        assert!(left.fetch_sub(1, Ordering::SeqCst) > 0, "killed");
        clock.now()
    });
    tenant.another_app(clock, tenant.world.objects.clone())
}

/// What the leads look like when everything was done once, in order.
fn assert_leads(leads: &[LeadRecord], tag: &str) {
    assert_eq!(leads.len(), 200);
    for lead in leads {
        let (email, title) = (lead.profile.email.as_ref().unwrap().to_string(), lead.profile.title.clone().unwrap());
        let n: u32 = email.trim_start_matches('p').split('@').next().unwrap().parse().unwrap();
        let last = if n % 26 == 3 { n + 1 } else { n };
        assert_eq!(title, format!("{tag} {last}"), "{email}");
        let even = n.is_multiple_of(2) || last.is_multiple_of(2);
        assert_eq!(lead.profile.custom.contains_key("note"), even, "{email}");
    }
}

async fn assert_done(tenant: &Tenant, job: &ImportJob, expected: [u64; 4], events: usize) {
    let view = tenant.view(job).await;
    assert_eq!((ends(&view), view.status, view.row_count), (expected, ImportStatus::Completed, Some(1_300)));
    assert_eq!(tenant.events().len(), events);
    let errors = tenant.errors(job).await;
    let rows: Vec<&str> = errors.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let refused: Vec<String> = (0..1_300).filter(|n| n % 26 > 4).map(|n| (n + 2).to_string()).collect();
    assert_eq!(rows, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_dropped_in_mid_work_lose_and_double_nothing() {
    let tenant = Tenant::new().await;
    for (tag, expected) in [("first", [200, 50, 0, 1_050]), ("second", [0, 250, 0, 1_050])] {
        let job = tenant.job(&tenant.start(&file(tag), UPDATE).await);
        let mut deaths = 0;
        for polls in (1..).step_by(2) {
            match killed_after(&tenant, &job, polls).await {
                None => deaths += 1,
                // The worker before it may have died after its last write, with nothing left to do for this one.
                Some(outcome) => {
                    assert!(matches!(outcome, WorkOutcome::Ended | WorkOutcome::NothingToDo), "{outcome:?}");
                    break;
                }
            }
        }
        // How often it is polled before it ends depends on how quickly the table answers; dying once is what the test is about.
        assert!(deaths > 0, "never died");
        assert_done(&tenant, &job, expected, 1).await;
        assert_leads(&tenant.leads().await, tag);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_die_before_any_write_lose_and_double_nothing() {
    let tenant = Tenant::new().await;
    for (tag, expected) in [("first", [200, 50, 0, 1_050]), ("second", [0, 250, 0, 1_050])] {
        let job = tenant.job(&tenant.start(&file(tag), UPDATE).await);
        let mut deaths = 0;
        for nth in (0..).step_by(17) {
            let (app, job) = (mortal(&tenant, nth), job.clone());
            match tokio::spawn(async move { work(&app, job, in_time()).await.outcome }).await {
                Err(_) => deaths += 1,
                // As above: killed between the last write and its answer.
                Ok(outcome) => {
                    let outcome = outcome.unwrap();
                    assert!(matches!(outcome, WorkOutcome::Ended | WorkOutcome::NothingToDo), "{outcome:?}");
                    break;
                }
            }
        }
        assert!(deaths > 5, "died {deaths} times");
        assert_done(&tenant, &job, expected, 1).await;
        assert_leads(&tenant.leads().await, tag);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_at_the_same_import_count_each_row_once() {
    let tenant = Tenant::new().await;
    for (tag, expected) in [("first", [200, 50, 0, 1_050]), ("second", [0, 250, 0, 1_050])] {
        let job = tenant.job(&tenant.start(&file(tag), UPDATE).await);
        loop {
            let round: Vec<_> = [40, 90, u32::MAX]
                .map(|polls| {
                    let (app, job) = (tenant.app().clone(), job.clone());
                    tokio::spawn(async move {
                        let work = Box::pin(async move { work(&app, job, in_time()).await.outcome });
                        Killed { work, polls }.await
                    })
                })
                .into();
            let mut ended = false;
            for worker in round {
                ended |= matches!(worker.await.unwrap(), Some(Ok(WorkOutcome::Ended | WorkOutcome::NothingToDo)));
            }
            if ended {
                break;
            }
        }
        assert_done(&tenant, &job, expected, 1).await;
        assert_leads(&tenant.leads().await, tag);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_import_goes_on_in_the_next_invocation() {
    let tenant = Tenant::new().await;
    let mut job = tenant.job(&tenant.start(&file("x"), UPDATE).await);
    let key = ImportRecord::key_of(job.entity_id, job.import_job_id);
    let record = tenant.app().table().await.get::<ImportRecord>(&key, tenant.world.clock.now());
    job.trace_id = Some(record.await.unwrap().unwrap().value.trace_id);
    let (mut processed, mut rows) = (Vec::new(), ImportCounts::default());
    loop {
        // No time left: each invocation does one chunk all the same, so that it comes to an end.
        let worked = work(tenant.app(), job.clone(), Instant::now()).await;
        rows.add(worked.rows);
        match worked.outcome.unwrap() {
            WorkOutcome::Ended => break,
            outcome => assert_eq!(outcome, WorkOutcome::Continued),
        }
        let messages = tenant.world.import_queue.take();
        assert_eq!(messages.len(), 1);
        assert_eq!(serde_json::from_str::<ImportJob>(&messages[0].body).unwrap(), job);
        let view = tenant.view(&job).await;
        assert_eq!(view.status, ImportStatus::Processing);
        processed.push(view.processed);
        // The refused rows so far can be had already.
        assert_eq!(tenant.errors(&job).await.lines().count() as u64, view.failed + 1);
    }
    assert_eq!(processed, [500, 1_000]);
    assert_eq!(
        [rows.created, rows.updated, rows.skipped, rows.failed],
        [200, 50, 0, 1_050],
        "each invocation tells of its own rows"
    );
    assert!(tenant.world.import_queue.take().is_empty());
    assert_done(&tenant, &job, [200, 50, 0, 1_050], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_that_cannot_be_sent_is_an_error() {
    let tenant = Tenant::new().await;
    let job = tenant.job(&tenant.start(&file("x"), SKIP).await);
    tenant.world.import_queue.fail_next(1);
    // The message stays on the queue and is delivered again.
    assert!(matches!(work(tenant.app(), job.clone(), Instant::now()).await.outcome, Err(Error::Unavailable(_))));
    assert_eq!(tenant.work(&job).await, WorkOutcome::Ended);
    assert_done(&tenant, &job, [200, 0, 50, 1_050], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_imports_are_nothing_to_do() {
    let tenant = Tenant::new().await;
    let import_job_id = ImportJobId::new_at(tenant.world.clock.now());
    let job = ImportJob { entity_id: tenant.entity, import_job_id, trace_id: None };
    assert_eq!(tenant.work(&job).await, WorkOutcome::NothingToDo);
    let started = tenant.start("email\na@example.com\n", SKIP).await;
    let foreign = ImportJob { entity_id: EntityId::new_at(tenant.world.clock.now()), ..tenant.job(&started) };
    assert_eq!(tenant.work(&foreign).await, WorkOutcome::NothingToDo);
}

//! The `import-worker` function: takes imports of leads from their queue and does as much of each as its time allows.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use axle_app::App;
use axle_app::outreach::imports::{ImportJob, WorkOutcome, Worked, work};
use axle_telemetry::{Counts, metric};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), axle_runtime::Error> {
    axle_runtime::work(axle_runtime::app, handle).await
}

async fn handle(app: Arc<App>, event: SqsEvent, deadline: Instant) -> Result<SqsBatchResponse, axle_runtime::Error> {
    let app = &app;
    let import = async |job: ImportJob| {
        let (entity_id, import_job_id) = (job.entity_id, job.import_job_id);
        let Worked { trace_id, rows, outcome } = work(app, job, deadline).await;
        let trace_id = trace_id.map(tracing::field::display);
        tracing::info!(%entity_id, %import_job_id, trace_id, outcome = ?outcome.as_ref().ok(), rows = rows.processed(), "import worked on");
        let counts = Counts::none().with_any(metric::ROWS_CREATED, rows.created).with_any(metric::ROWS_UPDATED, rows.updated);
        let counts = counts.with_any(metric::ROWS_SKIPPED, rows.skipped).with_any(metric::ROWS_FAILED, rows.failed);
        let done = match outcome {
            // The message is kept until the import has ended: should the other worker die, this one takes it up again.
            Ok(WorkOutcome::Superseded) => Err("another worker is at this import".to_owned()),
            Ok(_) => Ok(()),
            Err(e) => Err(e.for_the_log()),
        };
        (counts, done)
    };
    Ok(axle_messaging::sqs::run(event, |job, _| import(job)).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use axle_app::outreach::imports::{ImportOptions, ImportRequest, SentAs, Source, start};
    use axle_app::{Answer, Ctx};
    use axle_domain::{EntityId, TraceId};
    use axle_testkit::World;
    use serde_json::{Value, json};

    use super::*;

    async fn handled(world: &World, event: &Value) -> Value {
        let event = serde_json::from_value(event.clone()).unwrap();
        let response = handle(world.app.clone(), event, Instant::now() + Duration::from_secs(60)).await.unwrap();
        serde_json::to_value(response).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_message_is_done_once_and_an_unreadable_one_given_back() {
        let world = World::new().await;
        let mut event: Value = serde_json::from_str(include_str!("../../../events/import-job.json")).unwrap();
        assert_eq!(handled(&world, &event).await, json!({"batchItemFailures": []}), "an import that is long gone");

        let ctx = Ctx::system(EntityId::new_at(world.clock.now()), "test", world.clock.now(), TraceId::random());
        let source = Source::Inline { bytes: "email\nada@example.com\n".into(), sent_as: SentAs::Body };
        let options = ImportOptions { dedupe: true, on_duplicate: Default::default(), campaign_id: None, mapping: None };
        let request = ImportRequest { source, options };
        start(&world.app, &ctx, request, |started| Answer::new(202, started)).await.unwrap();
        let job = world.table.new_records().remove(0)["dynamodb"]["NewImage"]["job_body"]["S"].take();
        event["Records"][0]["body"] = job;
        let twice = event["Records"][0].clone();
        event["Records"].as_array_mut().unwrap().push(twice);
        // Of the two at once one may find the other at work and be given back; afterwards there is nothing left to do.
        handled(&world, &event).await;
        assert_eq!(handled(&world, &event).await, json!({"batchItemFailures": []}));
        assert_eq!(world.table.new_records().len(), 1, "one event");

        event["Records"][0]["body"] = json!("{}");
        let failed = json!({"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]});
        assert_eq!(handled(&world, &event).await, failed);
    }
}

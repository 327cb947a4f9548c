//! The `outbox-sender` function: hands messages to their providers, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::communications::OutboxJob;
use axle_app::communications::send::{Limits, Outbox};
use axle_messaging::sqs;
use axle_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work_sending(|app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let outbox = Outbox::new(app, Limits::default());
        let handle = async |job: OutboxJob| outbox.send(&job).await.map_err(|e| e.for_the_log());
        Ok(sqs::run(event, |job, _| handle(job)).await?)
    })
    .await
}

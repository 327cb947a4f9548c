//! The `webhook-deliverer` function: attempts to deliver, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::webhooks::{DeliverJob, Deliverer, Limits};
use axle_messaging::sqs;
use axle_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(|app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let deliverer = Deliverer::new(app, Limits::default());
        let handle = async |job: DeliverJob| deliverer.deliver(&job).await.map_err(|e| e.for_the_log());
        Ok(sqs::run(event, |job, _| handle(job)).await?)
    })
    .await
}

//! The `webhook-dispatcher` function: events from the bus become deliveries.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::webhooks::Dispatcher;
use axle_messaging::{Envelope, sqs};
use axle_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(|app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let dispatcher = Dispatcher::new(app);
        let handle =
            async |envelope: Envelope| dispatcher.dispatch(&envelope.detail).await.map(drop).map_err(|e| e.for_the_log());
        Ok(sqs::run(event, |envelope, _| handle(envelope)).await?)
    })
    .await
}

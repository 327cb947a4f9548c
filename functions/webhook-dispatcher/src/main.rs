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
    axle_runtime::work(axle_runtime::app, |app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let dispatcher = Dispatcher::new(app);
        let handle = async |envelope: Envelope| {
            let event = envelope.detail;
            let endpoints = dispatcher.dispatch(&event).await.map_err(|e| e.for_the_log())?;
            let trace_id = event.trace_id.map(tracing::field::display);
            tracing::info!(
                entity_id = %event.entity_id, event_id = %event.id, event_type = event.event_type.as_str(), trace_id, endpoints,
                "event dispatched"
            );
            Ok::<_, String>(())
        };
        Ok(sqs::run(event, |envelope, _| handle(envelope)).await?)
    })
    .await
}

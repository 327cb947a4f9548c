//! The `agent-runner` function: takes people through agents' playbooks, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::agents::{AgentMessage, work};
use axle_messaging::sqs;
use axle_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::asking_app, |app: Arc<App>, event: SqsEvent, deadline: Instant| async move {
        let app = &app;
        let handle = async |message: AgentMessage| match work::work(app, &message, deadline).await {
            Ok(worked) => {
                let trace_id = message.trace_id.map(tracing::field::display);
                tracing::info!(entity_id = %message.entity_id, trace_id, task = ?message.task, outcome = ?worked, "agent at work");
                Ok(())
            }
            Err(e) => Err(e.for_the_log()),
        };
        Ok(sqs::run(event, |message, _| handle(message)).await?)
    })
    .await
}

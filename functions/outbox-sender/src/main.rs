//! The `outbox-sender` function: hands messages to their providers, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::communications::OutboxJob;
use axle_app::communications::send::{Limits, Outbox, Settled};
use axle_messaging::sqs;
use axle_runtime::Error;
use axle_telemetry::{Counts, metric};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::sending_app, |app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let outbox = Outbox::new(app, Limits::default());
        let handle = async |job: OutboxJob| match outbox.send(&job).await {
            Ok(settled) => Ok(settled.map_or_else(Counts::none, counts)),
            Err(e) => Err(e.for_the_log()),
        };
        Ok(sqs::run(event, |job, _| handle(job)).await?)
    })
    .await
}

fn counts(settled: Settled) -> Counts {
    let ended = Counts::none().with(metric::MESSAGE_FAILED, u64::from(settled.failed));
    settled.latency_ms.into_iter().fold(ended, |counts, ms| counts.with(metric::MESSAGE_LATENCY, ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_that_ends_is_a_success_or_a_failure() {
        let failed = |n| Counts::none().with(metric::MESSAGE_FAILED, n);
        assert_eq!(counts(Settled { failed: true, latency_ms: None }), failed(1));
        assert_eq!(counts(Settled { failed: false, latency_ms: Some(0) }), failed(0).with(metric::MESSAGE_LATENCY, 0));
    }
}

//! The `webhook-deliverer` function: attempts to deliver, from SQS.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::webhooks::{DeliverJob, Deliverer, DeliveryStatus, Limits, Tried};
use axle_messaging::sqs;
use axle_runtime::Error;
use axle_telemetry::{Counts, metric};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::app, |app: Arc<App>, event: SqsEvent, _: Instant| async move {
        let deliverer = Deliverer::new(app, Limits::default());
        let handle = async |job: DeliverJob| match deliverer.deliver(&job).await {
            Ok(tried) => Ok(tried.map_or_else(Counts::none, note)),
            Err(e) => Err(e.for_the_log()),
        };
        Ok(sqs::run(event, |job, _| handle(job)).await?)
    })
    .await
}

/// Logs how a delivery stands, and counts it.
fn note(tried: Tried) -> Counts {
    let trace_id = tried.trace_id.map(tracing::field::display);
    tracing::info!(
        entity_id = %tried.entity_id, delivery_id = %tried.delivery_id, webhook_id = %tried.webhook_id, event_id = %tried.event_id,
        trace_id, status = tried.status.as_str(), status_code = tried.status_code, duration_ms = tried.duration_ms, "delivery"
    );
    counts(&tried)
}

fn counts(tried: &Tried) -> Counts {
    let delivered = tried.status == DeliveryStatus::Delivered;
    let attempted =
        if tried.attempted { Counts::none().with(metric::WEBHOOK_FAILED, u64::from(!delivered)) } else { Counts::none() };
    let dead = tried.status == DeliveryStatus::Dead;
    attempted.with_any(metric::WEBHOOK_DELIVERED, u64::from(delivered)).with_any(metric::WEBHOOK_DEAD, u64::from(dead))
}

#[cfg(test)]
mod tests {
    use axle_domain::{DeliveryId, EntityId, EventId, Time, WebhookId};

    use super::*;

    fn tried(status: DeliveryStatus, attempted: bool) -> Tried {
        let now = Time::from_millis(0);
        Tried {
            entity_id: EntityId::new_at(now),
            delivery_id: DeliveryId::new_at(now),
            webhook_id: WebhookId::new_at(now),
            event_id: EventId::new_at(now),
            trace_id: None,
            status,
            attempted,
            status_code: None,
            duration_ms: 0,
        }
    }

    #[test]
    fn each_attempt_is_a_success_or_a_failure_and_the_last_failure_a_death_too() {
        let failed = |n| Counts::none().with(metric::WEBHOOK_FAILED, n);
        assert_eq!(counts(&tried(DeliveryStatus::Delivered, true)), failed(0).with(metric::WEBHOOK_DELIVERED, 1));
        assert_eq!(counts(&tried(DeliveryStatus::Failed, true)), failed(1));
        assert_eq!(counts(&tried(DeliveryStatus::Dead, true)), failed(1).with(metric::WEBHOOK_DEAD, 1));
        assert_eq!(
            counts(&tried(DeliveryStatus::Dead, false)),
            Counts::none().with(metric::WEBHOOK_DEAD, 1),
            "nobody was called"
        );
    }
}

//! The `event-relay` function: the table's stream becomes events on the bus and jobs on the queues.

use std::sync::Arc;

use axle_messaging::relay::StreamEvent;
use axle_messaging::{EventBridge, Relay};
use axle_runtime::{Env, Error};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::init_telemetry();
    let env = Env::read();
    let queues = [
        ("import", axle_runtime::sqs_queue(env.text("AXLE_IMPORT_QUEUE")?)),
        ("deliver", axle_runtime::sqs_queue(env.text("AXLE_DELIVER_QUEUE")?)),
        ("outbox", axle_runtime::sqs_queue(env.text("AXLE_OUTBOX_QUEUE")?)),
        ("agents", axle_runtime::sqs_queue(env.text("AXLE_AGENTS_QUEUE")?)),
        ("campaign", axle_runtime::sqs_queue(env.text("AXLE_CAMPAIGN_QUEUE")?)),
    ];
    let bus = EventBridge::new(axle_runtime::event_bridge(), env.text("AXLE_BUS")?);
    let relay = Arc::new(Relay::new(bus, queues));
    lambda_runtime::run(service_fn(|event: LambdaEvent<StreamEvent>| {
        let relay = Arc::clone(&relay);
        async move { Ok::<_, Error>(relay.run(event.payload, axle_runtime::deadline(&event.context)).await?) }
    }))
    .await
}

//! The `campaign-runner` function: takes campaigns and their leads on, from SQS, and hears the events that concern them, which a rule of the
//! bus puts into the same queue; and the operator's direct invocation, which makes a campaign's numbers anew:
//! `{"operator": {"repair": {"entity_id": "...", "campaign_id": "..."}}}`.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::sqs::SqsEvent;
use axle_app::App;
use axle_app::outreach::campaigns::{self, CampaignJob, Operation, RunJob};
use axle_messaging::{Envelope, sqs};
use axle_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Operator { operator: Value },
    Queue(SqsEvent),
}

/// What is on the queue. An envelope has a `detail`, a run's job a `run_id`, a campaign's a `campaign_id`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Work {
    Event(Box<Envelope>),
    Run(RunJob),
    Campaign(CampaignJob),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::asking_app, |app: Arc<App>, request: Request, deadline: Instant| async move {
        match request {
            Request::Operator { operator } => Ok(Box::pin(operate(&app, operator, deadline)).await),
            Request::Queue(event) => {
                let handle = async |work: Work| {
                    let done = match work {
                        Work::Event(envelope) => campaigns::hear(&app, &envelope.detail).await,
                        Work::Run(job) => campaigns::advance(&app, &job).await,
                        Work::Campaign(job) => campaigns::work(&app, job, deadline).await,
                    };
                    done.map_err(|e| e.for_the_log())
                };
                Ok(serde_json::to_value(sqs::run(event, |work, _| handle(work)).await?)?)
            }
        }
    })
    .await
}

async fn operate(app: &App, request: Value, deadline: Instant) -> Value {
    let operation: Operation = match serde_json::from_value(request) {
        Ok(operation) => operation,
        Err(e) => return json!({"error": e.to_string()}),
    };
    match campaigns::repair(app, operation, deadline).await {
        Ok(done) => json!(done),
        Err(e) => {
            tracing::error!(error = %e, detail = e.internal_detail(), "operator call failed");
            json!({"error": e.to_string()})
        }
    }
}

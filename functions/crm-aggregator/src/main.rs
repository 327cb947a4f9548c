//! The `crm-aggregator` function: the table's stream becomes the dashboard's numbers and what searches go through; and the operator's
//! direct invocation, which makes them anew of a tenant: `{"operator": {"repair": {"entity_id": "..."}}}`, and the same with `reindex`.

use std::sync::Arc;
use std::time::Instant;

use axle_app::App;
use axle_app::crm::operator::{self, Operation};
use axle_app::crm::{dashboard, search};
use axle_runtime::Error;
use axle_store::crm::counted::StreamChange;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Operator {
        operator: Value,
    },
    Stream {
        #[serde(rename = "Records")]
        records: Vec<StreamChange>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::app, |app: Arc<App>, request: Request, deadline: Instant| async move {
        match request {
            Request::Operator { operator } => Ok(Box::pin(operate(&app, operator, deadline)).await),
            // What fails is given again by the stream, whole: a report of single records would be no better, as the stream resumes at
            // the first one reported.
            Request::Stream { records } => {
                let (count, heard) = (records.len(), search::hear(&records).map_err(|e| e.for_the_log())?);
                let counted = Box::pin(dashboard::count(&app, records)).await.map_err(|e| e.for_the_log())?;
                let patched = Box::pin(search::follow(&app, heard)).await.map_err(|e| e.for_the_log())?;
                tracing::info!(records = count, counted, patched, "counted");
                Ok(Value::Null)
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
    match operator::operate(app, operation, deadline).await {
        Ok(done) => json!(done),
        Err(e) => {
            tracing::error!(error = %e, detail = e.internal_detail(), "operator call failed");
            json!({"error": e.to_string()})
        }
    }
}

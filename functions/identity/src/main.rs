//! The `identity` function: its routes behind API Gateway, and the operator's direct invocation.

use axle_app::identity::operator::{Operation, operate};
use axle_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::init_telemetry();
    let app = axle_runtime::app()?;
    let built = std::sync::OnceLock::new();
    let handle = service_fn(|mut event: LambdaEvent<Value>| {
        let app = app.clone();
        let router = built.get_or_init(|| axle_http::serve(app.clone(), identity::routes())).clone();
        async move {
            match event.payload.get_mut("operator").map(Value::take) {
                Some(request) => Ok(Box::pin(run_operator(&app, request)).await),
                None => Box::pin(axle_runtime::answer_http(router, event)).await,
            }
        }
    });
    lambda_runtime::run(handle).await
}

async fn run_operator(app: &axle_app::App, request: Value) -> Value {
    let operation: Operation = match serde_json::from_value(request) {
        Ok(operation) => operation,
        Err(e) => return json!({"error": e.to_string()}),
    };
    match operate(app, operation).await {
        Ok(created) => json!(created),
        Err(e) => {
            tracing::error!(error = %e, detail = e.internal_detail(), "operator call failed");
            let faults = if let axle_app::Error::Invalid(faults) = &e { faults.as_slice() } else { &[] };
            json!({"error": e.to_string(), "errors": faults})
        }
    }
}

//! The `scheduler` function: each minute, everything that is due.

use std::sync::Arc;
use std::time::Instant;

use axle_app::{App, schedule};
use axle_runtime::Error;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    axle_runtime::work(axle_runtime::app, |app: Arc<App>, _: Value, deadline: Instant| async move {
        let swept = schedule::sweep(&app, deadline).await.map_err(|e| e.for_the_log())?;
        tracing::info!(sent = swept.sent, unfinished = swept.unfinished, "sweep");
        Ok(())
    })
    .await
}

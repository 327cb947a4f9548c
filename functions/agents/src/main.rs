//! The `agents` function: its routes behind API Gateway.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), axle_runtime::Error> {
    axle_runtime::serve(axle_runtime::asking_app, |app| axle_http::serve(app, agents::routes())).await
}

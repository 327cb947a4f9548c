//! The `leads` function: its routes behind API Gateway.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), axle_runtime::Error> {
    axle_runtime::serve(axle_runtime::app, |app| axle_http::serve(app, leads::routes())).await
}

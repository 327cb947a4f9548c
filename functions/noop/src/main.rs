//! An empty function: what any Rust function on Lambda pays before its own first line. `make bench` compares the cold
//! starts of the real functions with it, so it is built with the same profile and never deployed.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

// One thread, like the real functions: an environment handles one invocation at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(answer)).await
}

async fn answer(_request: Request) -> Result<Response<Body>, Error> {
    Ok(Response::new(Body::Empty))
}

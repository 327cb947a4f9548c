//! The ten-line `main` of every function: configuration from the environment, AWS clients, telemetry.

mod config;
mod parts;
mod telemetry;

pub use config::{Env, MissingVariable};
pub use lambda_runtime::Error;
pub use parts::{event_bridge, sqs_queue};
pub use telemetry::init as init_telemetry;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axle_app::{App, SourceIp};
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use lambda_http::tower::ServiceExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Time that a worker keeps for saying goodbye: checkpoints, logs, the answer itself.
const MARGIN: Duration = Duration::from_millis(1_500);

/// How a function gets its application: by what it does, so that it links nothing else.
type MakeApp = fn() -> Result<Arc<App>, MissingVariable>;

/// Serves a router behind API Gateway, over one of [`app`], [`sending_app`] and [`asking_app`]. The router is put together when the first
/// request comes, not at the start: it holds the description of every operation, and an environment that is only warmed up should not
/// pay for that.
///
/// # Errors
/// A missing environment variable, or a runtime API that cannot be reached.
pub async fn serve<R>(app: MakeApp, router: impl Fn(Arc<App>) -> R) -> Result<(), Error>
where
    R: lambda_http::tower::Service<lambda_http::Request> + Clone + Send + 'static,
    R::Response: lambda_http::IntoResponse + Send + 'static,
    R::Error: std::fmt::Debug + Into<Error> + Send,
    R::Future: Send + 'static,
{
    telemetry::init();
    let app = app()?;
    let built = OnceLock::new();
    let answer = |mut request: lambda_http::Request| {
        note_source(&mut request);
        let router: &R = built.get_or_init(|| router(Arc::clone(&app)));
        let pending = router.clone().oneshot(request);
        async move { pending.await.map_err(Into::into) }
    };
    lambda_http::run(lambda_http::service_fn(answer)).await
}

/// Notes the caller's address as API Gateway saw it. `X-Forwarded-For` is not looked at: whoever calls can begin it with anything.
fn note_source(request: &mut lambda_http::Request) {
    let source = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok()),
        _ => None,
    };
    if let Some(address) = source {
        request.extensions_mut().insert(SourceIp(address));
    }
}

/// Runs a worker over one of [`app`], [`sending_app`] and [`asking_app`]: `handle` gets it, the event, and the instant by which it should
/// have ended.
///
/// # Errors
/// A missing environment variable, or a runtime API that cannot be reached.
pub async fn work<E, O, F>(app: MakeApp, handle: impl Fn(Arc<App>, E, Instant) -> F) -> Result<(), Error>
where
    E: DeserializeOwned + Send + 'static,
    O: Serialize,
    F: Future<Output = Result<O, Error>>,
{
    telemetry::init();
    let app = app()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<E>| handle(Arc::clone(&app), event.payload, deadline(&event.context))))
        .await
}

/// The application of a function that neither sends messages nor asks models: the others link more, and need more settings.
///
/// # Errors
/// [`MissingVariable`]
pub fn app() -> Result<Arc<App>, MissingVariable> {
    parts::app(&Env::read(), Arc::new(parts::NoSender), Arc::new(parts::NoModels))
}

/// The application of a function that sends messages.
///
/// # Errors
/// [`MissingVariable`]
pub fn sending_app() -> Result<Arc<App>, MissingVariable> {
    let env = Env::read();
    let sender = parts::mailers(&env)?;
    parts::app(&env, sender, Arc::new(parts::NoModels))
}

/// The application of a function that asks models.
///
/// # Errors
/// [`MissingVariable`]
pub fn asking_app() -> Result<Arc<App>, MissingVariable> {
    let env = Env::read();
    let models = parts::models(&env)?;
    parts::app(&env, Arc::new(parts::NoSender), models)
}

/// The instant by which an invocation should have ended.
pub fn deadline(context: &lambda_runtime::Context) -> Instant {
    let now = std::time::SystemTime::now();
    let left = context.deadline().duration_since(now).unwrap_or_default();
    Instant::now() + left.saturating_sub(MARGIN)
}

/// Answers one API Gateway event, for functions that have other callers too.
///
/// # Errors
/// An event that is not one of API Gateway's.
pub async fn answer_http<R>(router: R, event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error>
where
    R: lambda_http::tower::Service<lambda_http::Request> + Clone + Send + 'static,
    R::Response: lambda_http::IntoResponse + Send + 'static,
    R::Error: Into<Error> + std::fmt::Debug + Send,
    R::Future: Send + 'static,
{
    let request: lambda_http::request::LambdaRequest = serde_json::from_value(event.payload)?;
    let answer = lambda_http::service_fn(move |mut request: lambda_http::Request| {
        note_source(&mut request);
        router.clone().oneshot(request)
    });
    let adapter = lambda_http::Adapter::from(answer);
    let response = adapter.oneshot(LambdaEvent::new(request, event.context)).await.map_err(Into::into)?;
    Ok(serde_json::to_value(response)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lambda_http::request::LambdaRequest;
    use serde_json::{Value, json};

    use super::*;

    fn source(change: impl Fn(&mut Value)) -> Option<String> {
        let mut event: Value = serde_json::from_str(include_str!("../../../events/http-docs.json")).unwrap();
        change(&mut event);
        let mut request: lambda_http::Request = serde_json::from_value::<LambdaRequest>(event).unwrap().into();
        note_source(&mut request);
        request.extensions().get::<SourceIp>().map(|source| source.0.to_string())
    }

    #[test]
    fn the_source_is_what_the_gateway_saw_whatever_the_caller_says() {
        let address = |ip: &str| source(|event| event["requestContext"]["http"]["sourceIp"] = json!(ip));
        assert_eq!(address("203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(address("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(address("nonsense"), None);
        let forged = source(|event| {
            event["requestContext"]["http"]["sourceIp"] = json!("203.0.113.7");
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"] {
                event["headers"][header] = json!("198.51.100.9");
            }
        });
        assert_eq!(forged.as_deref(), Some("203.0.113.7"));
    }
}

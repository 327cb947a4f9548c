//! The gate before every operation: request id, credential, rate limit, scope, idempotency; and on the way out error bodies,
//! headers and one log line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::identity::{authenticate, authorise, count, count_public};
use axle_app::{Answer, App, Claimed, Ctx, Error, IdempotencyClaim, IdempotencyKey, SourceIp};
use axle_domain::rate::{RateClass, Window};
use axle_domain::{Time, TraceId};
use axle_telemetry::{Line, metric};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;

use crate::body::too_large;
use crate::body_key;
use crate::error::{ApiError, Failure, status_of};
use crate::named_entity;
use crate::rules::{Rule, Rules};
use crate::surface::Surface;
use crate::{BODY_MAX, Reply};

/// Who calls, for handlers.
#[derive(Clone, Debug)]
pub struct Caller(pub Ctx);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Absent only on public operations, which have no caller to ask for.
        parts.extensions.get::<Caller>().cloned().ok_or(ApiError(Error::Unauthenticated("a credential is required")))
    }
}

struct Gate {
    app: Arc<App>,
    rules: Rules,
}

/// The routes of a group behind the gate.
pub fn serve(app: Arc<App>, routes: OpenApiRouter<Arc<App>>) -> Router {
    let (router, api) = routes.split_for_parts();
    let gate = Arc::new(Gate { app: Arc::clone(&app), rules: Rules::of(&api) });
    router
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .fallback(async || ApiError(Error::NotFound("route")))
        .layer(middleware::from_fn_with_state(gate, pass))
        .with_state(app)
}

/// What is known of a request before anyone looks at it.
pub(crate) struct Call {
    path: String,
    pub(crate) pattern: String,
    pub(crate) method: Method,
    request_id: String,
    trace_id: TraceId,
    source: Option<SourceIp>,
    now: Time,
    started: Instant,
}

impl Call {
    fn of(request: &Request, now: Time) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
        let sane =
            |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        let request_id = header("x-request-id").filter(sane).map(str::to_owned);
        Self {
            path: request.uri().path().to_owned(),
            pattern: request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            method: request.method().clone(),
            request_id: request_id.unwrap_or_else(|| axle_domain::id::v7_at(now, axle_domain::id::entropy()).to_string()),
            trace_id: header("traceparent").and_then(TraceId::from_traceparent).unwrap_or_else(TraceId::random),
            source: request.extensions().get::<SourceIp>().copied(),
            now,
            started: Instant::now(),
        }
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let call = Call::of(&request, gate.app.now());
    let mut limits = None;
    let mut entity = None;
    let response = match admit(&gate, &call, request.headers(), &mut limits).await {
        Ok(Admitted::Public) => next.run(request).await,
        Ok(Admitted::Caller(ctx)) => {
            entity = Some(ctx.entity_id);
            let named = named_entity::check(Surface::of(&call.path), ctx.entity_id, request).await;
            match named.and_then(|request| known_parameters(&gate, &call, request)) {
                Ok(request) => run(&gate.app, *ctx, &call, request, next).await,
                Err(e) => ApiError(e).into_response(),
            }
        }
        Ok(Admitted::NoSuchMethod) => not_allowed(&gate, &call),
        Ok(Admitted::NoRoute) => ApiError(Error::NotFound("route")).into_response(),
        Err(e) => ApiError(e).into_response(),
    };
    let class = limits.as_ref().map(|limits| limits.class);
    let response = finish(&call, response, limits);
    let (trace_id, entity_id) = (call.trace_id.to_string(), entity.map(|id| id.to_string()));
    let mut line = Line::new("request").text("request_id", &call.request_id).text("trace_id", &trace_id);
    if let Some(entity_id) = &entity_id {
        line = line.text("entity_id", entity_id);
    }
    line = line.text("method", call.method.as_str()).text("route", &call.pattern);
    axle_telemetry::write(&measure(line, response.status(), class, call.started.elapsed()));
    response
}

/// The metrics of one request. What is refused before it counts against a limit has no class.
fn measure<'a>(line: Line<'a>, status: StatusCode, class: Option<RateClass>, took: Duration) -> Line<'a> {
    let mut line = line.number("status", status.as_u16().into());
    if let Some(class) = class {
        line = line.rate_class(class.name());
    }
    line.add(metric::REQUESTS, 1.0);
    // Tenths of a millisecond: more is noise.
    line.add(metric::DURATION, (took.as_secs_f64() * 10_000.0).round() / 10.0);
    match status.as_u16() {
        429 => line.add(metric::THROTTLES, 1.0),
        400..=499 => line.add(metric::CLIENT_ERRORS, 1.0),
        500.. => line.add(metric::ERRORS, 1.0),
        _ => {}
    }
    line
}

enum Admitted {
    Public,
    Caller(Box<Ctx>),
    NoSuchMethod,
    NoRoute,
}

/// Credential, rate limit, scope, in this order: every request with a good credential counts, refused ones too.
async fn admit(gate: &Gate, call: &Call, headers: &HeaderMap, limits: &mut Option<Limits>) -> Result<Admitted, Error> {
    if call.pattern.is_empty() {
        return Ok(Admitted::NoRoute);
    }
    let (scope, class) = match gate.rules.get(&call.pattern, call.method.as_str()) {
        None => return Ok(Admitted::NoSuchMethod),
        Some(Rule::Stateless) => return Ok(Admitted::Public),
        Some(Rule::Public) => {
            let counted = count_public(&gate.app, call.source, call.now).await?;
            return within_limit(RateClass::Public, counted, call.now, limits).map(|()| Admitted::Public);
        }
        Some(Rule::Any(class)) => (None, class),
        Some(Rule::Scoped(scope, class)) => (Some(scope), class),
    };
    let token = bearer(headers)?;
    let caller = authenticate(&gate.app, token, call.now).await?;
    let ctx = caller.ctx(call.now, call.request_id.clone(), call.trace_id);
    within_limit(class, count(&gate.app, &ctx, class).await?, call.now, limits)?;
    if let Some(scope) = scope {
        authorise(&ctx, scope)?;
    }
    Ok(Admitted::Caller(Box::new(ctx)))
}

/// Notes where the caller stands, for the headers of the answer.
fn within_limit(class: RateClass, counted: (Window, Option<u64>), now: Time, limits: &mut Option<Limits>) -> Result<(), Error> {
    let (window, left) = counted;
    *limits = Some(Limits { class, window, left, now });
    left.map(drop).ok_or_else(|| Error::RateLimited(window.resets_in(now)))
}

/// Lets a request through whose query the operation knows.
fn known_parameters(gate: &Gate, call: &Call, request: Request) -> Result<Request, Error> {
    let query = request.uri().query().unwrap_or_default();
    let faults = gate.rules.check_query(&call.pattern, call.method.as_str(), query);
    faults.check().map(|()| request).map_err(Error::Invalid)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated("a credential is required"))?;
    let value = value.to_str().unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Error::Unauthenticated("the Authorization header must be `Bearer <API key>`"));
    }
    Ok(token.trim())
}

fn not_allowed(gate: &Gate, call: &Call) -> Response {
    let allow = gate.rules.allowed(&call.pattern);
    not_supported(&allow, format!("{} is not a method of this resource; it has {allow}", call.method))
}

/// 405: the resource has other methods, and `why` says what to do instead.
pub fn not_supported(allow: &str, why: impl Into<String>) -> Response {
    let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response.extensions_mut().insert(Failure(Arc::new(Error::Malformed(why.into()))));
    response
}

/// Runs the handler, once for each idempotency key.
async fn run(app: &App, mut ctx: Ctx, call: &Call, mut request: Request, next: Next) -> Response {
    let (key, body) = match body_key::find(call, request).await {
        Ok((found, whole)) => {
            request = whole;
            found
        }
        Err(e) => return ApiError(e).into_response(),
    };
    let key = match idempotency_key(request.headers()).and_then(|header| body_key::agree(header, key)) {
        Ok(Some(key)) if call.method == Method::POST => key,
        Ok(_) => {
            request.extensions_mut().insert(Caller(ctx));
            return next.run(request).await;
        }
        Err(e) => return ApiError(e).into_response(),
    };
    match claim(app, &ctx, call, &key, body, request).await {
        Ok(Claiming::Work(request, claim)) => {
            let mut request = *request;
            let claim = Arc::new(claim);
            ctx.idempotency = Some(Arc::clone(&claim));
            request.extensions_mut().insert(Caller(ctx));
            settle(app, &claim, next.run(request).await).await
        }
        Ok(Claiming::Replay(answer)) => {
            let mut response = Reply(answer).into_response();
            response.headers_mut().insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
            response
        }
        Err(e) => ApiError(e).into_response(),
    }
}

enum Claiming {
    Work(Box<Request>, IdempotencyClaim),
    Replay(Answer),
}

/// 1 to 255 visible ASCII characters, quoted (as the IETF draft has it) or not.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let ok = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if ok {
        Ok(Some(text.to_owned()))
    } else {
        Err(Error::Malformed("Idempotency-Key must have 1 to 255 visible characters".to_owned()))
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// `meant` stands for the body where other bytes would mean the same.
async fn claim(app: &App, ctx: &Ctx, call: &Call, key: &str, meant: Option<String>, request: Request) -> Result<Claiming, Error> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| too_large())?;
    let query = parts.uri.query().unwrap_or_default();
    let fingerprint = hex(&Sha256::new()
        .chain_update(query)
        .chain_update([0])
        .chain_update(meant.as_ref().map_or(&bytes[..], |text| text.as_bytes()))
        .finalize());
    let hash = hex(&Sha256::new()
        .chain_update(call.method.as_str())
        .chain_update([0])
        .chain_update(&call.path)
        .chain_update([0])
        .chain_update(key)
        .finalize());
    let record = IdempotencyKey { entity_id: ctx.entity_id, hash };
    let owner = axle_domain::id::v7_at(ctx.now, axle_domain::id::entropy()).to_string();
    match app.table().await.claim(&record, &fingerprint, &owner, ctx.now).await? {
        Claimed::Mine(claim) => {
            let request = Request::from_parts(parts, Body::from(bytes));
            Ok(Claiming::Work(Box::new(request), IdempotencyClaim::new(claim)))
        }
        Claimed::Answered(kept) => Ok(Claiming::Replay(kept.into())),
        Claimed::OtherBody => Err(Error::invalid("", "the Idempotency-Key was used with another body before")),
        Claimed::Running(secs) => Err(Error::StillRunning(secs)),
    }
}

/// Keeps a good answer that was not part of a transaction; gives the claim back after a refusal, and where a part may go otherwise yet.
async fn settle(app: &App, claim: &IdempotencyClaim, response: Response) -> Response {
    let table = app.table().await;
    let passing = response.extensions().get::<Answer>().is_some_and(|answer| answer.passing);
    let settled = if !response.status().is_success() || passing {
        table.release(claim.claim()).await.map_err(Error::from)
    } else if claim.is_joined() {
        Ok(())
    } else {
        match response.extensions().get::<Answer>() {
            Some(answer) => claim.keep(table, answer).await,
            None => Ok(()),
        }
    };
    if let Err(e) = settled {
        tracing::warn!(error = %e, detail = e.internal_detail(), "could not settle an idempotency claim");
    }
    response
}

/// Where the caller stands in its window.
struct Limits {
    class: RateClass,
    window: Window,
    left: Option<u64>,
    now: Time,
}

impl Limits {
    fn write(&self, headers: &mut HeaderMap) {
        let (limit, left, reset) = (self.window.limit, self.left.unwrap_or(0), self.window.resets_in(self.now));
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-ratelimit-limit", limit.to_string());
        set("x-ratelimit-remaining", left.to_string());
        set("x-ratelimit-reset", self.window.ends.to_string());
        if self.left.is_none() {
            set("x-ratelimit-retry-after", reset.to_string());
        }
        set("ratelimit-policy", format!("\"{}\";q={limit};w={}", self.class.name(), self.class.window_secs()));
        set("ratelimit", format!("\"{}\";r={left};t={reset}", self.class.name()));
    }
}

/// Error bodies and the headers of every answer.
fn finish(call: &Call, mut response: Response, limits: Option<Limits>) -> Response {
    if let Some(Failure(error)) = response.extensions_mut().remove::<Failure>() {
        let surface = Surface::of(&call.path);
        let status = if response.status() == StatusCode::METHOD_NOT_ALLOWED { response.status() } else { status_of(&error) };
        if let Some(detail) = error.internal_detail() {
            tracing::error!(request_id = call.request_id, trace_id = %call.trace_id, status = status.as_u16(), detail, "request failed");
        }
        let body = surface.error_body(&error, status.as_u16(), &call.path, &call.request_id, call.now);
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body.to_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(surface.content_type()));
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&call.request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(limits) = limits {
        limits.write(headers);
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axle_telemetry::About;
    use serde_json::{Value, json};

    use super::*;

    /// Values of the metrics that a request writes, by name.
    fn metrics(status: u16, class: Option<RateClass>) -> Value {
        let status = StatusCode::from_u16(status).unwrap();
        let line = measure(Line::new("request"), status, class, Duration::from_micros(12_345));
        let line: Value = serde_json::from_str(&line.json(&About::of("axle-leads", "axle"), 1)).unwrap();
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let named = directives.iter().flat_map(|directive| directive["Metrics"].as_array().unwrap());
        named
            .map(|metric| (metric["Name"].as_str().unwrap().to_owned(), line[metric["Name"].as_str().unwrap()].clone()))
            .collect()
    }

    #[test]
    fn every_request_counts_as_one_thing() {
        let class = Some(RateClass::Leads);
        assert_eq!(metrics(201, class), json!({"Requests": 1.0, "Duration": 12.3}));
        assert_eq!(metrics(303, class), json!({"Requests": 1.0, "Duration": 12.3}));
        assert_eq!(metrics(422, class), json!({"Requests": 1.0, "Duration": 12.3, "ClientErrors": 1.0}));
        assert_eq!(metrics(401, None), json!({"Requests": 1.0, "Duration": 12.3, "ClientErrors": 1.0}));
        assert_eq!(metrics(429, class), json!({"Requests": 1.0, "Duration": 12.3, "Throttles": 1.0}));
        assert_eq!(metrics(503, class), json!({"Requests": 1.0, "Duration": 12.3, "Errors": 1.0}));
    }
}

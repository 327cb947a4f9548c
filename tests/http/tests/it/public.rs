//! Operations without a credential are counted by where the request comes from, each of them without a line of its own.

use std::net::IpAddr;
use std::sync::Arc;

use axle_app::{App, SourceIp};
use axle_domain::rate::RateClass;
use axle_testkit::{Answered, World, call, request};
use axum::Router;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A route as others will be added: all that it says of limits is that it needs no credential.
#[utoipa::path(get, path = "/pixel", operation_id = "getPixel", security(()), responses((status = 200, description = "Seen.")))]
async fn pixel() -> &'static str {
    "seen"
}

#[utoipa::path(get, path = "/about", operation_id = "getAbout", security(()), extensions(("x-stateless" = json!(true))),
    responses((status = 200, description = "Words.")))]
async fn about() -> &'static str {
    "words"
}

fn routes_of_the_test() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(pixel)).routes(routes!(about))
}

async fn get(router: &Router, path: &str, from: Option<&str>) -> Answered {
    let mut request = request("GET", path, None, None);
    if let Some(address) = from {
        request.extensions_mut().insert(SourceIp(address.parse::<IpAddr>().unwrap()));
    }
    // What the caller says of itself does not count.
    request.headers_mut().insert("x-forwarded-for", "198.51.100.9".parse().unwrap());
    call(router, request).await
}

async fn set_up() -> (World, Router, u64) {
    let world = World::new().await;
    let router = axle_http::serve(Arc::clone(&world.app), routes_of_the_test());
    (world, router, RateClass::Public.default_limit(Default::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_the_limit_of_one_source_succeeds() {
    let (world, router, limit) = set_up().await;
    let count = usize::try_from(limit).unwrap();
    let calls = (0..count + 40).map(|n| {
        // One customer's /64: another address each time changes nothing.
        let address = format!("2001:db8:0:1::{n:x}");
        let router = &router;
        async move { get(router, "/pixel", Some(&address)).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), count);
    let refused: Vec<&Answered> = answers.iter().filter(|a| a.status == 429).collect();
    assert_eq!(refused.len(), 40);
    assert!(refused.iter().all(|a| a.header("retry-after").is_some() && a.header("x-ratelimit-remaining") == Some("0")));
    assert_eq!(refused[0].json()["status"], 429);
    assert_eq!(refused[0].header("ratelimit-policy"), Some(format!("\"public\";q={limit};w=60").as_str()));
    // Others go on, and so does this one in the next minute.
    for (source, remaining) in [(Some("2001:db8:0:2::1"), limit - 1), (Some("203.0.113.7"), limit - 1), (None, limit - 1)] {
        let answer = get(&router, "/pixel", source).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-remaining")), (200, Some(remaining.to_string().as_str())));
    }
    assert_eq!(
        get(&router, "/pixel", Some("::ffff:203.0.113.7")).await.header("x-ratelimit-remaining"),
        Some((limit - 2).to_string().as_str())
    );
    world.clock.advance_secs(60);
    assert_eq!(get(&router, "/pixel", Some("2001:db8:0:1::1")).await.status, 200);
}

#[tokio::test]
async fn counting_costs_one_write_unit_and_keeps_no_address() {
    let (world, router, _) = set_up().await;
    world.meter.take();
    assert_eq!(get(&router, "/pixel", Some("203.0.113.7")).await.status, 200);
    assert!(world.meter.take_units().1 <= 1.0);
    for record in world.table.new_records() {
        assert!(!record.to_string().contains("203.0.113.7"), "{record}");
    }
}

#[tokio::test]
async fn what_is_marked_stateless_is_not_counted() {
    let (world, router, _) = set_up().await;
    world.meter.take();
    let answer = get(&router, "/about", Some("203.0.113.7")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-limit")), (200, None));
    assert!(world.meter.take().is_empty());
    // The document tells the two apart.
    let api = axle_http::document([routes_of_the_test().into_openapi()], "1");
    assert!(api["paths"]["/pixel"]["get"]["responses"]["429"].is_object());
    assert!(api["paths"]["/about"]["get"]["responses"]["429"].is_null());
}

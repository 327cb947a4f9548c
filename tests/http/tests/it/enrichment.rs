//! Enrichment over HTTP, with sites and APIs on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axle_domain::cost::CostCategory;
use axle_domain::identity::Scope;
use axle_domain::{Date, Micros};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Api, id};

const HOME: &str = r#"<html><head><title>Brightledger | Books</title><meta property="og:site_name" content="Brightledger">
    <meta name="description" content="Analytics for accountants"><script src="https://js.hs-scripts.com/1.js"></script>
    <script src="https://widget.intercom.io/widget/x"></script></head><body><a href="/careers">Careers</a><a href="/press">Press</a></body></html>"#;
const CAREERS: &str = r#"<script type="application/ld+json">{"@type": "JobPosting", "title": "Head of Sales", "datePosted": "2026-11-20"}</script>"#;
const PRESS: &str = "<h2>Brightledger raises $42 million Series B</h2><p>November 1, 2026</p>";

async fn serve(server: &MockServer, at: &str, html: &str) {
    let page = ResponseTemplate::new(200).set_body_raw(html, "text/html");
    Mock::given(method("GET")).and(path(at)).respond_with(page).mount(server).await;
}

async fn site() -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "/", HOME).await;
    serve(&server, "/careers", CAREERS).await;
    serve(&server, "/press", PRESS).await;
    server
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// An API that knows headcounts, with how often it was asked.
async fn headcounts(employees: u32) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"data": [{"employees": employees, "name": "Other name"}]}));
    Mock::given(method("GET"))
        .and(path("/v1/by-mail/ada%40brightledger.com"))
        .and(header("x-key", "s3cret"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn described(server: &MockServer) -> Value {
    json!({"url": format!("{}/v1/by-mail/{{email}}", server.uri()), "headers": {"x-key": "{secret}"}, "secret": "s3cret",
        "mapping": {"company.size": "$.data[0].employees", "company.name": "$.data[0].name"}, "cost_per_call": "0.02"})
}

async fn put(api: &Api, name: &str, body: Value) -> Value {
    let answer = api.send("PUT", &format!("/leads/enrichment-providers/{name}"), Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn lead(api: &Api, site: Option<&MockServer>) -> String {
    let company = site.map(|site| json!({"website": site.uri()}));
    id(&api.post("/leads", json!({"email": "ada@brightledger.com", "title": "CFO", "company": company})).await)
}

async fn enrich(api: &Api, lead: &str, body: Value) -> Value {
    let answer = api.post(&format!("/leads/{lead}/enrich"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// What the tenant was charged today for enrichment.
async fn charged(api: &Api) -> Micros {
    let today = Date::of(api.world.clock.now());
    let rows = api.world.app.table().await.cost_rows(api.me.entity_id, today, today).await.unwrap();
    Micros(rows.iter().map(|row| row.sums.amount(CostCategory::DataEnrichment).0).sum())
}

fn sources(enriched: &Value) -> Vec<(String, String)> {
    let text = |source: &Value, name: &str| source[name].as_str().unwrap().to_owned();
    enriched["sources"].as_array().unwrap().iter().map(|s| (text(s, "field"), text(s, "provider"))).collect()
}

#[tokio::test]
async fn a_site_says_who_the_company_is_and_what_it_is_about_to_do() {
    let (api, server) = (Api::new().await, site().await);
    let ada = lead(&api, Some(&server)).await;
    let first = enrich(&api, &ada, json!({})).await;
    assert_eq!(
        (&first["company"]["name"], &first["company"]["description"]),
        (&json!("Brightledger"), &json!("Analytics for accountants"))
    );
    let names: Vec<&str> =
        first["company"]["technologies"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["HubSpot", "Intercom"]);
    let signals = &first["intent_signals"];
    assert_eq!(signals["hiring_activity"][0]["title"], "Head of Sales");
    assert_eq!((&signals["recent_funding"]["round"], &signals["technology_migrations"]), (&json!("Series B"), &json!([])));
    assert_eq!((&first["cost"], &first["unavailable"], &first["lead_id"]), (&json!("0"), &json!([]), &json!(ada)));
    for source in first["sources"].as_array().unwrap() {
        assert!(
            source["url"].as_str().unwrap().starts_with(&server.uri()) && source["confidence"].as_f64().unwrap() <= 1.0,
            "{source}"
        );
    }
    let kept = api.get(&format!("/leads/{ada}")).await.json();
    assert_eq!(
        (&kept["company"]["name"], &kept["status"], &kept["title"]),
        (&json!("Brightledger"), &json!("enriched"), &json!("CFO"))
    );
    assert_eq!(api.pages("/leads?q=brightledger", "leads").await.len(), 1);
    let events = api.get(&format!("/events?type=lead.enriched&lead_id={ada}")).await.json();
    assert_eq!(
        events["events"][0]["data"],
        json!({"sources": first["sources"].as_array().unwrap().len(), "cost": "0", "lead_id": ada})
    );

    // For seven days that is what is known.
    let requests = asked(&server).await;
    api.world.clock.advance_secs(6 * 86_400);
    let again = enrich(&api, &ada, json!({})).await;
    assert_eq!((&again["company"], &again["sources"], asked(&server).await), (&first["company"], &first["sources"], requests));
    api.world.clock.advance_secs(86_400);
    server.reset().await;
    serve(&server, "/", &HOME.replace("widget.intercom.io", "js.driftt.com")).await;
    let changed = enrich(&api, &ada, json!({})).await;
    let migration = &changed["intent_signals"]["technology_migrations"];
    assert_eq!(
        (&migration[0]["from"], &migration[0]["to"], migration.as_array().unwrap().len()),
        (&json!("Intercom"), &json!("Drift"), 1)
    );
    // `refresh` asks at once; what changed is still told of.
    let requests = asked(&server).await;
    let fresh = enrich(&api, &ada, json!({"refresh": true})).await;
    assert!(asked(&server).await > requests);
    assert_eq!(&fresh["intent_signals"]["technology_migrations"], migration);
    // What was learned counts.
    let scored = api.post(&format!("/leads/{ada}/score"), json!({})).await.json();
    let factors: Vec<&str> = scored["evidence"].as_array().unwrap().iter().map(|e| e["factor"].as_str().unwrap()).collect();
    assert!(factors.contains(&"intent.migration") && factors.contains(&"fit.known_technologies"), "{factors:?}");
    assert_eq!(enrich(&api, &ada, json!({})).await["company"]["name"], "Brightledger");
    assert_eq!(api.get(&format!("/leads/{ada}")).await.json()["status"], "scored", "never backwards");
}

#[tokio::test]
async fn an_api_is_described_asked_and_paid_for() {
    let (api, server, paid) = (Api::new().await, site().await, headcounts(120).await);
    let made = put(&api, "headcounts", described(&paid)).await;
    assert_eq!((&made["has_secret"], &made["kind"], &made["cost_per_call"]), (&json!(true), &json!("http"), &json!("0.02")));
    assert!(!made.to_string().contains("s3cret"));
    let listed = api.get("/leads/enrichment-providers").await;
    assert!(!listed.text.contains("s3cret") && !api.get("/audit-log").await.text.contains("s3cret"));
    assert_eq!(crate::support::each(&listed.json()["providers"], "name"), ["website", "headcounts"]);

    let ada = lead(&api, Some(&server)).await;
    let first = enrich(&api, &ada, json!({})).await;
    assert_eq!((&first["company"]["size"], &first["cost"]), (&json!("120"), &json!("0.02")), "{first}");
    assert_eq!(first["company"]["name"], "Brightledger", "the first provider has the word");
    assert!(sources(&first).contains(&("company.size".to_owned(), "headcounts".to_owned())));
    assert_eq!(api.get(&format!("/leads/{ada}")).await.json()["company"]["size"], "120");
    assert_eq!(charged(&api).await, Micros(20_000));
    // Kept, then asked for by name, with the site left alone.
    assert_eq!(enrich(&api, &ada, json!({})).await["cost"], "0");
    let sites = asked(&server).await;
    let named = enrich(&api, &ada, json!({"providers": ["headcounts"], "refresh": true})).await;
    assert_eq!((&named["cost"], &named["company"]["name"]), (&json!("0.02"), &json!("Other name")));
    assert_eq!((asked(&paid).await, asked(&server).await, charged(&api).await), (2, sites, Micros(40_000)));
    // What the site said is still known.
    let scored = api.post(&format!("/leads/{ada}/score"), json!({})).await.json();
    let factors: Vec<&str> = scored["evidence"].as_array().unwrap().iter().map(|e| e["factor"].as_str().unwrap()).collect();
    assert!(factors.contains(&"intent.funding") && factors.contains(&"intent.hiring"), "{factors:?}");

    // Without a word about the secret it stays; null takes it away.
    let mut body = described(&paid);
    body.as_object_mut().unwrap().remove("secret");
    body["cost_per_call"] = json!("0.5");
    api.world.clock.advance_millis(5);
    assert_eq!(put(&api, "headcounts", body.clone()).await["has_secret"], true);
    assert_eq!(enrich(&api, &ada, json!({})).await["cost"], "0.5", "another description is another question");
    body["secret"] = Value::Null;
    assert_eq!(put(&api, "headcounts", body.clone()).await["has_secret"], false);
    let without = enrich(&api, &ada, json!({})).await;
    assert_eq!(without["unavailable"], json!([{"provider": "headcounts", "reason": "it needs a secret, and none is set"}]));
    body["enabled"] = json!(false);
    put(&api, "headcounts", body).await;
    assert_eq!(enrich(&api, &ada, json!({})).await["unavailable"], json!([]));

    let path = "/leads/enrichment-providers/headcounts";
    assert_eq!(api.send("DELETE", path, None).await.status, 204);
    assert_eq!((api.get(path).await.status.as_u16(), api.send("DELETE", path, None).await.status.as_u16()), (404, 404));
    let unknown = api.post(&format!("/leads/{ada}/enrich"), json!({"providers": ["website", "headcounts"]})).await;
    assert_eq!((unknown.status.as_u16(), unknown.pointers()), (422, vec!["/providers/1".to_owned()]));
}

#[tokio::test]
async fn nothing_found_is_an_answer_too() {
    let api = Api::new().await;
    let reason = async |lead: Value, words: &str| {
        let lead = id(&api.post("/leads", lead).await);
        let enriched = enrich(&api, &lead, json!({})).await;
        assert_eq!((&enriched["sources"], &enriched["company"]["name"]), (&json!([]), &Value::Null));
        let said = &enriched["unavailable"][0];
        assert!(said["provider"] == "website" && said["reason"].as_str().unwrap().contains(words), "{said}");
        assert_eq!(api.get(&format!("/leads/{lead}")).await.json()["status"], "new");
    };
    reason(json!({"email": "ada@gmail.com"}), "no company website").await;
    reason(json!({"phone": "+14155550123"}), "no company website").await;
    reason(json!({"email": "ada@acme.example"}), "reserved").await;
    reason(json!({"email": "a@gmail.com", "company": {"website": "http://10.0.0.1/"}}), "refused").await;
    reason(json!({"email": "b@gmail.com", "company": {"website": "http://127.0.0.1:9/"}}), "could not connect").await;
    let forbidding = MockServer::start().await;
    let robots = ResponseTemplate::new(200).set_body_raw("User-agent: *\nDisallow: /", "text/plain");
    Mock::given(path("/robots.txt")).respond_with(robots).mount(&forbidding).await;
    reason(json!({"email": "c@gmail.com", "company": {"website": forbidding.uri()}}), "robots.txt").await;
    let website = api
        .send(
            "PUT",
            "/leads/enrichment-providers/website",
            Some(json!({"url": "http://127.0.0.1:9/x", "mapping": {"company.name": "$"}})),
        )
        .await;
    assert_eq!(website.status, 409);
    let bad = json!({"url": "http://10.0.0.1/x", "mapping": {"company.name": "$"}});
    let bad = api.send("PUT", "/leads/enrichment-providers/x", Some(bad)).await;
    assert_eq!((bad.status.as_u16(), bad.pointers()), (422, vec!["/url".to_owned()]));
    assert_eq!(charged(&api).await, Micros::ZERO);
}

#[tokio::test]
async fn tenants_share_neither_apis_nor_what_was_found() {
    let (api, server, paid) = (Api::new().await, site().await, headcounts(7).await);
    put(&api, "headcounts", described(&paid)).await;
    let ada = lead(&api, Some(&server)).await;
    enrich(&api, &ada, json!({})).await;
    let requests = asked(&server).await;
    let stranger = api.world.tenant(&[Scope::All]).await;
    let name = "/leads/enrichment-providers/headcounts";
    for (method, body) in [("GET", None), ("DELETE", None)] {
        assert_eq!(api.send_as(&stranger.api_key, method, name, body).await.status, 404);
    }
    let theirs = json!({"email": "ada@brightledger.com", "company": {"website": server.uri()}});
    let theirs = id(&api.send_as(&stranger.api_key, "POST", "/leads", Some(theirs)).await);
    let found = api.send_as(&stranger.api_key, "POST", &format!("/leads/{theirs}/enrich"), Some(json!({}))).await.json();
    assert_eq!((&found["company"]["name"], &found["company"]["size"]), (&json!("Brightledger"), &Value::Null));
    assert!(asked(&server).await > requests, "what another tenant found is not used");
    assert_eq!(api.send_as(&stranger.api_key, "POST", &format!("/leads/{ada}/enrich"), Some(json!({}))).await.status, 404);
    assert_eq!(api.get(name).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_once_everyone_pays_for_the_calls_that_were_made() {
    let (api, paid) = (Api::new().await, headcounts(120).await);
    put(&api, "headcounts", described(&paid)).await;
    let ada = lead(&api, None).await;
    let body = json!({"providers": ["headcounts"], "refresh": true});
    let all = futures_util::future::join_all((0..6).map(|_| enrich(&api, &ada, body.clone()))).await;
    let answered: i64 = all.iter().map(|answer| answer["cost"].as_str().unwrap().parse::<Micros>().unwrap().0).sum();
    let charged = charged(&api).await.0;
    let made = i64::try_from(asked(&paid).await).unwrap();
    assert_eq!((answered, charged, made), (120_000, 120_000, 6));
    let events = api.get("/events?type=lead.enriched").await.json()["events"].as_array().unwrap().clone();
    let told: i64 = events.iter().map(|event| event["data"]["cost"].as_str().unwrap().parse::<Micros>().unwrap().0).sum();
    assert_eq!((events.len(), told), (6, 120_000));
    assert_eq!(api.get(&format!("/leads/{ada}")).await.json()["company"]["size"], "120");
    // One request under one name is one call.
    let named = [("idempotency-key", "once")];
    let path = format!("/leads/{ada}/enrich");
    let first = api.post_with(&path, body.clone(), &named).await;
    let again = api.post_with(&path, body, &named).await;
    assert_eq!((again.json(), asked(&paid).await), (first.json(), 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lead_that_goes_while_it_is_asked_about_is_paid_for_all_the_same() {
    let api = Arc::new(Api::new().await);
    let server = MockServer::start().await;
    let ada = lead(&api, None).await;
    let (handle, deleting, calls) = (tokio::runtime::Handle::current(), Arc::clone(&api), Arc::new(AtomicUsize::new(0)));
    let (gone, counted) = (format!("/leads/{ada}"), Arc::clone(&calls));
    // The API answers once the lead is gone.
    let answer = move |_: &Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let (handle, api, path) = (handle.clone(), Arc::clone(&deleting), gone.clone());
        let deleted = std::thread::spawn(move || handle.block_on(async { api.send("DELETE", &path, None).await.status }));
        assert_eq!(deleted.join().unwrap(), 204);
        ResponseTemplate::new(200).set_body_json(json!({"data": [{"employees": 5}]}))
    };
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    put(&api, "headcounts", described(&server)).await;
    let body = json!({"providers": ["headcounts"]});
    assert_eq!(api.post(&format!("/leads/{ada}/enrich"), body).await.status, 404);
    assert_eq!((calls.load(Ordering::SeqCst), charged(&api).await), (1, Micros(20_000)));
    assert_eq!(api.get("/events?type=lead.enriched").await.json()["events"], json!([]));
    assert_eq!(api.get(&format!("/leads/{ada}")).await.status, 404);
}

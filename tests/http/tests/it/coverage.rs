//! Every operation of the OpenAPI document refuses callers without a credential, without the scope, and of another tenant.

use axle_domain::identity::Scope;
use axle_domain::rate::Limits;
use serde_json::{Value, json};

use crate::support::{Api, Crm, id};

/// Operations without a credential. The list only shrinks, but for what is public by contract.
const PUBLIC: &[&str] = &[
    "GET /openapi.json",
    "GET /docs",
    // Links in messages: a signed ticket is the credential.
    "GET /communications/unsubscribe/{ticket}",
    "POST /communications/unsubscribe/{ticket}",
    "GET /communications/open/{ticket}",
    "GET /communications/click/{ticket}",
    "GET /communications/identities/confirm/{ticket}",
    "POST /communications/identities/confirm/{ticket}",
    // Other systems report: each signs what it sends.
    "POST /communications/inbound/{entity_id}",
    "POST /meetings/hooks/{provider}/{entity_id}",
];

/// Method, path and description of every operation.
pub fn operations() -> Vec<(String, String, Value)> {
    let api = axle_http_tests::document();
    let mut all = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    assert!(all.len() >= 18);
    all
}

pub fn is_public(operation: &Value) -> bool {
    operation["security"].as_array().expect("every operation says its security").iter().all(|r| r.as_object().unwrap().is_empty())
}

const NOTHING: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";

/// The path with ids of the right form that name nothing.
fn with_some_id(path: &str) -> String {
    let path = path.replace("{address}", "ada@example.com").replace("{provider}", "calcom").replace("{actionIndex}", "0");
    let id = match path.as_str() {
        keys if keys.starts_with("/api-keys") => "7Gk2mQ9xTb4L",
        traces if traces.starts_with("/traces") => "4bf92f3577b34da6a3ce929d0e0e4736",
        _ => NOTHING,
    };
    let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}

pub fn is_crm(path: &str) -> bool {
    path.starts_with("/api/crm")
}

/// What every call of the CRM says besides.
pub fn named(path: &str, entity: impl std::fmt::Display) -> String {
    if !is_crm(path) {
        return path.to_owned();
    }
    format!("{path}{}entityId={entity}", if path.contains('?') { '&' } else { '?' })
}

/// There to say what to do instead.
pub fn is_refusal(operation: &Value) -> bool {
    let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
    !statuses.iter().any(|status| status.starts_with('2') || status.starts_with('3'))
}

#[tokio::test]
async fn public_operations_are_listed() {
    let public = operations().into_iter().filter(|(_, _, o)| is_public(o)).map(|(m, p, _)| format!("{m} {p}"));
    let mut public: Vec<String> = public.collect();
    public.sort();
    let mut listed: Vec<&str> = PUBLIC.to_vec();
    listed.sort_unstable();
    assert_eq!(public, listed);
}

/// What is public and not counted by source address either: only what has no state behind it.
#[tokio::test]
async fn uncounted_operations_are_listed() {
    let uncounted = operations().into_iter().filter(|(_, _, o)| !o["x-stateless"].is_null());
    let mut uncounted: Vec<String> = uncounted.map(|(m, p, _)| format!("{m} {p}")).collect();
    uncounted.sort();
    assert_eq!(uncounted, ["GET /docs", "GET /openapi.json"]);
}

#[tokio::test]
async fn without_a_credential_401() {
    let api = Api::new().await;
    for (method, path, _) in operations().into_iter().filter(|(_, _, o)| !is_public(o)) {
        let path = with_some_id(&path);
        for key in [None, Some("ak_nonsense"), Some("ak_000000000000_00000000000000000000000000000000000000")] {
            let answer = axle_testkit::call(&api.router, axle_testkit::request(&method, &path, key, Some(json!({})))).await;
            assert_eq!(answer.status, 401, "{method} {path} {}", answer.text);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"axle\""));
            let problem = if is_crm(&path) || path.starts_with("/v1/") { "application/json" } else { "application/problem+json" };
            assert_eq!(answer.header("content-type"), Some(problem));
            assert!(answer.header("x-request-id").is_some() && answer.header("x-ratelimit-limit").is_none());
        }
    }
}

#[tokio::test]
async fn without_the_scope_403_naming_it() {
    let api = Api::new().await;
    for (method, path, operation) in operations() {
        let Some(scope) = operation["security"][0]["api_key"][0].as_str().and_then(|s| s.parse::<Scope>().ok()) else { continue };
        let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|s| *s != scope && *s != Scope::All).collect();
        let key = api.world.key(&api.me.entity_id.to_string(), &others, Default::default(), Limits::default()).await;
        let path = with_some_id(&path);
        let answer = api.send_as(&key.api_key, &method, &path, Some(json!({}))).await;
        assert_eq!(answer.status, 403, "{method} {path} {}", answer.text);
        let body = answer.json();
        let text = if path.starts_with("/v1/") {
            &body["error"]["message"]
        } else {
            &body[if is_crm(&path) { "error" } else { "detail" }]
        };
        assert!(text.as_str().unwrap().contains(scope.as_str()), "{}", answer.text);
        assert!(answer.header("x-ratelimit-remaining").is_some());
    }
}

/// A new lead of this tenant.
pub async fn some_lead(api: &Api) -> String {
    let n = axle_domain::id::entropy::<4>().map(|b| format!("{b:02x}")).concat();
    id(&api.post("/leads", json!({"email": format!("{n}@example.com")})).await)
}

/// A real thing of this tenant for each path with an id.
pub async fn own_id(api: &Api, path: &str) -> String {
    let step = json!({"step": 1, "channel": "email", "subject": "Hello", "body": "How are you?"});
    let campaign = json!({"name": "x", "channels": ["email"], "messaging": {"sequence": [step]}});
    if path.starts_with("/campaigns/") {
        let made = id(&api.post("/campaigns", campaign).await);
        let (_, what) = path.rsplit_once('/').unwrap();
        if matches!(what, "launch" | "pause" | "resume") {
            let lead = some_lead(api).await;
            let attached = api.post(&format!("/campaigns/{made}/leads"), json!({"lead_ids": [lead]})).await;
            assert_eq!(attached.status, 200, "{}", attached.text);
        }
        if matches!(what, "pause" | "resume") {
            assert_eq!(api.post(&format!("/campaigns/{made}/launch"), json!({})).await.status, 202);
        }
        if what == "resume" {
            assert_eq!(api.post(&format!("/campaigns/{made}/pause"), json!({})).await.status, 200);
        }
        made
    } else if path.starts_with("/leads/import/") {
        let import = api.post("/leads/import", json!({"csv": "email\na@example.com\n"})).await;
        import.json()["import_job_id"].as_str().expect(&import.text).to_owned()
    } else if path.starts_with("/leads/") {
        some_lead(api).await
    } else if path.starts_with("/api-keys/") {
        id(&api.post("/api-keys", json!({"name": "k", "scopes": ["leads:read"]})).await)
    } else if path.starts_with("/webhooks/") {
        id(&api.post("/webhooks", json!({"url": "http://127.0.0.1:9/hook"})).await)
    } else if path.starts_with("/communications/identities/") {
        let smtp = json!({"host": "127.0.0.1", "port": 2525, "tls": "none"});
        id(&api.post("/communications/identities", json!({"kind": "smtp", "from": "a@example.com", "credentials": smtp})).await)
    } else if path.starts_with("/communications/") {
        id(&api.post("/communications", json!({"channel": "sms", "to": "+14155550123", "text": "hi"})).await)
    } else if path.starts_with("/traces/") {
        api.post("/communications", json!({"channel": "sms", "to": "+14155550123", "text": "hi"})).await;
        let traces = api.get("/traces?limit=1").await;
        traces.json()["traces"][0]["trace_id"].as_str().expect(&traces.text).to_owned()
    } else if path.starts_with("/agents/") || path.starts_with("/v1/agents/") {
        let made = api.post("/v1/agents", json!({"name": "Outreach", "playbook_template": "cold_outreach"})).await;
        made.json()["agent"]["id"].as_str().expect(&made.text).to_owned()
    } else if path.starts_with("/entities/") {
        api.me.entity_id.to_string()
    } else {
        panic!("tell the test how to make a thing for {path}")
    }
}

/// A body that the operation accepts from its owner.
pub fn body_for(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("POST", p) if p.ends_with("/replay") => Some(json!({"since": "2020-01-01T00:00:00Z", "only": "all"})),
        ("POST", p) if p.ends_with("/members") => Some(json!({"phone": "+14155550123", "role": "member"})),
        ("PUT", p) if p.contains("enrichment-providers") => {
            Some(json!({"url": "http://127.0.0.1:9/{domain}", "mapping": {"company.name": "$.name"}}))
        }
        ("PUT", p) if p.starts_with("/slos/") => {
            Some(json!({"objective": "delivery_failure_rate", "threshold": 0.05, "window_minutes": 60}))
        }
        ("POST", p) if p.ends_with("/execute") => Some(json!({"input": {}})),
        ("POST" | "PATCH" | "PUT", _) => Some(json!({})),
        _ => None,
    }
}

#[tokio::test]
async fn another_tenants_id_is_404_and_nothing_changes() {
    let api = Api::new().await;
    let stranger = api.world.tenant(&[Scope::All]).await;
    let outreach = operations().into_iter().filter(|(_, p, o)| p.contains("{id}") && !is_public(o) && !is_crm(p));
    for (method, path, operation) in outreach {
        // A delivery's id comes from a dispatched event; its own tests prove its isolation.
        // So it is with a message that failed.
        if path.starts_with("/webhooks/deliveries/") || path == "/communications/{id}/retry" {
            continue;
        }
        let own = path.replace("{id}", &own_id(&api, &path).await);
        // What can be read under the same path must read the same afterwards.
        let read = async || api.get(&own).await.status.is_success().then_some(api.get(&own).await.text);
        let before = read().await;
        let mut body = body_for(&method, &path);
        if (method.as_str(), path.as_str()) == ("POST", "/campaigns/{id}/leads") {
            body = Some(json!({"lead_ids": [some_lead(&api).await]}));
        }
        let answer = api.send_as(&stranger.api_key, &method, &own, body.clone()).await;
        assert_eq!(answer.status, 404, "{method} {path} {}", answer.text);
        assert_eq!(read().await, before, "{method} {path} changed something");
        let mine = api.send(&method, &own, body).await;
        assert!(mine.status.is_success() || mine.status == 303, "{method} {path} fails for its owner: {}", mine.text);
        let malformed = api.send(&method, &path.replace("{id}", "nonsense"), body_for(&method, &path)).await;
        assert_eq!(malformed.status, 404, "{method} {path}");
        let _ = operation;
    }
}

/// A path of the CRM with real things of this tenant for its ids.
async fn own_crm_path(crm: &Crm, path: &str) -> String {
    let mut own = path.trim_start_matches("/api/crm").to_owned();
    if own.contains("{companyId}") {
        own = own.replace("{companyId}", &crm.id("/companies", json!({"name": "Acme"})).await);
    }
    if own.contains("{contactId}") {
        let company = crm.id("/companies", json!({"name": "Acme"})).await;
        let contact = crm.id("/contacts", json!({"firstName": "Ada", "companyId": company})).await;
        let places = crm.read(&format!("/contacts/{contact}/company-memberships")).await;
        own = own.replace("{membershipId}", places["memberships"][0]["id"].as_str().unwrap()).replace("{contactId}", &contact);
    }
    if own.contains("{fieldId}") {
        let name = axle_domain::id::entropy::<4>().map(|b| format!("{b:02x}")).concat();
        own = own.replace("{fieldId}", &crm.id("/custom-fields", json!({"object": "lead", "name": name, "type": "text"})).await);
    }
    if own.contains("{leadId}") {
        own = own.replace("{leadId}", &crm.id("/leads", json!({"title": "Fifty seats"})).await);
    }
    if own.contains("{listId}") {
        own = own.replace("{listId}", &crm.id("/marketing-lists", json!({"name": "Fair"})).await);
    }
    if own.contains("{connectionId}") {
        own = own.replace(
            "{connectionId}",
            &crm.id("/outbound-email-connections", json!({"channel": "ses", "from": "a@example.com"})).await,
        );
    }
    assert!(!own.contains('{'), "tell the test how to make a thing for {path}");
    format!("/api/crm{own}")
}

/// A body that the operation accepts from its owner.
async fn crm_body_for(crm: &Crm, method: &str, path: &str) -> Option<Value> {
    match method {
        "POST" if path.ends_with("/company-memberships") => {
            Some(json!({"companyId": crm.id("/companies", json!({"name": "Other"})).await}))
        }
        "POST" if path.ends_with("/activities") => Some(json!({"type": "call", "subject": "x"})),
        "PATCH" if path.ends_with("/stage") => Some(json!({"stage": "contacted"})),
        "POST" | "PATCH" => Some(json!({})),
        _ => None,
    }
}

#[tokio::test]
async fn another_tenants_id_is_404_in_the_crm_too_and_a_malformed_one_400() {
    let crm = Crm::new().await;
    let stranger = crm.api.world.tenant(&[Scope::All]).await;
    for (method, path, operation) in operations().into_iter().filter(|(_, p, _)| is_crm(p) && p.contains('{')) {
        let own = own_crm_path(&crm, &path).await;
        let body = crm_body_for(&crm, &method, &path).await;
        let mine = named(&own, crm.api.me.entity_id);
        let read = async || crm.api.get(&mine).await.text;
        if !is_refusal(&operation) {
            let before = read().await;
            let theirs = named(&own, stranger.entity_id);
            let answer = crm.api.send_as(&stranger.api_key, &method, &theirs, body.clone()).await;
            let body_names_it = answer.status == 422 && answer.text.contains("companyId");
            assert!(answer.status == 404 || body_names_it, "{method} {path} {}", answer.text);
            assert_eq!(read().await, before, "{method} {path} changed something");
            let answer = crm.api.send(&method, &mine, body.clone()).await;
            assert!(answer.status.is_success(), "{method} {path} fails for its owner: {}", answer.text);
        }
        let malformed = path.split('/').map(|part| if part.starts_with('{') { "nonsense" } else { part });
        let malformed = named(&malformed.collect::<Vec<_>>().join("/"), crm.api.me.entity_id);
        let answer = crm.api.send(&method, &malformed, body).await;
        assert_eq!(answer.status, 400, "{method} {path} {}", answer.text);
    }
}

#[tokio::test]
async fn every_operation_of_the_crm_asks_for_its_entity() {
    let api = Api::new().await;
    let stranger = api.world.tenant(&[Scope::All]).await;
    for (method, path, _) in operations().into_iter().filter(|(_, p, _)| is_crm(p)) {
        let path = with_some_id(&path);
        let body = (method != "GET").then(|| json!({}));
        for (path, status) in [
            (path.clone(), 400),
            (format!("{path}?entityId=nonsense"), 400),
            (format!("{path}?entityId={}&entityId={NOTHING}", api.me.entity_id), 400),
            (named(&path, stranger.entity_id), 403),
        ] {
            let answer = api.send(&method, &path, body.clone()).await;
            assert_eq!(answer.status, status, "{method} {path} {}", answer.text);
            assert!(answer.json()["error"].is_string(), "{method} {path} {}", answer.text);
        }
        if let Some(mut body) = body {
            body["entityId"] = json!(stranger.entity_id);
            assert_eq!(api.send(&method, &path, Some(body.clone())).await.status, 403, "{method} {path}");
            assert_eq!(api.send(&method, &named(&path, api.me.entity_id), Some(body)).await.status, 400, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_may_be_absent_where_the_document_says_so() {
    let api = Api::new().await;
    // What is signed is refused for that before anybody looks at it; see `inbound` and `meetings`.
    let signed = |operation: &Value| is_public(operation);
    for (method, path, operation) in operations().into_iter().filter(|(_, _, o)| o["requestBody"].is_object() && !signed(o)) {
        let real = if path.contains("{id}") && !path.starts_with("/webhooks/deliveries/") {
            path.replace("{id}", &own_id(&api, &path).await)
        } else {
            named(&with_some_id(&path), api.me.entity_id)
        };
        let mut request = axle_testkit::request(&method, &real, Some(&api.me.api_key), None);
        request.headers_mut().remove("content-type");
        let answer = axle_testkit::call(&api.router, request).await;
        if operation["requestBody"]["required"] == true {
            assert!(matches!(answer.status.as_u16(), 400 | 415 | 422), "{method} {path} {}", answer.text);
        } else {
            // An id that names nothing is refused after the body.
            assert!(
                answer.status.is_success() || answer.status == 404 && real.contains(NOTHING),
                "{method} {path} {}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn a_blank_parameter_is_a_fault_unless_any_text_is_good() {
    let api = Api::new().await;
    for (method, path, operation) in operations().into_iter().filter(|(method, _, _)| method == "GET") {
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let free = parameter["schema"]["minLength"] == 0;
            for blank in ["", "+"] {
                let real = named(&with_some_id(&path), api.me.entity_id);
                let joiner = if real.contains('?') { '&' } else { '?' };
                let answer = api.send(&method, &format!("{real}{joiner}{name}={blank}"), None).await;
                let refused = if name == "entityId" {
                    answer.status == 400
                } else {
                    answer.status == 422 && answer.pointers().contains(&format!("?{name}"))
                };
                assert!(refused != free, "{path}?{name}={blank}: {} {}", answer.status, answer.text);
            }
        }
    }
}

fn has_put(path: &str) -> bool {
    axle_http_tests::document()["paths"][path]["put"].is_object()
}

#[tokio::test]
async fn other_methods_are_405_and_unknown_fields_and_parameters_are_422() {
    let api = Api::new().await;
    for (method, path, operation) in operations().into_iter().filter(|(_, _, o)| !is_public(o)) {
        let real = named(&with_some_id(&path), api.me.entity_id);
        let other = if has_put(&path) { "PATCH" } else { "PUT" };
        let refused = api.send(other, &real, None).await;
        assert_eq!(refused.status, 405, "{path}");
        assert_eq!(refused.header("allow").unwrap().contains(&method), !is_refusal(&operation), "{path}");
        if !is_refusal(&operation) {
            let joiner = if real.contains('?') { '&' } else { '?' };
            let body = (method != "GET").then(|| json!({}));
            let answer = api.send(&method, &format!("{real}{joiner}no_such_parameter=1"), body).await;
            assert_eq!(answer.status, 422, "{method} {path} {}", answer.text);
            assert!(answer.pointers().contains(&"?no_such_parameter".to_owned()), "{path} {}", answer.text);
        }
        if operation["requestBody"]["content"]["application/json"].is_object() {
            let answer = api.send(&method, &real, Some(json!({"no_such_field": 1}))).await;
            assert_eq!(answer.status, 422, "{method} {path} {}", answer.text);
            assert!(answer.pointers().contains(&"/no_such_field".to_owned()), "{method} {path} {}", answer.text);
        }
    }
}

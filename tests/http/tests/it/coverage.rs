//! Every operation of the OpenAPI document refuses callers without a credential, without the scope, and of another tenant.

use axle_domain::identity::Scope;
use axle_domain::rate::Limits;
use serde_json::{Value, json};

use crate::support::{Api, id};

/// Operations without a credential. The list only shrinks, but for what is public by contract.
const PUBLIC: &[&str] = &["GET /openapi.json", "GET /docs"];

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

fn is_public(operation: &Value) -> bool {
    operation["security"].as_array().expect("every operation says its security").iter().all(|r| r.as_object().unwrap().is_empty())
}

/// The path with an id of the right form that names nothing.
fn with_some_id(path: &str) -> String {
    path.replace("{id}", if path.starts_with("/api-keys") { "7Gk2mQ9xTb4L" } else { "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77" })
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

#[tokio::test]
async fn without_a_credential_401() {
    let api = Api::new().await;
    for (method, path, _) in operations().into_iter().filter(|(_, _, o)| !is_public(o)) {
        let path = with_some_id(&path);
        for key in [None, Some("ak_nonsense"), Some("ak_000000000000_00000000000000000000000000000000000000")] {
            let answer = axle_testkit::call(&api.router, axle_testkit::request(&method, &path, key, Some(json!({})))).await;
            assert_eq!(answer.status, 401, "{method} {path} {}", answer.text);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"axle\""));
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
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
        assert!(answer.json()["detail"].as_str().unwrap().contains(scope.as_str()), "{}", answer.text);
        assert!(answer.header("x-ratelimit-remaining").is_some());
    }
}

/// A real thing of this tenant for each path with an id.
pub async fn own_id(api: &Api, path: &str) -> String {
    let campaign = json!({"name": "x", "channels": ["email"]});
    if path.starts_with("/campaigns/") {
        id(&api.post("/campaigns", campaign).await)
    } else if path.starts_with("/leads/import/") {
        let import = api.post("/leads/import", json!({"csv": "email\na@example.com\n"})).await;
        import.json()["import_job_id"].as_str().expect(&import.text).to_owned()
    } else if path.starts_with("/leads/") {
        let n = axle_domain::id::entropy::<4>().map(|b| format!("{b:02x}")).concat();
        id(&api.post("/leads", json!({"email": format!("{n}@example.com")})).await)
    } else if path.starts_with("/api-keys/") {
        id(&api.post("/api-keys", json!({"name": "k", "scopes": ["leads:read"]})).await)
    } else if path.starts_with("/webhooks/") {
        id(&api.post("/webhooks", json!({"url": "http://127.0.0.1:9/hook"})).await)
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
        ("POST" | "PATCH", _) => Some(json!({})),
        _ => None,
    }
}

#[tokio::test]
async fn another_tenants_id_is_404_and_nothing_changes() {
    let api = Api::new().await;
    let stranger = api.world.tenant(&[Scope::All]).await;
    for (method, path, operation) in operations().into_iter().filter(|(_, p, o)| p.contains("{id}") && !is_public(o)) {
        // A delivery's id comes from a dispatched event; its own tests prove its isolation.
        if path.starts_with("/webhooks/deliveries/") {
            continue;
        }
        let own = path.replace("{id}", &own_id(&api, &path).await);
        // What can be read under the same path must read the same afterwards.
        let read = async || api.get(&own).await.status.is_success().then_some(api.get(&own).await.text);
        let before = read().await;
        let answer = api.send_as(&stranger.api_key, &method, &own, body_for(&method, &path)).await;
        assert_eq!(answer.status, 404, "{method} {path} {}", answer.text);
        assert_eq!(read().await, before, "{method} {path} changed something");
        let mine = api.send(&method, &own, body_for(&method, &path)).await;
        assert!(mine.status.is_success() || mine.status == 303, "{method} {path} fails for its owner: {}", mine.text);
        let malformed = api.send(&method, &path.replace("{id}", "nonsense"), body_for(&method, &path)).await;
        assert_eq!(malformed.status, 404, "{method} {path}");
        let _ = operation;
    }
}

#[tokio::test]
async fn other_methods_are_405_and_unknown_fields_and_parameters_are_422() {
    let api = Api::new().await;
    for (method, path, operation) in operations().into_iter().filter(|(_, _, o)| !is_public(o)) {
        let real = with_some_id(&path);
        let put = api.send("PUT", &real, None).await;
        assert_eq!(put.status, 405, "{path}");
        assert!(put.header("allow").unwrap().contains(&method), "{path}");
        if method == "GET" {
            let answer = api.get(&format!("{real}?no_such_parameter=1")).await;
            assert_eq!(answer.status, 422, "{path} {}", answer.text);
            assert_eq!(answer.pointers(), ["?no_such_parameter"], "{path}");
        }
        if operation["requestBody"]["content"]["application/json"].is_object() {
            let answer = api.send(&method, &real, Some(json!({"no_such_field": 1}))).await;
            assert_eq!(answer.status, 422, "{method} {path} {}", answer.text);
            assert!(answer.pointers().contains(&"/no_such_field".to_owned()), "{method} {path} {}", answer.text);
        }
    }
}

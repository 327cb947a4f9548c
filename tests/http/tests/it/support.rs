//! A world with its router, and short ways to call it.

use axle_domain::identity::Scope;
use axle_testkit::{Answered, Tenant, World, call, request};
use axum::Router;
use serde_json::Value;

pub struct Api {
    pub world: World,
    pub router: Router,
    pub me: Tenant,
}

impl Api {
    pub async fn new() -> Self {
        Self::of(World::new().await).await
    }

    pub async fn of(world: World) -> Self {
        let router = axle_http_tests::router(&world.app);
        let me = world.tenant(&[Scope::All]).await;
        Self { world, router, me }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answered {
        self.send_as(&self.me.api_key, method, path, body).await
    }

    pub async fn send_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answered {
        call(&self.router, request(method, path, Some(key), body)).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        self.send("POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answered {
        self.send("PATCH", path, Some(body)).await
    }

    /// A POST with more headers.
    pub async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Answered {
        let mut req = request("POST", path, Some(&self.me.api_key), Some(body));
        for (name, value) in headers {
            req.headers_mut().insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        call(&self.router, req).await
    }

    /// Every page of a listing, in order.
    pub async fn pages(&self, path: &str, plural: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        for _ in 0..200 {
            let joiner = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{joiner}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let page = page.json();
            all.extend(page[plural].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("cursor={next}"),
                None => return all,
            }
        }
        panic!("a listing does not end");
    }
}

/// The queue that a record of the table's stream has a job for.
pub fn queue_of(record: &Value) -> Option<&str> {
    record["dynamodb"]["NewImage"]["job"]["S"].as_str()
}

/// The messages that the relay would send for a record.
pub fn jobs_of(record: &Value) -> Vec<Value> {
    let body = record["dynamodb"]["NewImage"]["job_body"]["S"].as_str();
    match body.map(|body| serde_json::from_str(body).unwrap()) {
        Some(Value::Array(messages)) => messages,
        Some(message) => vec![message],
        None => Vec::new(),
    }
}

pub fn id(answer: &Answered) -> String {
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The CRM of a tenant: every path with its `entityId`.
pub struct Crm {
    pub api: Api,
}

impl Crm {
    pub async fn new() -> Self {
        Self { api: Api::new().await }
    }

    pub async fn of(world: World) -> Self {
        Self { api: Api::of(world).await }
    }

    fn path(&self, path: &str) -> String {
        let joiner = if path.contains('?') { '&' } else { '?' };
        format!("/api/crm{path}{joiner}entityId={}", self.api.me.entity_id)
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.api.get(&self.path(path)).await
    }

    /// A good answer's JSON.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.text);
        answer.json()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        self.api.post(&self.path(path), body).await
    }

    /// Creates something and answers with it. Each is made a little later than the one before.
    pub async fn made(&self, path: &str, body: Value) -> Value {
        self.api.world.clock.advance_millis(3);
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 201, "{path} {}", answer.text);
        answer.json()
    }

    /// Creates something and answers with its id.
    pub async fn id(&self, path: &str, body: Value) -> String {
        self.made(path, body).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answered {
        self.api.patch(&self.path(path), body).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.api.send("DELETE", &self.path(path), None).await
    }
}

/// One text field of each entry.
pub fn each(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap_or_default().to_owned()).collect()
}

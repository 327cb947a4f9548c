//! API keys over HTTP.

use axle_domain::identity::{Plan, Scope};
use axle_domain::rate::Limits;
use serde_json::json;

use crate::support::{Api, id};

#[tokio::test]
async fn a_key_lives_from_creation_to_deletion() {
    let api = Api::new().await;
    let made = api.post("/api-keys", json!({"name": "importer", "scopes": ["leads:read", "leads:write"]})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let key = made.json()["api_key"].as_str().unwrap().to_owned();
    let path = format!("/api-keys/{}", id(&made));
    assert_eq!(api.send_as(&key, "GET", "/leads", None).await.status, 200);
    assert_eq!(api.send_as(&key, "GET", "/campaigns", None).await.status, 403);
    let read = api.get(&path).await;
    assert!(!read.text.contains(&key) && read.json().get("api_key").is_none() && !read.text.contains("hash"));
    assert!(read.json()["last_used_at"].is_string());
    assert_eq!(api.get("/api-keys").await.json()["api_keys"].as_array().unwrap().len(), 2);

    api.world.clock.advance_millis(5);
    assert_eq!(api.patch(&path, json!({"scopes": ["campaigns:read"], "name": "reader"})).await.status, 200);
    assert_eq!(api.send_as(&key, "GET", "/leads", None).await.status, 403);
    assert_eq!(api.send_as(&key, "GET", "/campaigns", None).await.status, 200);
    assert_eq!(api.patch(&path, json!({"scopes": null, "colour": 1})).await.status, 422);

    api.world.clock.advance_millis(5);
    assert_eq!(api.send("DELETE", &path, None).await.status, 204);
    assert_eq!(api.send_as(&key, "GET", "/campaigns", None).await.status, 401);
    let actions: Vec<String> =
        api.pages("/audit-log?limit=2", "entries").await.iter().map(|e| e["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["api_key.deleted", "api_key.changed", "api_key.created"]);
}

#[tokio::test]
async fn faults_of_a_key_have_a_place() {
    let api = Api::new().await;
    for (body, pointers) in [
        (json!({"name": "k", "scopes": [""]}), ["/scopes/0"]),
        (json!({"name": "k", "scopes": ["leads:read", "leads:admin"]}), ["/scopes/1"]),
        (json!({"name": "k", "scopes": ["leads:read"], "expires_at": "tomorrow"}), ["/expires_at"]),
        (json!({"name": " ", "scopes": ["leads:read"]}), ["/name"]),
    ] {
        assert_eq!(api.post("/api-keys", body).await.pointers(), pointers);
    }
    let path = format!("/api-keys/{}", api.me.key_id);
    assert_eq!(api.patch(&path, json!({"name": null, "plan": null, "expires_at": "never"})).await.pointers().len(), 2);
}

#[tokio::test]
async fn rotation_overlaps_as_asked() {
    let api = Api::new().await;
    let made = api.post("/api-keys", json!({"name": "k", "scopes": ["leads:read"]})).await;
    let (first, path) = (made.json()["api_key"].as_str().unwrap().to_owned(), format!("/api-keys/{}/rotate", id(&made)));
    let second = api.post(&path, json!({"overlap_seconds": 100})).await.json()["api_key"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    for key in [&first, &second] {
        assert_eq!(api.send_as(key, "GET", "/leads", None).await.status, 200);
    }
    api.world.clock.advance_secs(101);
    assert_eq!(api.send_as(&first, "GET", "/leads", None).await.status, 401);
    assert_eq!(api.send_as(&second, "GET", "/leads", None).await.status, 200);
    let third = api.post(&path, json!({})).await.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(api.send_as(&second, "GET", "/leads", None).await.status, 401);
    assert_eq!(api.send_as(&third, "GET", "/leads", None).await.status, 200);
    assert_eq!(api.post(&path, json!({"overlap_seconds": 604_801})).await.status, 422);
}

#[tokio::test]
async fn nobody_hands_on_more_than_they_have() {
    let api = Api::new().await;
    let limits = Limits { leads: Some(50), ..Limits::default() };
    let entity = api.me.entity_id.to_string();
    let small = api.world.key(&entity, &[Scope::KeysWrite, Scope::KeysRead, Scope::LeadsRead], Plan::Managed, limits).await;
    let give = |body| api.send_as(&small.api_key, "POST", "/api-keys", Some(body));
    assert_eq!(give(json!({"name": "x", "scopes": ["*"]})).await.status, 403);
    assert_eq!(give(json!({"name": "x", "scopes": ["leads:write"]})).await.status, 403);
    assert_eq!(give(json!({"name": "x", "scopes": ["leads:read"], "plan": "enterprise"})).await.status, 403);
    assert_eq!(give(json!({"name": "x", "scopes": ["leads:read"], "limits": {"leads": 51}})).await.status, 403);
    let same = give(json!({"name": "x", "scopes": ["leads:read"], "plan": "managed"})).await;
    assert_eq!((same.status.as_u16(), &same.json()["limits"]["leads"]), (201, &json!(50)));
    // A stronger key is out of reach too.
    let strong = format!("/api-keys/{}", api.me.key_id);
    assert_eq!(api.send_as(&small.api_key, "PATCH", &strong, Some(json!({"name": "mine"}))).await.status, 403);
    assert_eq!(api.send_as(&small.api_key, "POST", &format!("{strong}/rotate"), Some(json!({}))).await.status, 403);
}

#[tokio::test]
async fn an_expired_key_is_401() {
    let api = Api::new().await;
    let at = api.world.clock.now().plus_secs(30);
    let made = api.post("/api-keys", json!({"name": "k", "scopes": ["leads:read"], "expires_at": at})).await;
    let key = made.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(api.send_as(&key, "GET", "/leads", None).await.status, 200);
    api.world.clock.advance_secs(31);
    assert_eq!(api.send_as(&key, "GET", "/leads", None).await.status, 401);
    assert_eq!(
        api.post("/api-keys", json!({"name": "k", "scopes": ["leads:read"], "expires_at": at})).await.pointers(),
        ["/expires_at"]
    );
    let me = api.get("/me").await.json();
    assert_eq!((me["plan"].as_str(), me["entity"]["name"].as_str()), (Some("enterprise"), Some("Acme")));
}

#[tokio::test]
async fn tenants_and_members() {
    let api = Api::new().await;
    let own = api.me.entity_id.to_string();
    let made = api.post("/entities", json!({"name": "Acme"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    // The name is taken, so the slug has an ending of its own.
    assert!(made.json()["slug"].as_str().unwrap().starts_with("acme-"));
    let ids: Vec<String> =
        api.pages("/entities?limit=1", "entities").await.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [own.clone(), id(&made)]);

    let members = format!("/entities/{own}/members");
    let added = api.post(&members, json!({"phone": "+1 (415) 555-0123", "role": "admin"})).await;
    assert_eq!((added.status.as_u16(), &added.json()["phone"]), (201, &json!("+14155550123")));
    assert_eq!(api.post(&members, json!({"phone": "+14155550123", "role": "member"})).await.status, 409);
    assert_eq!(api.post(&members, json!({"phone": "12", "role": "chief"})).await.pointers(), ["/role"]);
    assert_eq!(api.post(&members, json!({"phone": "12", "role": "member"})).await.pointers(), ["/phone"]);
    // The same person in the other tenant is the same user.
    let other = api.post(&format!("/entities/{}/members", id(&made)), json!({"phone": "+14155550123", "role": "owner"})).await;
    assert_eq!(other.json()["user_id"], added.json()["user_id"]);
    assert_eq!(api.pages(&members, "members").await.len(), 1);
    let stranger = api.world.tenant(&[Scope::All]).await;
    let foreign = format!("/entities/{}/members", stranger.entity_id);
    assert_eq!(api.post(&foreign, json!({"phone": "+14155550123", "role": "owner"})).await.status, 404);
}

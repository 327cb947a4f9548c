//! APIs that tenants describe: what is sent, what is read, what may have cost something.

use std::time::Duration;

use axle_domain::enrich::{Field, Mapping, Method, Subject};
use axle_providers::enrich::{Api, ask};
use axle_providers::outbound::{Client, NetworkPolicy};
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PATIENCE: Duration = Duration::from_secs(5);

fn client() -> Client {
    Client::new(NetworkPolicy::WITH_LOCAL)
}

fn mapping() -> Mapping {
    serde_json::from_value(json!({"company.size": "$.data.employees", "person.title": "$.people[0].title"})).unwrap()
}

#[tokio::test]
async fn placeholders_are_filled_where_they_stand() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"data": {"employees": 120}, "people": [{"title": "CTO"}]}));
    Mock::given(method("POST"))
        .and(path("/v1/company"))
        .and(query_param("name", "Fern & Fjord/é"))
        .and(header("authorization", "Bearer s3cret"))
        .and(body_json(json!({"q": "say \"Fern & Fjord/é\""})))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let subject = Subject { company_name: Some("Fern & Fjord/é".to_owned()), ..Subject::default() };
    let url = format!("{}/v1/company?name={{company_name}}", server.uri());
    let headers = || [("authorization".to_owned(), "Bearer {secret}".to_owned())];
    let body = json!({"q": "say \"{company_name}\""});
    let api = Api::of(&url, Method::Post, headers(), Some(&body), &subject, Some("s3cret")).unwrap();
    assert!(!format!("{api:?}").contains("s3cret"));
    let found = ask(&client(), api, &mapping(), 80, PATIENCE).await.unwrap();
    let facts: Vec<(Field, &str, u8)> = found.facts.iter().map(|f| (f.field, f.value.as_str(), f.confidence)).collect();
    assert_eq!(facts, [(Field::CompanySize, "120", 80), (Field::PersonTitle, "CTO", 80)]);
    let without = Api::of(&url, Method::Post, headers(), None, &Subject::default(), Some("x"));
    assert_eq!(without.unwrap_err(), "company_name");
}

#[tokio::test]
async fn refusals_are_free_and_answers_are_not() {
    for (answer, outcome) in [
        (ResponseTemplate::new(404), Ok(())),
        (ResponseTemplate::new(204), Ok(())),
        (ResponseTemplate::new(200).set_body_json(json!({})), Ok(())),
        (ResponseTemplate::new(200).set_body_string("<html>"), Err(true)),
        (ResponseTemplate::new(200).set_body_string("x".repeat(600_000)), Err(true)),
        (ResponseTemplate::new(401), Err(false)),
        (ResponseTemplate::new(429), Err(false)),
        (ResponseTemplate::new(500), Err(false)),
        (ResponseTemplate::new(302).insert_header("location", "http://169.254.169.254/"), Err(true)),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        let api = Api::of(&server.uri(), Method::Get, [], None, &Subject::default(), None).unwrap();
        let found = ask(&client(), api, &mapping(), 80, PATIENCE).await;
        assert_eq!(found.as_ref().map(|f| assert!(f.is_empty())).map_err(|(_, reached)| *reached), outcome, "{found:?}");
    }
    let closed = Api::of("http://127.0.0.1:9/", Method::Get, [], None, &Subject::default(), None).unwrap();
    assert!(matches!(ask(&client(), closed, &mapping(), 80, PATIENCE).await, Err((_, false))));
    let inside = Api::of("http://10.0.0.1/", Method::Get, [], None, &Subject::default(), None).unwrap();
    assert!(matches!(ask(&client(), inside, &mapping(), 80, PATIENCE).await, Err((_, false))));
}

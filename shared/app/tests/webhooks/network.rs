//! Where webhooks may not go.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axle_app::{Error, webhooks};
use axle_domain::event::EventType;
use axle_domain::webhook::{DeliveryStatus, NetworkPolicy};
use axle_providers::outbound::{Client, Resolver};
use serde_json::json;

use crate::stage::Stage;

/// A name server whose answers can be changed.
#[derive(Default)]
struct Names(Mutex<Vec<IpAddr>>);

impl Names {
    fn say(&self, ip: &str) {
        *self.0.lock().unwrap() = vec![ip.parse().unwrap()];
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let answer = self.0.lock().unwrap().clone();
        if answer.is_empty() { Err(io::Error::other("NXDOMAIN")) } else { Ok(answer) }
    }
}

async fn strict() -> (Stage, Arc<Names>) {
    let names = Arc::new(Names::default());
    let client = Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, Arc::clone(&names) as Arc<dyn Resolver>);
    (Stage::with_outbound(NetworkPolicy::PUBLIC_ONLY, client).await, names)
}

fn at_the_url(error: &Error) -> bool {
    matches!(error, Error::Invalid(faults) if faults.len() == 1 && faults[0].pointer == "/url")
}

#[tokio::test]
async fn refused_at_creation_and_change() {
    let (s, names) = strict().await;
    for url in [
        "http://example.com/",
        "https://example.com:8443/",
        "https://127.0.0.1/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
    ] {
        assert!(at_the_url(&s.try_endpoint(json!({"url": url})).await.unwrap_err()), "{url}");
    }
    for ip in ["10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00:ec2::254"] {
        names.say(ip);
        assert!(at_the_url(&s.try_endpoint(json!({"url": "https://example.com/"})).await.unwrap_err()), "{ip}");
    }
    names.say("93.184.216.34");
    let id = s.endpoint("https://example.com/").await;
    names.say("10.0.0.1");
    let change = json!({"url": "https://example.com/other"});
    let refused = webhooks::patch(s.app(), &s.ctx(), id, &change, None).await.unwrap_err();
    assert!(at_the_url(&refused));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_yet_may_be_entered() {
    let (s, _names) = strict().await;
    s.endpoint("https://soon.example/").await;
}

#[tokio::test]
async fn a_name_that_turns_inward_is_refused_at_the_attempt() {
    let (s, names) = strict().await;
    names.say("93.184.216.34");
    let id = s.endpoint("https://rebound.example/").await;
    names.say("169.254.169.254");
    s.happen(EventType::LeadCreated).await;
    s.settle().await;
    let delivery = s.only(id).await;
    assert_eq!(delivery.status, DeliveryStatus::Failed);
    let why = delivery.attempts[0].error.as_deref();
    assert_eq!(why, Some("refused: the host does not resolve to public internet addresses only"));
    let tested = webhooks::test(s.app(), &s.ctx(), id, None).await.unwrap();
    assert_eq!((tested.delivered, tested.error.as_deref()), (false, why));
}

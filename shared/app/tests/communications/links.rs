//! Links in messages: unsubscribing, opening, clicking.

use axle_app::Error;
use axle_app::communications::{self, Visit};
use axle_domain::communication::CommunicationStatus::{Sent, Suppressed};
use serde_json::json;

use crate::stage::{Stage, mail};

/// The tickets of a kind in a message, in order.
fn tickets(html: &str, kind: &str) -> Vec<String> {
    let marker = format!("/communications/{kind}/");
    html.split(&marker)
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect())
        .collect()
}

fn person() -> Visit {
    Visit {
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned()),
        ..Visit::default()
    }
}

async fn tracked(s: &Stage) -> (axle_domain::CommunicationId, String) {
    let mut message = mail("ada@example.com");
    message["category"] = json!("marketing");
    message["html"] = json!("<a href=\"https://one.example/?x=1\">1</a> <a href=\"https://two.example/\">2</a>");
    message["track"] = json!({"opens": true, "clicks": true});
    let id = s.queue(message).await;
    s.settle().await;
    assert_eq!(s.status(id).await, Sent);
    (id, s.world.sent.emails().pop().unwrap().html.unwrap())
}

#[tokio::test]
async fn looking_changes_nothing_and_posting_unsubscribes_once() {
    let s = Stage::new().await;
    let (id, html) = tracked(&s).await;
    let ticket = &tickets(&html, "unsubscribe")[0];
    communications::check_unsubscribe(s.app(), ticket).await.unwrap();
    assert_eq!(s.told().await, ["communication.sent"]);
    for _ in 0..3 {
        communications::unsubscribe(s.app(), ticket).await.unwrap();
    }
    assert_eq!(s.told().await, ["communication.sent", "contact.unsubscribed"]);
    assert_eq!(s.events().await[1].data, json!({"channel": "email", "origin": "unsubscribe"}));
    assert_eq!(s.record(id).await.engagement.unsubscribed_at, Some(s.app().now()));
    let next = s.mail("ada@example.com").await;
    s.settle().await;
    assert_eq!(s.status(next).await, Suppressed);
    // A ticket for one purpose is worth nothing for another, and neither is one that was tampered with.
    let open = &tickets(&html, "open")[0];
    assert!(matches!(communications::unsubscribe(s.app(), open).await, Err(Error::NotFound(_))));
    assert!(matches!(communications::clicked(s.app(), ticket, &person()).await, Err(Error::NotFound(_))));
    let other = if &ticket[20..21] == "x" { "y" } else { "x" };
    let forged = format!("{}{other}{}", &ticket[..20], &ticket[21..]);
    assert!(matches!(communications::unsubscribe(s.app(), &forged).await, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_unsubscribe_posts_at_once_make_one_event() {
    let s = std::sync::Arc::new(Stage::new().await);
    let (_, html) = tracked(&s).await;
    let ticket = tickets(&html, "unsubscribe")[0].clone();
    let posts = (0..12).map(|_| {
        let (s, ticket) = (std::sync::Arc::clone(&s), ticket.clone());
        tokio::spawn(async move { communications::unsubscribe(s.app(), &ticket).await.unwrap() })
    });
    futures_util::future::join_all(posts).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(s.told().await, ["communication.sent", "contact.unsubscribed"]);
}

#[tokio::test]
async fn people_and_machines_are_told_apart() {
    let s = Stage::new().await;
    let (id, html) = tracked(&s).await;
    let open = &tickets(&html, "open")[0];
    // Nobody reads a message in the second in which it is sent.
    communications::opened(s.app(), open, &person()).await.unwrap();
    s.world.clock.advance_secs(60);
    communications::opened(s.app(), open, &Visit { head: true, ..person() }).await.unwrap();
    communications::opened(s.app(), open, &Visit { prefetch: true, ..person() }).await.unwrap();
    communications::opened(s.app(), open, &Visit { user_agent: Some("curl/8".to_owned()), ..Visit::default() }).await.unwrap();
    let e = s.record(id).await.engagement;
    assert_eq!((e.opens, e.machine_opens, e.opened_at), (0, 4, None));
    communications::opened(s.app(), open, &person()).await.unwrap();
    let e = s.record(id).await.engagement;
    assert_eq!((e.opens, e.machine_opens, e.opened_at), (1, 4, Some(s.app().now())));
    let machine: Vec<bool> = s.events().await[1..].iter().map(|event| event.data["machine"].as_bool().unwrap()).collect();
    assert_eq!(machine, [true, true, true, true, false]);
}

#[tokio::test]
async fn clicks_lead_to_the_messages_own_links() {
    let s = Stage::new().await;
    let (id, html) = tracked(&s).await;
    let links = tickets(&html, "click");
    s.world.clock.advance_secs(60);
    assert_eq!(communications::clicked(s.app(), &links[0], &person()).await.unwrap(), "https://one.example/?x=1");
    let e = s.record(id).await.engagement;
    assert_eq!((e.clicks, e.machine_clicks), (1, 0));
    // Every link within two seconds: that was no person, the first click included.
    s.world.clock.advance_secs(1);
    assert_eq!(communications::clicked(s.app(), &links[1], &person()).await.unwrap(), "https://two.example/");
    let e = s.record(id).await.engagement;
    assert_eq!((e.clicks, e.machine_clicks, e.clicked_at), (0, 2, None));
    s.world.clock.advance_secs(60);
    communications::clicked(s.app(), &links[1], &person()).await.unwrap();
    assert_eq!(s.record(id).await.engagement.clicks, 1);
}

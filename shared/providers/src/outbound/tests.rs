#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Public by every rule, and never answered: IANA has assigned 2d00::/8 to nobody.
const UNANSWERED: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2d00, 0, 0, 0, 0, 0, 0, 1));

/// A name server that gives one prepared answer after the other, and repeats the last.
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Arc<Self> {
        Arc::new(Self { answers: answers.into_iter().collect(), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(host.to_owned());
        let answer = self.answers.get(asked.len() - 1).or(self.answers.last());
        answer.cloned().ok_or_else(|| io::Error::other("NXDOMAIN"))
    }
}

/// A listener on loopback that answers every connection with `answer` (after the request has begun to arrive), keeps it
/// open, and counts connections.
struct Raw {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Raw {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let raw = Self { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
        let (answer, connections) = (answer.into(), Arc::clone(&raw.connections));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    let _ = stream.read(&mut buffer).await;
                    let _ = stream.write_all(&answer).await;
                    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
                });
            }
        });
        raw
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn local() -> Client {
    Client::new(NetworkPolicy::WITH_LOCAL)
}

fn strict() -> Client {
    Client::new(NetworkPolicy::PUBLIC_ONLY)
}

async fn get(client: &Client, url: &str) -> Result<Response, Error> {
    client.send(Request::get(url).timeout(Duration::from_secs(5))).await.outcome
}

#[tokio::test]
async fn sends_what_it_is_given_and_reports_the_answer() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(503).insert_header("retry-after", "120").set_body_string("come back later");
    Mock::given(method("POST"))
        .and(path("/hook"))
        .and(header("webhook-id", "evt_1"))
        .and(header("user-agent", "axle-webhooks/1"))
        .and(body_string(r#"{"id":"evt_1"}"#))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let request = Request::post(format!("{}/hook", server.uri()), r#"{"id":"evt_1"}"#)
        .header("webhook-id", "evt_1")
        .header("user-agent", "axle-webhooks/1");
    let exchange = local().send(request).await;
    let response = exchange.outcome.unwrap();
    assert_eq!((response.status, response.is_success(), response.truncated), (503, false, false));
    assert_eq!(response.retry_after.as_deref(), Some("120"));
    assert_eq!(response.content_type.as_deref(), Some("text/plain"));
    assert_eq!(response.excerpt(1024), "come back later");
    assert!(exchange.duration > Duration::ZERO);
}

#[tokio::test]
async fn redirects_are_answers() {
    let server = MockServer::start().await;
    let target = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let redirect = ResponseTemplate::new(307).insert_header("location", target.url().as_str());
    Mock::given(method("GET")).respond_with(redirect).expect(1).mount(&server).await;
    assert_eq!(get(&local(), &server.uri()).await.unwrap().status, 307);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let silent = Raw::answering("").await;
    let request = Request::get(silent.url()).timeout(Duration::from_millis(200));
    let exchange = local().send(request).await;
    assert_eq!(exchange.outcome, Err(Error::Timeout(Duration::from_millis(200))));
    assert!(exchange.duration >= Duration::from_millis(200) && exchange.duration < Duration::from_secs(3));
    assert_eq!(silent.connections(), 1, "nothing is tried twice");
}

#[tokio::test]
async fn headers_that_never_end_are_a_timeout() {
    let endless = Raw::answering("HTTP/1.1 200 OK\r\nx-a: b\r\n").await;
    let request = Request::get(endless.url()).timeout(Duration::from_millis(200));
    assert!(matches!(local().send(request).await.outcome, Err(Error::Timeout(_))));
}

#[tokio::test]
async fn a_body_that_hangs_does_not_undo_the_status() {
    let stuck = Raw::answering("HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhello").await;
    let first = Request::get(stuck.url()).timeout(Duration::from_millis(300));
    let response = local().send(first.clone()).await.outcome.unwrap();
    assert_eq!((response.status, &response.body[..], response.truncated), (202, &b"hello"[..], true));
    let whole = first.limit(BodyLimit::Whole(1000));
    assert!(matches!(local().send(whole).await.outcome, Err(Error::Timeout(_))));
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sender = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat();
        // Ends only when the client hangs up.
        while stream.write_all(&chunk).await.is_ok() {}
    });
    let request = Request::get(url).limit(BodyLimit::First(10_000)).timeout(Duration::from_secs(5));
    let exchange = local().send(request).await;
    let response = exchange.outcome.unwrap();
    assert_eq!((response.status, response.body.len(), response.truncated), (200, 10_000, true));
    assert!(exchange.duration < Duration::from_secs(4));
    tokio::time::timeout(Duration::from_secs(5), sender).await.unwrap().unwrap();
}

#[rstest]
#[case(BodyLimit::First(5), Ok(("hello", false)))]
#[case(BodyLimit::First(4), Ok(("hell", true)))]
#[case(BodyLimit::First(0), Ok(("", true)))]
#[case(BodyLimit::Whole(5), Ok(("hello", false)))]
#[case(BodyLimit::Whole(4), Err(Error::TooLarge(4)))]
#[tokio::test]
async fn body_limits(#[case] limit: BodyLimit, #[case] expected: Result<(&str, bool), Error>) {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    for answer in [length, chunked] {
        let server = Raw::answering(answer).await;
        let outcome = local().send(Request::get(server.url()).limit(limit)).await.outcome;
        let seen = outcome.map(|response| (response.excerpt(99), response.truncated));
        assert_eq!(seen, expected.clone().map(|(text, cut)| (text.to_owned(), cut)));
    }
}

#[rstest]
#[case("http://127.0.0.1/", UrlFault::Scheme)]
#[case("https://127.0.0.1/", UrlFault::Address)]
#[case("https://[::1]/", UrlFault::Address)]
#[case("https://2130706433/", UrlFault::Address)]
#[case("https://169.254.169.254/latest/meta-data/", UrlFault::Address)]
#[case("https://localhost/", UrlFault::LocalName)]
#[case("https://example.com:8443/", UrlFault::Port)]
#[case("https://user:pass@example.com/", UrlFault::Credentials)]
#[tokio::test]
async fn forbidden_urls_are_refused_before_anything_is_resolved(#[case] url: &str, #[case] fault: UrlFault) {
    let names = Scripted::new([vec![LOOPBACK]]);
    let client = Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, Arc::clone(&names) as Arc<dyn Resolver>);
    let refused = Error::Refused(Refusal::Url(fault));
    assert_eq!(get(&client, url).await, Err(refused.clone()));
    assert_eq!(client.check(url).await.unwrap_err(), refused);
    assert!(names.asked().is_empty());
}

#[rstest]
#[case(vec![LOOPBACK])]
#[case(vec![UNANSWERED, LOOPBACK])]
#[case(vec!["169.254.169.254".parse().unwrap()])]
#[case(vec!["::ffff:10.0.0.1".parse().unwrap(), UNANSWERED])]
#[case(vec!["fd00:ec2::254".parse().unwrap()])]
#[tokio::test]
async fn names_that_lead_inside_are_refused(#[case] addresses: Vec<IpAddr>) {
    let client = Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, Scripted::new([addresses]));
    assert_eq!(get(&client, "https://evil.example/").await, Err(Refusal::Address.into()));
    assert_eq!(client.check("https://evil.example/").await, Err(Refusal::Address.into()));
}

#[tokio::test]
async fn a_name_that_is_rebound_to_loopback_is_refused() {
    let server = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let names = Scripted::new([vec![UNANSWERED], vec![UNANSWERED], vec![LOOPBACK]]);
    let client = Client::address_check_only(Arc::clone(&names) as Arc<dyn Resolver>);
    let url = format!("http://rebind.example:{}/", server.port);
    client.check(&url).await.unwrap();
    // The first call trusts the answer it checked: it goes out (into the void), not to a later answer.
    let first = get(&client, &url).await.unwrap_err();
    assert!(matches!(first, Error::Timeout(_) | Error::Connect(_)), "{first:?}");
    assert_eq!(names.asked().len(), 2, "one look-up a call");
    assert_eq!(get(&client, &url).await, Err(Refusal::Address.into()));
    // Literal addresses pass no resolver; they are checked as well.
    assert_eq!(get(&client, &server.url()).await, Err(Refusal::Address.into()));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let server = MockServer::start().await;
    Mock::given(header("host", format!("hooks.example:{}", server.address().port()).as_str()))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    let names = Scripted::new([vec![LOOPBACK], vec![]]);
    let client = Client::with_resolver(NetworkPolicy::WITH_LOCAL, Arc::clone(&names) as Arc<dyn Resolver>);
    let url = format!("http://hooks.example:{}/", server.address().port());
    assert_eq!(get(&client, &url).await.unwrap().status, 204);
    assert_eq!(names.asked(), ["hooks.example"]);
}

#[tokio::test]
async fn local_policy_opens_loopback_only() {
    let private = Scripted::new([vec!["10.0.0.1".parse().unwrap()]]);
    let client = Client::with_resolver(NetworkPolicy::WITH_LOCAL, private);
    assert_eq!(get(&client, "http://intranet/").await, Err(Refusal::Address.into()));
    assert_eq!(get(&client, "http://10.0.0.1/").await, Err(Refusal::Url(UrlFault::Address).into()));
}

#[tokio::test]
async fn the_systems_own_names_are_checked() {
    let server = Raw::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://localhost:{}/", server.port);
    let closed = Client::address_check_only(Arc::new(SystemResolver));
    assert_eq!(get(&closed, &url).await, Err(Refusal::Address.into()));
    assert_eq!(server.connections(), 0);
    assert_eq!(get(&local(), &url).await.unwrap().status, 204);
}

#[tokio::test]
async fn unknown_names() {
    let client = Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, Scripted::new([]));
    assert_eq!(get(&client, "https://nowhere.example/").await, Err(Error::Dns));
    assert_eq!(client.check("https://nowhere.example/").await, Err(Error::Dns));
    let empty = Client::with_resolver(NetworkPolicy::PUBLIC_ONLY, Scripted::new([vec![]]));
    assert_eq!(get(&empty, "https://nowhere.example/").await, Err(Error::Dns));
}

#[tokio::test]
async fn closed_port() {
    let free = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap();
    assert_eq!(get(&local(), &format!("http://{free}/")).await, Err(Error::Connect("connection refused")));
}

#[tokio::test]
async fn plain_text_on_a_tls_port() {
    let server = Raw::answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let url = format!("https://127.0.0.1:{}/", server.port);
    assert_eq!(get(&local(), &url).await, Err(Error::Tls("the server does not speak TLS on this port")));
}

#[rstest]
#[case("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
#[case("HTTP/1.1 abc\r\n\r\n")]
#[tokio::test]
async fn not_http(#[case] answer: &str) {
    let server = Raw::answering(answer).await;
    assert_eq!(get(&local(), &server.url()).await, Err(Error::Other("the answer is not valid HTTP")));
}

#[tokio::test]
async fn broken_off_connections() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    assert!(matches!(get(&local(), &url).await, Err(Error::Other(_) | Error::Connect(_))));
}

#[tokio::test]
async fn invalid_headers_are_an_error_not_a_panic() {
    let server = Raw::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let request = Request::get(server.url()).header("x-a", "1\r\nx-injected: 2");
    let outcome = local().send(request).await.outcome;
    assert_eq!(outcome, Err(Error::Other("the request is not valid HTTP")));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn strict_clients_can_be_built() {
    // Loads the system's root certificates; fails on a machine without any.
    let outcome = get(&strict(), "https://name.invalid/").await;
    assert_eq!(outcome, Err(Error::Dns));
}

#[test]
fn excerpts_end_between_characters() {
    let response = Response {
        status: 200,
        retry_after: None,
        content_type: None,
        headers: Vec::new(),
        body: "aé\u{fffd}".as_bytes().to_vec().into(),
        truncated: false,
    };
    assert_eq!(response.excerpt(2), "a");
    assert_eq!(response.excerpt(3), "aé");
    assert_eq!(response.excerpt(100), "aé\u{fffd}");
}

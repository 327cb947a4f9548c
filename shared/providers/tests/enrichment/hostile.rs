//! Sites that are broken, or mean no good: each costs a little time and memory, and nothing else.

use std::io::Write;
use std::time::{Duration, Instant};

use axle_domain::enrich::{Field, Findings};
use axle_providers::enrich::{Settings, Unreadable, read_site};
use axle_providers::outbound::{Client, Error, NetworkPolicy, Refusal, UrlFault};
use url::Url;

use crate::site::{Answer, Site, client, settings};

async fn read_with(
    settings: &Settings,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> (Result<Findings, Unreadable>, Vec<String>) {
    let site = Site::serving(move |path| if path == "/robots.txt" { Answer::status(404) } else { answer(path) }).await;
    let started = Instant::now();
    let found = read_site(&client(), &site.url("bad.test"), settings).await;
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    (found, site.asked())
}

async fn read(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Result<Findings, Unreadable> {
    read_with(&settings(), answer).await.0
}

fn name(findings: &Findings) -> Option<&str> {
    findings.facts.iter().find(|fact| fact.field == Field::CompanyName).map(|fact| fact.value.as_str())
}

#[tokio::test]
async fn a_page_without_end_is_read_up_to_the_limit() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<title>Endless</title>".to_vec();
    let endless = Answer { pieces: vec![head, b"<p>more and more</p>".repeat(1_000)], endless: true, ..Answer::default() };
    let found = read(move |_| endless.clone()).await.unwrap();
    assert_eq!(name(&found), Some("Endless"));
}

#[tokio::test]
async fn a_page_that_drips_is_given_up() {
    let drip =
        Answer { pieces: vec![b"HTTP/1.1 200 OK\r\nx".to_vec(), b"y".to_vec()], pause: Duration::from_millis(50), endless: true };
    let settings = Settings { each: Duration::from_millis(300), ..settings() };
    let (found, _) = read_with(&settings, move |_| drip.clone()).await;
    assert_eq!(found, Err(Unreadable::Call(Error::Timeout(Duration::from_millis(300)))));
}

#[tokio::test]
async fn a_site_with_many_slow_pages_has_no_more_than_its_time() {
    let home = "<a href=/careers>c</a><a href=/news>n</a><a href=/about>a</a><title>Slow</title>";
    let settings = Settings { all: Duration::from_secs(3), ..settings() };
    let silent = Answer { pause: Duration::from_secs(3_600), ..Answer::html("x") };
    let answer = move |path: &str| if path == "/" { Answer::html(home) } else { silent.clone() };
    let (found, asked) = read_with(&settings, answer).await;
    assert_eq!(name(&found.unwrap()), Some("Slow"));
    assert_eq!(asked, ["/robots.txt", "/", "/careers"], "there was no time left for the others");
}

#[tokio::test]
async fn redirects_end() {
    let (found, asked) = read_with(&settings(), |_| Answer::redirect("/")).await;
    assert_eq!(found, Err(Unreadable::Redirects(5)));
    assert_eq!(asked.iter().filter(|path| *path == "/").count(), 6);
    let (found, asked) = read_with(&settings(), |path| Answer::redirect(&format!("{path}x"))).await;
    assert_eq!(found, Err(Unreadable::Redirects(5)));
    assert_eq!(asked.len(), 7);
    assert_eq!(read(|_| Answer::redirect("http://")).await, Err(Unreadable::Location));
    assert_eq!(read(|_| Answer::page(302, &[], b"")).await, Err(Unreadable::Location));
    let found =
        read(
            |path| {
                if path == "/" {
                    Answer::redirect("/en/#top")
                } else {
                    Answer::html("<meta property=og:site_name content=There>")
                }
            },
        );
    assert_eq!(name(&found.await.unwrap()), Some("There"));
}

#[tokio::test]
async fn redirects_do_not_lead_inside() {
    let refused = |fault| Err(Unreadable::Call(Error::Refused(Refusal::Url(fault))));
    for (target, fault) in [
        ("http://169.254.169.254/latest/meta-data/", UrlFault::Address),
        ("http://10.0.0.1/", UrlFault::Address),
        ("http://[fd00:ec2::254]/", UrlFault::Address),
        ("http://2852039166/", UrlFault::Address),
        ("file:///etc/passwd", UrlFault::Scheme),
        ("http://user:secret@bad.test/", UrlFault::Credentials),
    ] {
        assert_eq!(read(move |_| Answer::redirect(target)).await, refused(fault), "{target}");
    }
    assert_eq!(read(|_| Answer::redirect("http://inside.test/")).await, Err(Unreadable::Call(Refusal::Address.into())));
}

#[tokio::test]
async fn without_local_networks_nothing_of_this_machine_is_asked() {
    let site = Site::serving(|_| Answer::html("<title>Internal</title>")).await;
    let strict = Client::new(NetworkPolicy::PUBLIC_ONLY);
    for url in [site.url("127.0.0.1"), site.url("localhost"), Url::parse("https://169.254.169.254/").unwrap()] {
        let found = read_site(&strict, &url, &settings()).await;
        assert!(matches!(found, Err(Unreadable::Call(Error::Refused(_)))), "{url} {found:?}");
    }
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn a_compressed_bomb_unpacks_to_the_limit() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"<title>Boom</title>").unwrap();
    (0..20).for_each(|_| gzip.write_all(&[b' '; 1 << 20]).unwrap());
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 30_000);
    let found = read(move |_| Answer::page(200, &[("content-type", "text/html"), ("content-encoding", "gzip")], &bomb)).await;
    assert_eq!(name(&found.unwrap()), Some("Boom"));
}

#[tokio::test]
async fn what_is_no_page_is_said_to_be_none() {
    for (answer, reason) in [
        (Answer::page(200, &[("content-type", "application/pdf")], b"%PDF"), Unreadable::NotAPage("application/pdf".to_owned())),
        (Answer::page(200, &[("content-encoding", "br")], b"x"), Unreadable::Encoding),
        (Answer::status(503), Unreadable::Status(503)),
        (Answer::status(404), Unreadable::Status(404)),
        (Answer::raw("SSH-2.0-OpenSSH_9.2\r\n"), Unreadable::Call(Error::Other("the answer is not valid HTTP"))),
    ] {
        assert_eq!(read(move |_| answer.clone()).await, Err(reason));
    }
    let nowhere = Url::parse("http://nowhere.test/").unwrap();
    assert_eq!(read_site(&client(), &nowhere, &settings()).await, Err(Unreadable::Call(Error::Dns)));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_tried_with_www() {
    let site = Site::serving(|path| if path == "/" { Answer::html("<title>Found</title>") } else { Answer::status(404) }).await;
    let found = read_site(&client(), &site.url("bare.test"), &settings()).await.unwrap();
    assert_eq!(name(&found), Some("Found"));
}

#[tokio::test]
async fn a_wrong_charset_is_no_harm() {
    for (kind, body) in [
        ("text/html; charset=utf-8", &b"<title>Caf\xe9</title>"[..]),
        ("text/html; charset=utf-16", b"<title>x</title>"),
        ("text/html; charset=no-such-charset", b"\xff\xfe\x00\x00"),
        ("text/html; charset=utf-7", b"+ADw-title+AD4-"),
    ] {
        assert!(read(move |_| Answer::page(200, &[("content-type", kind)], body)).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn pathological_markup_takes_linear_time() {
    for piece in [
        "<div>",
        "<a href=/careers>",
        "<!--",
        "&amp;",
        "<script>",
        "</p>",
        "<p a=b ",
        "<![CDATA[",
        "{[",
        "<meta name=x content=y>",
    ] {
        let body = piece.repeat(300_000 / piece.len());
        assert!(read(move |path| if path == "/" { Answer::html(&body) } else { Answer::status(404) }).await.is_ok(), "{piece}");
    }
}

#[tokio::test]
async fn robots_txt_that_cannot_be_had_forbids_and_one_that_is_not_there_allows() {
    for (answer, allowed) in [
        (Answer::status(404), true),
        (Answer::status(403), true),
        (Answer::status(500), false),
        (Answer::redirect("/robots.txt"), true),
        (Answer::page(200, &[("content-type", "text/plain")], b"User-agent: *\nDisallow: /"), false),
        (
            Answer::page(200, &[("content-type", "text/plain")], b"User-agent: AxleBot\nAllow: /\nUser-agent: *\nDisallow: /"),
            true,
        ),
        (Answer::page(200, &[("content-type", "text/plain")], &b"# long\n".repeat(200_000)), true),
    ] {
        let site =
            Site::serving(move |path| if path == "/robots.txt" { answer.clone() } else { Answer::html("<title>T</title>") })
                .await;
        let found = read_site(&client(), &site.url("bad.test"), &settings()).await;
        assert_eq!(found.is_ok(), allowed, "{found:?}");
        if !allowed {
            assert_eq!(found, Err(Unreadable::Robots));
            assert_eq!(site.asked(), ["/robots.txt"]);
        }
    }
}

#[tokio::test]
async fn a_site_that_wants_long_pauses_is_asked_for_one_page() {
    let home = "<title>Slow down</title><a href=/careers>c</a><a href=/about>a</a>";
    let robots = Answer::page(200, &[("content-type", "text/plain")], b"User-agent: *\nCrawl-delay: 30");
    let site = Site::serving(move |path| if path == "/robots.txt" { robots.clone() } else { Answer::html(home) }).await;
    let found = read_site(&client(), &site.url("slow.test"), &settings()).await.unwrap();
    assert_eq!(name(&found), Some("Slow down"));
    assert_eq!(site.asked(), ["/robots.txt", "/"]);
}

#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use super::super::html::tests::soup;
use super::*;

const BASE: &str = "https://axle.example/stage";

struct Fixture {
    key: LinkKey,
    entity: EntityId,
    message: CommunicationId,
}

impl Fixture {
    fn new() -> Self {
        Self {
            key: LinkKey::derive(b"secret"),
            entity: EntityId::from_uuid(Uuid::from_u128(7)),
            message: CommunicationId::from_uuid(Uuid::from_u128(8)),
        }
    }

    fn links(&self) -> Links<'_> {
        let (entity, message) = (self.entity, self.message);
        Links { key: &self.key, base_url: BASE, entity, message, opens: false, clicks: false, unsubscribe: false, language: None }
    }

    fn way_out(&self) -> String {
        self.key.unsubscribe_url(BASE, self.entity, self.message)
    }
}

fn hrefs(html: &str) -> Vec<String> {
    let href = |token| match token {
        Token::Open(tag) if tag.is_any(&["a", "area"]) => tag.attribute("href").map(|href| href.value().trim().to_owned()),
        _ => None,
    };
    tokens(html).filter_map(href).collect()
}

fn html(content: &str, links: &Links<'_>) -> Prepared {
    prepare(&Content { text: None, html: Some(content) }, links)
}

/// Where a link leads in the end.
fn follow(fixture: &Fixture, prepared: &Prepared, href: &str) -> String {
    let ticket = href.strip_prefix(&format!("{BASE}/communications/click/")).and_then(|ticket| fixture.key.read(ticket));
    match ticket.map(|ticket| ticket.purpose) {
        Some(Purpose::Click(number)) => prepared.links[usize::from(number)].clone(),
        _ => href.to_owned(),
    }
}

#[test]
fn nothing_asked_for_changes_nothing() {
    let fixture = Fixture::new();
    let source = "<p>Hi <a href=\"https://x.example\">there</a></p>";
    let prepared = html(source, &fixture.links());
    let expected = Prepared { text: "Hi there (https://x.example)".into(), html: Some(source.into()), links: vec![] };
    assert_eq!(prepared, expected);
    let prepared = prepare(&Content { text: Some("Hi"), html: None }, &fixture.links());
    assert_eq!(prepared, Prepared { text: "Hi".into(), html: None, links: vec![] });
}

#[test]
fn web_links_lead_through_us_and_others_do_not() {
    let fixture = Fixture::new();
    let source = concat!(
        r#"<a href="https://x.example/?a=1&amp;b=2">1</a><A class=c HREF='http://y.example'>2</A>"#,
        r##"<a href="mailto:a@x.example">3</a><a href="#top">4</a><a href="/relative">5</a><a href="tel:+1">6</a>"##,
        r#"<a href=" https://x.example/?a=1&amp;b=2 ">7</a><link href="https://z.example/s.css"><area href=https://m.example>"#,
    );
    let prepared = html(source, &Links { clicks: true, ..fixture.links() });
    assert_eq!(prepared.links, ["https://x.example/?a=1&b=2", "http://y.example", "https://m.example"]);
    let after = prepared.html.clone().unwrap();
    let followed: Vec<String> = hrefs(&after).iter().map(|href| follow(&fixture, &prepared, href)).collect();
    assert_eq!(followed, hrefs(source));
    let through_us = hrefs(&after).iter().filter(|href| href.starts_with(BASE)).count();
    assert_eq!(through_us, 4);
    assert!(after.contains(r#"<link href="https://z.example/s.css">"#) && after.contains("<A class=c HREF=\"https://axle"));
}

#[test]
fn links_beyond_the_limit_go_out_as_they_are() {
    let fixture = Fixture::new();
    let source: String = (0..MAX_LINKS + 2).map(|n| format!("<a href=\"https://x.example/{n}\">x</a>")).collect();
    let prepared = html(&source, &Links { clicks: true, ..fixture.links() });
    assert_eq!(prepared.links.len(), MAX_LINKS);
    let followed: Vec<String> =
        hrefs(prepared.html.as_ref().unwrap()).iter().map(|href| follow(&fixture, &prepared, href)).collect();
    assert_eq!(followed, hrefs(&source));
}

#[rstest]
#[case::body("<html><body><p>x</p></body></html>", "<html><body><p>x</p>", "</body></html>")]
#[case::last_body("<body>a</body><body>b</BODY >", "<body>a</body><body>b", "</BODY >")]
#[case::page_only("<html>x</html>", "<html>x", "</html>")]
#[case::fragment("<p>x</p>", "<p>x</p>", "")]
#[case::body_in_a_comment("<p>x</p><!-- </body> -->", "<p>x</p><!-- </body> -->", "")]
#[case::comment_without_end("<p>x</p><!-- oh", "<p>x</p>", "<!-- oh")]
fn the_pixel_ends_the_body(#[case] source: &str, #[case] before: &str, #[case] after: &str) {
    let fixture = Fixture::new();
    let prepared = html(source, &Links { opens: true, ..fixture.links() }).html.unwrap();
    let pixel = prepared.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
    let url =
        pixel.strip_prefix("<img src=\"https://axle.example/stage/communications/open/").unwrap().split_once('"').unwrap().0;
    assert_eq!(fixture.key.read(url).unwrap(), Ticket::new(Purpose::Open, fixture.entity, fixture.message));
}

#[test]
fn the_way_out_is_shown_in_both_parts_and_not_counted() {
    let fixture = Fixture::new();
    let links = Links { clicks: true, opens: true, unsubscribe: true, ..fixture.links() };
    let prepared = prepare(&Content { text: Some("Hello\n"), html: None }, &links);
    let way_out = fixture.way_out();
    assert_eq!(prepared.text, format!("Hello\n\n--\nDo you not want these messages? Unsubscribe: {way_out}\n"));
    assert_eq!(hrefs(prepared.html.as_ref().unwrap()), [way_out]);
    assert_eq!(prepared.links, Vec::<String>::new());
}

#[test]
fn a_way_out_of_the_writers_own_is_not_doubled() {
    let fixture = Fixture::new();
    let way_out = fixture.way_out();
    let (source, text) = (format!("<p>x</p><a href=\"{way_out}\">leave</a>"), format!("Leave: {way_out}"));
    let links = Links { clicks: true, unsubscribe: true, ..fixture.links() };
    let prepared = prepare(&Content { text: Some(&text), html: Some(&source) }, &links);
    assert_eq!((prepared.html.unwrap(), prepared.text), (source, text));
}

#[test]
fn the_way_out_speaks_the_messages_language() {
    let fixture = Fixture::new();
    let links = Links { unsubscribe: true, language: Some("de-AT"), ..fixture.links() };
    let prepared = html("<p>Hallo</p>", &links);
    assert!(prepared.text.contains("Abmelden: https://") && prepared.html.unwrap().contains(">Abmelden</a>"));
}

proptest! {
    #[test]
    fn every_link_keeps_its_target(source in soup(), opens: bool, clicks: bool, unsubscribe: bool) {
        let fixture = Fixture::new();
        let prepared = html(&source, &Links { opens, clicks, unsubscribe, ..fixture.links() });
        let after = hrefs(prepared.html.as_ref().unwrap());
        let followed: Vec<String> = after.iter().map(|href| follow(&fixture, &prepared, href)).collect();
        let mut expected = hrefs(&source);
        if unsubscribe {
            let shown = followed.iter().position(|href| *href == fixture.way_out()).unwrap();
            expected.insert(shown, fixture.way_out());
        }
        prop_assert_eq!(followed, expected);
    }

    #[test]
    fn the_text_part_always_shows_the_way_out(source in soup()) {
        let fixture = Fixture::new();
        let prepared = html(&source, &Links { unsubscribe: true, ..fixture.links() });
        prop_assert!(prepared.text.contains(&fixture.way_out()));
    }
}

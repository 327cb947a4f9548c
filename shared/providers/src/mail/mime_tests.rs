#![allow(clippy::unwrap_used, clippy::expect_used)]
use axle_domain::mail::{Header, HeaderText, ListUnsubscribe};
use axle_domain::{CommunicationId, EntityId, Time};
use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::super::tests_support::email;
use super::*;

fn parsed<T>(message: &OutgoingEmail, look: impl FnOnce(&mail_parser::Message<'_>) -> T) -> T {
    let raw = compose(message).unwrap();
    look(&MessageParser::default().parse(&raw).unwrap())
}

fn text_of(message: &OutgoingEmail) -> String {
    String::from_utf8(compose(message).unwrap()).unwrap()
}

fn header_names(raw: &str) -> Vec<String> {
    let head = raw.split_once("\r\n\r\n").unwrap().0;
    let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    lines.map(|line| line.split_once(':').unwrap().0.to_owned()).collect()
}

#[test]
fn both_alternatives_with_all_headers() {
    let url = url::Url::parse("https://axle.example/communications/unsubscribe/abc").unwrap();
    let message = OutgoingEmail {
        subject: HeaderText::clean("Grüße aus Zürich — 你好"),
        from: Mailbox::new("anna@sender.example".to_owned().try_into().unwrap(), Some("Anna Müller, \"Sales\"")),
        reply_to: Some(Mailbox::new("replies@sender.example".to_owned().try_into().unwrap(), None)),
        html: Some("<p>Grüße</p>".into()),
        text: Some("Grüße".into()),
        headers: vec![Header::parse("X-Campaign", "spring ☀").unwrap()],
        in_reply_to: Some("<b@sender.example>".parse().unwrap()),
        references: vec!["<a@sender.example>".parse().unwrap()],
        list_unsubscribe: Some(ListUnsubscribe::new(&url, Some((&"u@in.example".to_owned().try_into().unwrap(), "abc")))),
        ..email()
    };
    parsed(&message, |parsed| {
        assert_eq!(parsed.subject(), Some("Grüße aus Zürich — 你好"));
        let from = parsed.from().unwrap().first().unwrap();
        assert_eq!((from.name(), from.address()), (Some("Anna Müller, \"Sales\""), Some("anna@sender.example")));
        assert_eq!(parsed.reply_to().unwrap().first().unwrap().address(), Some("replies@sender.example"));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("bob@example.com"));
        assert_eq!(parsed.message_id(), Some("m1@sender.example"));
        assert_eq!(parsed.in_reply_to().as_text(), Some("b@sender.example"));
        assert_eq!(parsed.references().as_text_list().unwrap(), ["a@sender.example", "b@sender.example"]);
        assert_eq!(parsed.date().unwrap().to_timestamp(), 1_764_000_000);
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Grüße");
        assert_eq!(parsed.body_html(0).unwrap().trim_end(), "<p>Grüße</p>");
        let kind = parsed.content_type().unwrap();
        assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("alternative")));
    });
    let text = text_of(&message);
    assert!(text.is_ascii() && text.lines().all(|line| line.len() < 998));
    assert!(text.contains("X-Campaign: spring =?utf-8?b?4piA?=\r\n"), "{text}");
    let lines =
        "List-Unsubscribe: <https://axle.example/communications/unsubscribe/abc>,\r\n <mailto:u@in.example?subject=abc>\r\n";
    assert!(text.contains(lines) && text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
}

#[test]
fn the_text_part_is_made_from_html_when_there_is_none() {
    let message = OutgoingEmail { text: None, html: Some("<p>Hi <b>you</b></p><p>Bye</p>".into()), ..email() };
    parsed(&message, |parsed| assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), "Hi you\n\nBye"));
}

#[test]
fn text_alone_is_one_part() {
    parsed(&email(), |parsed| {
        assert_eq!((parsed.parts.len(), parsed.content_type().unwrap().subtype()), (1, Some("plain")));
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Hello");
    });
}

#[test]
fn only_what_was_asked_for_is_in_the_header() {
    let names = header_names(&text_of(&email()));
    let expected = ["Message-ID", "Date", "From", "To", "Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"];
    let (mut names, mut expected) = (names, expected.map(str::to_owned).to_vec());
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn lines_of_single_dots_and_long_lines_survive() {
    let body = format!(".\n..\n{}\nend", "x".repeat(3000));
    let message = OutgoingEmail { text: Some(body.clone()), ..email() };
    assert!(text_of(&message).split("\r\n").all(|line| line.len() <= 998));
    parsed(&message, |parsed| assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), body));
}

#[test]
fn long_threads_keep_their_first_message_and_the_latest() {
    let ids: Vec<MessageId> = (0..50).map(|n| format!("<{n}@x.example>").parse().unwrap()).collect();
    let message = OutgoingEmail { references: ids.clone(), in_reply_to: ids.last().cloned(), ..email() };
    let text = references(&message);
    let kept = MessageId::list(&text);
    assert_eq!((kept.len(), &kept[0], &kept[1], kept.last()), (20, &ids[0], &ids[31], ids.last()));
}

proptest! {
    /// Whatever tenants put into names, subjects, bodies and headers of their own: the header has the fields that were asked for and no
    /// other.
    #[test]
    fn no_text_can_add_a_header(
        subject in text(), name in text(), value in text(), body in text(), html in proptest::option::of(text()),
    ) {
        let header = Header::parse("X-Own", &HeaderText::clean(&value).to_string()).unwrap();
        let message = OutgoingEmail {
            subject: HeaderText::clean(&subject),
            from: Mailbox::new("anna@sender.example".to_owned().try_into().unwrap(), Some(&name)),
            text: Some(body),
            html,
            headers: vec![header],
            ..email()
        };
        let raw = compose(&message).unwrap();
        let allowed = [
            "Message-ID", "Date", "From", "To", "Subject", "X-Own", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
        ];
        let text = String::from_utf8(raw).unwrap();
        let mut names = header_names(&text);
        prop_assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{}", text);
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count, "{}", text);
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "bare line ends: {:?}", text);
    }

    #[test]
    fn subjects_arrive_as_they_are(subject in "[ -~äöüß€你好🎉]{0,300}") {
        // A subject that already is an encoded word would be decoded by whoever reads it.
        prop_assume!(!subject.contains("=?"));
        let subject = HeaderText::clean(&subject);
        let message = OutgoingEmail { subject: subject.clone(), ..email() };
        let arrived = parsed(&message, |parsed| parsed.subject().unwrap_or_default().to_owned());
        prop_assert_eq!(arrived, subject.as_str());
    }

    #[test]
    fn ids_and_dates_come_out_as_they_went_in(id in any::<u128>(), secs in 0_i64..4_000_000_000) {
        let id = CommunicationId::from_uuid(format!("{:032x}", id).parse().unwrap());
        let from: Email = "anna@sender.example".to_owned().try_into().unwrap();
        let message = OutgoingEmail {
            message_id: MessageId::of(id, &from), date: Time::from_secs(secs), entity_id: EntityId::from_uuid(id.uuid()), ..email()
        };
        let (arrived, date) =
            parsed(&message, |parsed| (parsed.message_id().unwrap().to_owned(), parsed.date().unwrap().to_timestamp()));
        prop_assert_eq!((arrived, date), (format!("{id}@sender.example"), secs));
    }
}

/// Text with more line ends and header-like words in it than chance would bring.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "\\PC{0,8}",
        "[\r\n\t ]{1,3}",
        Just("\r\nBcc: x@evil.example".to_owned()),
        Just("\nSubject: y".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("\r\n\r\n.\r\n".to_owned())
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

//! The other alternative of a message: text made from HTML, and HTML made from text.

use super::html::{Token, decode, escape, tokens};

/// Elements whose contents nobody reads.
const SKIPPED: &[&str] = &["head", "script", "style", "title", "template", "textarea", "noembed", "noframes", "iframe", "xmp"];
/// Elements that stand apart by a blank line.
const PARAGRAPHS: &[&str] = &["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "table", "pre", "hr"];
/// Elements that begin a line.
const LINES: &[&str] =
    &["div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "address", "center", "body", "caption"];

/// What a reader of the HTML sees, as plain text: paragraphs and list items on lines of their own, links followed by their
/// targets, pictures by their descriptions. Takes any text.
pub fn text_from_html(html: &str) -> String {
    let mut page = Page::default();
    let mut skipping: Option<&str> = None;
    for token in tokens(html) {
        match token {
            Token::Close(tag) if skipping.is_some_and(|name| tag.is(name)) => skipping = None,
            // A head that was never closed ends where the body begins.
            Token::Open(tag) if skipping.is_some_and(|name| name.eq_ignore_ascii_case("head")) && tag.is("body") => {
                skipping = None
            }
            _ if skipping.is_some() => {}
            Token::Text(raw) => page.words(&decode(raw)),
            Token::Open(tag) if tag.is_any(SKIPPED) => skipping = Some(tag.name),
            Token::Open(tag) if tag.is("br") => page.line(),
            Token::Open(tag) if tag.is("a") => {
                page.end_link();
                page.link = tag.attribute("href").map(|href| (href.value().trim().to_owned(), page.out.len()));
            }
            Token::Close(tag) if tag.is("a") => page.end_link(),
            Token::Open(tag) if tag.is("img") => {
                if let Some(alt) = tag.attribute("alt") {
                    page.words(&alt.value());
                }
            }
            Token::Open(tag) | Token::Close(tag) if tag.is_any(PARAGRAPHS) => page.break_to(2),
            Token::Open(tag) if tag.is("li") => {
                page.break_to(1);
                page.words("- ");
            }
            Token::Open(tag) | Token::Close(tag) if tag.is_any(LINES) => page.break_to(1),
            Token::Open(tag) if tag.is_any(&["td", "th"]) => page.space = true,
            Token::Open(_) | Token::Close(_) | Token::Other(_) | Token::Broken(_) => {}
        }
    }
    page.end_link();
    page.out
}

/// Text being laid out: breaks and blanks are owed until a word comes.
#[derive(Default)]
struct Page {
    out: String,
    breaks: usize,
    space: bool,
    /// Target of the link that is open, and where its text begins.
    link: Option<(String, usize)>,
}

impl Page {
    fn words(&mut self, text: &str) {
        // No-break spaces are blanks of layout, and zero-width ones pad previews.
        let blank = |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{ad}' | '\u{34f}' | '\u{feff}');
        for (n, word) in text.split(blank).enumerate() {
            self.space |= n > 0;
            if word.is_empty() {
                continue;
            }
            if self.out.is_empty() {
            } else if self.breaks > 0 {
                (0..self.breaks).for_each(|_| self.out.push('\n'));
            } else if self.space {
                self.out.push(' ');
            }
            (self.breaks, self.space) = (0, false);
            self.out.extend(word.chars().filter(|c| !c.is_control()));
        }
    }

    fn break_to(&mut self, lines: usize) {
        self.breaks = self.breaks.max(lines);
    }

    fn line(&mut self) {
        self.breaks = (self.breaks + 1).min(2);
    }

    fn end_link(&mut self) {
        let Some((target, from)) = self.link.take() else { return };
        let shown = self.out.get(from..).unwrap_or_default().trim();
        let plain = target.strip_prefix("mailto:").or_else(|| target.strip_prefix("tel:")).unwrap_or(&target);
        let is_followed = ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| target.starts_with(scheme));
        let bare = |url: &str| url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned();
        if !is_followed || bare(shown) == bare(plain) {
            return;
        }
        let (note, space) = if shown.is_empty() { (plain.to_owned(), self.space) } else { (format!("({plain})"), true) };
        let after = std::mem::replace(&mut self.space, space);
        self.words(&note);
        self.space = after;
    }
}

/// A page that shows the text as it is, with its links to click on.
pub fn html_from_text(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.trim_matches('\n')).filter(|paragraph| !paragraph.trim().is_empty());
    let body: String = paragraphs.map(|paragraph| format!("<p>{}</p>\n", linked(paragraph).replace('\n', "<br>\n"))).collect();
    format!("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{body}</body></html>\n")
}

/// Escaped text in which URLs are links.
fn linked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(at) = next_url(rest) {
        let url = url_at(&rest[at..]);
        out.push_str(&escape(&rest[..at]));
        let escaped = escape(url);
        out.push_str(&format!("<a href=\"{escaped}\">{escaped}</a>"));
        rest = &rest[at + url.len()..];
    }
    out.push_str(&escape(rest));
    out
}

/// Where the next URL begins; one inside a word is none.
fn next_url(text: &str) -> Option<usize> {
    let starts = text.match_indices("http").map(|(at, _)| at);
    let mut starts = starts.filter(|at| !text[..*at].ends_with(|c: char| c.is_alphanumeric()));
    starts.find(|at| {
        let rest = &text[*at..];
        let host = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://"));
        host.is_some_and(|host| host.starts_with(|c: char| c.is_alphanumeric() || c == '['))
    })
}

/// The URL that `text` begins with, without the punctuation of the sentence that it stands in.
fn url_at(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"')).unwrap_or(text.len());
    let mut url = &text[..end];
    loop {
        let unbalanced = url.ends_with(')') && url.matches(')').count() > url.matches('(').count();
        if unbalanced || url.ends_with(['.', ',', ';', ':', '!', '?', '\'', ']', '*', '_']) {
            url = &url[..url.len() - 1];
        } else {
            return url;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::super::html::tests::soup;
    use super::*;

    #[rstest]
    #[case::paragraphs("<p>One</p><p>Two<br>lines</p>", "One\n\nTwo\nlines")]
    #[case::collapsed("<p>  a \n\t b&nbsp;&nbsp;c </p>", "a b c")]
    #[case::inline("<b>Bold</b>, <i>it</i>alic", "Bold, italic")]
    #[case::link(r#"See <a href="https://x.example/a?b=1&amp;c=2">our page</a>."#, "See our page (https://x.example/a?b=1&c=2).")]
    #[case::link_that_shows_itself(r#"<a href="https://x.example/">x.example</a>"#, "x.example")]
    #[case::mail(
        r#"<a href="mailto:a@x.example">Write</a> or <a href="mailto:a@x.example">a@x.example</a>"#,
        "Write (a@x.example) or a@x.example"
    )]
    #[case::picture_link(r#"<a href="https://x.example"><img src="b.png"></a>"#, "https://x.example")]
    #[case::picture(r#"<img src="b.png" alt="Our team">"#, "Our team")]
    #[case::script_target(r##"<a href="javascript:x()">a</a> <a href="#b">b</a>"##, "a b")]
    #[case::list("<ul><li>one</li><li>two</li></ul>end", "- one\n- two\n\nend")]
    #[case::table("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc")]
    #[case::head("<html><head><title>T</title><style>p{}</style></head><body>x</body></html>", "x")]
    #[case::unclosed_head("<head><meta charset=utf-8><body>x", "x")]
    #[case::comments("a<!-- b -->c<script>d</script>e", "ace")]
    #[case::no_markup("1 < 2 & 3 > 2", "1 < 2 & 3 > 2")]
    #[case::preheader_padding("Hi &zwnj;&nbsp;&zwnj;&nbsp;<p>you</p>", "Hi\n\nyou")]
    #[case::empty("", "")]
    fn texts(#[case] html: &str, #[case] expected: &str) {
        assert_eq!(text_from_html(html), expected);
    }

    #[rstest]
    #[case("a <b> & c", "<p>a &lt;b&gt; &amp; c</p>")]
    #[case("one\ntwo\r\n\r\n\r\nthree", "<p>one<br>\ntwo</p>\n<p>three</p>")]
    #[case(
        "See https://x.example/a?b=1&c=2.",
        r#"<p>See <a href="https://x.example/a?b=1&amp;c=2">https://x.example/a?b=1&amp;c=2</a>.</p>"#
    )]
    #[case("(http://x.example/a_(b))", r#"<p>(<a href="http://x.example/a_(b)">http://x.example/a_(b)</a>)</p>"#)]
    #[case("xhttps://a https:// http", "<p>xhttps://a https:// http</p>")]
    #[case(
        r#"https://x.example/"onclick="y"#,
        r#"<p><a href="https://x.example/">https://x.example/</a>&quot;onclick=&quot;y</p>"#
    )]
    fn pages(#[case] text: &str, #[case] expected: &str) {
        let page = html_from_text(text);
        let body = page.split_once("<body>\n").unwrap().1.split_once("\n</body>").unwrap().0;
        assert_eq!(body, expected);
    }

    proptest! {
        #[test]
        fn text_from_anything(html in soup()) {
            let text = text_from_html(&html);
            prop_assert!(!text.contains("\n\n\n") && !text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", text);
            prop_assert_eq!(text.trim(), &text);
        }

        #[test]
        fn words_survive_the_way_through_html(words in proptest::collection::vec("[a-zA-Z0-9äöü€&<>\"']{1,9}", 1..20)) {
            let text = words.join(" ");
            prop_assert_eq!(text_from_html(&html_from_text(&text)), text);
        }
    }
}

//! Just enough of HTML's tokenizer (WHATWG, section 13.2.5) to find tags and texts in e-mail markup without changing a byte of the
//! rest. No tree is built: e-mail markup is rarely well-formed, and what is not understood has to go out as it came.

use std::borrow::Cow;
use std::ops::Range;

/// A piece of markup. The raw texts of all tokens, one after the other, are the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text with its entities undecoded.
    Text(&'a str),
    Open(Tag<'a>),
    Close(Tag<'a>),
    /// Comments, declarations, the contents of scripts and styles.
    Other(&'a str),
    /// One of these, or a tag, that never ends: the last token.
    Broken(&'a str),
}

impl<'a> Token<'a> {
    pub(super) fn raw(&self) -> &'a str {
        match self {
            Self::Text(raw) | Self::Other(raw) | Self::Broken(raw) => raw,
            Self::Open(tag) | Self::Close(tag) => tag.raw,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// From `<` to `>`.
    pub(super) raw: &'a str,
    pub(super) name: &'a str,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    name: &'a str,
    /// Undecoded.
    value: &'a str,
    /// Where the value with its quotes stands within the tag's raw text.
    pub(super) span: Range<usize>,
}

impl Attribute<'_> {
    pub(super) fn value(&self) -> Cow<'_, str> {
        decode(self.value)
    }
}

impl<'a> Tag<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub(super) fn is_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name))
    }

    /// The first attribute of this name, which is the one that counts.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// The tokens of `html`.
pub(super) fn tokens(html: &str) -> Tokens<'_> {
    Tokens { rest: html, raw_until: None }
}

pub(super) struct Tokens<'a> {
    rest: &'a str,
    /// The element whose contents are no markup.
    raw_until: Option<&'a str>,
}

/// Elements whose contents are text to the very end tag.
pub(super) const RAW: &[&str] = &["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"];

impl<'a> Tokens<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn broken(&mut self) -> Token<'a> {
        Token::Broken(self.take(self.rest.len()))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(name) = self.raw_until.take() {
            match raw_length(self.rest, name) {
                Some(0) => {}
                Some(length) => return Some(Token::Other(self.take(length))),
                None => return Some(self.broken()),
            }
        }
        if !begins_markup(self.rest) {
            let mut marks = self.rest.match_indices('<').map(|(at, _)| at);
            let length = marks.find(|at| begins_markup(&self.rest[*at..])).unwrap_or(self.rest.len());
            return Some(Token::Text(self.take(length)));
        }
        let after = &self.rest[1..];
        if after.starts_with(['!', '?']) || after.starts_with('/') && !starts_name(&after[1..]) {
            return Some(match comment_length(self.rest) {
                Some(length) => Token::Other(self.take(length)),
                None => self.broken(),
            });
        }
        let Some((length, closes, name, attributes)) = tag(self.rest) else {
            return Some(self.broken());
        };
        let tag = Tag { raw: self.take(length), name, attributes };
        if closes {
            return Some(Token::Close(tag));
        }
        if tag.is_any(RAW) {
            self.raw_until = Some(name);
        }
        Some(Token::Open(tag))
    }
}

fn starts_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn begins_markup(text: &str) -> bool {
    text.strip_prefix('<').is_some_and(|rest| rest.starts_with(['!', '?', '/']) || starts_name(rest))
}

/// Bytes until the end tag of `name`.
fn raw_length(text: &str, name: &str) -> Option<usize> {
    let ends = |at: usize| {
        let rest = &text.as_bytes()[at + 2..];
        rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
            && rest.get(name.len()).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
    };
    text.match_indices("</").map(|(at, _)| at).find(|at| ends(*at))
}

/// Bytes of the comment or declaration that `text` begins with.
fn comment_length(text: &str) -> Option<usize> {
    let end = |from: usize, mark: &str| text.get(from..).and_then(|rest| rest.find(mark)).map(|at| from + at + mark.len());
    if text.starts_with("<!--") {
        // `<!-->` and `<!--->` are whole comments.
        return end(2, "-->");
    }
    end(1, ">")
}

type Parts<'a> = (usize, bool, &'a str, Vec<Attribute<'a>>);

/// The tag that `text` begins with: its length, whether it closes, its name and attributes. None when it never ends.
fn tag(text: &str) -> Option<Parts<'_>> {
    let bytes = text.as_bytes();
    let closes = bytes.get(1) == Some(&b'/');
    let run = |from: usize, stop: &dyn Fn(u8) -> bool| bytes[from..].iter().position(|b| stop(*b)).map(|length| from + length);
    let start = if closes { 2 } else { 1 };
    let mut at = run(start, &|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>'))?;
    let name = &text[start..at];
    let mut attributes = Vec::new();
    loop {
        at = run(at, &|b| !b.is_ascii_whitespace() && b != b'/')?;
        if bytes[at] == b'>' {
            return Some((at + 1, closes, name, attributes));
        }
        // A name may begin with `=`, strange as that is.
        let end = run(at + 1, &|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='))?;
        let attribute = &text[at..end];
        at = run(end, &|b| !b.is_ascii_whitespace())?;
        if bytes[at] != b'=' {
            attributes.push(Attribute { name: attribute, value: "", span: end..end });
            continue;
        }
        at = run(at + 1, &|b| !b.is_ascii_whitespace())?;
        let (value, span) = match bytes[at] {
            b'>' => (at..at, at..at),
            quote @ (b'"' | b'\'') => {
                let end = run(at + 1, &|b| b == quote)?;
                (at + 1..end, at..end + 1)
            }
            _ => {
                let end = run(at, &|b| b.is_ascii_whitespace() || b == b'>')?;
                (at..end, at..end)
            }
        };
        at = span.end;
        attributes.push(Attribute { name: attribute, value: &text[value], span });
    }
}

/// The entities that e-mail markup uses; all others stay as they are written.
const ENTITIES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("shy", '\u{ad}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("sect", '§'),
    ("deg", '°'),
    ("middot", '·'),
    ("bull", '•'),
    ("hellip", '…'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("times", '×'),
    ("rarr", '→'),
    ("larr", '←'),
    ("check", '✓'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("Auml", 'Ä'),
    ("aring", 'å'),
    ("Aring", 'Å'),
    ("aelig", 'æ'),
    ("AElig", 'Æ'),
    ("ccedil", 'ç'),
    ("Ccedil", 'Ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("Eacute", 'É'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("Ntilde", 'Ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("Ouml", 'Ö'),
    ("oslash", 'ø'),
    ("Oslash", 'Ø'),
    ("szlig", 'ß'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("Uuml", 'Ü'),
];

/// Longest entity that is looked at, in bytes between `&` and `;`.
const MAX_ENTITY: usize = 10;

/// Text with its entities decoded.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.bytes().take(MAX_ENTITY + 2).position(|b| b == b';').map(|end| &rest[1..end]);
        match name.and_then(|name| Some((name, entity(name)?))) {
            Some((name, c)) => {
                out.push(c);
                rest = &rest[name.len() + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    code.ok().filter(|code| *code != 0).and_then(char::from_u32)
}

/// Text as it stands in markup or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn href(html: &str) -> Option<String> {
        let tag = tokens(html).find_map(|token| if let Token::Open(tag) = token { Some(tag) } else { None })?;
        tag.attribute("href").map(|attribute| attribute.value().into_owned())
    }

    #[rstest]
    #[case(r#"<a href="x">"#, Some("x"))]
    #[case("<A HREF='x y'>", Some("x y"))]
    #[case("<a href=x/y>", Some("x/y"))]
    #[case("<a\n class=b\n href = \"x\" >", Some("x"))]
    #[case(r#"<a title="a > b" href="x">"#, Some("x"))]
    #[case(r#"<a data-href="y" href="x">"#, Some("x"))]
    #[case(r#"<a href="x" href="y">"#, Some("x"))]
    #[case(r#"<a/href="x"/>"#, Some("x"))]
    #[case(r#"<a href="?a=1&amp;b=2&#38;c=&#x33;">"#, Some("?a=1&b=2&c=3"))]
    #[case("<a href>", Some(""))]
    #[case("<a href=>", Some(""))]
    #[case("<a name=x>", None)]
    #[case(r#"<!-- <a href="x"> --> text"#, None)]
    #[case(r#"<a href="x"#, None)]
    #[case("1 < 2 and 3 <4", None)]
    fn attributes(#[case] html: &str, #[case] expected: Option<&str>) {
        assert_eq!(href(html).as_deref(), expected, "{html}");
    }

    #[test]
    fn scripts_and_styles_are_no_markup() {
        let html = r#"<STYLE>a > b { } <a href="n"></style ><script>"</a>" + '<a href="n">'</script><a href="y">"#;
        let hrefs: Vec<_> = tokens(html)
            .filter_map(
                |token| if let Token::Open(tag) = token { Some(tag.attribute("href")?.value().into_owned()) } else { None },
            )
            .collect();
        assert_eq!(hrefs, ["y"]);
    }

    #[rstest]
    #[case("a &amp; b", "a & b")]
    #[case("&lt;b&gt;", "<b>")]
    #[case("&#8364; &#x20AC; &euro;", "€ € €")]
    #[case("&unknown; &amp &; &#0; &#xD800; AT&T;", "&unknown; &amp &; &#0; &#xD800; AT&T;")]
    #[case("&amp;lt;", "&lt;")]
    #[case("&ä", "&ä")]
    fn entities(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(decode(text), expected);
    }

    /// Texts that look like markup more often than random ones do.
    pub(in crate::mail) fn soup() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[<>&\"'=/ !?;a-z#\n-]{1,6}",
            "\\PC{0,6}",
            Just("<a href=\"http://x.example/?a=1&amp;b=2\">".to_owned()),
            Just("<a href='https://y.example/'".to_owned()),
            Just("</a>".to_owned()),
            Just("<!--".to_owned()),
            Just("-->".to_owned()),
            Just("<style>".to_owned()),
            Just("</style>".to_owned()),
            Just("<p>".to_owned()),
            Just("<br/>".to_owned()),
            Just("</body></html>".to_owned()),
            Just("<table><tr><td>".to_owned()),
        ];
        proptest::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn tokens_are_the_input(html in soup()) {
            prop_assert!(tokens(&html).filter(|token| matches!(token, Token::Broken(_))).count() < 2);
            prop_assert_eq!(tokens(&html).map(|token| token.raw()).collect::<String>(), html);
        }

        #[test]
        fn escaping_is_undone_by_decoding(text in "\\PC*") {
            let escaped = escape(&text);
            prop_assert_eq!(decode(&escaped), &text[..]);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }
    }
}

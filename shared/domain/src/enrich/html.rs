//! What of a page's markup is looked at.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::fact::one_line;

/// Links, scripts and texts of a page that are looked at; a page with more is cut there.
const EACH_MAX: usize = 2_000;
/// Characters of text that are looked at.
const TEXT_MAX: usize = 100_000;
/// A JSON-LD block beyond this is not looked at.
const JSON_LD_MAX: usize = 200_000;

/// A link with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub href: String,
    pub text: String,
    /// `rel`, lower-cased.
    pub rel: String,
}

/// A page taken apart. Everything is in document order, entities decoded.
#[derive(Clone, Debug, Default)]
pub struct Markup {
    pub title: Option<String>,
    pub language: Option<String>,
    /// Contents of `<meta>` by name, property or http-equiv, lower-cased; the first of each.
    pub metas: BTreeMap<String, String>,
    /// `<a>` and `<area>`.
    pub links: Vec<Link>,
    /// `<link>`.
    pub resources: Vec<Link>,
    /// `src` of scripts, frames and images.
    pub sources: Vec<String>,
    /// Inline scripts, cut.
    pub inline: String,
    /// Blocks of JSON-LD, as text.
    pub json_ld: Vec<String>,
    /// Blocks of visible text: paragraphs, headings, list entries.
    pub blocks: Vec<String>,
    pub base: Option<String>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Elements that a line of text does not go beyond.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "br",
    "tr",
    "td",
    "th",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "table",
    "dt",
    "dd",
    "figure",
    "blockquote",
    "body",
    "time",
    "option",
    "button",
    "form",
    "aside",
];

#[derive(Default)]
struct Reading {
    markup: Markup,
    block: String,
    seen: usize,
    /// The element whose raw text comes next, and the type of a script.
    raw: Option<(String, String)>,
    /// The link whose text is being read.
    open_link: Option<usize>,
}

/// Takes a page apart. Never fails: what is broken is read as browsers would.
pub fn read_markup(html: &str) -> Markup {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut reading = Reading::default();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(&value.value)));
                reading.open(&text(&tag.name), &attributes.collect());
            }
            Token::EndTag(tag) => reading.close(&text(&tag.name)),
            Token::String(string) => reading.string(&text(&string.value)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    reading.end_block();
    reading.markup
}

impl Reading {
    fn open(&mut self, name: &str, attributes: &BTreeMap<String, String>) {
        let get = |wanted: &str| attributes.get(wanted).map(|value| value.trim()).filter(|value| !value.is_empty());
        if BLOCKS.contains(&name) {
            self.end_block();
        }
        let link = || {
            let rel = get("rel").unwrap_or_default().to_ascii_lowercase();
            get("href").map(|href| Link { href: href.to_owned(), text: String::new(), rel })
        };
        let markup = &mut self.markup;
        match name {
            "html" => markup.language = get("lang").map(str::to_owned),
            "base" => markup.base = markup.base.take().or_else(|| get("href").map(str::to_owned)),
            "meta" => {
                let names = ["name", "property", "itemprop", "http-equiv"];
                if let (Some(name), Some(content)) = (names.into_iter().find_map(get), get("content")) {
                    markup.metas.entry(name.to_ascii_lowercase()).or_insert_with(|| one_line(content));
                }
            }
            "a" | "area" => {
                if let Some(link) = link().filter(|_| markup.links.len() < EACH_MAX) {
                    markup.links.push(link);
                    self.open_link = Some(markup.links.len() - 1);
                }
            }
            "link" => markup.resources.extend(link().filter(|_| markup.resources.len() < EACH_MAX)),
            "script" | "style" | "noscript" | "template" | "title" | "textarea" => {
                self.raw = Some((name.to_owned(), get("type").unwrap_or_default().to_ascii_lowercase()));
            }
            _ => {}
        }
        if matches!(name, "script" | "iframe" | "img" | "embed" | "source")
            && let Some(source) = get("src").or_else(|| get("data-src"))
            && self.markup.sources.len() < EACH_MAX
        {
            self.markup.sources.push(source.to_owned());
        }
    }

    fn close(&mut self, name: &str) {
        if name == "a" {
            self.open_link = None;
        }
        if self.raw.as_ref().is_some_and(|(raw, _)| raw == name) {
            self.raw = None;
        }
        if BLOCKS.contains(&name) {
            self.end_block();
        }
    }

    fn string(&mut self, string: &str) {
        let markup = &mut self.markup;
        match &self.raw {
            Some((raw, _)) if raw == "title" => {
                let title = one_line(string);
                if markup.title.is_none() && !title.is_empty() {
                    markup.title = Some(title);
                }
            }
            Some((raw, kind)) if raw == "script" && kind.contains("ld+json") => {
                if string.len() <= JSON_LD_MAX && markup.json_ld.len() < 50 {
                    markup.json_ld.push(string.to_owned());
                }
            }
            Some((raw, _)) if raw == "script" => {
                let room = TEXT_MAX.saturating_sub(markup.inline.len());
                markup.inline.push_str(&string[..string.floor_char_boundary(room)]);
                markup.inline.push('\n');
            }
            Some(_) => {}
            None => {
                let room = TEXT_MAX.saturating_sub(self.seen);
                let part = &string[..string.floor_char_boundary(room)];
                self.seen += part.len();
                self.block.push_str(part);
                if let Some(link) = self.open_link.and_then(|at| markup.links.get_mut(at))
                    && link.text.len() < 300
                {
                    link.text.push_str(part);
                }
            }
        }
    }

    fn end_block(&mut self) {
        let block = one_line(&std::mem::take(&mut self.block));
        if !block.is_empty() && self.markup.blocks.len() < EACH_MAX {
            self.markup.blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_markup_is_read_as_browsers_do() {
        let page = read_markup(
            "<TITLE>A &amp; B</title><META NAME=Description CONTENT='x < y'><a href=/jobs>Open <b>roles</b></a>\
             <script>var a = '<p>not text</p>';</script><script src=//cdn.example/x.js></script>\
             <script type=\"application/ld+json\">{\"@type\":\"X\"}</script><p>one<p>two<!-- <p>three</p> --><div>four",
        );
        assert_eq!(page.title.as_deref(), Some("A & B"));
        assert_eq!(page.metas["description"], "x < y");
        assert_eq!((page.links[0].href.as_str(), page.links[0].text.as_str()), ("/jobs", "Open roles"));
        assert_eq!(page.sources, ["//cdn.example/x.js"]);
        assert_eq!(page.json_ld, [r#"{"@type":"X"}"#]);
        assert_eq!(page.blocks, ["Open roles", "one", "two", "four"]);
        assert!(page.inline.contains("not text"));
    }

    proptest! {
        #[test]
        fn never_panics(html in "(<[a-z!/]{0,6}|[a-z =\"'&;<>-]{0,8}|\\PC{0,4}){0,40}") {
            let _ = read_markup(&html);
        }
    }
}

//! A message's two parts made ready to go: links counted, openings seen, the way out shown.

use crate::{CommunicationId, EntityId};

use super::html::{RAW, Tag, Token, escape, tokens};
use super::text::{html_from_text, text_from_html};
use super::ticket::{LinkKey, Purpose, Ticket};

/// Most links of a message that are counted; those after them go out as they are.
pub const MAX_LINKS: usize = 500;

/// A message as written: at least one of its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    pub text: Option<&'a str>,
    pub html: Option<&'a str>,
}

/// What is to be put into a message.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a> {
    pub key: &'a LinkKey,
    /// The deployment's public base URL.
    pub base_url: &'a str,
    pub entity: EntityId,
    pub message: CommunicationId,
    pub opens: bool,
    pub clicks: bool,
    /// Shows a link to unsubscribe; every marketing message does.
    pub unsubscribe: bool,
    /// Language of the line with that link (BCP 47; English where there is none in it).
    pub language: Option<&'a str>,
}

/// A message as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub text: String,
    pub html: Option<String>,
    /// The targets of the counted links; a click's ticket holds the number of its own here. To be kept with the message: a click
    /// leads to nothing else.
    pub links: Vec<String>,
}

/// Makes a message ready.
///
/// A missing part is made from the other, HTML only if it is needed to see openings or clicks. Links in the text part are left
/// alone: there a reader sees the address itself.
pub fn prepare(content: &Content<'_>, links: &Links<'_>) -> Prepared {
    let made = || (links.opens || links.clicks).then(|| content.text.map(html_from_text)).flatten();
    let html = content.html.map(str::to_owned).or_else(made);
    let text = content.text.map_or_else(|| content.html.map(text_from_html).unwrap_or_default(), str::to_owned);
    let way_out = links.unsubscribe.then(|| links.key.unsubscribe_url(links.base_url, links.entity, links.message));
    let mut targets = Vec::new();
    let html = html.map(|html| {
        let counted = if links.clicks { count_clicks(&html, links, way_out.as_deref(), &mut targets) } else { html };
        with_tail(&counted, &tail(&counted, links, way_out.as_deref()))
    });
    Prepared { text: with_line(text, links, way_out.as_deref()), html, links: targets }
}

/// Leads each http link through us, and notes where it led.
fn count_clicks(html: &str, links: &Links<'_>, way_out: Option<&str>, targets: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(html.len() * 2);
    for token in tokens(html) {
        let raw = token.raw();
        let Token::Open(tag) = &token else {
            out.push_str(raw);
            continue;
        };
        let Some((target, span)) = followed(tag) else {
            out.push_str(raw);
            continue;
        };
        // Who wants out must get out, also when counting fails.
        let number = if way_out == Some(target.as_str()) { None } else { number(target, targets) };
        match number {
            None => out.push_str(raw),
            Some(number) => {
                let ticket = Ticket::new(Purpose::Click(number), links.entity, links.message);
                out.push_str(&raw[..span.start]);
                out.push_str(&format!("\"{}\"", escape(&links.key.url(links.base_url, &ticket))));
                out.push_str(&raw[span.end..]);
            }
        }
    }
    out
}

/// The target of a tag that links to a web page, and where it stands.
fn followed(tag: &Tag<'_>) -> Option<(String, std::ops::Range<usize>)> {
    let href = tag.is_any(&["a", "area"]).then(|| tag.attribute("href")).flatten()?;
    let target = href.value().trim().to_owned();
    let url = url::Url::parse(&target).ok()?;
    // `HTTP:/x` and the like are mended by browsers in ways of their own; only what is plainly absolute is counted.
    let plain = target.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("http://"))
        || target.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
    (plain && url.has_host() && !target.chars().any(char::is_control)).then(|| (target, href.span.clone()))
}

/// The number of a target: that which it already has, or the next.
fn number(target: String, targets: &mut Vec<String>) -> Option<u16> {
    let known = targets.iter().position(|known| *known == target);
    let number = known.or_else(|| {
        (targets.len() < MAX_LINKS).then(|| {
            targets.push(target);
            targets.len() - 1
        })
    });
    number.and_then(|number| u16::try_from(number).ok())
}

/// What is put at the end of the body.
fn tail(html: &str, links: &Links<'_>, way_out: Option<&str>) -> String {
    let mut tail = String::new();
    if let Some(url) = way_out.filter(|url| !shows(html, url)) {
        let Footer { question, answer } = footer(links.language);
        let url = escape(url);
        tail.push_str(&format!(
            "<p style=\"margin:24px 0 0;font-size:12px;line-height:18px;color:#666666\">{question} <a href=\"{url}\" \
             style=\"color:#666666\">{answer}</a></p>\n"
        ));
    }
    if links.opens {
        let url = links.key.url(links.base_url, &Ticket::new(Purpose::Open, links.entity, links.message));
        let url = escape(&url);
        tail.push_str(&format!("<img src=\"{url}\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">\n"));
    }
    tail
}

/// Whether a link in `html` already leads to `url`.
fn shows(html: &str, url: &str) -> bool {
    tokens(html).any(|token| matches!(token, Token::Open(tag) if tag.is("a") && tag.attribute("href").is_some_and(|href| href.value().trim() == url)))
}

/// Puts `tail` at the end of the body: before the last tag that closes it or, failing that, the page.
fn with_tail(html: &str, tail: &str) -> String {
    let mut at = 0;
    let (mut body, mut page, mut open, mut broken) = (None, None, None, None);
    for token in tokens(html) {
        match &token {
            Token::Close(tag) if tag.is("body") => body = Some(at),
            Token::Close(tag) if tag.is("html") => page = Some(at),
            Token::Open(tag) if tag.is_any(RAW) => open = Some(at),
            Token::Close(tag) if tag.is_any(RAW) => open = None,
            Token::Broken(_) => broken = Some(open.unwrap_or(at)),
            _ => {}
        }
        at += token.raw().len();
    }
    // Behind markup that never ends nothing would be seen; it is rather put in front of that.
    let broken = broken.or(open);
    let (before, after) = html.split_at(body.or(page).or(broken).unwrap_or(html.len()));
    [before, tail, after].concat()
}

/// The text with a last line that shows the way out.
fn with_line(text: String, links: &Links<'_>, way_out: Option<&str>) -> String {
    match way_out {
        Some(url) if !text.contains(url) => {
            let Footer { question, answer } = footer(links.language);
            format!("{}\n\n--\n{question} {answer}: {url}\n", text.trim_end())
        }
        _ => text,
    }
}

struct Footer {
    question: &'static str,
    answer: &'static str,
}

/// The line by which a recipient gets out, by the first part of the language tag.
fn footer(language: Option<&str>) -> Footer {
    let tag = language.unwrap_or_default().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let (question, answer) = match tag.as_str() {
        "de" => ("Keine weiteren Nachrichten gewünscht?", "Abmelden"),
        "fr" => ("Vous ne souhaitez plus recevoir ces messages ?", "Se désabonner"),
        "es" => ("¿No desea recibir más mensajes?", "Cancelar la suscripción"),
        "it" => ("Non desidera più ricevere questi messaggi?", "Annulla l'iscrizione"),
        "pt" => ("Não deseja receber mais mensagens?", "Cancelar a subscrição"),
        "nl" => ("Wilt u deze berichten niet meer ontvangen?", "Afmelden"),
        "sv" => ("Vill du inte få fler meddelanden?", "Avregistrera dig"),
        "da" => ("Ønsker du ikke flere beskeder?", "Afmeld"),
        "nb" | "no" => ("Ønsker du ikke flere meldinger?", "Meld deg av"),
        "fi" => ("Etkö halua enää viestejä?", "Peruuta tilaus"),
        "pl" => ("Nie chcesz otrzymywać kolejnych wiadomości?", "Wypisz się"),
        "cs" => ("Nechcete dostávat další zprávy?", "Odhlásit se"),
        "tr" => ("Bu mesajları almak istemiyor musunuz?", "Aboneliği iptal et"),
        "ja" => ("今後の配信を希望されませんか?", "配信停止"),
        _ => ("Do you not want these messages?", "Unsubscribe"),
    };
    Footer { question, answer }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;

//! What a page says of the company whose it is.

use serde_json::Value;
use url::Url;

use super::fact::{cut, one_line};
use super::html::{Link, Markup};
use super::{Fact, Field, Posting};
use crate::Time;

/// Postings that are kept of one company.
pub const POSTINGS_MAX: usize = 50;

/// What structured data says for sure, what meta elements say about, what is guessed from texts.
const STATED: u8 = 95;
const TOLD: u8 = 80;
const GUESSED: u8 = 50;

/// Schema.org types that stand for the company itself.
fn is_company(kind: &str) -> bool {
    kind.ends_with("Organization")
        || kind.ends_with("Business")
        || matches!(kind, "Corporation" | "Store" | "OnlineStore" | "Brand")
}

/// Calls `visit` with every object in a JSON-LD block, and the types that it has.
fn each_object(value: &Value, depth: usize, visit: &mut impl FnMut(&Value, &[&str])) {
    if depth > 12 {
        return;
    }
    match value {
        Value::Array(entries) => entries.iter().take(500).for_each(|entry| each_object(entry, depth + 1, visit)),
        Value::Object(fields) => {
            let kinds: Vec<&str> = match fields.get("@type") {
                Some(Value::String(kind)) => vec![kind],
                Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let kinds: Vec<&str> = kinds.into_iter().map(|kind| kind.rsplit(['/', ':']).next().unwrap_or(kind)).collect();
            visit(value, &kinds);
            fields.values().for_each(|field| each_object(field, depth + 1, visit));
        }
        _ => {}
    }
}

fn blocks(markup: &Markup) -> Vec<Value> {
    let read = |text: &String| {
        let text = text.trim().trim_start_matches("<!--").trim_end_matches("-->").trim();
        let text = text.strip_prefix("//<![CDATA[").map_or(text, |rest| rest.trim_end_matches("//]]>")).trim();
        serde_json::from_str(text).ok()
    };
    markup.json_ld.iter().filter_map(read).collect()
}

/// The text of a value that may be one, a list of them, or an object with a name.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(entries) => entries.iter().find_map(words),
        Value::Object(fields) => ["name", "@value", "url", "@id"].into_iter().find_map(|name| words(fields.get(name)?)),
        _ => None,
    }
}

/// `51-200` out of a number, a text, or a QuantitativeValue.
fn headcount(value: &Value) -> Option<String> {
    let bound = |name: &str| words(value.get(name)?);
    match (bound("minValue"), bound("maxValue"), bound("value")) {
        (Some(min), Some(max), _) => Some(format!("{min}-{max}")),
        (Some(min), None, _) => Some(format!("{min}+")),
        (_, _, Some(value)) => Some(value),
        _ => words(value).filter(|text| text.chars().any(|c| c.is_ascii_digit())),
    }
}

/// `Berlin, DE` out of a PostalAddress or Place.
fn place(value: &Value) -> Option<String> {
    let value = if let Value::Array(entries) = value { entries.first()? } else { value };
    if let Some(inner) = value.get("address") {
        return place(inner);
    }
    let parts = ["addressLocality", "addressRegion", "addressCountry"].into_iter().filter_map(|name| words(value.get(name)?));
    let parts: Vec<String> = parts.filter(|part| !part.trim().is_empty()).collect();
    if parts.is_empty() { value.as_str().map(str::to_owned) } else { Some(parts.join(", ")) }
}

/// The company in structured data, meta elements and links. `url` is the page's own.
pub fn company_facts(markup: &Markup, url: &Url) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |field, value: Option<String>, confidence| {
        facts.extend(value.and_then(|value| Fact::new(field, &value, Some(url.as_str()), confidence)));
    };
    for block in blocks(markup) {
        each_object(&block, 0, &mut |object, kinds| {
            if !kinds.iter().any(|kind| is_company(kind)) {
                return;
            }
            let get = |name: &str| object.get(name);
            add(Field::CompanyName, get("name").and_then(words), STATED);
            add(Field::CompanyDescription, get("description").or_else(|| get("slogan")).and_then(words), STATED);
            add(Field::CompanySize, get("numberOfEmployees").and_then(headcount), STATED);
            add(Field::CompanyFounded, get("foundingDate").and_then(words), STATED);
            add(Field::CompanyIndustry, get("industry").or_else(|| get("naics")).and_then(words), STATED);
            add(Field::CompanyLocation, get("address").or_else(|| get("location")).and_then(place), STATED);
            add(Field::CompanyPhone, get("telephone").and_then(words), STATED);
            add(Field::CompanyEmail, get("email").and_then(words).map(|text| text.replace("mailto:", "")), STATED);
            add(Field::CompanyLogo, get("logo").and_then(|logo| logo.get("url").map_or_else(|| words(logo), words)), STATED);
            if let Some(same) = get("sameAs") {
                let list = same.as_array().map_or_else(|| vec![same], |all| all.iter().collect());
                list.into_iter().filter_map(Value::as_str).for_each(|link| {
                    if let Some(field) = profile_link(link) {
                        add(field, Some(link.to_owned()), STATED);
                    }
                });
            }
        });
    }
    let meta = |name: &str| markup.metas.get(name).cloned();
    add(Field::CompanyName, meta("og:site_name").or_else(|| meta("application-name")), TOLD);
    add(Field::CompanyDescription, meta("og:description").or_else(|| meta("description")), TOLD);
    add(Field::CompanyLogo, meta("og:logo").and_then(|logo| url.join(&logo).ok()).map(String::from), TOLD);
    if url.path() == "/" {
        add(Field::CompanyName, markup.title.as_deref().and_then(name_in_title), GUESSED);
    }
    for link in &markup.links {
        if let Some(field) = profile_link(&link.href) {
            add(field, Some(link.href.clone()), TOLD);
        } else if let Some(address) = strip_scheme(&link.href, "mailto:") {
            let own = address.rsplit_once('@').is_some_and(|(_, domain)| same_site(domain, url.host_str().unwrap_or_default()));
            add(Field::CompanyEmail, own.then(|| address.to_owned()), GUESSED);
        } else if let Some(number) = strip_scheme(&link.href, "tel:") {
            add(Field::CompanyPhone, Some(number.to_owned()), GUESSED);
        }
    }
    facts
}

fn strip_scheme<'a>(href: &'a str, scheme: &str) -> Option<&'a str> {
    let head = href.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| href[scheme.len()..].split('?').next().unwrap_or_default())
}

/// Links to the company's own place elsewhere; not to articles, sharing forms or people.
fn profile_link(href: &str) -> Option<Field> {
    let url = Url::parse(href).ok()?;
    let host = url.host_str()?.trim_start_matches("www.");
    let first = url.path_segments()?.next().unwrap_or_default().to_owned();
    match host {
        _ if first.is_empty() => None,
        h if h == "linkedin.com" || h.ends_with(".linkedin.com") => {
            matches!(first.as_str(), "company" | "school" | "showcase").then_some(Field::CompanyLinkedin)
        }
        "twitter.com" | "x.com" => {
            (!matches!(first.as_str(), "intent" | "share" | "home" | "hashtag")).then_some(Field::CompanyTwitter)
        }
        "github.com" => (url.path_segments()?.filter(|s| !s.is_empty()).count() == 1).then_some(Field::CompanyGithub),
        _ => None,
    }
}

/// `Acme` out of `Acme | Anvils for everyone`: the shortest part, if there are parts.
fn name_in_title(title: &str) -> Option<String> {
    let parts: Vec<&str> = [" | ", " – ", " — ", " - ", " · ", ": "]
        .iter()
        .fold(vec![title], |parts, mark| parts.into_iter().flat_map(|part| part.split(mark)).collect());
    let generic = |part: &&str| !["home", "welcome", "homepage", "start", ""].contains(&part.trim().to_lowercase().as_str());
    let name = parts.into_iter().filter(generic).min_by_key(|part| part.chars().count())?;
    (name.chars().count() <= 60).then(|| name.trim().to_owned())
}

/// Whether two hosts are one site: the same but for a subdomain.
pub fn same_site(a: &str, b: &str) -> bool {
    let bare = |host: &str| host.trim().trim_end_matches('.').trim_start_matches("www.").to_ascii_lowercase();
    let (a, b) = (bare(a), bare(b));
    let under = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.ends_with('.'));
    a == b || under(&a, &b) || under(&b, &a)
}

/// Open positions in structured data, and where none are, in the links of a careers page.
pub fn postings_of(markup: &Markup, url: &Url) -> Vec<Posting> {
    let mut postings = Vec::new();
    for block in blocks(markup) {
        each_object(&block, 0, &mut |object, kinds| {
            let Some(title) = object.get("title").and_then(words).filter(|_| kinds.contains(&"JobPosting")) else { return };
            let link = object.get("url").and_then(words).and_then(|link| url.join(&link).ok());
            postings.push(Posting {
                title: cut(&one_line(&title), 200),
                department: object.get("occupationalCategory").and_then(words).map(|text| cut(&one_line(&text), 100)),
                location: object.get("jobLocation").and_then(place).map(|text| cut(&one_line(&text), 100)),
                url: Some(link.map_or_else(|| url.to_string(), String::from)),
                posted_at: object.get("datePosted").and_then(words).and_then(|text| when(&text)),
            });
        });
    }
    if postings.is_empty() {
        let path = url.path().trim_end_matches('/').to_owned();
        let under = |link: &&Link| {
            let target = url.join(&link.href).ok();
            let target = target.filter(|target| target.host_str() == url.host_str());
            let text = one_line(&link.text);
            // An entry of a careers page leads to a page below it, and is called like a position.
            let below = target.is_some_and(|t| path.len() > 1 && t.path().strip_prefix(&path).is_some_and(|rest| rest.len() > 2));
            below && (6..=120).contains(&text.chars().count()) && text.contains(' ')
        };
        for link in markup.links.iter().filter(under) {
            let link_url = url.join(&link.href).ok().map(String::from);
            if !postings.iter().any(|known: &Posting| known.url == link_url) {
                postings.push(Posting {
                    title: one_line(&link.text),
                    department: None,
                    location: None,
                    url: link_url,
                    posted_at: None,
                });
            }
        }
    }
    postings.truncate(POSTINGS_MAX);
    postings
}

/// A time in any of the forms that pages and job boards use: RFC 3339, with or without a zone, or a day.
pub fn when(text: &str) -> Option<Time> {
    let text = text.trim();
    let day = || text.get(..10).and_then(|day| day.parse::<crate::Date>().ok()).map(crate::Date::start);
    text.parse::<Time>().ok().or_else(day)
}

/// A kind of page that is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageKind {
    Careers,
    News,
    About,
}

/// The pages of the site itself that are worth a look, at most one of each kind, in the order in which they are.
pub fn pages_worth_a_look(markup: &Markup, url: &Url) -> Vec<(PageKind, Url)> {
    let base = markup.base.as_deref().and_then(|base| url.join(base).ok()).unwrap_or_else(|| url.clone());
    let mut found: Vec<(PageKind, Url)> = Vec::new();
    for link in &markup.links {
        let Ok(mut target) = base.join(&link.href) else { continue };
        target.set_fragment(None);
        let here = same_site(target.host_str().unwrap_or_default(), url.host_str().unwrap_or_default())
            && target.port_or_known_default() == url.port_or_known_default();
        if !here || !matches!(target.scheme(), "http" | "https") || target == *url {
            continue;
        }
        let path = target.path().to_lowercase();
        let last: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let says = |words: &[&str]| last.len() <= 3 && last.iter().any(|part| words.contains(part));
        let kind =
            if says(&["careers", "career", "jobs", "join-us", "join", "karriere", "vacancies", "open-positions", "work-with-us"])
            {
                PageKind::Careers
            } else if says(&["press", "news", "newsroom", "media", "press-releases", "blog", "announcements", "presse"]) {
                PageKind::News
            } else if says(&["about", "about-us", "company", "ueber-uns", "who-we-are", "impressum", "contact", "contact-us"]) {
                PageKind::About
            } else {
                continue;
            };
        if !found.iter().any(|(known, _)| *known == kind) {
            found.push((kind, target));
        }
    }
    found.sort_by_key(|(kind, _)| *kind);
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::html::read_markup;
    use super::*;

    #[test]
    fn names_in_titles() {
        for (title, name) in [
            ("Acme | Anvils for everyone", Some("Acme")),
            ("Home - Acme GmbH", Some("Acme GmbH")),
            ("Welcome", None),
            ("Acme", Some("Acme")),
        ] {
            assert_eq!(name_in_title(title).as_deref(), name, "{title}");
        }
    }

    #[test]
    fn sites() {
        assert!(same_site("www.acme.example", "acme.example") && same_site("jobs.acme.example", "acme.example"));
        assert!(!same_site("notacme.example", "acme.example") && !same_site("acme.example.evil", "acme.example"));
    }

    #[test]
    fn one_page_of_each_kind_and_no_other_site() {
        let url = Url::parse("https://acme.example/").unwrap();
        let page = read_markup(
            "<a href=/about>A</a><a href='https://other.example/careers'>x</a><a href=careers/#top>C</a><a href=/jobs>J</a>\
             <a href=/products/jobs/a/b/c>deep</a><a href='javascript:x'>j</a><a href='/blog'>B</a><a href='mailto:jobs@acme.example'>m</a>",
        );
        let found: Vec<String> = pages_worth_a_look(&page, &url).into_iter().map(|(_, url)| url.to_string()).collect();
        assert_eq!(found, ["https://acme.example/careers/", "https://acme.example/blog", "https://acme.example/about"]);
    }

    #[test]
    fn structured_data_that_is_odd_is_no_harm() {
        let url = Url::parse("https://acme.example/").unwrap();
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for json in [
            "{",
            "null",
            "[1, \"x\"]",
            r#"{"@type": 7, "name": {}}"#,
            &deep,
            r#"{"@type": "Organization", "name": null, "numberOfEmployees": {}, "address": [], "sameAs": 5, "logo": []}"#,
        ] {
            let page = read_markup(&format!("<script type=application/ld+json>{json}</script>"));
            assert!(company_facts(&page, &url).is_empty(), "{json}");
        }
    }

    #[test]
    fn times() {
        for (text, at) in [
            ("2026-10-01", Some("2026-10-01T00:00:00.000Z")),
            ("2026-10-01T12:00:00+02:00", Some("2026-10-01T10:00:00.000Z")),
            ("2026-10-01T12:00:00", Some("2026-10-01T00:00:00.000Z")),
            ("soon", None),
            ("äöüäöüäöü", None),
        ] {
            assert_eq!(when(text).map(|t| t.to_string()).as_deref(), at, "{text}");
        }
    }
}

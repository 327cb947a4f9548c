//! Which products a site is made with, by the traces that they leave. What to look for is data: `technologies.json`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::html::Markup;
use super::{Migration, Technology};
use crate::Time;

/// The traces of one product. All texts are lower case; any one that is found is enough.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fingerprint {
    name: String,
    category: String,
    /// Anywhere in the addresses of scripts, style sheets, frames, images and forms' targets.
    #[serde(default)]
    sources: Vec<String>,
    /// Anywhere in scripts on the page itself.
    #[serde(default)]
    inline: Vec<String>,
    /// Header names with what their values contain; empty for any value.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What names of cookies begin with.
    #[serde(default)]
    cookies: Vec<String>,
    /// Names of meta elements with what their contents contain; empty for any.
    #[serde(default)]
    metas: BTreeMap<String, String>,
}

fn fingerprints() -> &'static [Fingerprint] {
    static READ: OnceLock<Vec<Fingerprint>> = OnceLock::new();
    // The file is tested to be readable.
    READ.get_or_init(|| serde_json::from_str(include_str!("technologies.json")).unwrap_or_default())
}

/// The products that a page and the headers it came with show, by name.
pub fn technologies_of(markup: &Markup, headers: &[(String, String)]) -> Vec<Technology> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let resources = markup.resources.iter().map(|link| &link.href);
    let sources: Vec<String> = markup.sources.iter().chain(resources).map(|source| lower(source)).collect();
    let sources = sources.join("\n");
    let inline = lower(&markup.inline);
    let headers: Vec<(String, String)> = headers.iter().map(|(name, value)| (lower(name), lower(value))).collect();
    let cookies = headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<&str> = cookies.map(|(_, value)| value.split('=').next().unwrap_or_default().trim()).collect();
    let shown = |print: &Fingerprint| {
        print.sources.iter().any(|part| sources.contains(part))
            || print.inline.iter().any(|part| inline.contains(part))
            || print.headers.iter().any(|(name, part)| headers.iter().any(|(n, value)| n == name && value.contains(part)))
            || print.cookies.iter().any(|start| cookies.iter().any(|cookie| cookie.starts_with(start)))
            || print.metas.iter().any(|(name, part)| markup.metas.get(name).is_some_and(|value| lower(value).contains(part)))
    };
    let found = fingerprints().iter().filter(|print| shown(print));
    let mut found: Vec<Technology> =
        found.map(|print| Technology { name: print.name.clone(), category: print.category.clone() }).collect();
    found.sort();
    found
}

/// What came and went between two looks at a site. One that went and one that came in the same category are a migration from the one to the
/// other. A first look, or one at a site that shows nothing any more, tells of no change.
pub fn migrations(before: &[Technology], after: &[Technology], at: Time) -> Vec<Migration> {
    if before.is_empty() || after.is_empty() {
        return Vec::new();
    }
    let gone: Vec<&Technology> = before.iter().filter(|old| !after.contains(old)).collect();
    let come: Vec<&Technology> = after.iter().filter(|new| !before.contains(new)).collect();
    let categories: std::collections::BTreeSet<&str> = gone.iter().chain(&come).map(|t| t.category.as_str()).collect();
    let mut changes = Vec::new();
    for category in categories {
        let mut old = gone.iter().filter(|t| t.category == category).map(|t| t.name.clone());
        let mut new = come.iter().filter(|t| t.category == category).map(|t| t.name.clone());
        loop {
            let (from, to) = (old.next(), new.next());
            if from.is_none() && to.is_none() {
                break;
            }
            changes.push(Migration { category: category.to_owned(), from, to, detected_at: at });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::super::html::read_markup;
    use super::*;

    fn names(html: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let headers: Vec<(String, String)> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        technologies_of(&read_markup(html), &headers).into_iter().map(|t| t.name).collect()
    }

    #[test]
    fn the_data_file_is_sound() {
        let all: Vec<Fingerprint> = serde_json::from_str(include_str!("technologies.json")).unwrap();
        assert!(all.len() >= 150);
        let names: HashSet<&str> = all.iter().map(|print| print.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "a name twice");
        for print in &all {
            let texts = print.sources.iter().chain(&print.inline).chain(&print.cookies);
            let texts: Vec<&String> = texts.chain(print.headers.keys()).chain(print.metas.keys()).collect();
            assert!(!texts.is_empty() && texts.iter().all(|t| t.len() > 1 && **t == t.to_lowercase()), "{print:?}");
            assert!(print.headers.values().chain(print.metas.values()).all(|t| *t == t.to_lowercase()), "{print:?}");
        }
    }

    /// Each trace of each product is enough by itself.
    #[test]
    fn every_trace_is_found() {
        for print in fingerprints() {
            let sees = |html: String, header: Option<(&str, &str)>| {
                let found = names(&html, header.as_slice());
                assert!(found.contains(&print.name), "{} by {html} {header:?}: {found:?}", print.name);
            };
            print.sources.iter().for_each(|part| sees(format!("<script src=\"https://x.example/{part}\"></script>"), None));
            print.inline.iter().for_each(|part| sees(format!("<script>{part}</script>"), None));
            print.headers.iter().for_each(|(name, part)| sees(String::new(), Some((name, &format!("a {part} b")))));
            print.cookies.iter().for_each(|start| sees(String::new(), Some(("Set-Cookie", &format!("{start}x=1; Path=/")))));
            print.metas.iter().for_each(|(name, part)| sees(format!("<meta name=\"{name}\" content=\"A {part} 6.1\">"), None));
        }
    }

    #[test]
    fn what_is_only_spoken_of_is_not_used() {
        assert_eq!(
            names("<p>We love Shopify, cdn.shopify.com and WordPress.</p><a href='https://js.stripe.com'>x</a>", &[]),
            [""; 0]
        );
    }

    #[test]
    fn changes_pair_up_within_a_category() {
        let tech = |name: &str, category: &str| Technology { name: name.to_owned(), category: category.to_owned() };
        let (intercom, drift, ga) =
            (tech("Intercom", "live_chat"), tech("Drift", "live_chat"), tech("Google Analytics", "analytics"));
        let at = Time::from_secs(9);
        let changes = migrations(&[intercom.clone(), ga.clone()], &[drift.clone(), ga.clone(), tech("Stripe", "payments")], at);
        let seen: Vec<(Option<&str>, Option<&str>)> = changes.iter().map(|c| (c.from.as_deref(), c.to.as_deref())).collect();
        assert_eq!(seen, [(Some("Intercom"), Some("Drift")), (None, Some("Stripe"))]);
        assert!(migrations(&[], std::slice::from_ref(&drift), at).is_empty() && migrations(&[drift], &[], at).is_empty());
        assert!(migrations(&[intercom.clone(), ga.clone()], &[ga, intercom], at).is_empty());
    }
}

//! robots.txt (RFC 9309).

use std::time::Duration;

/// What a crawler must read at least (RFC 9309, section 2.5): 500 KiB. More is not read.
pub const ROBOTS_MAX: usize = 500 * 1024;
/// A site that wants a longer pause between two requests than this is asked for its first page only.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a site lets one robot fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Robots {
    /// Patterns with whether they allow.
    rules: Vec<(String, bool)>,
    /// `Crawl-delay`, which the RFC does not know but sites use.
    pub pause: Option<Duration>,
}

impl Robots {
    /// Everything is allowed: what a site without the file says (section 2.3.1.3).
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// Nothing is allowed: what a site whose file cannot be had says (section 2.3.1.4).
    pub fn allow_none() -> Self {
        Self { rules: vec![("/".to_owned(), false)], pause: None }
    }

    /// The rules for the robot of this product token. Groups of the same robot are one; without one of its own, the group of `*` counts.
    pub fn parse(text: &str, product: &str) -> Self {
        let (mut own, mut any) = (None::<Self>, None::<Self>);
        // Whom the lines that come next are for, and whether a rule has come since the last user-agent line.
        let (mut for_own, mut for_any, mut rules_seen) = (false, false, false);
        for line in text.trim_start_matches('\u{feff}').split(['\r', '\n']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if rules_seen {
                    (for_own, for_any, rules_seen) = (false, false, false);
                }
                // The product token alone counts, whatever is written behind it.
                let token: String = value.chars().take_while(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-')).collect();
                if value == "*" {
                    for_any = true;
                    any.get_or_insert_default();
                } else if !token.is_empty() && token.eq_ignore_ascii_case(product) {
                    for_own = true;
                    own.get_or_insert_default();
                }
                continue;
            }
            if !matches!(key.as_str(), "allow" | "disallow" | "crawl-delay") {
                continue;
            }
            rules_seen = true;
            for group in [for_own.then_some(&mut own), for_any.then_some(&mut any)].into_iter().flatten().flatten() {
                match key.as_str() {
                    "crawl-delay" => {
                        let seconds = value.parse::<f64>().ok().filter(|s| (0.0..=86_400.0).contains(s));
                        group.pause = seconds.map(Duration::from_secs_f64).or(group.pause);
                    }
                    // An empty rule says nothing.
                    _ if value.is_empty() => {}
                    _ => group.rules.push((normal(value), key == "allow")),
                }
            }
        }
        own.or(any).unwrap_or_default()
    }

    /// Whether a path with its query may be fetched: the longest rule that matches decides, and of two as long the one that allows.
    pub fn allows(&self, path: &str) -> bool {
        let path = normal(path);
        if path == "/robots.txt" {
            return true;
        }
        let matching = self.rules.iter().filter(|(pattern, _)| matches(pattern, &path));
        matching.max_by_key(|(pattern, allow)| (pattern.len(), *allow)).is_none_or(|(_, allow)| *allow)
    }

    /// Whether a site wants pauses so long that it gets no second request.
    pub fn wants_one_request(&self) -> bool {
        self.pause.is_some_and(|pause| pause > LONGEST_PAUSE)
    }
}

/// Percent-encoding in one form: upper-case hex; what needs no encoding is decoded, what is not ASCII is encoded.
fn normal(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|_| byte == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) => {
                if code.is_ascii_alphanumeric() || b"-._~".contains(&code) {
                    out.push(char::from(code));
                } else {
                    out.push_str(&format!("%{code:02X}"));
                }
                at += 3;
            }
            None => {
                if byte.is_ascii() {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
                at += 1;
            }
        }
    }
    out
}

/// `*` is any text, `$` at the end is the end. Takes time linear in the path for each `*`.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return !to_end || rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    if to_end { rest.ends_with(last) } else { rest.contains(last) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(text: &str, path: &str) -> bool {
        Robots::parse(text, "AxleBot").allows(path)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // Section 5.1.
        let simple = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                      User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                      User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\nUser-Agent: quxbot\n";
        let as_bot = |bot: &str, path: &str| Robots::parse(simple, bot).allows(path);
        assert!(as_bot("foobot", "/example/page.html") && as_bot("foobot", "/example/allowed.gif") && !as_bot("foobot", "/x"));
        assert!(!as_bot("bazbot", "/example/page.html") && as_bot("barbot", "/x.gif"));
        assert!(
            as_bot("quxbot", "/example/")
                && !as_bot("other", "/example/x")
                && !as_bot("other", "/a.gif")
                && as_bot("other", "/a.gif?b")
        );
        // Section 5.2: the longest match.
        let longest = "User-Agent: axlebot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
        assert!(allows(longest, "/example/page/x") && !allows(longest, "/example/page/disallowed.gif"));
    }

    #[test]
    fn groups_patterns_and_what_is_odd() {
        for (text, path, allowed) in [
            ("", "/x", true),
            ("User-agent: *\nDisallow:", "/x", true),
            ("User-agent: *\nDisallow: /", "/robots.txt", true),
            ("User-agent: *\nDisallow: /\n\nUser-agent: AxleBot/2.0 (x)\nAllow: /", "/x", true),
            ("User-agent: AxleBot\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: axlebot\nDisallow: /b", "/b", false),
            ("User-agent: *\nDisallow: /p\nAllow: /p", "/page", true),
            ("User-agent: *\nDisallow: /*?session=", "/a?session=1", false),
            ("User-agent: *\nDisallow: /caf%C3%A9", "/café/x", false),
            ("User-agent: *\nDisallow: /%7Ejoe", "/~joe", false),
            ("User-agent: *\nDisallow: /a%2fb", "/a%2Fb", false),
            ("User-agent: *\rDisallow: /x # all of it\rSitemap: https://a.example/s.xml", "/x/y", false),
            ("Disallow: /x", "/x", true),
            ("<html><body>Not found: sorry</body>", "/x", true),
            ("\u{feff}User-agent: *\nDisallow: /x", "/x", false),
        ] {
            assert_eq!(allows(text, path), allowed, "{path} by {text:?}");
        }
        assert!(Robots::allow_all().allows("/") && !Robots::allow_none().allows("/"));
        let slow = Robots::parse("User-agent: *\nCrawl-delay: 60", "AxleBot");
        assert!(slow.wants_one_request() && slow.allows("/"));
        assert_eq!(Robots::parse("User-agent: *\nCrawl-delay: 1.5", "AxleBot").pause, Some(Duration::from_millis(1_500)));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(user-agent: \\*\n|disallow: |allow: |[/*$a%é ]{0,9}\n){0,20}", path in "[/*$a%é]{0,30}") {
            let _ = allows(&text, &path);
        }
    }
}

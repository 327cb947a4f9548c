//! Who opened or clicked: a person, or a machine on the way. Scanners follow links before a message is delivered, mail programs
//! load pictures nobody looks at; counted as interest, they would make scores and rates worthless.

use crate::Time;

/// Nobody reads a message this soon after it was sent, in milliseconds; scanners do.
pub const TOO_SOON_MS: i64 = 10_000;
/// Nobody follows all links of a message within this time, in milliseconds.
pub const SWEEP_MS: i64 = 2_000;

/// Parts of the user agents of programs that fetch without being asked to by a reader: mail security gateways, link
/// previews, crawlers and HTTP libraries. Lower case. Image proxies that fetch when a message is opened (Gmail's, Yahoo's) are
/// not among them.
const MACHINES: &[&str] = &[
    "apache-httpclient",
    "aiohttp",
    "axios/",
    "barracuda",
    "bingpreview",
    "bitdefender",
    "bot/",
    "bot;",
    "bot)",
    "checkpoint",
    "cisco-ironport",
    "cloudmark",
    "crawler",
    "curl/",
    "discordbot",
    "facebookexternalhit",
    "fireeye",
    "forcepoint",
    "go-http-client",
    "googlebot",
    "google-safety",
    "headlesschrome",
    "httpx",
    "ironport",
    "java/",
    "libwww",
    "linkedinbot",
    "mimecast",
    "node-fetch",
    "okhttp",
    "phantomjs",
    "preview",
    "proofpoint",
    "python-requests",
    "python-urllib",
    "scanner",
    "skypeuripreview",
    "slackbot",
    "sophos",
    "spider",
    "symantec",
    "telegrambot",
    "trendmicro",
    "twitterbot",
    "urlscan",
    "wget/",
    "whatsapp/",
    "zscaler",
];

/// User agents that are exactly this: Apple's Mail Privacy Protection loads every picture of every message under the first;
/// gateways use the others.
const MACHINES_EXACT: &[&str] = &["", "-", "mozilla/5.0", "mozilla/4.0", "mozilla"];

/// Headers by which browsers and mail programs say that they fetch ahead of the reader, and values that say so.
const PREFETCH_HEADERS: &[&str] = &["purpose", "sec-purpose", "x-purpose", "x-moz"];
const PREFETCH_VALUES: &[&str] = &["prefetch", "prerender", "preview"];

/// Whether a request's header says that nobody looks yet.
pub fn is_prefetch_header(name: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    PREFETCH_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known))
        && PREFETCH_VALUES.iter().any(|known| value.contains(known))
}

/// Why an open or click counts as a machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineReason {
    /// A HEAD request: looks whether something is there.
    Head,
    /// The request says that it prefetches.
    Prefetch,
    /// A user agent of scanners, previews, crawlers or libraries.
    UserAgent,
    /// Within [`TOO_SOON_MS`] of sending.
    TooSoon,
    /// All links at once; see [`swept`].
    Sweep,
}

impl MachineReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::UserAgent => "user_agent",
            Self::TooSoon => "too_soon",
            Self::Sweep => "sweep",
        }
    }
}

/// One request for a pixel or a link.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Whether its method is HEAD.
    pub head: bool,
    /// Whether any of its headers [is one of prefetching](is_prefetch_header).
    pub prefetch: bool,
    pub user_agent: Option<&'a str>,
    /// When the message went out; None: it has not, as far as is known here.
    pub sent_at: Option<Time>,
    pub at: Time,
}

impl Access<'_> {
    /// Why this is a machine's, or none when nothing speaks against a person.
    pub fn machine(&self) -> Option<MachineReason> {
        if self.head {
            return Some(MachineReason::Head);
        }
        if self.prefetch {
            return Some(MachineReason::Prefetch);
        }
        let agent = self.user_agent.unwrap_or_default().trim().to_ascii_lowercase();
        if MACHINES_EXACT.contains(&agent.as_str()) || MACHINES.iter().any(|part| agent.contains(part)) {
            return Some(MachineReason::UserAgent);
        }
        // Who asks before it is recorded that the message went out cannot have waited.
        let soon = self.sent_at.is_none_or(|sent_at| self.at.since(sent_at) < TOO_SOON_MS);
        soon.then_some(MachineReason::TooSoon)
    }
}

/// Whether every link of a message was followed within [`SWEEP_MS`] at some time, and so by a machine. `hits` are (link number,
/// time) in any order; messages with fewer than two links tell nothing.
pub fn swept(hits: &[(u16, Time)], link_count: usize) -> bool {
    if link_count < 2 {
        return false;
    }
    let mut hits: Vec<(Time, u16)> =
        hits.iter().map(|(link, at)| (*at, *link)).filter(|(_, link)| usize::from(*link) < link_count).collect();
    hits.sort_unstable();
    (0..hits.len()).any(|first| {
        let window = hits[first..].iter().take_while(|(at, _)| at.since(hits[first].0) <= SWEEP_MS);
        window.map(|(_, link)| link).collect::<std::collections::BTreeSet<_>>().len() == link_count
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SENT: Time = Time::from_secs(1_764_000_000);
    const CHROME: &str =
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    const IPHONE: &str =
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
    const GMAIL: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";

    fn later(user_agent: Option<&str>) -> Access<'_> {
        Access { head: false, prefetch: false, user_agent, sent_at: Some(SENT), at: SENT.plus_secs(60) }
    }

    #[rstest]
    #[case::chrome(CHROME, None)]
    #[case::iphone(IPHONE, None)]
    #[case::gmail_opens_with_the_reader(GMAIL, None)]
    #[case::yahoo("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", None)]
    #[case::thunderbird("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0", None)]
    #[case::outlook("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", None)]
    #[case::apple_privacy("Mozilla/5.0", Some(MachineReason::UserAgent))]
    #[case::none("", Some(MachineReason::UserAgent))]
    #[case::slack("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Some(MachineReason::UserAgent))]
    #[case::google("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Some(MachineReason::UserAgent))]
    #[case::bing(
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
        Some(MachineReason::UserAgent)
    )]
    #[case::barracuda("BarracudaCentral.org/LinkProtect", Some(MachineReason::UserAgent))]
    #[case::python("python-requests/2.34.2", Some(MachineReason::UserAgent))]
    #[case::curl("curl/8.16.0", Some(MachineReason::UserAgent))]
    #[case::headless(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/140.0 Safari/537.36",
        Some(MachineReason::UserAgent)
    )]
    fn user_agents(#[case] agent: &str, #[case] expected: Option<MachineReason>) {
        assert_eq!(later(Some(agent)).machine(), expected, "{agent}");
    }

    #[test]
    fn no_user_agent_is_no_reader() {
        assert_eq!(later(None).machine(), Some(MachineReason::UserAgent));
    }

    #[rstest]
    #[case::before_sending(-1, Some(MachineReason::TooSoon))]
    #[case::at_once(0, Some(MachineReason::TooSoon))]
    #[case::just_before_the_limit(9_999, Some(MachineReason::TooSoon))]
    #[case::at_the_limit(10_000, None)]
    #[case::next_day(86_400_000, None)]
    fn ten_seconds(#[case] after_ms: i64, #[case] expected: Option<MachineReason>) {
        let access = Access { at: SENT.plus_millis(after_ms), ..later(Some(CHROME)) };
        assert_eq!(access.machine(), expected);
        assert_eq!(Access { sent_at: None, ..access }.machine(), Some(MachineReason::TooSoon));
    }

    #[rstest]
    #[case("Sec-Purpose", "prefetch;prerender", true)]
    #[case("purpose", "prefetch", true)]
    #[case("X-Purpose", "Preview", true)]
    #[case("X-moz", "prefetch", true)]
    #[case("Sec-Fetch-Dest", "document", false)]
    #[case("Purpose", "navigate", false)]
    #[case("Referer", "https://example.com/prefetch", false)]
    fn prefetch_headers(#[case] name: &str, #[case] value: &str, #[case] expected: bool) {
        assert_eq!(is_prefetch_header(name, value), expected);
        let access = Access { prefetch: expected, ..later(Some(CHROME)) };
        assert_eq!(access.machine(), expected.then_some(MachineReason::Prefetch));
    }

    #[test]
    fn head_requests_look_and_do_not_read() {
        assert_eq!(Access { head: true, ..later(Some(CHROME)) }.machine(), Some(MachineReason::Head));
    }

    #[rstest]
    #[case::all_within(&[(0, 0), (1, 900), (2, 2_000)], 3, true)]
    #[case::in_any_order(&[(2, 2_000), (0, 0), (1, 900)], 3, true)]
    #[case::one_late(&[(0, 0), (1, 900), (2, 2_001)], 3, false)]
    #[case::one_missing(&[(0, 0), (1, 900)], 3, false)]
    #[case::the_same_again(&[(0, 0), (0, 100), (0, 200)], 3, false)]
    #[case::after_a_reader(&[(0, 0), (0, 50_000), (1, 50_100)], 2, true)]
    #[case::a_single_link_tells_nothing(&[(0, 0)], 1, false)]
    #[case::no_links(&[], 0, false)]
    #[case::links_that_are_not_there(&[(7, 0), (8, 1)], 2, false)]
    fn sweeps(#[case] hits: &[(u16, i64)], #[case] links: usize, #[case] expected: bool) {
        let hits: Vec<(u16, Time)> = hits.iter().map(|(link, ms)| (*link, SENT.plus_millis(*ms))).collect();
        assert_eq!(swept(&hits, links), expected);
    }
}

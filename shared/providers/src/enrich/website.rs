//! The provider `website`: reads a company's own public site.

use std::time::Duration;

use axle_domain::address::Domain;
use axle_domain::enrich::{
    Board, Fact, Field, Findings, Markup, PageKind, Technology, board_of, company_facts, decode_page, funding_in,
    pages_worth_a_look, postings_of, read_markup, same_site, technologies_of,
};
use serde_json::Value;
use url::Url;

use super::Unreadable;
use super::crawl::Crawl;
use super::fetch::{Document, Want};
use crate::outbound::{Client, Error};

/// The limits of a visit.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time for the whole visit: an HTTP function has 30 s.
    pub all: Duration,
    /// Time for one document.
    pub each: Duration,
    /// Between two requests to one site, if it does not want more.
    pub pause: Duration,
    /// Bytes of a document that are read as they come, and of what they unpack to.
    pub body_max: usize,
    pub unpacked_max: usize,
    pub redirects: usize,
    /// An origin that stands for every job board's, in tests.
    pub boards: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            all: Duration::from_secs(18),
            each: Duration::from_secs(5),
            pause: Duration::from_millis(200),
            body_max: 1024 * 1024,
            unpacked_max: 2 * 1024 * 1024,
            redirects: 5,
            boards: None,
        }
    }
}

/// A page that was read.
struct Page {
    url: Url,
    headers: Vec<(String, String)>,
    markup: Markup,
}

impl From<Document> for Page {
    fn from(document: Document) -> Self {
        let markup = read_markup(&decode_page(&document.body, document.content_type.as_deref()));
        Self { url: document.url, headers: document.headers, markup }
    }
}

/// Reads a site: its first page, then its careers, news and about pages and its public job board, as far as they are there, allowed, and in
/// time. At most seven requests.
///
/// # Errors
/// Why the first page could not be read. What goes wrong after it only leaves something out.
pub async fn read_site(client: &Client, site: &Url, settings: &Settings) -> Result<Findings, Unreadable> {
    let mut crawl = Crawl::new(client, settings);
    let home = first_page(&mut crawl, site).await?;
    let mut pages = vec![(None, home)];
    let home = &pages[0].1;
    let more =
        if crawl.robots(&home.url).await.wants_one_request() { Vec::new() } else { pages_worth_a_look(&home.markup, &home.url) };
    for (kind, url) in more {
        if let Ok(document) = crawl.fetch(&url, Want::Page).await {
            let page = Page::from(document);
            // A link that leads elsewhere in the end is not the company's own word, but for its job board.
            if kind == PageKind::Careers || same_site(host(&page.url), host(&pages[0].1.url)) {
                pages.push((Some(kind), page));
            }
        }
    }
    let board = pages.iter().find_map(|(_, page)| board_of(&page.markup, &page.url));
    let mut findings = findings_of(&pages);
    if let Some((board, company)) = board {
        let origin = settings.boards.as_deref().unwrap_or(board.origin());
        let listing = format!("{origin}{}", board.listing(&company));
        if let Some((postings, url)) = postings_at(&mut crawl, board, &listing).await {
            findings.postings = postings;
            findings.postings_url = Some(url);
        }
    }
    Ok(findings)
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// The first page, at `www` where the bare name leads nowhere.
async fn first_page(crawl: &mut Crawl<'_>, site: &Url) -> Result<Page, Unreadable> {
    let found = crawl.fetch(site, Want::Page).await;
    let nowhere = matches!(found, Err(Unreadable::Call(Error::Dns | Error::Connect(_) | Error::Tls(_))));
    let bare = site.domain().filter(|name| nowhere && name.contains('.') && !name.starts_with("www."));
    let with_www = bare.and_then(|name| {
        let mut url = site.clone();
        url.set_host(Some(&format!("www.{name}"))).ok()?;
        Some(url)
    });
    match with_www {
        // If that does not help, the name that was given is the one to speak of.
        Some(url) => crawl.fetch(&url, Want::Page).await.or(found).map(Page::from),
        None => found.map(Page::from),
    }
}

fn findings_of(pages: &[(Option<PageKind>, Page)]) -> Findings {
    let mut findings = Findings::default();
    for (kind, page) in pages {
        if kind.is_none() {
            let url = page.url.as_str();
            let domain = Domain::parse(host(&page.url)).ok().map(String::from);
            findings.facts.extend(domain.and_then(|domain| Fact::new(Field::CompanyDomain, &domain, Some(url), 95)));
            findings
                .facts
                .extend(page.url.join("/").ok().and_then(|root| Fact::new(Field::CompanyWebsite, root.as_str(), Some(url), 95)));
            findings.technologies_url = Some(page.url.to_string());
        }
        if matches!(kind, None | Some(PageKind::About)) {
            findings.facts.extend(company_facts(&page.markup, &page.url));
        }
        merge_technologies(&mut findings.technologies, technologies_of(&page.markup, &page.headers));
        if *kind == Some(PageKind::Careers) {
            findings.postings = postings_of(&page.markup, &page.url);
            findings.postings_url = (!findings.postings.is_empty()).then(|| page.url.to_string());
        }
    }
    // News pages first: a first page only teases.
    let newest = pages.iter().filter(|(kind, _)| *kind == Some(PageKind::News)).chain(pages.iter().take(1));
    findings.funding = newest.into_iter().find_map(|(_, page)| funding_in(&page.markup, &page.url));
    findings
}

fn merge_technologies(known: &mut Vec<Technology>, more: Vec<Technology>) {
    known.extend(more);
    known.sort();
    known.dedup();
}

/// The open positions on a job board, if it answers with any.
async fn postings_at(crawl: &mut Crawl<'_>, board: Board, listing: &str) -> Option<(Vec<axle_domain::enrich::Posting>, String)> {
    let url = Url::parse(listing).ok()?;
    let document = crawl.fetch(&url, Want::Json).await.ok()?;
    let answer: Value = serde_json::from_slice(&document.body).ok()?;
    let postings = board.read(&answer);
    (!postings.is_empty()).then(|| (postings, document.url.to_string()))
}

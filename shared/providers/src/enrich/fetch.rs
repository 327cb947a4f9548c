//! One document by its URL, within limits, as the site allows.

use url::Url;

use super::body::unpack;
use super::crawl::Crawl;
use crate::outbound::{BodyLimit, Error, Request};

/// How we introduce ourselves; robots.txt knows us by the part before the slash.
pub const USER_AGENT: &str =
    concat!("AxleBot/", env!("CARGO_PKG_VERSION"), " (+https://github.com/axle-sales/axle; company enrichment)");

/// Why a document could not be had, in words for the tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No answer, or a call that is not allowed.
    #[error("{0}")]
    Call(#[from] Error),
    #[error("the site's robots.txt does not allow it")]
    Robots,
    #[error("the site answered with status {0}")]
    Status(u16),
    #[error("the site redirects more than {0} times")]
    Redirects(usize),
    #[error("the site redirects to what is not a URL")]
    Location,
    #[error("the site sends it in an encoding that was not asked for")]
    Encoding,
    #[error("it is not a web page but {0}")]
    NotAPage(String),
    #[error("reading the site took too long")]
    Late,
}

/// A document that was fetched.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Where it was found in the end.
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    /// Decompressed; cut at the limit.
    pub(super) body: Vec<u8>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Page,
    /// From an API that is there to be asked: robots.txt is about pages.
    Json,
    Robots,
}

impl Crawl<'_> {
    /// Fetches a document, following redirects. Every hop obeys the outbound client's rules, robots.txt, the pauses and the limits.
    pub(super) async fn fetch(&mut self, url: &Url, want: Want) -> Result<Document, Unreadable> {
        let mut url = secured(url.clone());
        for _ in 0..=self.settings.redirects {
            if want == Want::Page && !Box::pin(self.robots(&url)).await.allows(&path_of(&url)) {
                return Err(Unreadable::Robots);
            }
            let response = self.call(&url, want).await?;
            if matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                let location = response.header("location").ok_or(Unreadable::Location)?;
                url = secured(url.join(location).map_err(|_| Unreadable::Location)?);
                continue;
            }
            if !response.is_success() {
                return Err(Unreadable::Status(response.status));
            }
            let kind = response.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
            let kind = kind.trim().to_ascii_lowercase();
            if want == Want::Page && !matches!(kind.as_str(), "" | "text/html" | "application/xhtml+xml") {
                return Err(Unreadable::NotAPage(kind.chars().take(50).collect()));
            }
            let body = unpack(&response.body, response.header("content-encoding"), self.settings.unpacked_max)?;
            return Ok(Document { url, content_type: response.content_type, headers: response.headers, body });
        }
        Err(Unreadable::Redirects(self.settings.redirects))
    }

    async fn call(&mut self, url: &Url, want: Want) -> Result<crate::outbound::Response, Unreadable> {
        // A pause is between pages: what it should be is not known before robots.txt.
        if want != Want::Robots {
            self.pause(url).await?;
        }
        let accept = match want {
            Want::Page => "text/html,application/xhtml+xml;q=0.9",
            Want::Json => "application/json",
            Want::Robots => "text/plain",
        };
        let request = Request::get(url.as_str())
            .header("user-agent", USER_AGENT)
            .header("accept", accept)
            .header("accept-encoding", "gzip, deflate")
            .header("accept-language", "en;q=0.9,*;q=0.5")
            .limit(BodyLimit::First(self.settings.body_max))
            .timeout(self.settings.each.min(self.time_left()?));
        Ok(self.client.send(request).await.outcome?)
    }
}

/// The address without a fragment, and by https: lists are full of `http://` sites, nearly all of which answer by https as well, which is
/// all that may be called. One that names a port is on a local network; whether that may be called says the outbound client.
fn secured(mut url: Url) -> Url {
    url.set_fragment(None);
    if url.scheme() == "http" && url.port().is_none() {
        // Both are schemes with a host, so this cannot fail.
        let _ = url.set_scheme("https");
    }
    url
}

fn path_of(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://example.com/a#b", "https://example.com/a")]
    #[case("http://example.com:80/", "https://example.com/")]
    #[case("https://example.com/", "https://example.com/")]
    #[case("http://127.0.0.1:8099/", "http://127.0.0.1:8099/")]
    fn sites_are_read_by_https(#[case] said: &str, #[case] read: &str) {
        assert_eq!(secured(said.parse().unwrap()).as_str(), read);
    }
}

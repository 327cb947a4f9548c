//! The public JSON of job boards: Greenhouse, Lever, Ashby, Workable. Documented by them for this use; nothing there needs a key.

use serde_json::Value;
use url::Url;

use super::Posting;
use super::fact::{cut, one_line};
use super::html::Markup;
use super::page::{POSTINGS_MAX, when};
use crate::Time;

/// A job board that many companies use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Board {
    Greenhouse,
    Lever,
    Ashby,
    Workable,
}

impl Board {
    const ALL: [Self; 4] = [Self::Greenhouse, Self::Lever, Self::Ashby, Self::Workable];

    /// Hosts of the company's pages there, with the parameter that names the company, if it is not the first part of the path.
    const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Greenhouse => {
                &["boards.greenhouse.io", "job-boards.greenhouse.io", "boards.eu.greenhouse.io", "job-boards.eu.greenhouse.io"]
            }
            Self::Lever => &["jobs.lever.co", "jobs.eu.lever.co"],
            Self::Ashby => &["jobs.ashbyhq.com"],
            Self::Workable => &["apply.workable.com"],
        }
    }

    /// Where the open positions of a company are, under the board's own address.
    pub fn listing(self, company: &str) -> String {
        match self {
            Self::Greenhouse => format!("/v1/boards/{company}/jobs"),
            Self::Lever => format!("/v0/postings/{company}?mode=json"),
            Self::Ashby => format!("/posting-api/job-board/{company}"),
            Self::Workable => format!("/api/v1/widget/accounts/{company}"),
        }
    }

    /// The board's own address.
    pub const fn origin(self) -> &'static str {
        match self {
            Self::Greenhouse => "https://boards-api.greenhouse.io",
            Self::Lever => "https://api.lever.co",
            Self::Ashby => "https://api.ashbyhq.com",
            Self::Workable => "https://apply.workable.com",
        }
    }

    /// The open positions in the board's answer.
    pub fn read(self, answer: &Value) -> Vec<Posting> {
        let list = match self {
            Self::Lever => answer.as_array(),
            _ => answer["jobs"].as_array(),
        };
        let text = |value: &Value| value.as_str().map(one_line).filter(|text| !text.is_empty()).map(|text| cut(&text, 200));
        let posting = |job: &Value| {
            let (title, department, location, url, posted_at) = match self {
                Self::Greenhouse => (
                    &job["title"],
                    text(&job["departments"][0]["name"]),
                    text(&job["location"]["name"]),
                    &job["absolute_url"],
                    job["first_published"].as_str().or(job["updated_at"].as_str()).and_then(when),
                ),
                Self::Lever => (
                    &job["text"],
                    text(&job["categories"]["team"]).or_else(|| text(&job["categories"]["department"])),
                    text(&job["categories"]["location"]),
                    &job["hostedUrl"],
                    job["createdAt"].as_i64().map(Time::from_millis),
                ),
                Self::Ashby => (
                    &job["title"],
                    text(&job["department"]).or_else(|| text(&job["team"])),
                    text(&job["location"]),
                    &job["jobUrl"],
                    job["publishedAt"].as_str().and_then(when),
                ),
                Self::Workable => {
                    let parts = [text(&job["city"]), text(&job["country"])].into_iter().flatten().collect::<Vec<_>>();
                    let published = job["published_on"].as_str().or(job["created_at"].as_str()).and_then(when);
                    (
                        &job["title"],
                        text(&job["department"]),
                        Some(parts.join(", ")).filter(|p| !p.is_empty()),
                        &job["url"],
                        published,
                    )
                }
            };
            // Ashby lists what is not public too, and says so.
            let hidden = self == Self::Ashby && job["isListed"] == false;
            Some(Posting { title: text(title).filter(|_| !hidden)?, department, location, url: text(url), posted_at })
        };
        list.into_iter().flatten().filter_map(posting).take(POSTINGS_MAX).collect()
    }
}

/// The job board that a page leads to or embeds, and the company's name there.
pub fn board_of(markup: &Markup, url: &Url) -> Option<(Board, String)> {
    let links = markup.links.iter().map(|link| &link.href).chain(&markup.sources);
    let links = links.filter_map(|href| url.join(href).ok()).chain([url.clone()]);
    links.into_iter().find_map(|link| {
        let host = link.host_str()?.to_owned();
        let board = Board::ALL.into_iter().find(|board| board.hosts().contains(&host.as_str()))?;
        let embedded = link.query_pairs().find(|(name, _)| name == "for").map(|(_, value)| value.into_owned());
        let first = link.path_segments()?.find(|part| !part.is_empty()).map(str::to_owned);
        let company = embedded.or(first.filter(|part| !matches!(part.as_str(), "embed" | "api" | "j")))?;
        let plain = company.len() <= 100 && company.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        (plain && !company.is_empty() && company != "." && company != "..").then_some((board, company))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::html::read_markup;
    use super::*;

    #[test]
    fn boards_are_recognised_by_links_and_embeds() {
        let url = Url::parse("https://acme.example/careers").unwrap();
        for (html, found) in [
            ("<a href='https://boards.greenhouse.io/acme'>x</a>", Some((Board::Greenhouse, "acme"))),
            (
                "<script src='https://boards.greenhouse.io/embed/job_board/js?for=acme'></script>",
                Some((Board::Greenhouse, "acme")),
            ),
            ("<iframe src='//job-boards.greenhouse.io/acme/jobs/1'></iframe>", Some((Board::Greenhouse, "acme"))),
            ("<a href='https://jobs.lever.co/acme-inc/123'>x</a>", Some((Board::Lever, "acme-inc"))),
            ("<a href='https://jobs.ashbyhq.com/Acme'>x</a>", Some((Board::Ashby, "Acme"))),
            ("<a href='https://apply.workable.com/acme/'>x</a>", Some((Board::Workable, "acme"))),
            ("<a href='https://jobs.lever.co/'>x</a>", None),
            ("<a href='https://jobs.lever.co/a%2F..%2Fb'>x</a>", None),
            ("<a href='https://evil.example/jobs.lever.co/acme'>x</a>", None),
        ] {
            let seen = board_of(&read_markup(html), &url);
            assert_eq!(seen.as_ref().map(|(board, name)| (*board, name.as_str())), found, "{html}");
        }
    }

    #[test]
    fn each_board_has_its_form() {
        let posting = |title: &str, at: &str| (title.to_owned(), Some("Berlin".to_owned()), Some(at.to_owned()));
        for (board, answer) in [
            (
                Board::Greenhouse,
                json!({"jobs": [{"title": "Head of Sales", "location": {"name": "Berlin"}, "absolute_url": "https://x.example/1", "first_published": "2026-10-01T00:00:00Z"}]}),
            ),
            (
                Board::Lever,
                json!([{"text": "Head of Sales", "categories": {"location": "Berlin", "team": "Sales"}, "hostedUrl": "https://x.example/1", "createdAt": 1_790_812_800_000_i64}]),
            ),
            (
                Board::Ashby,
                json!({"jobs": [{"title": "Head of Sales", "location": "Berlin", "jobUrl": "https://x.example/1", "publishedAt": "2026-10-01T00:00:00.000+00:00"}, {"title": "Secret", "isListed": false}]}),
            ),
            (
                Board::Workable,
                json!({"name": "Acme", "jobs": [{"title": "Head of Sales", "city": "Berlin", "url": "https://x.example/1", "published_on": "2026-10-01"}]}),
            ),
        ] {
            let read = board.read(&answer);
            let seen: Vec<_> =
                read.iter().map(|p| (p.title.clone(), p.location.clone(), p.posted_at.map(|t| t.to_string()))).collect();
            assert_eq!(seen, [posting("Head of Sales", "2026-10-01T00:00:00.000Z")], "{board:?}");
            assert_eq!(read[0].url.as_deref(), Some("https://x.example/1"));
            for odd in [json!(null), json!([]), json!({"jobs": 5}), json!([{"text": 7}]), json!({"jobs": [{"title": null}]})] {
                assert!(board.read(&odd).is_empty(), "{board:?} {odd}");
            }
        }
    }
}

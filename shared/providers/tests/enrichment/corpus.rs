//! What is found on each site of the corpus: 38 pages of 20 companies, written for this in the forms in which real ones come.

use std::path::{Path, PathBuf};

use axle_domain::enrich::{Field, Findings};
use axle_providers::enrich::read_site;

use crate::site::{Answer, Site, client, settings};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn serve(site: &str, path: &str) -> Answer {
    let dir = corpus().join(site);
    let path = path.split('?').next().unwrap();
    let is_board =
        ["/v1/boards/", "/v0/postings/", "/posting-api/", "/api/v1/widget/"].iter().any(|start| path.starts_with(start));
    let file = match path {
        _ if is_board => dir.join("board.json"),
        path if path.ends_with('/') => dir.join(format!("{}index.html", &path[1..])),
        "/robots.txt" => dir.join("robots.txt"),
        path => dir.join(format!("{}.html", &path[1..])),
    };
    let Ok(body) = std::fs::read(&file) else { return Answer::status(404) };
    let own = std::fs::read_to_string(dir.join("headers.txt")).unwrap_or_default();
    let mut headers: Vec<(&str, &str)> = own.lines().filter_map(|line| line.split_once(": ")).collect();
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        let kind = if is_board {
            "application/json"
        } else if path == "/robots.txt" {
            "text/plain"
        } else {
            "text/html"
        };
        headers.push(("content-type", kind));
    }
    Answer::page(200, &headers, &body)
}

async fn read(site: &'static str) -> (Findings, Vec<String>) {
    let server = Site::serving(move |path| serve(site, path)).await;
    let mut settings = settings();
    settings.boards = Some(format!("http://127.0.0.1:{}", server.port));
    let findings = read_site(&client(), &server.url(&format!("{site}.test")), &settings).await.unwrap();
    for fact in &findings.facts {
        assert!(fact.url.as_deref().is_some_and(|url| url.starts_with("http://")), "{fact:?} has no source");
        assert!((1..=100).contains(&fact.confidence));
    }
    (findings, server.asked())
}

/// The value that can be relied upon most.
fn best(findings: &Findings, field: Field) -> Option<&str> {
    let facts = findings.facts.iter().rev().filter(|fact| fact.field == field);
    facts.max_by_key(|fact| fact.confidence).map(|fact| fact.value.as_str())
}

/// What one site must show.
struct Expected {
    site: &'static str,
    facts: &'static [(Field, &'static str)],
    technologies: &'static [&'static str],
    postings: &'static [&'static str],
    funding: Option<(&'static str, &'static str)>,
}

const ALL: &[Expected] = &[
    Expected {
        site: "brightledger",
        facts: &[
            (Field::CompanyName, "Brightledger, Inc."),
            (Field::CompanyDomain, "brightledger.test"),
            (Field::CompanyDescription, "Brightledger closes the books of mid-sized companies in a day."),
            (Field::CompanySize, "201-500"),
            (Field::CompanyFounded, "2017"),
            (Field::CompanyLocation, "Austin, TX, US"),
            (Field::CompanyIndustry, "Accounting software"),
            (Field::CompanyPhone, "+1 512 555 0142"),
            (Field::CompanyEmail, "hello@brightledger.test"),
            (Field::CompanyLinkedin, "https://www.linkedin.com/company/brightledger"),
            (Field::CompanyTwitter, "https://x.com/brightledger"),
            (Field::CompanyGithub, "https://github.com/brightledger"),
            (Field::CompanyLogo, "https://brightledger.test/logo.png"),
        ],
        technologies: &["Cloudflare", "Greenhouse", "HubSpot", "Next.js", "Segment"],
        postings: &["Senior Account Executive", "Staff Engineer, Platform"],
        funding: Some(("Series B", "$42 million")),
    },
    Expected {
        site: "fernandfjord",
        facts: &[
            (Field::CompanyName, "Fern & Fjord"),
            (Field::CompanyDescription, "Outdoor wear, made in Bergen & repaired for life."),
            (Field::CompanyPhone, "+4755501234"),
        ],
        technologies: &["Klaviyo", "Meta Pixel", "Shopify"],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "oakandpixel",
        facts: &[
            (Field::CompanyName, "Oak & Pixel"),
            (Field::CompanyLocation, "Bristol, GB"),
            (Field::CompanyEmail, "studio@oakandpixel.test"),
            (Field::CompanyPhone, "+441175550199"),
        ],
        technologies: &["Apache HTTP Server", "PHP", "WordPress", "Yoast SEO", "jQuery"],
        postings: &["Senior Product Designer", "PHP Developer (part time)"],
        funding: None,
    },
    Expected {
        site: "huber",
        facts: &[
            (Field::CompanyName, "Huber Maschinenbau GmbH & Co. KG"),
            (Field::CompanyDescription, "Fräsmaschinen aus Münster: präzise, leise, langlebig."),
            (Field::CompanyLocation, "Münster, Deutschland"),
            (Field::CompanySize, "140"),
            (Field::CompanyFounded, "1954"),
        ],
        technologies: &["TYPO3"],
        postings: &["Servicetechniker (m/w/d) für Süddeutschland", "Vertriebsleiter"],
        funding: None,
    },
    Expected {
        site: "sakura",
        facts: &[(Field::CompanyName, "株式会社さくら精機"), (Field::CompanyDescription, "精密部品の製造")],
        technologies: &[],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "volga",
        facts: &[(Field::CompanyName, "Волга Логистика")],
        technologies: &["Nginx"],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "pelagic",
        facts: &[(Field::CompanyName, "Pelagic Robotics")],
        technologies: &["Google Tag Manager"],
        postings: &["Field Sales Manager"],
        funding: None,
    },
    Expected {
        site: "quillworks",
        facts: &[(Field::CompanyName, "Quillworks")],
        technologies: &["Ashby", "Intercom", "Stripe"],
        postings: &["Growth Marketer"],
        funding: None,
    },
    Expected {
        site: "tierraverde",
        facts: &[(Field::CompanyName, "Tierra Verde")],
        technologies: &["Webflow"],
        postings: &["Regional Buyer"],
        funding: None,
    },
    Expected {
        site: "shell",
        facts: &[(Field::CompanyDomain, "shell.test")],
        technologies: &["React"],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "soup",
        facts: &[
            (Field::CompanyName, "Soup Kitchen Supplies"),
            (Field::CompanyDescription, "Pots & pans for 'everyone'"),
            (Field::CompanyPhone, "+15125550177"),
            (Field::CompanyLinkedin, "https://www.linkedin.com/company/soup-kitchen"),
        ],
        technologies: &[],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "badld",
        facts: &[
            (Field::CompanyName, "Right Data Ltd"),
            (Field::CompanyLocation, "1 Main Street, Leeds"),
            (Field::CompanySize, "12"),
        ],
        technologies: &[],
        postings: &[],
        funding: None,
    },
    Expected { site: "parked", facts: &[(Field::CompanyDomain, "parked.test")], technologies: &[], postings: &[], funding: None },
    Expected { site: "wide", facts: &[(Field::CompanyName, "Wide Wörks")], technologies: &[], postings: &[], funding: None },
    Expected { site: "hush", facts: &[(Field::CompanyName, "Hush Labs")], technologies: &[], postings: &[], funding: None },
    Expected {
        site: "lumencare",
        facts: &[(Field::CompanyName, "Lumen Care")],
        technologies: &["Heroku", "Ruby on Rails", "Sentry", "Stripe"],
        postings: &[],
        funding: Some(("Seed", "6.5 million euros")),
    },
    Expected {
        site: "based",
        facts: &[(Field::CompanyName, "Based Inc")],
        technologies: &[],
        postings: &["Head of Sales, EMEA"],
        funding: None,
    },
    Expected { site: "frames", facts: &[(Field::CompanyName, "Frames & Sons")], technologies: &[], postings: &[], funding: None },
    Expected {
        site: "grande",
        facts: &[(Field::CompanySize, "1.200"), (Field::CompanyFounded, "1933"), (Field::CompanyLocation, "Trieste, IT")],
        technologies: &["Adobe Experience Platform Launch", "Adobe Fonts", "Akamai"],
        postings: &[],
        funding: None,
    },
    Expected {
        site: "toolbox",
        facts: &[(Field::CompanyName, "Toolbox Direct")],
        technologies: &["Magento", "Trustpilot", "Zendesk"],
        postings: &[],
        funding: None,
    },
];

#[tokio::test]
async fn every_site_says_what_it_says() {
    let mut sites: Vec<String> =
        std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    sites.sort();
    let mut listed: Vec<&str> = ALL.iter().map(|expected| expected.site).collect();
    listed.sort_unstable();
    assert_eq!(sites, listed);
    let mut wrong = Vec::new();
    for Expected { site, facts, technologies, postings, funding } in ALL {
        let (found, _) = read(site).await;
        for (field, value) in *facts {
            if best(&found, *field) != Some(value) {
                wrong.push(format!("{site}: {field} is {:?}, not {value}", best(&found, *field)));
            }
        }
        let names: Vec<&str> = found.technologies.iter().map(|technology| technology.name.as_str()).collect();
        if names != *technologies {
            wrong.push(format!("{site}: technologies are {names:?}"));
        }
        let titles: Vec<&str> = found.postings.iter().map(|posting| posting.title.as_str()).collect();
        if titles != *postings || found.postings_url.is_none() != postings.is_empty() {
            wrong.push(format!("{site}: postings are {titles:?} of {:?}", found.postings_url));
        }
        let raised =
            found.funding.as_ref().map(|f| (f.round.as_deref().unwrap_or_default(), f.amount.as_deref().unwrap_or_default()));
        if raised != *funding {
            wrong.push(format!("{site}: funding is {raised:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_dated_has_its_date_and_where_it_stands() {
    let (found, _) = read("brightledger").await;
    let funding = found.funding.unwrap();
    assert_eq!(funding.announced_at.unwrap().to_string(), "2026-09-14T00:00:00.000Z");
    assert!(funding.url.ends_with("/press") && funding.headline.contains("Series B"));
    assert_eq!(found.postings[0].posted_at.unwrap().to_string(), "2026-11-02T15:00:00.000Z");
    assert_eq!(found.postings[0].department.as_deref(), Some("Sales"));
    assert!(found.postings_url.unwrap().ends_with("/v1/boards/brightledger/jobs"));
    let (found, _) = read("huber").await;
    assert_eq!(found.postings[0].location.as_deref(), Some("München, DE"));
    assert_eq!(found.postings[1].posted_at.unwrap().to_string(), "2026-11-12T07:00:00.000Z");
}

#[tokio::test]
async fn what_robots_txt_forbids_is_not_asked_for() {
    let (found, asked) = read("hush").await;
    assert_eq!(asked, ["/robots.txt", "/", "/about"]);
    assert!(found.postings.is_empty() && found.funding.is_none());
}

//! A visit to a site: what its robots.txt says, the pauses between requests, the time that is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axle_domain::enrich::{ROBOTS_MAX, Robots, decode_page};
use tokio::time::Instant;
use url::{Origin, Url};

use super::fetch::{Unreadable, Want};
use super::website::Settings;
use crate::outbound::{Client, Error};

/// The product token that robots.txt knows us by.
const PRODUCT: &str = "AxleBot";

pub(super) struct Crawl<'a> {
    pub(super) client: &'a Client,
    pub(super) settings: &'a Settings,
    deadline: Instant,
    robots: HashMap<Origin, Arc<Robots>>,
    /// When each site was last asked for something.
    asked: HashMap<Origin, Instant>,
}

impl<'a> Crawl<'a> {
    pub(super) fn new(client: &'a Client, settings: &'a Settings) -> Self {
        let deadline = Instant::now() + settings.all;
        Self { client, settings, deadline, robots: HashMap::new(), asked: HashMap::new() }
    }

    pub(super) fn time_left(&self) -> Result<Duration, Unreadable> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Unreadable::Late) } else { Ok(left) }
    }

    /// What the site of a URL allows; asked once a visit.
    pub(super) async fn robots(&mut self, url: &Url) -> Arc<Robots> {
        let origin = url.origin();
        if let Some(known) = self.robots.get(&origin) {
            return Arc::clone(known);
        }
        let read = match url.join("/robots.txt") {
            Ok(robots) => self.read_robots(&robots).await,
            Err(_) => Robots::allow_none(),
        };
        let read = Arc::new(read);
        self.robots.insert(origin, Arc::clone(&read));
        read
    }

    /// RFC 9309, section 2.3.1: no such file allows all; one that cannot be had for now allows nothing. A site that does not answer at all
    /// will not answer the next request either, and that one gives the better reason.
    async fn read_robots(&mut self, url: &Url) -> Robots {
        match self.fetch(url, Want::Robots).await {
            Ok(document) => {
                let body = &document.body[..document.body.len().min(ROBOTS_MAX)];
                Robots::parse(&decode_page(body, Some("text/plain; charset=utf-8")), PRODUCT)
            }
            Err(Unreadable::Status(400..=499) | Unreadable::Redirects(_) | Unreadable::Location) => Robots::allow_all(),
            Err(Unreadable::Call(Error::Refused(_) | Error::Dns | Error::Connect(_) | Error::Tls(_))) => Robots::allow_all(),
            Err(_) => Robots::allow_none(),
        }
    }

    /// Waits until the site may be asked again.
    pub(super) async fn pause(&mut self, url: &Url) -> Result<(), Unreadable> {
        let origin = url.origin();
        let wanted = self.robots.get(&origin).and_then(|robots| robots.pause).unwrap_or_default();
        if let Some(asked) = self.asked.get(&origin) {
            let until = *asked + self.settings.pause.max(wanted);
            if until >= self.deadline {
                return Err(Unreadable::Late);
            }
            tokio::time::sleep_until(until).await;
        }
        self.asked.insert(origin, Instant::now());
        Ok(())
    }
}

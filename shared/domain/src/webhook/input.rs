//! What a tenant writes about an endpoint, and what makes it valid.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EndpointStatus, EndpointUrl, EventFilter, EventPattern, NetworkPolicy, SigningSecret};
use crate::event::{EventTypes, type_names};
use crate::{Faults, Time};

/// Characters of an endpoint's description.
pub const MAX_DESCRIPTION: usize = 500;
/// Event types that one endpoint can name.
pub const MAX_EVENT_TYPES: usize = 100;
/// The highest `rate_limit_per_second`.
pub const MAX_RATE: u32 = 1_000;
/// The longest overlap of a secret's rotation, in seconds: a week.
pub const MAX_OVERLAP_SECS: u32 = 604_800;
/// The overlap of a rotation that names none: a day.
pub const DEFAULT_OVERLAP_SECS: u32 = 86_400;

fn all_types() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A new endpoint.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// Where events are posted to: https, port 443, a public host.
    #[schema(format = "uri", max_length = 2048, example = "https://example.com/hooks/axle")]
    pub url: String,
    /// Event types, groups of them such as `lead.*`, or `*` for all, which is the default.
    #[serde(default = "all_types")]
    #[schema(value_type = Vec<EventTypes>, min_items = 1, max_items = 100, example = json!(["lead.*", "campaign.launched"]))]
    pub event_types: Vec<String>,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Your own signing secret: `whsec_` and the base64 of 24 to 64 bytes. Made for you if you bring none.
    #[serde(default)]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
    /// Attempts that are started in one second at most; the others wait.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    pub rate_limit_per_second: Option<u32>,
}

/// Without the secret, and without the URL's path, which often holds a token.
impl fmt::Debug for WebhookInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookInput").field("event_types", &self.event_types).finish_non_exhaustive()
    }
}

impl WebhookInput {
    /// The endpoint's settings and the secret that the tenant brought, or every fault noted.
    pub fn parse(self, policy: NetworkPolicy, faults: &mut Faults) -> (WebhookSettings, Option<SigningSecret>) {
        let Self { url, event_types, description, secret, rate_limit_per_second } = self;
        let secret = secret.and_then(|text| faults.take("/secret", SigningSecret::parse(&text)));
        let status = EndpointStatus::Enabled;
        let settings = WebhookSettings { url, event_types, description, rate_limit_per_second, status };
        settings.check(policy, faults);
        (settings, secret)
    }
}

/// The rules of URLs depend on the deployment, so they are judged where its settings are known.
impl crate::Input for WebhookInput {}
impl crate::Input for ReplayInput {}

/// What a tenant can set of an endpoint; a patch changes parts of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    #[schema(format = "uri", max_length = 2048, example = "https://example.com/hooks/axle")]
    pub url: String,
    /// Null: all types.
    #[serde(default = "all_types")]
    #[schema(value_type = Vec<EventTypes>, min_items = 1, max_items = 100, example = json!(["lead.*"]))]
    pub event_types: Vec<String>,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: Option<String>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    pub rate_limit_per_second: Option<u32>,
    /// Enabling gives an endpoint that was disabled for its failures a new start.
    pub status: EndpointStatus,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("status", &self.status).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// Notes every fault that can be seen without the network.
    pub fn check(&self, policy: NetworkPolicy, faults: &mut Faults) {
        faults.take("/url", EndpointUrl::parse(&self.url, policy));
        if self.event_types.is_empty() {
            faults.add("/event_types", "must name an event type; leave it out for all of them");
        }
        faults.count("/event_types", self.event_types.len(), MAX_EVENT_TYPES);
        for (i, pattern) in self.event_types.iter().enumerate() {
            faults.take(&format!("/event_types/{i}"), EventPattern::parse_known(pattern, type_names()));
        }
        if let Some(text) = &self.description {
            faults.text("/description", text, 0, MAX_DESCRIPTION);
        }
        if self.rate_limit_per_second.is_some_and(|rate| !(1..=MAX_RATE).contains(&rate)) {
            faults.add("/rate_limit_per_second", format!("must be a number from 1 to {MAX_RATE}"));
        }
    }
}

/// The filter of stored patterns: none at all means all types, and one that is no longer understood matches nothing.
pub fn filter_of(event_types: &[String]) -> EventFilter {
    if event_types.is_empty() {
        return EventFilter::default();
    }
    EventFilter(event_types.iter().filter_map(|text| text.parse().ok()).collect())
}

/// Which deliveries a replay sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayOnly {
    /// Those that failed, given up or not.
    Failed,
    /// Delivered ones too.
    All,
}

/// A range of an endpoint's deliveries to be sent again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayInput {
    /// Inclusive; compared with when the delivery was made.
    pub since: Time,
    /// Exclusive; now, if absent.
    #[serde(default)]
    pub until: Option<Time>,
    pub only: ReplayOnly,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::{Value, json};

    fn faults(body: Value) -> Vec<String> {
        let input: WebhookInput = serde_json::from_value(body).unwrap();
        let mut faults = Faults::new();
        input.parse(NetworkPolicy::PUBLIC_ONLY, &mut faults);
        faults.into_vec().into_iter().map(|f| f.pointer).collect()
    }

    #[test]
    fn a_url_is_enough() {
        let input: WebhookInput = serde_json::from_value(json!({"url": "https://example.com/h"})).unwrap();
        let mut faults = Faults::new();
        let (settings, secret) = input.parse(NetworkPolicy::PUBLIC_ONLY, &mut faults);
        assert!(faults.is_empty() && secret.is_none());
        assert_eq!((settings.event_types, settings.status), (vec!["*".to_owned()], EndpointStatus::Enabled));
    }

    #[test]
    fn every_fault_at_once() {
        let found = faults(json!({
            "url": "http://10.0.0.1/", "event_types": ["lead.*", "lead.exploded", "x"], "secret": "s",
            "description": "d".repeat(501), "rate_limit_per_second": 0,
        }));
        let expected = ["/secret", "/url", "/event_types/1", "/event_types/2", "/description", "/rate_limit_per_second"];
        assert_eq!(found, expected);
        assert_eq!(faults(json!({"url": "https://example.com", "event_types": []})), ["/event_types"]);
        assert_eq!(faults(json!({"url": "https://example.com", "rate_limit_per_second": 1001})), ["/rate_limit_per_second"]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let input: WebhookInput = serde_json::from_value(json!({"url": "https://e.com/tok3n", "secret": "whsec_abc"})).unwrap();
        let text = format!("{input:?}");
        assert!(!text.contains("tok3n") && !text.contains("whsec"), "{text}");
    }

    #[test]
    fn stored_patterns() {
        assert!(filter_of(&[]).matches("lead.created"));
        let filter = filter_of(&["lead.*".to_owned(), "???".to_owned()]);
        assert!(filter.matches("lead.won") && !filter.matches("task.created"));
    }
}

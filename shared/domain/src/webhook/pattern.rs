//! Which event types an endpoint wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One event type, all types of a group (`lead.*`, `agent.run.*`), or all types (`*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventPattern {
    /// `*`
    All,
    /// `lead.*`: every type that begins with the part before the star, `lead.` (dot included).
    Group(String),
    /// `lead.scored`
    Exact(String),
}

/// Why a text is not a usable pattern; displays as a sentence for the tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Neither `*`, nor a type, nor a type's beginning and `.*`.
    #[error("an event type is `*`, a name such as `lead.scored` or a group such as `lead.*`")]
    Syntax,
    /// Well-formed, but there is no such event type.
    #[error("no event type matches `{0}`")]
    Unknown(String),
}

impl EventPattern {
    /// Reads a pattern, and refuses one that matches none of the `known` event types: it would never deliver anything.
    pub fn parse_known<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternFault> {
        let pattern: Self = text.parse()?;
        // `*` is right even where there is nothing to match yet.
        if pattern == Self::All || known.into_iter().any(|event_type| pattern.matches(event_type)) {
            Ok(pattern)
        } else {
            Err(PatternFault::Unknown(text.to_owned()))
        }
    }

    /// Whether an event of this type is wanted.
    pub fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Group(prefix) => event_type.len() > prefix.len() && event_type.starts_with(prefix.as_str()),
            Self::Exact(name) => event_type == name,
        }
    }
}

impl FromStr for EventPattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        if text == "*" {
            return Ok(Self::All);
        }
        let group = text.strip_suffix(".*");
        let segments = group.unwrap_or(text).split('.');
        let is_segment = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if text.len() > 100 || !segments.clone().all(is_segment) || (group.is_none() && segments.count() < 2) {
            return Err(PatternFault::Syntax);
        }
        Ok(match group {
            Some(name) => Self::Group(format!("{name}.")),
            None => Self::Exact(text.to_owned()),
        })
    }
}

impl TryFrom<String> for EventPattern {
    type Error = PatternFault;

    fn try_from(text: String) -> Result<Self, PatternFault> {
        text.parse()
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Group(prefix) => write!(f, "{prefix}*"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

/// All patterns of one endpoint: an event is wanted when any of them matches. Empty wants nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventFilter(pub Vec<EventPattern>);

impl EventFilter {
    /// Whether an event of this type is wanted.
    pub fn matches(&self, event_type: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(event_type))
    }
}

/// Every type: what an endpoint gets that names none.
impl Default for EventFilter {
    fn default() -> Self {
        Self(vec![EventPattern::All])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const KNOWN: [&str; 5] = ["lead.created", "lead.stage_changed", "agent.run.started", "agent.action.pending", "leadership.x"];

    #[rstest]
    #[case("*", &KNOWN)]
    #[case("lead.*", &["lead.created", "lead.stage_changed"])]
    #[case("lead.created", &["lead.created"])]
    #[case("agent.*", &["agent.run.started", "agent.action.pending"])]
    #[case("agent.run.*", &["agent.run.started"])]
    fn matching(#[case] pattern: &str, #[case] expected: &[&str]) {
        let parsed = EventPattern::parse_known(pattern, KNOWN).unwrap();
        let matched: Vec<&str> = KNOWN.into_iter().filter(|t| parsed.matches(t)).collect();
        assert_eq!(matched, expected);
        assert_eq!(parsed.to_string(), pattern);
    }

    #[rstest]
    #[case("lead.exploded")]
    #[case("leads.*")]
    #[case("lead.created.*")]
    #[case("run.*")]
    fn unknown(#[case] pattern: &str) {
        assert_eq!(EventPattern::parse_known(pattern, KNOWN), Err(PatternFault::Unknown(pattern.to_owned())));
    }

    #[rstest]
    #[case("")]
    #[case("lead")]
    #[case(".*")]
    #[case("**")]
    #[case("*.created")]
    #[case("lead*")]
    #[case("lead.")]
    #[case(".created")]
    #[case("lead..created")]
    #[case("lead.*.x")]
    #[case("lead.*.*")]
    #[case("Lead.created")]
    #[case("lead.created ")]
    #[case("lead.cr?ated")]
    fn syntax(#[case] pattern: &str) {
        assert_eq!(pattern.parse::<EventPattern>(), Err(PatternFault::Syntax));
    }

    #[test]
    fn star_needs_no_known_types() {
        assert_eq!(EventPattern::parse_known("*", []), Ok(EventPattern::All));
    }

    #[test]
    fn filter_is_any_of() {
        let filter: EventFilter = serde_json::from_str(r#"["lead.created", "agent.run.*"]"#).unwrap();
        assert!(filter.matches("lead.created") && filter.matches("agent.run.failed"));
        assert!(!filter.matches("lead.won"));
        assert!(EventFilter::default().matches("anything.at_all"));
        assert!(!EventFilter(vec![]).matches("lead.created"));
        assert_eq!(serde_json::to_string(&filter).unwrap(), r#"["lead.created","agent.run.*"]"#);
        assert!(serde_json::from_str::<EventFilter>(r#"["lead*"]"#).is_err());
    }

    proptest! {
        #[test]
        fn parse_and_display_agree(text in "[a-z.*_]{0,20}") {
            if let Ok(pattern) = text.parse::<EventPattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }

        #[test]
        fn a_type_is_matched_by_itself_and_its_groups(segments in proptest::collection::vec("[a-z_]{1,8}", 2..5)) {
            let name = segments.join(".");
            prop_assert!(name.parse::<EventPattern>().unwrap().matches(&name));
            for n in 1..segments.len() {
                let group = format!("{}.*", segments[..n].join("."));
                prop_assert!(group.parse::<EventPattern>().unwrap().matches(&name));
            }
        }
    }
}

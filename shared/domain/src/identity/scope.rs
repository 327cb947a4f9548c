//! Scopes: what a credential may be used for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// One permission, named as in the `security` of each operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Scope { $($variant),* }

        impl Scope {
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),*];
            pub const fn as_str(self) -> &'static str {
                match self { $(Scope::$variant => $text),* }
            }
        }
        impl FromStr for Scope {
            type Err = UnknownScope;
            fn from_str(s: &str) -> Result<Self, UnknownScope> {
                match s { $($text => Ok(Scope::$variant),)* _ => Err(UnknownScope(s.to_owned())) }
            }
        }
    };
}

scopes! {
    CampaignsRead = "campaigns:read",
    CampaignsWrite = "campaigns:write",
    LeadsRead = "leads:read",
    LeadsWrite = "leads:write",
    AgentsRead = "agents:read",
    AgentsWrite = "agents:write",
    AgentsTrigger = "agents:trigger",
    AgentsApprove = "agents:approve",
    CommunicationsRead = "communications:read",
    CommunicationsWrite = "communications:write",
    EconomicsRead = "economics:read",
    TracesRead = "traces:read",
    EventsRead = "events:read",
    WebhooksRead = "webhooks:read",
    WebhooksWrite = "webhooks:write",
    ReadCrm = "read:crm",
    WriteCrm = "write:crm",
    AssistantRead = "assistant:read",
    AssistantWrite = "assistant:write",
    KeysRead = "keys:read",
    KeysWrite = "keys:write",
    All = "*",
}

impl utoipa::PartialSchema for Scope {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::text::one_of(Self::ALL.iter().map(|scope| scope.as_str()), "What a credential may be used for; `*` is everything.")
    }
}

impl utoipa::ToSchema for Scope {}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a scope")]
pub struct UnknownScope(pub String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.as_str().to_owned()
    }
}
impl TryFrom<String> for Scope {
    type Error = UnknownScope;
    fn try_from(s: String) -> Result<Self, UnknownScope> {
        s.parse()
    }
}

/// The scopes of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    pub fn allows(&self, scope: Scope) -> bool {
        self.0.contains(&Scope::All) || self.0.contains(&scope)
    }

    /// Whether every scope of `other` is one of these: nobody can hand on more than they have.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|s| self.allows(*s))
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering() {
        let set = |s: &[Scope]| s.iter().copied().collect::<ScopeSet>();
        let all = set(&[Scope::All]);
        let some = set(&[Scope::LeadsRead, Scope::LeadsWrite]);
        assert!(all.covers(&some) && all.covers(&all) && some.covers(&set(&[Scope::LeadsRead])));
        assert!(!some.covers(&all) && !some.covers(&set(&[Scope::EventsRead])));
        assert!(!set(&[]).allows(Scope::LeadsRead));
    }

    #[test]
    fn text_forms_round_trip() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>().ok(), Some(*scope));
        }
        assert!("leads:admin".parse::<Scope>().is_err());
    }
}

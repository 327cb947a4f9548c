//! Rate limits: which class a request counts in, how much the class allows, and when its window ends.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;
use crate::identity::Plan;

/// What a request counts as. Every request counts in exactly one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateClass {
    /// Changes of campaigns.
    Campaigns,
    /// Changes of leads.
    Leads,
    /// Agent executions.
    Agents,
    /// Everything else outside `/api/v1`.
    Queries,
    /// Every call on `/api/v1`.
    Plan,
    /// Calls without a credential, by the address that they come from.
    Public,
}

impl RateClass {
    /// The classes of credentials.
    pub const ALL: [Self; 5] = [Self::Campaigns, Self::Leads, Self::Agents, Self::Queries, Self::Plan];

    /// The class of a request, by its method and the path pattern it matched (`/leads/{id}`).
    pub fn of(method: &str, pattern: &str) -> Self {
        let under = |prefix: &str| pattern.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let change = !matches!(method, "GET" | "HEAD" | "OPTIONS");
        if under("/api/v1") {
            Self::Plan
        } else if change && under("/campaigns") {
            Self::Campaigns
        } else if change && under("/leads") {
            Self::Leads
        } else if method == "POST" && matches!(pattern, "/agents/{id}/execute" | "/v1/agents/{id}/trigger" | "/tasks") {
            Self::Agents
        } else {
            Self::Queries
        }
    }

    /// The policy's name in the `RateLimit` headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Campaigns => "campaigns",
            Self::Leads => "leads",
            Self::Agents => "agents",
            Self::Queries => "queries",
            Self::Plan => "plan",
            Self::Public => "public",
        }
    }

    /// The window's length in seconds.
    pub const fn window_secs(self) -> i64 {
        match self {
            Self::Plan | Self::Public => 60,
            _ => 3600,
        }
    }

    /// What the class allows a window on a plan, before a key's own limits.
    pub const fn default_limit(self, plan: Plan) -> u64 {
        match (self, plan) {
            (Self::Campaigns, _) => 100,
            (Self::Leads, _) => 1_000,
            (Self::Agents, _) => 5_000,
            (Self::Queries, _) => 10_000,
            (Self::Plan, Plan::SelfService) => 60,
            (Self::Plan, Plan::Managed | Plan::Enterprise) => 300,
            // Mail services fetch the pictures and follow the links of many people from few addresses.
            (Self::Public, _) => 600,
        }
    }
}

/// What callers from one address are counted as: the address itself, of IPv6 the /64 that one customer is given whole.
pub fn source_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// A key's own limits, in requests a window. They may lower any class, and raise it on `enterprise`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Campaign operations an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub campaigns: Option<u64>,
    /// Lead operations an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub leads: Option<u64>,
    /// Agent executions an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub agents: Option<u64>,
    /// API queries an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub queries: Option<u64>,
    /// Calls on `/api/v1` a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub plan: Option<u64>,
}

impl Limits {
    fn own(&self, class: RateClass) -> Option<u64> {
        match class {
            RateClass::Campaigns => self.campaigns,
            RateClass::Leads => self.leads,
            RateClass::Agents => self.agents,
            RateClass::Queries => self.queries,
            RateClass::Plan => self.plan,
            RateClass::Public => None,
        }
    }

    /// The limit in force for a class on a plan.
    pub fn effective(&self, class: RateClass, plan: Plan) -> u64 {
        let default = class.default_limit(plan);
        match self.own(class) {
            Some(own) if plan == Plan::Enterprise => own,
            Some(own) => own.min(default),
            None => default,
        }
    }
}

/// One fixed window, aligned to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub class: RateClass,
    pub limit: u64,
    /// Unix seconds.
    pub starts: i64,
    /// Unix seconds at which the count starts anew.
    pub ends: i64,
}

impl Window {
    pub fn at(now: Time, class: RateClass, limit: u64) -> Self {
        let len = class.window_secs();
        let starts = now.secs().div_euclid(len) * len;
        Self { class, limit, starts, ends: starts + len }
    }

    /// Whole seconds until the window ends, at least 1.
    pub fn resets_in(&self, now: Time) -> i64 {
        (self.ends - now.secs()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (method, pattern, class) in [
            ("POST", "/campaigns", RateClass::Campaigns),
            ("PATCH", "/campaigns/{id}", RateClass::Campaigns),
            ("GET", "/campaigns/{id}", RateClass::Queries),
            ("POST", "/leads/import", RateClass::Leads),
            ("GET", "/leads", RateClass::Queries),
            ("DELETE", "/leads/{id}", RateClass::Leads),
            ("POST", "/leadsmith", RateClass::Queries),
            ("POST", "/agents/{id}/execute", RateClass::Agents),
            ("POST", "/v1/agents/{id}/trigger", RateClass::Agents),
            ("POST", "/v1/agents", RateClass::Queries),
            ("POST", "/tasks", RateClass::Agents),
            ("POST", "/tasks/{id}", RateClass::Queries),
            ("GET", "/api/v1/tasks", RateClass::Plan),
            ("POST", "/api/crm/companies", RateClass::Queries),
        ] {
            assert_eq!(RateClass::of(method, pattern), class, "{method} {pattern}");
        }
    }

    #[test]
    fn own_limits_lower_always_and_raise_on_enterprise_only() {
        let raise = Limits { leads: Some(5_000), campaigns: Some(10), ..Limits::default() };
        assert_eq!(raise.effective(RateClass::Leads, Plan::Managed), 1_000);
        assert_eq!(raise.effective(RateClass::Leads, Plan::Enterprise), 5_000);
        assert_eq!(raise.effective(RateClass::Campaigns, Plan::SelfService), 10);
        assert_eq!(raise.effective(RateClass::Plan, Plan::SelfService), 60);
    }

    #[test]
    fn one_customer_is_one_source() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ] {
            assert_eq!(address.parse().map(source_network).ok(), network.parse().ok(), "{address}");
        }
        assert_ne!("2001:db8:1:3::1".parse().map(source_network), "2001:db8:1:2::1".parse().map(source_network));
    }

    #[test]
    fn windows_are_aligned() {
        let w = Window::at(Time::from_secs(7_265), RateClass::Leads, 9);
        assert_eq!((w.starts, w.ends, w.resets_in(Time::from_secs(7_265))), (7_200, 10_800, 3_535));
        let w = Window::at(Time::from_secs(7_265), RateClass::Plan, 9);
        assert_eq!((w.starts, w.ends), (7_260, 7_320));
    }
}

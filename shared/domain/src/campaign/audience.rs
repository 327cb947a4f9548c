//! Whom a campaign writes to: who fits its profile, who is left out and why, and which of them make up a test cohort.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{CampaignInput, Channel, Icp};
use crate::address::Domain;
use crate::lead::{LeadProfile, LeadStatus};
use crate::score::Standing;
use crate::{CampaignId, LeadId};

/// Why a lead is left out. A lead counts under the first that is true, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// Its address or company is in one of `icp.exclude_domains`.
    ExcludedDomain,
    /// It does not fit the ICP, or what the ICP asks for is not known of it. Technologies and keywords that are not known yet are judged
    /// when the lead is enriched.
    OutsideIcp,
    /// It has no address for a channel of the sequence.
    NoAddress,
    /// Its address is on the suppression list, by hand or after a complaint.
    Suppressed,
    Unsubscribed,
    Bounced,
    /// Another campaign is writing to it at the moment.
    InOtherCampaign,
    AlreadyContacted,
}

crate::text::text_enum!(
    Exclusion,
    ExcludedDomain = "excluded_domain",
    OutsideIcp = "outside_icp",
    NoAddress = "no_address",
    Suppressed = "suppressed",
    Unsubscribed = "unsubscribed",
    Bounced = "bounced",
    InOtherCampaign = "in_other_campaign",
    AlreadyContacted = "already_contacted"
);

/// What the suppression list says of a lead's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwanted {
    /// By hand, or after a complaint.
    pub suppressed: bool,
    pub unsubscribed: bool,
    pub bounced: bool,
}

/// What is known of a lead when its campaign is launched.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub profile: &'a LeadProfile,
    /// How it stands to the campaign's ICP.
    pub standing: Standing,
    pub status: LeadStatus,
    pub unwanted: Unwanted,
    /// Whether another campaign is writing to it.
    pub elsewhere: bool,
}

impl Candidate<'_> {
    /// Why it is left out of a campaign, if it is.
    pub fn exclusion(&self, spec: &CampaignInput) -> Option<Exclusion> {
        let status = self.status;
        let reasons = [
            (is_excluded(&spec.icp, self.profile), Exclusion::ExcludedDomain),
            (self.standing == Standing::Outside, Exclusion::OutsideIcp),
            (!is_reachable(spec, self.profile), Exclusion::NoAddress),
            (self.unwanted.suppressed, Exclusion::Suppressed),
            (self.unwanted.unsubscribed || status == LeadStatus::Unsubscribed, Exclusion::Unsubscribed),
            (self.unwanted.bounced || status == LeadStatus::Bounced, Exclusion::Bounced),
            (self.elsewhere, Exclusion::InOtherCampaign),
            (was_contacted(status), Exclusion::AlreadyContacted),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
    }
}

const fn was_contacted(status: LeadStatus) -> bool {
    matches!(status, LeadStatus::Contacted | LeadStatus::Replied | LeadStatus::Meeting | LeadStatus::Converted)
}

/// Whether a lead's address, company or site is in one of the excluded domains, or in a part of one.
pub fn is_excluded(icp: &Icp, profile: &LeadProfile) -> bool {
    let site = profile.company.website.as_deref().and_then(|site| Domain::parse(site).ok());
    let own = [profile.email.as_ref().map(|email| email.domain()), profile.company.domain.as_ref().map(Domain::as_str)];
    let own: Vec<&str> = own.into_iter().flatten().chain(site.as_ref().map(Domain::as_str)).collect();
    icp.exclude_domains.iter().filter_map(|domain| Domain::parse(domain).ok()).any(|excluded| {
        own.iter().any(|own| own.strip_suffix(excluded.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    })
}

/// Whether a lead has an address for each step that goes to people's own addresses. Steps of other channels are passed over.
fn is_reachable(spec: &CampaignInput, profile: &LeadProfile) -> bool {
    let steps = spec.messaging.sequence.iter().map(|step| step.channel);
    // Without a sequence as yet, by the channels that it may use.
    let channels: Vec<Channel> = if spec.messaging.sequence.is_empty() { spec.channels.clone() } else { steps.collect() };
    let has = |channel: &Channel| match channel {
        Channel::Email => profile.email.is_some(),
        Channel::Sms => profile.phone.is_some(),
        Channel::Linkedin | Channel::Webhook => true,
    };
    channels.iter().all(has)
}

/// A number that a lead draws in a campaign, always the same: evenly spread, and of no order that leads have otherwise. A cohort is
/// the leads with the smallest numbers, and a lead's wording follows from its number.
pub fn draw(campaign: CampaignId, lead: LeadId, purpose: &str) -> u64 {
    let hash = Sha256::digest(format!("{purpose}/{campaign}/{lead}"));
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The number by which cohorts are made up.
pub fn cohort_number(campaign: CampaignId, lead: LeadId) -> u64 {
    draw(campaign, lead, "cohort")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::lead::LeadInput;
    use crate::score::{Model, standing};
    use crate::{Faults, Time};

    fn profile(more: Value) -> LeadProfile {
        let mut lead = json!({"email": "ada@mail.engines.example", "title": "Chief Technology Officer", "seniority": "C-Level",
            "country": "United Kingdom", "company": {"industry": "Computer Software", "size": "51-200", "location": "London"}});
        for (name, value) in more.as_object().unwrap() {
            lead[name] = value.clone();
        }
        let mut faults = Faults::new();
        let profile = serde_json::from_value::<LeadInput>(lead).unwrap().parse(&mut faults);
        faults.check().unwrap();
        profile
    }

    fn spec(icp: Value) -> CampaignInput {
        let step = json!({"step": 1, "channel": "email", "subject": "s", "body": "b"});
        serde_json::from_value(json!({"name": "x", "channels": ["email"], "icp": icp, "messaging": {"sequence": [step]}}))
            .unwrap()
    }

    #[test]
    fn excluded_domains_and_their_parts() {
        let excluded = |domain: &str| {
            is_excluded(&serde_json::from_value(json!({"exclude_domains": [domain]})).unwrap(), &profile(json!({})))
        };
        assert!(excluded("engines.example") && excluded("mail.engines.example"));
        assert!(!excluded("gines.example") && !excluded("other.mail.engines.example"));
        let by_company = profile(json!({"email": "ada@mail.example", "company": {"domain": "rival.example"}}));
        assert!(is_excluded(&serde_json::from_value(json!({"exclude_domains": ["RIVAL.example"]})).unwrap(), &by_company));
    }

    /// Whatever else is true of a lead, it counts under the first reason.
    #[test]
    fn one_reason_the_first() {
        let spec = spec(json!({"exclude_domains": ["rival.example"], "titles": ["CTO"]}));
        // Each entry takes one reason more away.
        let rival = profile(json!({"email": "a@rival.example", "title": "x"}));
        let outside = profile(json!({"email": null, "phone": "+14155550123", "title": "x"}));
        let voiceless = profile(json!({"email": null, "phone": "+14155550123", "title": "CTO"}));
        let good = profile(json!({"title": "CTO"}));
        let all = Unwanted { suppressed: true, unsubscribed: true, bounced: true };
        let but = |suppressed, unsubscribed, bounced| Unwanted { suppressed, unsubscribed, bounced };
        for (profile, unwanted, elsewhere, status, expected) in [
            (&rival, all, true, LeadStatus::Replied, Some(Exclusion::ExcludedDomain)),
            (&outside, all, true, LeadStatus::Replied, Some(Exclusion::OutsideIcp)),
            (&voiceless, all, true, LeadStatus::Replied, Some(Exclusion::NoAddress)),
            (&good, all, true, LeadStatus::Replied, Some(Exclusion::Suppressed)),
            (&good, but(false, true, true), true, LeadStatus::Replied, Some(Exclusion::Unsubscribed)),
            (&good, but(false, false, true), true, LeadStatus::Unsubscribed, Some(Exclusion::Unsubscribed)),
            (&good, but(false, false, true), true, LeadStatus::Replied, Some(Exclusion::Bounced)),
            (&good, but(false, false, false), true, LeadStatus::Bounced, Some(Exclusion::Bounced)),
            (&good, but(false, false, false), true, LeadStatus::Replied, Some(Exclusion::InOtherCampaign)),
            (&good, but(false, false, false), false, LeadStatus::Contacted, Some(Exclusion::AlreadyContacted)),
            (&good, but(false, false, false), false, LeadStatus::Scored, None),
        ] {
            let model = Model::of_version(Model::latest_version()).unwrap();
            let candidate =
                Candidate { profile, standing: standing(&model, &spec.icp, profile, None), status, unwanted, elsewhere };
            assert_eq!(candidate.exclusion(&spec), expected);
        }
        assert!(Exclusion::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn numbers_are_the_leads_own(a in any::<u128>(), b in any::<u128>()) {
            let campaign = CampaignId::new_at(Time::from_secs(1));
            let lead = |n| LeadId::from_uuid(uuid::Uuid::from_u128(n));
            prop_assert_eq!(cohort_number(campaign, lead(a)), cohort_number(campaign, lead(a)));
            prop_assert_eq!(a == b, cohort_number(campaign, lead(a)) == cohort_number(campaign, lead(b)));
        }
    }
}

//! A lead's way through a campaign: where it stands, what comes next, and what ends it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{SequenceStep, StopOn, Variant};
use crate::communication::next_allowed;
use crate::{CampaignId, CampaignRunId, CommunicationId, LeadId, Time, TraceId};

/// Name space of what follows from a campaign and a lead (a UUIDv4 made for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x0b6e_71d3_9f52_4c8a_a7e0_2d51_c93f_846b);

/// Where a lead stands in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The campaign is not launched.
    Attached,
    Enriching,
    Scoring,
    /// For the time of the next step.
    Waiting,
    /// For a person to look at the drafted message.
    AwaitingApproval,
    /// A message is in the outbox.
    Sending,
    /// The campaign is paused; it goes on from where it was.
    Paused,
    /// The whole sequence was sent.
    Completed,
    /// The person answered, met, wants no more, cannot be reached; or the lead is gone.
    Stopped,
    /// A message could not be made or sent.
    Failed,
    /// With the campaign.
    Cancelled,
}

crate::text::text_enum!(
    RunState,
    Attached = "attached",
    Enriching = "enriching",
    Scoring = "scoring",
    Waiting = "waiting",
    AwaitingApproval = "awaiting_approval",
    Sending = "sending",
    Paused = "paused",
    Completed = "completed",
    Stopped = "stopped",
    Failed = "failed",
    Cancelled = "cancelled"
);

impl RunState {
    /// Whether nothing follows any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed | Self::Cancelled)
    }

    /// Whether a lead may go from here to there.
    pub const fn may_become(self, next: Self) -> bool {
        use RunState::{
            Attached, AwaitingApproval, Cancelled, Completed, Enriching, Failed, Paused, Scoring, Sending, Stopped, Waiting,
        };
        match (self, next) {
            (Attached, _) | (_, Attached) => false,
            (Completed | Stopped | Failed | Cancelled, _) => false,
            (_, Stopped | Failed | Cancelled) => true,
            (Enriching, Scoring | Paused) | (Scoring, Waiting | Paused) => true,
            // Completed from here when only steps are left that cannot reach anybody.
            (Waiting, AwaitingApproval | Sending | Paused | Completed) => true,
            (AwaitingApproval, Waiting | Sending | Paused) => true,
            // A message on its way is awaited also while the campaign is paused.
            (Sending, Waiting | Completed) => true,
            (Paused, Enriching | Scoring | Waiting | AwaitingApproval) => true,
            _ => false,
        }
    }
}

/// What ended a lead's sequence early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    Reply,
    Meeting,
    Unsubscribe,
    Bounce,
    /// The address was put on the suppression list by hand.
    Suppressed,
    /// The message was cancelled by hand.
    MessageCancelled,
    Rejected,
    /// Nobody looked at the draft in time.
    NotApproved,
    /// What was found of its company is not what the campaign's ICP asks for.
    OutsideIcp,
    /// A deal with the person was won or lost.
    DealClosed,
    LeadDeleted,
}

crate::text::text_enum!(
    StopCause,
    Reply = "reply",
    Meeting = "meeting",
    Unsubscribe = "unsubscribe",
    Bounce = "bounce",
    Suppressed = "suppressed",
    MessageCancelled = "message_cancelled",
    Rejected = "rejected",
    NotApproved = "not_approved",
    OutsideIcp = "outside_icp",
    DealClosed = "deal_closed",
    LeadDeleted = "lead_deleted"
);

impl StopCause {
    /// Whether it ends the sequence of a campaign that stops on these. What makes writing pointless or forbidden always does.
    pub fn ends(self, stop_on: &[StopOn]) -> bool {
        match self {
            Self::Reply => stop_on.contains(&StopOn::Reply),
            Self::Meeting => stop_on.contains(&StopOn::Meeting),
            Self::Bounce => stop_on.contains(&StopOn::Bounce),
            _ => true,
        }
    }
}

/// The run of a lead in a campaign: there is one, however often a launch is repeated.
pub fn run_id(campaign: CampaignId, lead: LeadId) -> CampaignRunId {
    CampaignRunId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{campaign}/{lead}").as_bytes()))
}

/// The trace of all that happens between a campaign and a lead.
pub fn run_trace(run: CampaignRunId) -> TraceId {
    // A v5 UUID is never all zero, so its digits always are a trace id.
    run.uuid().as_simple().to_string().parse().unwrap_or_else(|_| TraceId::random())
}

/// The message of a step of a run: there is one, so no step is ever sent twice.
pub fn message_id(run: CampaignRunId, step: u32) -> CommunicationId {
    CommunicationId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{run}/{step}").as_bytes()))
}

/// When a step is due that follows something that happened at `after`.
pub fn due_after(step: &SequenceStep, after: Time) -> Time {
    let millis = (step.delay_hours * 3_600_000.0).round();
    // At most a year (see `SequenceStep`), so well within an i64.
    after.plus_millis(millis as i64)
}

/// Seconds until a model is asked again that has failed in passing so many times in a row before: from half a minute to four hours. None
/// when that has gone on for some three days.
pub fn ask_again_after(failures: u32) -> Option<i64> {
    const ATTEMPTS: u32 = 22;
    (failures + 1 < ATTEMPTS).then(|| (30_i64 << (2 * failures).min(10)).min(4 * 3_600))
}

/// The first time from `at` on at which a campaign with this window may send to a person in `zone`.
pub fn allowed(window: Option<&super::SendingWindow>, zone: Option<&str>, at: Time) -> Time {
    window.map_or(at, |window| next_allowed(window, zone, at))
}

/// The wording that a lead draws: by its number in the campaign, so that it keeps the one it drew, also in later steps whose variants
/// have the same weights.
pub fn pick(variants: &[Variant], campaign: CampaignId, lead: LeadId) -> Option<&Variant> {
    let total: f64 = variants.iter().map(|variant| variant.weight).sum();
    let number = super::audience::draw(campaign, lead, "variant");
    let point = number as f64 / u64::MAX as f64 * total;
    let mut sum = 0.0;
    let drawn = variants.iter().find(|variant| {
        sum += variant.weight;
        point < sum
    });
    drawn.or(variants.last())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;

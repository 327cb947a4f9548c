//! Messages, identities and suppressions as the API shows them.

use std::collections::BTreeMap;

use axle_domain::campaign::SendingWindow;
use axle_domain::communication::{
    Category, CommunicationStatus, IdentitySettings, IdentityStatus, MessageChannel, SuppressionOrigin, Track, Warmup,
};
use axle_domain::mail::IdentityKind;
use axle_domain::meeting::{MeetingSource, MeetingStatus};
use axle_domain::{CampaignId, CommunicationId, ContactId, LeadId, MeetingId, SendingIdentityId, Time};
use axle_store::Versioned;
use axle_store::communications::{CommunicationRecord, ContentRecord, SendAttempt};
use axle_store::identities::IdentityRecord;
use axle_store::meetings::MeetingRecord;
use axle_store::replies::ReplyRecord;
use axle_store::suppressions::SuppressionRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
pub struct QueuedOut {
    pub id: CommunicationId,
    pub status: CommunicationStatus,
    /// Not before this; limits and sending windows can make it later.
    pub scheduled_send_time: Time,
}

impl From<&CommunicationRecord> for QueuedOut {
    fn from(record: &CommunicationRecord) -> Self {
        Self { id: record.id, status: record.status, scheduled_send_time: record.scheduled_send_time }
    }
}

/// One attempt to send.
#[derive(Serialize, ToSchema)]
pub struct SendAttemptOut {
    pub at: Time,
    pub duration_ms: u64,
    /// `sent`, `retry` (failed, will be tried again), `failed`, `unknown` (may have gone out) or `suppressed`.
    #[schema(example = "sent")]
    pub outcome: String,
    pub error: Option<String>,
}

impl From<SendAttempt> for SendAttemptOut {
    fn from(attempt: SendAttempt) -> Self {
        let SendAttempt { at, duration_ms, outcome, error } = attempt;
        Self { at, duration_ms, outcome, error }
    }
}

/// What came back of a message. Opens and clicks of scanners, prefetchers and the like are counted apart.
#[derive(Serialize, ToSchema)]
pub struct EngagementOut {
    pub delivered_at: Option<Time>,
    pub bounced_at: Option<Time>,
    pub complained_at: Option<Time>,
    pub opened_at: Option<Time>,
    pub clicked_at: Option<Time>,
    pub replied_at: Option<Time>,
    pub unsubscribed_at: Option<Time>,
    pub opens: u32,
    pub clicks: u32,
    /// By people; notices of absence and the like do not count.
    pub replies: u32,
    pub machine_opens: u32,
    pub machine_clicks: u32,
}

/// A message.
#[derive(Serialize, ToSchema)]
pub struct CommunicationOut {
    pub id: CommunicationId,
    pub channel: MessageChannel,
    pub category: Category,
    pub status: CommunicationStatus,
    #[schema(example = "ada@example.com")]
    pub to: String,
    pub lead_id: Option<LeadId>,
    pub contact_id: Option<ContactId>,
    pub campaign_id: Option<CampaignId>,
    /// Null: the deployment's own sender address.
    pub identity_id: Option<SendingIdentityId>,
    pub subject: Option<String>,
    #[schema(inline)]
    pub track: Track,
    pub scheduled_send_time: Time,
    /// The latest 20, oldest first.
    pub attempts: Vec<SendAttemptOut>,
    /// Why it failed or waits for another attempt.
    pub error: Option<String>,
    /// It failed, and nobody knows whether the provider took it: trying again may send it twice.
    pub outcome_unknown: bool,
    /// Who took it: `ses`, `smtp`, `gmail`, `outlook`, `sns` or `webhook`.
    pub provider: Option<String>,
    pub provider_message_id: Option<String>,
    /// The e-mail's `Message-ID` as its recipient sees it, without brackets.
    pub message_id: Option<String>,
    pub sent_at: Option<Time>,
    pub engagement: EngagementOut,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<CommunicationRecord> for CommunicationOut {
    fn from(record: CommunicationRecord) -> Self {
        let e = record.engagement;
        Self {
            id: record.id,
            channel: record.channel,
            category: record.category,
            status: record.status,
            to: record.to,
            lead_id: record.lead_id,
            contact_id: record.contact_id,
            campaign_id: record.campaign_id,
            identity_id: record.identity_id,
            subject: record.subject,
            track: record.track,
            scheduled_send_time: record.scheduled_send_time,
            attempts: record.attempts.into_iter().map(SendAttemptOut::from).collect(),
            error: record.error,
            outcome_unknown: record.outcome_unknown,
            provider: record.provider,
            provider_message_id: record.provider_message_id,
            message_id: record.message_id,
            sent_at: record.sent_at,
            engagement: EngagementOut {
                delivered_at: e.delivered_at,
                bounced_at: e.bounced_at,
                complained_at: e.complained_at,
                opened_at: e.opened_at,
                clicked_at: e.clicked_at,
                replied_at: e.replied_at,
                unsubscribed_at: e.unsubscribed_at,
                opens: e.opens,
                clicks: e.clicks,
                replies: e.replies,
                machine_opens: e.machine_opens,
                machine_clicks: e.machine_clicks,
            },
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// A mail that came back to a message.
#[derive(Serialize, ToSchema)]
pub struct ReplyOut {
    #[schema(example = "ada@example.com")]
    pub from: String,
    pub from_name: Option<String>,
    pub subject: String,
    /// What was written, without the message that it answers; 20,000 bytes at most.
    pub text: String,
    /// Written by a program, such as a notice of absence.
    pub automatic: bool,
    /// What it comes to, if that could be told.
    pub classification: Option<String>,
    pub message_id: Option<String>,
    pub received_at: Time,
}

impl From<ReplyRecord> for ReplyOut {
    fn from(record: ReplyRecord) -> Self {
        let ReplyRecord { from, from_name, subject, text, automatic, classification, message_id, received_at, .. } = record;
        Self { from, from_name, subject, text, automatic, classification, message_id, received_at }
    }
}

/// A message with what it says, and with the mails that came back to it.
#[derive(Serialize, ToSchema)]
pub struct CommunicationDetailOut {
    #[serde(flatten)]
    pub communication: CommunicationOut,
    /// As it is sent.
    pub text: Option<String>,
    pub html: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// The latest 20, oldest first.
    pub replies: Vec<ReplyOut>,
    /// How many are kept, those of programs included. Of one message that is no more than 200.
    pub replies_total: u32,
}

impl CommunicationDetailOut {
    pub fn of(record: CommunicationRecord, content: ContentRecord, replies: Vec<ReplyRecord>) -> Self {
        let ContentRecord { text, html, headers, .. } = content;
        let replies: Vec<ReplyOut> = replies.into_iter().map(ReplyOut::from).collect();
        // Replies that came before they were counted are shown, and so are at least there.
        let replies_total = record.replies_kept.max(u32::try_from(replies.len()).unwrap_or(u32::MAX));
        Self { communication: record.into(), text, html, headers, replies, replies_total }
    }
}

#[derive(Serialize, ToSchema)]
pub struct CommunicationPage {
    pub communications: Vec<CommunicationOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// A sending identity. Credentials are never shown.
#[derive(Serialize, ToSchema)]
pub struct IdentityOut {
    pub id: SendingIdentityId,
    pub kind: IdentityKind,
    #[schema(example = "ada@example.com")]
    pub from: String,
    pub name: Option<String>,
    pub daily_limit: Option<u32>,
    pub warmup: Option<Warmup>,
    pub sending_window: Option<SendingWindow>,
    pub status: IdentityStatus,
    /// What is still to be done, or what the last check found wrong.
    pub status_detail: Option<String>,
    pub verified_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Versioned<IdentityRecord>> for IdentityOut {
    fn from(identity: &Versioned<IdentityRecord>) -> Self {
        let i = identity.value.clone();
        Self {
            id: i.id,
            kind: i.kind,
            from: i.from,
            name: i.name,
            daily_limit: i.daily_limit,
            warmup: i.warmup,
            sending_window: i.sending_window,
            status: i.status,
            status_detail: i.status_detail,
            verified_at: i.verified_at,
            created_at: i.created_at,
            updated_at: i.updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct IdentityPage {
    pub identities: Vec<IdentityOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// A merge patch of an identity's settings.
pub type IdentityPatch = axle_http::PatchOf<IdentitySettings>;

/// An address that is not written to.
#[derive(Serialize, ToSchema)]
pub struct SuppressionOut {
    #[schema(example = "ada@example.com")]
    pub address: String,
    pub reason: Option<String>,
    pub origin: SuppressionOrigin,
    /// The message that led to it.
    pub communication_id: Option<CommunicationId>,
    pub created_at: Time,
}

impl From<&SuppressionRecord> for SuppressionOut {
    fn from(record: &SuppressionRecord) -> Self {
        let SuppressionRecord { address, reason, origin, communication_id, created_at, .. } = record.clone();
        Self { address, reason, origin, communication_id, created_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct SuppressionPage {
    pub suppressions: Vec<SuppressionOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

/// A secret is to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewSecretInput {
    /// How long the secret before it stays good; a week at most.
    #[schema(minimum = 0, maximum = 604800, example = 0)]
    pub overlap_seconds: Option<u32>,
}

impl axle_domain::Input for NewSecretInput {}

/// Where mail is posted to, and what it is signed with; the secret is null in an idempotent replay.
#[derive(Serialize, ToSchema)]
pub struct InboundSecretOut {
    #[schema(example = "https://api.example.com/communications/inbound/01939b1e-0d4c-7a11-9c55-0d1f6a2b3c4d")]
    pub url: String,
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
}

/// What posted messages are signed with; null in an idempotent replay.
#[derive(Serialize, ToSchema)]
pub struct PostSecretOut {
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
}

/// A scheduling service.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes a part of a path")]
pub enum HookProvider {
    Calcom,
    Calendly,
}

/// Where a scheduling service reports to.
#[derive(Serialize, ToSchema)]
pub struct HookUrlOut {
    #[schema(example = "https://api.example.com/meetings/hooks/calcom/01939b1e-0d4c-7a11-9c55-0d1f6a2b3c4d")]
    pub url: String,
}

/// A meeting.
#[derive(Serialize, ToSchema)]
pub struct MeetingOut {
    pub id: MeetingId,
    pub status: MeetingStatus,
    pub source: MeetingSource,
    pub lead_id: Option<LeadId>,
    pub campaign_id: Option<CampaignId>,
    pub starts_at: Time,
    pub ends_at: Option<Time>,
    pub title: Option<String>,
    pub created_at: Time,
}

impl From<&MeetingRecord> for MeetingOut {
    fn from(record: &MeetingRecord) -> Self {
        let MeetingRecord { id, status, source, lead_id, campaign_id, starts_at, ends_at, title, created_at, .. } =
            record.clone();
        Self { id, status, source, lead_id, campaign_id, starts_at, ends_at, title, created_at }
    }
}

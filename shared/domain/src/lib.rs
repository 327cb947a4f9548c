//! Pure types and rules of Axle: no AWS, no HTTP, no clock, no IO.
//!
//! Anything that can be decided from its arguments alone is decided here, so that it can be tested as a table of cases.

pub mod actor;
pub mod address;
pub mod agent;
pub mod campaign;
pub mod communication;
pub mod cost;
pub mod crm;
pub mod csv;
pub mod date;
pub mod enrich;
pub mod event;
pub mod fault;
pub mod id;
pub mod identity;
pub mod lead;
pub mod mail;
pub mod meeting;
pub mod merge;
pub mod model;
pub mod money;
pub mod prompt;
pub mod rate;
pub mod reply;
pub mod score;
pub mod slo;
pub mod template;
pub mod text;
pub mod time;
pub mod trace;
pub mod webhook;

pub use actor::{Actor, ActorKind};
pub use date::{Date, Due};
pub use fault::{Fault, Faults, Input};
pub use id::{
    ActivityId, AgentId, AgentJobId, ApprovalId, CampaignId, CampaignRunId, CommunicationId, CompanyId, CompanyMembershipId,
    ContactId, CustomFieldId, DealId, DeliveryId, EntityId, EventId, ImportJobId, LeadId, MarketingListId, MeetingId, ProjectId,
    RunContactId, RunId, SendingIdentityId, TaskId, TraceId, UploadId, UserId, WebhookId,
};
pub use money::Micros;
pub use time::Time;

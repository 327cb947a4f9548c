//! Deals as the API shows them: as leads.

use std::collections::BTreeMap;

use axle_domain::crm::currency::Currency;
use axle_domain::crm::deal::{DealInput, DealProfile};
use axle_domain::crm::stage::Stage;
use axle_domain::crm::timeline::EntryKind;
use axle_domain::{Actor, CompanyId, ContactId, Date, DealId, LeadId, Time, UserId};
use axle_store::Versioned;
use axle_store::crm::deals::DealRecord;
use axle_store::crm::timeline::TimelineRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A lead of the CRM: a deal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmLead)]
pub struct DealOut {
    pub id: DealId,
    pub title: String,
    pub company_id: Option<CompanyId>,
    pub contact_id: Option<ContactId>,
    /// The lead of campaigns that it was opened for.
    pub prospect_id: Option<LeadId>,
    pub value_minor: Option<i64>,
    pub currency: Option<Currency>,
    pub stage: Stage,
    pub lost_reason: Option<String>,
    pub expected_close_date: Option<Date>,
    /// Percent; the stage's own unless somebody said another.
    #[schema(maximum = 100)]
    pub probability: u8,
    pub source: Option<String>,
    pub owner_user_id: Option<UserId>,
    #[schema(value_type = Object, additional_properties)]
    pub custom: BTreeMap<String, Value>,
    /// When it was won or lost.
    pub closed_at: Option<Time>,
    pub stage_changed_at: Time,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Versioned<DealRecord>> for DealOut {
    fn from(deal: &Versioned<DealRecord>) -> Self {
        let DealRecord {
            entity_id: _,
            id,
            stage,
            company_id,
            contact_id,
            owner,
            prospect_id,
            profile,
            q: _,
            closed_at,
            chore: _,
            stage_changed_at,
            created_at,
            updated_at,
        } = deal.value.clone();
        let DealProfile { title, value_minor, currency, lost_reason, expected_close_date, probability: _, source, custom } =
            profile;
        Self {
            id,
            title,
            company_id,
            contact_id,
            prospect_id,
            value_minor,
            currency,
            stage,
            lost_reason,
            expected_close_date,
            probability: deal.value.probability(),
            source,
            owner_user_id: owner,
            custom,
            closed_at,
            stage_changed_at,
            created_at,
            updated_at,
        }
    }
}

/// One page of leads.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmLeadPage)]
pub struct DealPage {
    pub leads: Vec<DealOut>,
    pub page: u32,
    pub page_size: u32,
    /// Leads that the filters let through, on all pages.
    pub total: u64,
}

/// A merge patch of a lead.
pub type DealPatch = axle_http::PatchOf<DealInput>;

/// Something that happened to a lead.
#[derive(Serialize, ToSchema)]
#[schema(as = CrmTimelineEntry)]
pub struct EntryOut {
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub kind: EntryKind,
    pub at: Time,
    #[schema(example = "Moved from proposal to won")]
    pub title: String,
    pub actor: Actor,
    /// What the kind of entry says of it: `from`, `to`, `lostReason`, `note` of a move; `activityId`, `type`, ... of an activity;
    /// `taskId`, `change`, `dueDate` of a task.
    #[schema(value_type = Object, additional_properties)]
    pub data: Value,
}

impl From<TimelineRecord> for EntryOut {
    fn from(entry: TimelineRecord) -> Self {
        let data = entry.data();
        Self { id: entry.id, kind: entry.kind, at: entry.at, title: entry.title, actor: entry.actor, data }
    }
}

/// One page of a timeline.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmTimeline)]
pub struct TimelinePage {
    pub entries: Vec<EntryOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

//! Leads as the API shows them.

use std::collections::BTreeMap;

use axle_domain::lead::{Consent, LeadProfile, LeadStatus, Tier};
use axle_domain::{ContactId, DealId, LeadId, Time};
use axle_store::Versioned;
use axle_store::leads::LeadRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The company that a lead works for.
#[derive(Serialize, ToSchema)]
pub struct CompanyOut {
    pub name: Option<String>,
    pub domain: Option<String>,
    pub website: Option<String>,
    pub industry: Option<String>,
    pub size: Option<String>,
    pub location: Option<String>,
}

/// A lead.
#[derive(Serialize, ToSchema)]
pub struct LeadOut {
    pub id: LeadId,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub title: Option<String>,
    pub seniority: Option<String>,
    pub phone: Option<String>,
    pub linkedin_url: Option<String>,
    pub company: CompanyOut,
    pub country: Option<String>,
    pub timezone: Option<String>,
    pub status: LeadStatus,
    #[schema(maximum = 100)]
    pub score: Option<u8>,
    pub tier: Option<Tier>,
    #[schema(value_type = Object)]
    pub custom: BTreeMap<String, Value>,
    pub source: Option<String>,
    pub consent: Option<Consent>,
    /// The person of the CRM that it has become.
    pub contact_id: Option<ContactId>,
    /// The CRM's lead that was opened for it.
    pub crm_lead_id: Option<DealId>,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Serialize, ToSchema)]
pub struct LeadPage {
    pub leads: Vec<LeadOut>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

impl From<&Versioned<LeadRecord>> for LeadOut {
    fn from(lead: &Versioned<LeadRecord>) -> Self {
        let LeadRecord {
            entity_id: _,
            id,
            identity: _,
            moved: _,
            profile,
            status,
            tier,
            score,
            promotion,
            q: _,
            created_at,
            updated_at,
            made_by: _,
            changed_by: _,
        } = lead.value.clone();
        let LeadProfile {
            email,
            first_name,
            last_name,
            title,
            seniority,
            phone,
            linkedin_url,
            company,
            country,
            timezone,
            custom,
            source,
            consent,
        } = profile;
        let axle_domain::lead::Company { name, domain, website, industry, size, location } = company;
        Self {
            id,
            email: email.map(Into::into),
            first_name,
            last_name,
            title,
            seniority,
            phone: phone.map(Into::into),
            linkedin_url: linkedin_url.map(Into::into),
            company: CompanyOut { name, domain: domain.map(Into::into), website, industry, size, location },
            country,
            timezone,
            status,
            score,
            tier,
            custom,
            source,
            consent,
            contact_id: promotion.as_ref().map(|promotion| promotion.contact_id),
            crm_lead_id: promotion.map(|promotion| promotion.deal_id),
            created_at,
            updated_at: updated_at.unwrap_or(created_at),
        }
    }
}

/// A merge patch of a lead.
pub type LeadPatch = axle_http::PatchOf<axle_domain::lead::LeadInput>;

//! Companies as the API shows them.

use std::collections::BTreeMap;

use axle_domain::crm::{CompanyProfile, CompanyStatus};
use axle_domain::{CompanyId, Time, UserId};
use axle_store::Versioned;
use axle_store::crm::companies::CompanyRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A company.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmCompany)]
pub struct CompanyOut {
    pub id: CompanyId,
    pub name: String,
    pub domain: Option<String>,
    pub website: Option<String>,
    pub industry: Option<String>,
    pub size: Option<String>,
    pub phone: Option<String>,
    #[schema(value_type = Object, additional_properties)]
    pub address: BTreeMap<String, String>,
    pub status: CompanyStatus,
    pub owner_user_id: Option<UserId>,
    pub tags: Vec<String>,
    #[schema(value_type = Object, additional_properties)]
    pub custom: BTreeMap<String, Value>,
    /// The company that this one turned out to be; it has taken over everything that hung on this one.
    pub merged_into: Option<CompanyId>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// One page of companies.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmCompanyPage)]
pub struct CompanyPage {
    pub companies: Vec<CompanyOut>,
    pub page: u32,
    pub page_size: u32,
    /// Companies that the filters let through, on all pages.
    pub total: u64,
}

impl From<&Versioned<CompanyRecord>> for CompanyOut {
    fn from(company: &Versioned<CompanyRecord>) -> Self {
        let CompanyRecord {
            entity_id: _,
            id,
            profile,
            status,
            owner,
            q: _,
            merged_into,
            absorbed: _,
            hold: _,
            created_at,
            updated_at,
        } = company.value.clone();
        let CompanyProfile { name, domain, website, industry, size, phone, address, tags, custom } = profile;
        Self {
            id,
            name,
            domain: domain.map(Into::into),
            website,
            industry,
            size,
            phone: phone.map(Into::into),
            address,
            status,
            owner_user_id: owner,
            tags,
            custom,
            merged_into,
            created_at,
            updated_at,
        }
    }
}

/// A merge patch of a company.
pub type CompanyPatch = axle_http::PatchOf<axle_domain::crm::CompanyInput>;

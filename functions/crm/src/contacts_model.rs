//! Contacts and their places in companies, as the API shows them.

use std::collections::BTreeMap;

use axle_app::crm::memberships::{Member, Membership};
use axle_domain::crm::ContactProfile;
use axle_domain::{CompanyId, CompanyMembershipId, ContactId, Time, UserId};
use axle_store::Versioned;
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::memberships::CompanyMembershipRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A contact.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmContact)]
pub struct ContactOut {
    pub id: ContactId,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub title: Option<String>,
    pub linkedin_url: Option<String>,
    pub owner_user_id: Option<UserId>,
    /// The company of the primary membership.
    pub company_id: Option<CompanyId>,
    pub tags: Vec<String>,
    #[schema(value_type = Object, additional_properties)]
    pub custom: BTreeMap<String, Value>,
    /// The contact that this one turned out to be.
    pub merged_into: Option<ContactId>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// One page of contacts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmContactPage)]
pub struct ContactPage {
    pub contacts: Vec<ContactOut>,
    pub page: u32,
    pub page_size: u32,
    /// Contacts that the filters let through, on all pages.
    pub total: u64,
}

impl From<&Versioned<ContactRecord>> for ContactOut {
    fn from(contact: &Versioned<ContactRecord>) -> Self {
        let ContactRecord {
            entity_id: _,
            id,
            profile,
            owner,
            company_id,
            q: _,
            merged_into,
            absorbed: _,
            created_at,
            updated_at,
        } = contact.value.clone();
        let ContactProfile { first_name, last_name, email, phone, title, linkedin_url, tags, custom } = profile;
        Self {
            id,
            first_name,
            last_name,
            email: email.map(Into::into),
            phone: phone.map(Into::into),
            title,
            linkedin_url: linkedin_url.map(Into::into),
            owner_user_id: owner,
            company_id,
            tags,
            custom,
            merged_into,
            created_at,
            updated_at,
        }
    }
}

/// A contact's place in a company.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmMembership)]
pub struct MembershipOut {
    pub id: CompanyMembershipId,
    pub contact_id: ContactId,
    pub company_id: CompanyId,
    pub role: Option<String>,
    pub title: Option<String>,
    /// One membership of a contact at most.
    pub is_primary: bool,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<&Membership> for MembershipOut {
    fn from(membership: &Membership) -> Self {
        let id = membership.record.membership_id();
        let CompanyMembershipRecord {
            entity_id: _,
            contact_id,
            company_id: _,
            role,
            title,
            started_at,
            ended_at,
            created_at,
            updated_at,
        } = membership.record.clone();
        let Membership { company_id, is_primary, .. } = *membership;
        Self { id, contact_id, company_id, role, title, is_primary, started_at, ended_at, created_at, updated_at }
    }
}

/// One page of a contact's memberships.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmMembershipPage)]
pub struct MembershipPage {
    pub memberships: Vec<MembershipOut>,
    pub page: u32,
    pub page_size: u32,
    pub total: u64,
}

/// A contact with their place in the company.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmMember)]
pub struct MemberOut {
    #[serde(flatten)]
    pub contact: ContactOut,
    pub membership: MembershipOut,
}

impl From<&Member> for MemberOut {
    fn from((contact, membership): &Member) -> Self {
        Self { contact: ContactOut::from(contact), membership: MembershipOut::from(membership) }
    }
}

/// One page of a company's contacts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CrmMemberPage)]
pub struct MemberPage {
    pub contacts: Vec<MemberOut>,
    pub page: u32,
    pub page_size: u32,
    pub total: u64,
}

/// A merge patch of a contact.
pub type ContactPatch = axle_http::PatchOf<axle_domain::crm::ContactInput>;
/// A merge patch of a membership.
pub type MembershipSettingsPatch = axle_http::PatchOf<axle_domain::crm::MembershipPatch>;

//! The CRM: companies, the people in them, and what a tenant adds to both.

mod company;
mod contact;
mod custom;
mod filter;
mod membership;
mod tags;

pub use company::{CompanyInput, CompanyProfile, CompanySort, CompanyStatus};
pub use contact::{ContactInput, ContactProfile, NewContact};
pub use custom::{CustomFieldInput, CustomObject, CustomRules, CustomType, MAX_FIELDS};
pub use filter::{OwnerFilter, PageNumber};
pub use membership::{MembershipInput, MembershipPatch, Place};

/// The longest short text of a CRM record, in characters.
pub const TEXT_MAX: usize = 300;

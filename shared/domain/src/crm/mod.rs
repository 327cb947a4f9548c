//! The CRM: companies, the people in them, and what a tenant adds to both.

mod company;
mod contact;
mod custom;
mod export;
mod filter;
mod marketing_list;
mod membership;
mod merge;
mod tags;

pub use company::{CompanyInput, CompanyProfile, CompanySort, CompanyStatus};
pub use contact::{ContactInput, ContactProfile, NewContact};
pub use custom::{CustomFieldInput, CustomFieldSettings, CustomObject, CustomRules, CustomType, MAX_FIELDS};
pub use export::{ExportFormat, ExportType};
pub use filter::{OwnerFilter, PageNumber};
pub use marketing_list::{AddToListInput, ListFilter, MAX_ADDED, MarketingListInput};
pub use membership::{MembershipInput, MembershipPatch, Place};
pub use merge::{MAX_LOSERS, MergeCompaniesInput, MergeContactsInput};

/// The longest short text of a CRM record, in characters.
pub const TEXT_MAX: usize = 300;

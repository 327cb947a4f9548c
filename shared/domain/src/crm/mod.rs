//! The CRM: companies, the people in them, deals, and what is done with them.

mod company;
mod contact;
mod custom;
mod export;
mod filter;
mod hold;
mod marketing_list;
mod membership;
mod merge;
pub(crate) mod names;
mod tags;

pub mod activity;
pub mod currency;
pub mod dashboard;
pub mod deal;
pub mod erasure;
pub mod numbers;
pub mod outbound;
pub mod stage;
pub mod task;
pub mod timeline;

pub use company::{CompanyInput, CompanyProfile, CompanySort, CompanyStatus};
pub use contact::{ContactInput, ContactProfile, NewContact};
pub use custom::{CustomFieldInput, CustomFieldSettings, CustomObject, CustomRules, CustomType, MAX_FIELDS};
pub use export::{ExportFormat, ExportType};
pub use filter::{OwnerFilter, PageNumber};
pub use hold::Hold;
pub use marketing_list::{AddToListInput, ListFilter, MAX_ADDED, MarketingListInput};
pub use membership::{MembershipInput, MembershipPatch, Place};
pub use merge::{MAX_LOSERS, MergeCompaniesInput, MergeContactsInput};

/// The longest short text of a CRM record, in characters.
pub const TEXT_MAX: usize = 300;

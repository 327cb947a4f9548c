//! Outreach: campaigns, leads, events.

pub mod campaigns;
pub mod enrichment;
pub mod events;
pub mod imports;
pub mod leads;
pub mod scoring;
pub(crate) mod status;

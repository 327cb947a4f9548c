//! The single table: key types, item mapping, repositories, and transactions that carry their events.
//!
//! `README.md` beside this crate lists every access pattern with its key, consistency and cost.

mod cursor;
mod error;
mod item;
mod json_text;
mod key;
mod listing;
mod loading;
mod meter;
mod pacing;
mod table;
mod tally;
mod tx;

pub mod agent_runs;
pub mod agents;
pub mod allowances;
pub mod approvals;
pub mod campaign_numbers;
pub mod campaigns;
pub mod communications;
pub mod costs;
pub mod crm;
pub mod deliveries;
pub mod enrichment;
pub mod events;
pub mod idempotency;
pub mod identities;
pub mod identity;
pub mod imports;
pub mod leads;
pub mod meetings;
pub mod message_refs;
pub mod outbox_rates;
pub mod quotas;
pub mod rates;
pub mod replies;
pub mod runs;
pub mod shared_secrets;
pub mod slos;
pub mod spans;
pub mod suppressions;
pub mod traces;
pub mod webhooks;

pub use cursor::{BadCursor, CursorKey};
pub use error::{Error, Result};
pub use item::{Item, Job, Placement, Record, Versioned};
pub use key::Key;
pub use listing::{Filter, Listing, Page, Span};
pub use meter::{Meter, Spent};
pub use pacing::{Gate, Place};
pub use table::{PutOutcome, Table};
pub use tally::SHARDS as TALLY_SHARDS;
pub use tx::{CommitError, Tx};

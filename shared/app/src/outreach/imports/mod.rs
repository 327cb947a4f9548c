//! Imports of leads from CSV files: started over HTTP, done by the worker, looked at while they run.
//!
//! A file is read in chunks. A chunk's rows are written first, each as one conditional put that a repetition recognises
//! (`LeadRecord::made_by` and `changed_by` name the row); then one conditional write of the [`ImportRecord`] moves the position
//! behind the chunk and adds its counts. So whoever repeats a chunk, because a message came twice or a worker died, finds for
//! every row the end that it came to, and only one of those who do so gets to add it up.
//!
//! [`ImportRecord`]: axle_store::imports::ImportRecord

mod check;
mod chunk;
mod file;
mod refused;
mod rows;
mod start;
mod upload;
mod validate;
mod view;
mod work;
mod write;

pub use check::RowError;
pub use start::{ImportRequest, SentAs, Source, Started, start};
pub use upload::{Upload, create_upload};
pub use view::{ErrorsCsv, ImportView, errors, get};
pub use work::{WorkOutcome, Worked, work};

pub use axle_store::imports::{ImportJob, ImportOptions, ImportStatus, OnDuplicate};

use axle_providers::objects::ObjectError;

use crate::error::Error;

const CSV: &str = "text/csv";

fn stored(e: ObjectError) -> Error {
    match e {
        ObjectError::Failed { .. } => Error::Unavailable(e.to_string()),
        _ => Error::Internal(e.to_string()),
    }
}

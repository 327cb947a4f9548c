//! Reading lead CSVs of any size in bounded memory, from any record boundary.
//!
//! The parts are pure: bytes go in, rows come out, and whoever calls decides where the bytes come from.
//!
//! 1. [`Format::sniff`] judges encoding and delimiter from the first bytes.
//! 2. [`Reader`] turns chunks into [`Row`]s. Every row says at which raw byte the next one begins, so an interrupted
//!    import continues with a ranged read from there ([`Reader::resume`]).
//! 3. [`Columns::map`] reads the header, [`Columns::extract`] turns a row into a [`RawLead`].
//! 4. [`write_record`] writes the refused rows back as a CSV that can be corrected and imported again.
//!
//! ```
//! use axle_domain::csv::{Columns, Field, Format, Reader};
//!
//! let file = b"E-mail;Full Name\r\nann@example.com;Ann Lee\r\n";
//! let format = Format::sniff(file, false, true)?;
//! let mut reader = Reader::new(&format);
//! reader.push(file);
//! reader.finish();
//! let header = reader.next().unwrap_or_default();
//! let columns = Columns::map(&header, None)?;
//! for row in reader.by_ref() {
//!     let lead = columns.extract(&row)?;
//!     assert_eq!(lead.get(Field::FirstName), Some("Ann"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aliases;
mod columns;
mod delimiter;
mod field;
mod format;
mod lead;
mod reader;
mod row;
mod write;

#[cfg(test)]
mod columns_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod reader_tests;

pub use columns::{
    Column, Columns, HeaderError, MAX_COLUMNS, MAX_CUSTOM_NAME_BYTES, MAX_HEADER_BYTES, REASON_COLUMN, ROW_COLUMN, Target,
};
pub use field::{Field, UnknownFieldName};
pub use format::{Encoding, Format, SniffError};
pub use lead::RawLead;
pub use reader::{MAX_CELLS, MAX_RECORD_BYTES, Reader};
pub use row::{Position, Row, RowFault};
pub use write::{protect, write_record};

//! Reading a file through that came with its request, before anything is promised.

use std::collections::HashMap;

use axle_domain::EntityId;
use axle_domain::csv::{Columns, Format, HeaderError, Position, Reader, Row, SniffError, Target};
use axle_domain::lead::IdentityKey;
use axle_domain::{Fault, Faults};
use axle_store::Table;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::rows::judge;
use crate::error::Result;

/// Refused rows that an answer lists.
const LISTED: usize = 20;
/// Far more than any header has columns; what is stored of a request is bounded.
const MAPPING_MAX: usize = 1_000;
const MAPPING_BYTES_MAX: usize = 64 * 1024;

/// A row that no lead can be made of.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RowError {
    /// The row's number in the file; the header is 1, a record of several lines is one row.
    #[schema(example = 7)]
    pub row: u64,
    /// The column at fault, if it is one.
    #[schema(example = "E-mail")]
    pub column: Option<String>,
    #[schema(example = "is not a valid e-mail address")]
    pub message: String,
}

/// What reading a file through has found.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) format: Format,
    pub(super) columns: Columns,
    pub(super) data_start: Position,
    pub(super) valid: u64,
    pub(super) invalid: u64,
    /// The first of the refused rows.
    pub(super) errors: Vec<RowError>,
    /// How many rows have which identity.
    identities: HashMap<IdentityKey, u64>,
}

/// Why a file is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    Sniff(#[from] SniffError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the file has a header but no rows; send a CSV with at least one lead")]
    NoRows,
}

/// Reads all of a file.
pub(super) fn check(bytes: &[u8], declared_utf8: bool, mapping: Option<&BTreeMap<String, String>>) -> Result<Checked, FileError> {
    let format = Format::sniff(bytes, declared_utf8, true)?;
    let mut reader = Reader::new(&format);
    reader.push(bytes);
    reader.finish();
    let mut row = Row::default();
    if !reader.read(&mut row) {
        return Err(SniffError::Empty.into());
    }
    let columns = Columns::map(&row, mapping)?;
    let mut checked =
        Checked { format, columns, data_start: row.end, valid: 0, invalid: 0, errors: Vec::new(), identities: HashMap::new() };
    while reader.read(&mut row) {
        checked.count(&row);
    }
    if checked.valid + checked.invalid == 0 {
        return Err(FileError::NoRows);
    }
    Ok(checked)
}

/// Rows of nothing but delimiters, as spreadsheets leave them behind, are no rows.
pub(super) fn is_data(row: &Row) -> bool {
    row.fault.is_some() || !row.is_blank()
}

impl Checked {
    fn count(&mut self, row: &Row) {
        if !is_data(row) {
            return;
        }
        match judge(&self.columns, row) {
            Ok(lead) => {
                self.valid += 1;
                *self.identities.entry(lead.identity).or_default() += 1;
            }
            Err(refusal) => {
                self.invalid += 1;
                if self.errors.len() < LISTED {
                    self.errors.push(RowError { row: row.number, column: refusal.column, message: refusal.message });
                }
            }
        }
    }

    /// Valid rows whose lead there is already, in the table or further up in the file.
    pub(super) async fn duplicates(&self, table: &Table, entity: EntityId) -> Result<u64> {
        let (identities, rows): (Vec<IdentityKey>, Vec<u64>) = self.identities.iter().map(|(k, n)| (k.clone(), *n)).unzip();
        let held = table.held_identities(entity, &identities).await?;
        Ok(rows.iter().zip(held).map(|(rows, held)| if held { *rows } else { rows - 1 }).sum())
    }
}

/// Checks what can be said of a mapping without the file; false if it is too large to be looked at any further.
pub(super) fn check_mapping(mapping: &BTreeMap<String, String>, faults: &mut Faults) -> bool {
    faults.count("/mapping", mapping.len(), MAPPING_MAX);
    if mapping.iter().map(|(column, field)| column.len() + field.len()).sum::<usize>() > MAPPING_BYTES_MAX {
        faults.add("/mapping", format!("must have at most {MAPPING_BYTES_MAX} bytes"));
    }
    for (column, field) in mapping.iter().filter(|(_, field)| Target::parse(field).is_none()).take(LISTED) {
        let unknown = HeaderError::UnknownField { column: column.clone(), field: field.clone() };
        faults.add(mapping_pointer(column), unknown.to_string());
    }
    mapping.len() <= MAPPING_MAX
}

fn mapping_pointer(column: &str) -> String {
    format!("/mapping/{}", column.replace('~', "~0").replace('/', "~1"))
}

impl FileError {
    /// Where the request is at fault: in the file, or in what it says of the columns.
    pub(super) fn fault(&self, file: &str) -> Fault {
        let pointer = match self {
            Self::Header(HeaderError::UnknownField { column, .. } | HeaderError::UnknownColumn { column }) => {
                mapping_pointer(column)
            }
            _ => file.to_owned(),
        };
        Fault::new(pointer, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_rows_and_lists_the_first_refused() {
        let mut csv = "email,name\na@example.com,A\n,,\n , \nA@example.com,A2\n".to_owned();
        for n in 0..30 {
            csv.push_str(&format!("bad{n},\"B\n{n}\"\n"));
        }
        let checked = check(csv.as_bytes(), true, None).unwrap();
        assert_eq!((checked.valid, checked.invalid, checked.errors.len()), (2, 30, 20));
        assert_eq!(checked.identities.values().sum::<u64>() - checked.identities.len() as u64, 1);
        let first = RowError { row: 6, column: Some("email".to_owned()), message: "is not a valid e-mail address".to_owned() };
        assert_eq!(checked.errors[0], first);
    }

    #[test]
    fn faults_stand_where_the_request_is_wrong() {
        let fault = |csv: &str, mapping: &[(&str, &str)]| {
            let mapping = mapping.iter().map(|(c, f)| ((*c).to_owned(), (*f).to_owned())).collect();
            check(csv.as_bytes(), true, Some(&mapping)).unwrap_err().fault("/csv")
        };
        for csv in ["", "\n\n", "email\n", "email,name\n,,\n", "name\nAda\n", "PK\u{3}\u{4}xl"] {
            assert_eq!(fault(csv, &[]).pointer, "/csv", "{csv:?}");
        }
        assert_eq!(fault("a/b\nx\n", &[("a/b", "emial")]).pointer, "/mapping/a~1b");
        assert_eq!(fault("email\nx\n", &[("nope", "email")]).pointer, "/mapping/nope");
    }
}

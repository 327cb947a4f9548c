//! One row as a lead-to-be.

use super::columns::{Columns, Target, trim};
use super::field::Field;
use super::row::{Row, RowFault};

/// The cells of a row by field, trimmed; a blank cell is `None`. Nothing is validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawLead<'a> {
    fields: [Option<&'a str>; Field::ALL.len()],
    /// Custom fields with a value: name, value. Names are unique.
    pub custom: Vec<(&'a str, &'a str)>,
}

impl<'a> RawLead<'a> {
    /// The value of a field. First and last name are taken from the full name where they are missing.
    pub fn get(&self, field: Field) -> Option<&'a str> {
        self.fields[field.index()]
    }

    /// Whether the row has what a lead can be told from others by: an e-mail, a LinkedIn URL or a phone.
    pub fn is_identified(&self) -> bool {
        Field::IDENTIFYING.iter().any(|&field| self.get(field).is_some())
    }

    fn set(&mut self, field: Field, value: Option<&'a str>) {
        self.fields[field.index()] = value;
    }

    fn split_full_name(&mut self) {
        let Some(full) = self.get(Field::FullName) else {
            return;
        };
        match (self.get(Field::FirstName), self.get(Field::LastName)) {
            (None, None) => {
                let (first, last) = split_name(full);
                self.set(Field::FirstName, first);
                self.set(Field::LastName, last);
            }
            // A column "Name" beside one for first names often holds the last name only (Vorname, Name).
            (Some(first), None) => {
                let last = full.strip_prefix(first).unwrap_or(full);
                self.set(Field::LastName, filled(last));
            }
            (None, Some(last)) => {
                let first = full.strip_suffix(last).and_then(filled);
                self.set(Field::FirstName, first);
            }
            (Some(_), Some(_)) => {}
        }
    }
}

impl Columns {
    /// Sorts a row's cells into fields. Missing cells are blank; surplus ones are fine if they are blank.
    ///
    /// # Errors
    /// The row's own fault, or [`RowFault::ExtraCells`].
    pub fn extract<'a>(&'a self, row: &'a Row) -> Result<RawLead<'a>, RowFault> {
        if let Some(fault) = &row.fault {
            return Err(fault.clone());
        }
        if row.iter().skip(self.len()).any(|cell| filled(cell).is_some()) {
            return Err(RowFault::ExtraCells { cells: row.len(), columns: self.len() });
        }
        let mut lead = RawLead::default();
        for (column, cell) in self.iter().zip(row.iter()) {
            let Some(value) = filled(cell) else { continue };
            match &column.target {
                Target::Field(field) => lead.set(*field, Some(value)),
                Target::Custom(name) => lead.custom.push((name, value)),
                Target::Ignore => {}
            }
        }
        lead.split_full_name();
        Ok(lead)
    }
}

fn filled(cell: &str) -> Option<&str> {
    Some(trim(cell)).filter(|value| !value.is_empty())
}

/// "Ann van Lee" is Ann, van Lee; "Lee, Ann" and "van Lee, Ann" are turned round; "Ann Lee, MBA" loses what follows the
/// comma. A single word is a first name.
fn split_name(full: &str) -> (Option<&str>, Option<&str>) {
    if let Some((before, after)) = full.split_once(',') {
        let particle = before.starts_with(char::is_lowercase);
        let turned = filled(after).is_some() && (particle || !before.trim().contains(char::is_whitespace));
        return if turned { (filled(after), filled(before)) } else { split_name(trim(before)) };
    }
    match full.split_once(char::is_whitespace) {
        Some((first, last)) => (filled(first), filled(last)),
        None => (filled(full), None),
    }
}

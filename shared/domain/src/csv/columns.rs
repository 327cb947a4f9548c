//! Which column fills which field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::aliases;
use super::field::Field;
use super::row::{Row, RowFault};

/// Column of the error CSV with a refused row's number in the source. Ignored when that CSV is imported again.
pub const ROW_COLUMN: &str = "import_row";
/// Column of the error CSV with the reason. Ignored when that CSV is imported again.
pub const REASON_COLUMN: &str = "import_error";

/// The most columns a file may have. They are kept with the import, whose record has to stay small.
pub const MAX_COLUMNS: usize = 1_000;
/// The longest header, in bytes of its names together.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The longest name of a custom field, in bytes; longer ones are cut.
pub const MAX_CUSTOM_NAME_BYTES: usize = 100;

/// Where the cells of a column go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Into a field of the lead.
    Field(Field),
    /// Into the lead's custom fields under this name, which no other column has.
    Custom(String),
    /// Nowhere.
    Ignore,
}

impl Target {
    /// What a mapping's right side means: a field's name, `custom.<name>` or `ignore`; `None` if it is none of these.
    pub fn parse(name: &str) -> Option<Target> {
        let name = name.trim();
        match name.strip_prefix("custom.").map(str::trim) {
            Some("") => None,
            Some(custom) => Some(Target::Custom(custom.to_owned())),
            None if name == "ignore" => Some(Target::Ignore),
            None => name.parse().ok().map(Target::Field),
        }
    }
}

/// One column of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The header cell, trimmed; `column_3` if the third one is blank.
    pub name: String,
    /// Where its cells go.
    pub target: Target,
}

/// The header understood. Part of an import's checkpoint, so a worker that resumes need not read the header again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns(pub(super) Vec<Column>);

/// Why a header cannot be used. Displays as a sentence for whoever sent the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No header cell with text in it.
    #[error("the file has no header row; its first row must name the columns, for example email,first_name,company")]
    NoHeader,
    /// Nothing a lead can be told from others by.
    #[error(
        "no column is an e-mail address, a LinkedIn URL or a phone number, and a lead needs one of them; rename the \
         column to email, linkedin_url or phone, or name it in mapping"
    )]
    NoIdentifyingColumn,
    /// The mapping names a field that leads do not have.
    #[error(
        "mapping sends column \"{column}\" to \"{field}\", which is not a field of a lead; use one of {}, \
         custom.<name> or ignore",
        Field::ALL.map(Field::as_str).join(", ")
    )]
    UnknownField {
        /// The column as the mapping has it.
        column: String,
        /// What is not a field.
        field: String,
    },
    /// The mapping names a column that the header does not have.
    #[error("mapping names the column \"{column}\", which is not in the header of the file")]
    UnknownColumn {
        /// The column as the mapping has it.
        column: String,
    },
    /// Beyond [`MAX_COLUMNS`] or [`MAX_HEADER_BYTES`].
    #[error(
        "the header has more than {MAX_COLUMNS} columns or {MAX_HEADER_BYTES} bytes; leave out the columns that are not needed"
    )]
    TooWide,
    /// The header row itself is broken.
    #[error("the header cannot be read: {0}")]
    Unreadable(RowFault),
}

impl Columns {
    /// Understands a header, loosely: case, spaces, punctuation and diacritics do not count, and many names are known
    /// per field. The mapping (column -> field name, `custom.<name>` or `ignore`) wins over that; its columns may be
    /// written as loosely unless a header cell matches exactly.
    ///
    /// What is unknown becomes a custom field under its own name. If two columns claim a field the first one has it and
    /// the other becomes custom; custom names that repeat get `_2`, `_3`.
    pub fn map(header: &Row, mapping: Option<&BTreeMap<String, String>>) -> Result<Columns, HeaderError> {
        if let Some(fault) = &header.fault {
            return Err(HeaderError::Unreadable(fault.clone()));
        }
        let cells: Vec<&str> = header.iter().map(trim).collect();
        if cells.iter().all(|cell| cell.is_empty()) {
            return Err(HeaderError::NoHeader);
        }
        if cells.len() > MAX_COLUMNS || cells.iter().map(|cell| cell.len()).sum::<usize>() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooWide);
        }
        let mut claims = explicit(&cells, mapping)?;
        // Mapped columns take their fields first, wherever they stand.
        let mut taken = BTreeSet::new();
        for claim in claims.iter_mut() {
            settle(claim, &mut taken);
        }
        for (claim, cell) in claims.iter_mut().zip(&cells).filter(|(claim, _)| claim.is_none()) {
            let ours = [ROW_COLUMN, REASON_COLUMN].contains(cell);
            *claim = if ours { Some(Target::Ignore) } else { aliases::find(&aliases::fold(cell)).map(Target::Field) };
            settle(claim, &mut taken);
        }
        if !Field::IDENTIFYING.iter().any(|field| taken.contains(field)) {
            return Err(HeaderError::NoIdentifyingColumn);
        }
        Ok(Columns(name(&cells, claims)))
    }

    /// The columns in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.0.iter()
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true of a mapped header.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The column that fills a field, for messages that name it. First and last name fall back to the full name.
    pub fn column_of(&self, field: Field) -> Option<&str> {
        let named = |field| self.0.iter().find(|column| column.target == Target::Field(field));
        let whole = || matches!(field, Field::FirstName | Field::LastName).then(|| named(Field::FullName)).flatten();
        named(field).or_else(whole).map(|column| column.name.as_str())
    }
}

impl Columns {
    /// A custom field's name for what a field's column holds but the field cannot: the column's own, unless a custom column
    /// has that. The same for all rows of a file.
    pub fn spare_name(&self, field: Field) -> String {
        let name = self.column_of(field).unwrap_or_else(|| field.as_str());
        let taken =
            |candidate: &str| self.0.iter().any(|column| matches!(&column.target, Target::Custom(custom) if custom == candidate));
        let mut spare = numbered(name, 1);
        for number in 2.. {
            if !taken(&spare) {
                break;
            }
            spare = numbered(name, number);
        }
        spare
    }
}

/// What the mapping says of each column.
fn explicit(cells: &[&str], mapping: Option<&BTreeMap<String, String>>) -> Result<Vec<Option<Target>>, HeaderError> {
    let mut claims = vec![None; cells.len()];
    let Some(mapping) = mapping else {
        return Ok(claims);
    };
    let entries = mapping
        .iter()
        .map(|(column, field)| {
            let unknown = || HeaderError::UnknownField { column: column.clone(), field: field.clone() };
            Ok((column, trim(column), aliases::fold(column), Target::parse(field).ok_or_else(unknown)?))
        })
        .collect::<Result<Vec<_>, HeaderError>>()?;
    let mut used = vec![false; entries.len()];
    for (claim, cell) in claims.iter_mut().zip(cells) {
        let folded = aliases::fold(cell);
        let exact = || entries.iter().position(|(_, trimmed, ..)| trimmed == cell);
        let loose = || {
            entries.iter().position(|(_, trimmed, entry, _)| !folded.is_empty() && *entry == folded && !cells.contains(trimmed))
        };
        if let Some(index) = exact().or_else(loose) {
            *claim = Some(entries[index].3.clone());
            used[index] = true;
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => Err(HeaderError::UnknownColumn { column: entries[index].0.clone() }),
        None => Ok(claims),
    }
}

/// Gives a field to the first that claims it; later ones go without.
fn settle(claim: &mut Option<Target>, taken: &mut BTreeSet<Field>) {
    if let Some(Target::Field(field)) = claim
        && !taken.insert(*field)
    {
        *claim = Some(Target::Custom(String::new()));
    }
}

/// Names the columns, and makes the names of custom ones unique. Names chosen in the mapping are kept before the
/// header's own.
fn name(cells: &[&str], claims: Vec<Option<Target>>) -> Vec<Column> {
    let mut columns: Vec<Column> = cells
        .iter()
        .zip(claims)
        .enumerate()
        .map(|(index, (cell, claim))| Column {
            name: if cell.is_empty() { format!("column_{}", index + 1) } else { (*cell).to_owned() },
            target: claim.unwrap_or(Target::Custom(String::new())),
        })
        .collect();
    let mut seen = BTreeSet::new();
    for chosen in [true, false] {
        for Column { name, target } in &mut columns {
            let Target::Custom(custom) = target else {
                continue;
            };
            if custom.is_empty() == chosen {
                continue;
            }
            let wanted = if chosen { custom.as_str() } else { name.as_str() };
            let mut unique = numbered(wanted, 1);
            for number in 2.. {
                if seen.insert(unique.clone()) {
                    break;
                }
                unique = numbered(wanted, number);
            }
            *custom = unique;
        }
    }
    columns
}

/// A custom field's name of legal length, with a number behind it from the second on.
fn numbered(name: &str, number: usize) -> String {
    let suffix = if number < 2 { String::new() } else { format!("_{number}") };
    let cut = name.floor_char_boundary(MAX_CUSTOM_NAME_BYTES - suffix.len());
    format!("{}{suffix}", &name[..cut])
}

/// White space, and the invisible characters that come along when cells are copied from web pages and address books.
pub(super) fn trim(cell: &str) -> &str {
    cell.trim_matches(|char: char| {
        char.is_whitespace()
            || matches!(char, '\0' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    })
}

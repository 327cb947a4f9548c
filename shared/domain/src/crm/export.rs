//! Files of everything of one kind.

use utoipa::ToSchema;

use crate::text::text_enum;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ExportType {
    Companies,
    Contacts,
    Leads,
}

text_enum!(ExportType, Companies = "companies", Contacts = "contacts", Leads = "leads");

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ExportFormat {
    /// RFC 4180, with a header. Cells that a spreadsheet would run as a formula begin with an apostrophe.
    Csv,
    /// One JSON object a line, as in the API.
    Ndjson,
}

text_enum!(ExportFormat, Csv = "csv", Ndjson = "ndjson");

impl ExportFormat {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

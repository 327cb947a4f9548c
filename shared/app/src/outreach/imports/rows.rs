//! From a row to a lead.
//!
//! A wrong e-mail address refuses the row: it is what a lead is known by and written to, and the sender should know. Other
//! values that cannot be understood (a phone without its country code, a website that is no URL) are kept as they are among
//! the custom fields, because a lead is worth more than its phone number's form.

use std::collections::BTreeMap;

use axle_domain::csv::{Columns, Field, RawLead, Row, Target};
use axle_domain::lead::{CompanyInput, Consent, IdentityKey, LeadInput, LeadProfile};
use axle_domain::{Fault, Faults};
use serde_json::Value;

/// A row that can become a lead.
#[derive(Clone, Debug)]
pub(super) struct RowLead {
    pub(super) profile: LeadProfile,
    pub(super) identity: IdentityKey,
}

/// Why a row cannot become a lead.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// The column at fault, if it is one.
    pub(super) column: Option<String>,
    pub(super) message: String,
}

impl Refusal {
    /// One line that says column and reason.
    pub(super) fn line(&self) -> String {
        match &self.column {
            Some(column) => format!("{column}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Where the parser of leads reports which field's faults.
const POINTERS: [(&str, Field); 17] = [
    ("/email", Field::Email),
    ("/first_name", Field::FirstName),
    ("/last_name", Field::LastName),
    ("/title", Field::Title),
    ("/seniority", Field::Seniority),
    ("/phone", Field::Phone),
    ("/linkedin_url", Field::LinkedinUrl),
    ("/company/name", Field::CompanyName),
    ("/company/domain", Field::CompanyDomain),
    ("/company/website", Field::CompanyWebsite),
    ("/company/industry", Field::CompanyIndustry),
    ("/company/size", Field::CompanySize),
    ("/company/location", Field::CompanyLocation),
    ("/country", Field::Country),
    ("/timezone", Field::Timezone),
    ("/source", Field::Source),
    ("/consent", Field::Consent),
];

/// Fields whose values are kept as custom ones when they cannot be understood.
const LENIENT: [Field; 5] = [Field::Phone, Field::LinkedinUrl, Field::CompanyDomain, Field::CompanyWebsite, Field::Timezone];

/// The lead that a row describes, or why it describes none.
pub(super) fn judge(columns: &Columns, row: &Row) -> Result<RowLead, Refusal> {
    let raw = columns.extract(row).map_err(|fault| Refusal { column: None, message: fault.to_string() })?;
    if !raw.is_identified() {
        let column = Field::IDENTIFYING.iter().find_map(|&field| columns.column_of(field)).map(str::to_owned);
        let message = "a lead needs an e-mail address, a LinkedIn URL or a phone".to_owned();
        return Err(Refusal { column, message });
    }
    let (mut profile, mut faults) = parse(columns, &raw, &[]);
    let misread: Vec<Fault> = faults.iter().filter(|f| lenient(f).is_some()).cloned().collect();
    if !misread.is_empty() {
        let spare: Vec<Field> = misread.iter().filter_map(lenient).collect();
        (profile, faults) = parse(columns, &raw, &spare);
    }
    match IdentityKey::of(&profile) {
        Some(identity) if faults.is_empty() => Ok(RowLead { profile, identity }),
        // What identified the row was among the values that cannot be understood.
        None if raw.get(Field::Email).is_none() => {
            let identifying = |f: &&Fault| lenient(f).is_some_and(|field| Field::IDENTIFYING.contains(&field));
            let all = misread.iter().filter(identifying).chain(faults.iter().filter(|f| f.pointer != "/email"));
            Err(refusal(columns, &all.cloned().collect::<Vec<_>>()))
        }
        _ => Err(refusal(columns, &faults)),
    }
}

fn parse(columns: &Columns, raw: &RawLead<'_>, spare: &[Field]) -> (LeadProfile, Vec<Fault>) {
    let mut faults = Faults::new();
    let profile = input(columns, raw, spare).parse(&mut faults);
    (profile, faults.into_vec())
}

/// The row as it would be sent to `POST /leads`, with the values of the `spare` fields among the custom ones.
fn input(columns: &Columns, raw: &RawLead<'_>, spare: &[Field]) -> LeadInput {
    let text = |field: Field| raw.get(field).filter(|_| !spare.contains(&field)).map(str::to_owned);
    let mut custom: BTreeMap<String, Value> =
        raw.custom.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    for &field in spare {
        custom.extend(raw.get(field).map(|value| (columns.spare_name(field), Value::from(value))));
    }
    LeadInput {
        email: text(Field::Email),
        first_name: text(Field::FirstName),
        last_name: text(Field::LastName),
        title: text(Field::Title),
        seniority: text(Field::Seniority),
        phone: text(Field::Phone),
        linkedin_url: text(Field::LinkedinUrl),
        company: Some(CompanyInput {
            name: text(Field::CompanyName),
            domain: text(Field::CompanyDomain),
            website: text(Field::CompanyWebsite),
            industry: text(Field::CompanyIndustry),
            size: text(Field::CompanySize),
            location: text(Field::CompanyLocation),
        }),
        country: text(Field::Country),
        timezone: text(Field::Timezone),
        custom: Some(custom),
        source: text(Field::Source),
        consent: text(Field::Consent).map(Consent::Text),
    }
}

fn field_at(pointer: &str) -> Option<Field> {
    POINTERS.iter().find(|(known, _)| *known == pointer).map(|(_, field)| *field)
}

fn lenient(fault: &Fault) -> Option<Field> {
    field_at(&fault.pointer).filter(|field| LENIENT.contains(field))
}

/// All faults in one sentence, under the column of the first.
fn refusal(columns: &Columns, faults: &[Fault]) -> Refusal {
    let mut faults = faults.iter().map(|fault| (column_at(columns, &fault.pointer), fault.detail.clone()));
    let (column, mut message) = faults.next().unwrap_or_else(|| (None, "the row cannot be read".to_owned()));
    for (column, detail) in faults {
        message.push_str("; ");
        message.push_str(&Refusal { column, message: detail }.line());
    }
    Refusal { column, message }
}

/// The name of the column that the value at a pointer came from.
fn column_at(columns: &Columns, pointer: &str) -> Option<String> {
    if let Some(field) = field_at(pointer) {
        return columns.column_of(field).map(str::to_owned);
    }
    let name = pointer.strip_prefix("/custom/")?.replace("~1", "/").replace("~0", "~");
    let custom = columns.iter().find(|c| matches!(&c.target, Target::Custom(custom) if *custom == name));
    Some(custom.map_or(name, |column| column.name.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    const HEADER: [&str; 8] = ["E-mail", "Full Name", "Phone", "LinkedIn", "Website", "Consent", "Plan", "phone"];

    fn row(cells: &[&str]) -> Result<RowLead, Refusal> {
        let columns = Columns::map(&Row::from_cells(1, &HEADER), None).unwrap();
        judge(&columns, &Row::from_cells(2, cells))
    }

    fn refused(cells: &[&str]) -> String {
        row(cells).unwrap_err().line()
    }

    #[test]
    fn a_row_becomes_a_lead() {
        let lead = row(&["ADA@Example.com", "Ada Lovelace", "+1 415 555 0123", "", "example.com", "yes, 2025", "Pro"]).unwrap();
        let expected = json!({
            "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "phone": "+14155550123",
            "company": {"website": "https://example.com/"}, "consent": "yes, 2025", "custom": {"Plan": "Pro"},
        });
        assert_eq!(json!(lead.profile), expected);
        assert_eq!(lead.identity.as_str(), "email:ada@example.com");
    }

    #[test]
    fn what_cannot_be_understood_is_kept_among_the_custom_fields() {
        let lead = row(&["ada@example.com", "", "555-0123", "see CV", "n/a", "", "", "ext. 7"]).unwrap();
        let custom = json!({"Phone": "555-0123", "LinkedIn": "see CV", "Website": "n/a", "phone": "ext. 7"});
        assert_eq!(json!(lead.profile.custom), custom);
        assert!(lead.profile.phone.is_none() && lead.profile.company.website.is_none());
    }

    #[test]
    fn a_spare_name_is_never_that_of_another_column() {
        let columns = Columns::map(
            &Row::from_cells(1, &["email", "Phone", "x"]),
            Some(&[("x".to_owned(), "custom.Phone".to_owned())].into()),
        );
        let lead = judge(&columns.unwrap(), &Row::from_cells(2, &["a@example.com", "12", "y"])).unwrap();
        assert_eq!(json!(lead.profile.custom), json!({"Phone": "y", "Phone_2": "12"}));
    }

    #[test]
    fn refusals_name_column_and_reason() {
        assert_eq!(refused(&["ada(at)example.com", "Ada", "+14155550123"]), "E-mail: is not a valid e-mail address");
        assert_eq!(refused(&["", "Ada"]), "E-mail: a lead needs an e-mail address, a LinkedIn URL or a phone");
        let phone = "Phone: is not a valid phone number; write it with its country code, such as +14155550123";
        assert_eq!(refused(&["", "Ada", "555-0123"]), phone);
        let linkedin = "LinkedIn: is not a LinkedIn profile URL, such as https://www.linkedin.com/in/name";
        assert_eq!(refused(&["", "Ada", "555-0123", "nope"]), format!("{phone}; {linkedin}"));
        let long = "x".repeat(5_001);
        assert_eq!(refused(&["a@example.com", &long]), "Full Name: must have 0 to 300 characters, not 5001");
        assert_eq!(refused(&["a@example.com", "", "", "", "", &long]), "Consent: must have at most 5000 bytes, not 5003");
        assert_eq!(refused(&["a@example.com", "", "", "", "", "", &long]), "Plan: must have at most 5000 bytes, not 5003");
        assert_eq!(
            refused(&["nope", &long]),
            "Full Name: must have 0 to 300 characters, not 5001; E-mail: is not a valid e-mail address"
        );
        assert_eq!(refused(&["a@example.com", "", "", "", "", "", "", "", "?"]), "row has 9 cells, the header has 8");
    }
}

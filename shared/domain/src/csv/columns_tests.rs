#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn columns(cells: &[&str]) -> Columns {
    Columns::map(&Row::from_cells(1, cells), None).unwrap()
}

fn mapped(cells: &[&str], mapping: &[(&str, &str)]) -> Result<Columns, HeaderError> {
    let mapping: BTreeMap<String, String> = mapping.iter().map(|(c, f)| ((*c).into(), (*f).into())).collect();
    Columns::map(&Row::from_cells(1, cells), Some(&mapping))
}

/// Targets in short: the field's name, `+name` for custom, `-` for ignored.
fn targets(columns: &Columns) -> Vec<String> {
    let short = |column: &Column| match &column.target {
        Target::Field(field) => field.to_string(),
        Target::Custom(name) => format!("+{name}"),
        Target::Ignore => "-".into(),
    };
    columns.iter().map(short).collect()
}

#[test]
fn knows_the_usual_names() {
    use Field::*;
    for (field, names) in [
        (
            Email,
            "email | E-mail | Email Address | EMAIL_ADDRESS | Work Email | e.mail | Contact \
             Email | E-Mail-Adresse | Adresse e-mail | Correo electrónico",
        ),
        (
            FirstName,
            "First Name | first_name | firstName | First | Given Name | Prénom | Vorname | \
             lead.first_name",
        ),
        (LastName, "Last Name | Surname | Family Name | LAST | Nachname | Apellidos"),
        (FullName, "Full Name | Name | Contact Name | Lead Name"),
        (Title, "Title | Job Title | Position | Role | Person Title"),
        (Seniority, "Seniority | Seniority Level"),
        (
            Phone,
            "Phone | Phone Number | Mobile | Mobile Phone | Work Direct Phone | Phone # | \
             Tel. | Téléphone",
        ),
        (
            LinkedinUrl,
            "LinkedIn | LinkedIn Profile URL | Person Linkedin Url | linkedin_url | \
             LinkedIn URL",
        ),
        (
            CompanyName,
            "Company | Organization | Organisation | Account Name | Company Name | \
             company.name | Société | Firma",
        ),
        (CompanyDomain, "Domain | Company Domain | Company Domain Name"),
        (CompanyWebsite, "Website | Company Website | Website URL | Company URL"),
        (CompanyIndustry, "Industry | Company Industry | Branche"),
        (CompanySize, "Company Size | Employees | # Employees | Number of Employees | Headcount"),
        (CompanyLocation, "City | Location | City/Location | Company City | HQ"),
        (Country, "Country | Country/Region | Company Country | Land"),
        (Timezone, "Time zone | Timezone | TZ"),
        (Source, "Source | Lead Source"),
        (Consent, "Consent | GDPR Consent | Marketing consent | Opt-in"),
    ] {
        for name in names.split(" | ") {
            // Beside columns that identify, but not a second one of the same field.
            let columns = Columns::map(&Row::from_cells(1, &[name, "email", "phone"]), None).unwrap();
            assert_eq!(columns.iter().next().unwrap().target, Target::Field(field), "{name}");
            assert_eq!(columns.column_of(field), Some(name));
        }
    }
}

#[test]
fn leaves_what_is_not_the_persons_own_to_custom() {
    for name in
        ["Company Phone", "Company Linkedin Url", "Opt-out", "Unsubscribed", "Lead Status", "Contact Owner", "Fax", "State"]
    {
        assert_eq!(targets(&columns(&["email", name]))[1], format!("+{name}"));
    }
}

#[test]
fn unknown_and_repeated_columns_become_custom() {
    let header = [" Budget ", "E-mail", "Email Address", "Budget", "Phone", "Mobile", "", "Budget_2", " \u{feff}"];
    assert_eq!(
        targets(&columns(&header)),
        ["+Budget", "email", "+Email Address", "+Budget_2", "phone", "+Mobile", "+column_7", "+Budget_2_2", "+column_9"]
    );
    assert_eq!(targets(&columns(&["email", ROW_COLUMN, REASON_COLUMN])), ["email", "-", "-"]);
}

#[test]
fn a_mapping_wins() {
    let header = ["Email", "Mail 2", "Notes", "Budget", "Budget", "Firm"];
    let mapping = [("Mail 2", "email"), ("notes", "custom.Budget"), ("Firm", "company.name"), ("EMAIL", "ignore")];
    assert_eq!(targets(&mapped(&header, &mapping).unwrap()), ["-", "email", "+Budget", "+Budget_2", "+Budget_3", "company_name"]);
    // Mapped to the same field: the first has it. Not mapped: it has to give way wherever it stands.
    assert_eq!(targets(&mapped(&["a", "b", "Email"], &[("a", "email"), ("b", "email")]).unwrap()), ["email", "+b", "+Email"]);
    assert_eq!(targets(&mapped(&["Email", "b"], &[("b", "email")]).unwrap()), ["+Email", "email"]);
    // An exact name means that column and not its loose twin.
    assert_eq!(targets(&mapped(&["E-mail", "Email"], &[("Email", "ignore")]).unwrap()), ["email", "-"]);
    assert_eq!(targets(&mapped(&["Email"], &[]).unwrap()), ["email"]);
}

#[test]
fn says_what_is_wrong_with_header_or_mapping() {
    let header = ["Email", "x"];
    for field in ["e_mail", "", "custom.", "custom. ", "Email"] {
        let error = mapped(&header, &[("x", field)]).unwrap_err();
        assert_eq!(error, HeaderError::UnknownField { column: "x".into(), field: field.into() });
        assert!(error.to_string().contains("\"x\"") && error.to_string().contains("linkedin_url"));
    }
    let error = mapped(&header, &[("y", "title")]).unwrap_err();
    assert_eq!(error, HeaderError::UnknownColumn { column: "y".into() });
    assert!(error.to_string().contains("\"y\""));
    assert_eq!(mapped(&["名前", "email"], &[("社", "title")]), Err(HeaderError::UnknownColumn { column: "社".into() }));
    for (cells, expected) in [
        (&["name", "company"][..], HeaderError::NoIdentifyingColumn),
        (&["ann@example.com", "Ann"], HeaderError::NoIdentifyingColumn),
        (&["", " "], HeaderError::NoHeader),
        (&[], HeaderError::NoHeader),
    ] {
        assert_eq!(Columns::map(&Row::from_cells(1, cells), None), Err(expected));
    }
    assert_eq!(mapped(&["Email"], &[("Email", "ignore")]), Err(HeaderError::NoIdentifyingColumn));
    let broken = Row { fault: Some(RowFault::TooLong), ..Row::default() };
    assert_eq!(Columns::map(&broken, None), Err(HeaderError::Unreadable(RowFault::TooLong)));
    for cells in [["linkedin", "x"], ["x", "mobile"]] {
        assert!(Columns::map(&Row::from_cells(1, &cells), None).is_ok());
    }
}

#[test]
fn extracts_trimmed_cells() {
    let columns = columns(&["Email", "Company", "Budget", "Notes", REASON_COLUMN]);
    let row = Row::from_cells(2, &[" ann@example.com\u{a0}", " ", "\u{200b}5 k ", "", "email is wrong"]);
    let lead = columns.extract(&row).unwrap();
    assert_eq!(lead.get(Field::Email), Some("ann@example.com"));
    assert_eq!(lead.get(Field::CompanyName), None);
    assert_eq!(lead.custom, [("Budget", "5 k")]);
    assert!(lead.is_identified());
    let copied = Row::from_cells(3, &["", "", "", "\u{202a}+49 30 1\u{202c}"]);
    assert_eq!(columns.extract(&copied).unwrap().custom, [("Notes", "+49 30 1")]);
    assert!(!columns.extract(&copied).unwrap().is_identified());
}

#[test]
fn rows_may_be_short_but_not_long() {
    let columns = columns(&["email", "name"]);
    assert_eq!(columns.extract(&Row::from_cells(2, &["a@b.c"])).unwrap().get(Field::FullName), None);
    assert!(columns.extract(&Row::from_cells(2, &["a@b.c", "Ann", "", " "])).is_ok());
    let fault = columns.extract(&Row::from_cells(2, &["a@b.c", "Lee", "Ann"])).unwrap_err();
    assert_eq!(fault, RowFault::ExtraCells { cells: 3, columns: 2 });
    assert_eq!(fault.to_string(), "row has 3 cells, the header has 2");
    let broken = Row { fault: Some(RowFault::InvalidUtf8), ..Row::from_cells(2, &["a@b.c"]) };
    assert_eq!(columns.extract(&broken), Err(RowFault::InvalidUtf8));
}

#[test]
fn splits_full_names() {
    let both = columns(&["email", "name"]);
    for (full, first, last) in [
        ("Ann Lee", Some("Ann"), Some("Lee")),
        ("  Ludwig  van Beethoven ", Some("Ludwig"), Some("van Beethoven")),
        ("Madonna", Some("Madonna"), None),
        ("Lee, Ann", Some("Ann"), Some("Lee")),
        ("van Beethoven, Ludwig", Some("Ludwig"), Some("van Beethoven")),
        ("Ann Lee, MBA", Some("Ann"), Some("Lee")),
        ("Lee,", Some("Lee"), None),
        (",", None, None),
        ("山田 太郎", Some("山田"), Some("太郎")),
    ] {
        let row = Row::from_cells(2, &["", full]);
        let lead = both.extract(&row).unwrap();
        assert_eq!((lead.get(Field::FirstName), lead.get(Field::LastName)), (first, last), "{full}");
    }
    let header = columns(&["email", "name", "first", "last"]);
    for (cells, first, last) in [
        (["", "Ann Lee", "Anna", "Leeds"], Some("Anna"), Some("Leeds")),
        (["", "Ann Lee", "Ann", ""], Some("Ann"), Some("Lee")),
        (["", "Müller", "Hans", ""], Some("Hans"), Some("Müller")),
        (["", "Ann", "Ann", ""], Some("Ann"), None),
        (["", "Ann Lee", "", "Lee"], Some("Ann"), Some("Lee")),
        (["", "A. Lee", "", "Leeds"], None, Some("Leeds")),
    ] {
        let row = Row::from_cells(2, &cells);
        let lead = header.extract(&row).unwrap();
        assert_eq!((lead.get(Field::FirstName), lead.get(Field::LastName)), (first, last), "{cells:?}");
    }
    assert_eq!(both.column_of(Field::LastName), Some("name"));
}

#[test]
fn survives_a_checkpoint() {
    let columns = columns(&["Email", "Budget", REASON_COLUMN]);
    let json = serde_json::to_string(&columns).unwrap();
    assert_eq!(
        json,
        r#"[{"name":"Email","target":{"field":"email"}},{"name":"Budget","target":{"custom":"Budget"}},{"name":"import_error","target":"ignore"}]"#
    );
    assert_eq!(serde_json::from_str::<Columns>(&json).unwrap(), columns);
    for field in Field::ALL {
        assert_eq!(serde_json::to_string(&field).unwrap(), format!("\"{field}\""));
        assert_eq!(field.as_str().parse(), Ok(field));
    }
}

proptest! {
    #[test]
    fn any_header_gives_each_field_once_and_custom_names_once(
        cells in vec(prop_oneof![Just("email".to_owned()), Just("Name".to_owned()), "[ab_23 ]{0,4}", ".{0,6}"], 1..12),
        row in vec(".{0,6}", 0..14),
    ) {
        if let Ok(columns) = Columns::map(&Row::from_cells(1, &cells), None) {
            let mut targets = targets(&columns);
            prop_assert_eq!(targets.len(), cells.len());
            targets.sort();
            targets.dedup();
            prop_assert_eq!(targets.len(), cells.len());
            let _ = columns.extract(&Row::from_cells(2, &row));
        }
    }
}

#[test]
fn what_is_kept_of_a_header_is_bounded() {
    let wide: Vec<String> = (0..MAX_COLUMNS).map(|n| format!("c{n}")).collect();
    let header = |cells: &[String]| Columns::map(&Row::from_cells(1, cells), None);
    assert_eq!(header(&[wide.clone(), vec!["email".into()]].concat()), Err(HeaderError::TooWide));
    assert_eq!(header(&["email".into(), "x".repeat(MAX_HEADER_BYTES)]), Err(HeaderError::TooWide));

    let long = "é".repeat(MAX_CUSTOM_NAME_BYTES);
    let columns = columns(&["email", &long, &long]);
    let names: Vec<&str> =
        columns.iter().filter_map(|c| if let Target::Custom(name) = &c.target { Some(&**name) } else { None }).collect();
    assert_eq!(names, ["é".repeat(50), format!("{}_2", "é".repeat(49))]);
}

#[test]
fn spare_names_are_free() {
    let columns = columns(&["email", "Phone", "Phone", "Website"]);
    assert_eq!(targets(&columns), ["email", "phone", "+Phone", "company_website"]);
    assert_eq!(
        (columns.spare_name(Field::Phone), columns.spare_name(Field::CompanyWebsite)),
        ("Phone_2".into(), "Website".into())
    );
}

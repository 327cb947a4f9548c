//! What people call the columns: CRM and prospecting exports (HubSpot, Salesforce, Apollo, Google and Outlook contacts)
//! and hand-made sheets, in English and the larger languages of Europe.

use super::field::Field;

/// Names as [`fold`] leaves them. A name of a whole company's phone, profile or mailbox is left out on purpose: it would
/// identify all of its people as one lead.
const ALIASES: &[(Field, &str)] = &[
    (
        Field::Email,
        "email emailaddress mail mailaddress emailid workemail workemailaddress emailwork \
         businessemail businessemailaddress professionalemail corporateemail primaryemail \
         email1 email1value emailadresse mailadresse adresseemail adressemail courriel correo \
         correoelectronico indirizzoemail enderecodeemail emailadres",
    ),
    (
        Field::FirstName,
        "firstname first fname givenname given forename christianname vorname prenom nombre \
         nombres nome primeironome voornaam imie fornamn fornavn",
    ),
    (
        Field::LastName,
        "lastname last lname surname familyname secondname nachname familienname nom \
         nomdefamille apellido apellidos cognome sobrenome apelido achternaam nazwisko \
         efternamn etternavn efternavn",
    ),
    (
        Field::FullName,
        "fullname name displayname completename nameofcontact contactperson ansprechpartner \
         nomcomplet nombrecompleto nomecompleto nomeecognome volledigenaam naam",
    ),
    (
        Field::Title,
        "title jobtitle position jobposition role jobrole designation occupation currenttitle \
         currentposition currentjobtitle worktitle organizationtitle organization1title \
         berufsbezeichnung funktion poste fonction intituledeposte cargo puesto ruolo \
         posizione functie stanowisko",
    ),
    (Field::Seniority, "seniority senioritylevel jobseniority joblevel managementlevel jobtitlelevel"),
    (
        Field::Phone,
        "phone phonenumber phoneno telephone telephonenumber tel telno mobile mobilephone \
         mobilenumber mobileno mobilephonenumber mobiletelephone cell cellphone cellnumber \
         cellphonenumber workphone workphonenumber directphone directphonenumber directdial \
         directnumber workdirectphone businessphone primaryphone phone1 phone1value phonework \
         phonemobile telefon telefonnummer mobil mobiltelefon mobilnummer handy handynummer \
         portable telephoneportable numerodetelephone telefono telefonomovil movil celular \
         cellulare telefone telemovel telefoon telefoonnummer mobiel",
    ),
    (
        Field::LinkedinUrl,
        "linkedin linkedinurl linkedinprofile linkedinprofileurl linkedinlink \
         linkedinprofilelink linkedinpublicurl linkedinpublicprofileurl linkedinpublicprofile \
         linkedinmemberurl linkedinaddress linkedinprofil",
    ),
    (
        Field::CompanyName,
        "companyname company organization organisation organizationname organisationname \
         organization1name account accountname employer employername business businessname \
         currentcompany currentcompanyname currentemployer firm firmname corporation firma \
         firmenname unternehmen societe nomdelasociete entreprise nomdelentreprise \
         raisonsociale empresa nombredelaempresa compania azienda societa ragionesociale \
         bedrijf bedrijfsnaam foretag",
    ),
    (
        Field::CompanyDomain,
        "companydomain domain domainname companydomainname accountdomain organizationdomain \
         organisationdomain primarydomain companyemaildomain emaildomain websitedomain \
         domaine dominio",
    ),
    (
        Field::CompanyWebsite,
        "companywebsite website websiteurl companywebsiteurl companyurl companysite homepage \
         webpage webaddress website1value organizationwebsite accountwebsite siteweb sitioweb \
         paginaweb sitoweb webseite internetseite",
    ),
    (
        Field::CompanyIndustry,
        "companyindustry industry industryname sector vertical organizationindustry \
         accountindustry branche industrie secteur secteurdactivite industria settore setor",
    ),
    (
        Field::CompanySize,
        "companysize size employees numberofemployees noofemployees numemployees nbemployees \
         employeecount employeescount companyemployees companyemployeecount employeerange \
         employeesrange employeesize headcount companyheadcount staffcount organizationsize \
         accountsize teamsize mitarbeiter mitarbeiterzahl anzahlmitarbeiter \
         unternehmensgrosse firmengrosse effectif effectifs nombredesalaries empleados \
         numerodeempleados dipendenti numerodipendenti funcionarios",
    ),
    (
        Field::CompanyLocation,
        "companylocation location city citylocation locationcity town companycity \
         headquarters hq hqlocation hqcity companyhq companyheadquarters headquarterslocation \
         ort stadt standort ville ciudad citta cidade stad plaats",
    ),
    (
        Field::Country,
        "country countryregion countrycode countryname companycountry nation land pays pais \
         paese kraj",
    ),
    (
        Field::Timezone,
        "timezone tz ianatimezone localtimezone timezonename zeitzone fuseauhoraire \
         zonahoraria",
    ),
    (Field::Source, "source leadsource originalsource leadorigin datasource quelle fuente"),
    (
        Field::Consent,
        "consent gdprconsent marketingconsent emailconsent consentstatus consentgiven \
         hasconsent optin optedin emailoptin marketingoptin gdproptin einwilligung \
         consentement consentimiento consenso",
    ),
];

/// "Contact email", "lead.email", "Person LinkedIn URL" say whose it is, which is clear.
const PREFIXES: [&str; 4] = ["contact", "person", "lead", "prospect"];

/// The field a folded header names.
pub(super) fn find(folded: &str) -> Option<Field> {
    let listed =
        |name: &str| ALIASES.iter().find(|(_, names)| names.split(' ').any(|known| known == name)).map(|&(field, _)| field);
    listed(folded).or_else(|| PREFIXES.iter().find_map(|prefix| listed(folded.strip_prefix(prefix)?)))
}

/// A header reduced to what is compared: letters and digits, lower case, without diacritics.
pub(super) fn fold(header: &str) -> String {
    let mut folded = String::with_capacity(header.len());
    for char in header.chars().flat_map(char::to_lowercase) {
        match plain(char) {
            Some(letters) => folded.push_str(letters),
            None if char.is_alphanumeric() => folded.push(char),
            None => {}
        }
    }
    folded
}

/// The plain letters for a Latin letter with a diacritic. A combining mark needs none: it is no letter and drops out.
fn plain(char: char) -> Option<&'static str> {
    Some(match char {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_alias_is_folded_and_names_one_field() {
        let mut seen = BTreeSet::new();
        for (_, names) in ALIASES {
            for name in names.split(' ') {
                assert_eq!(fold(name), name);
                assert!(seen.insert(name), "{name} is listed twice");
            }
        }
    }

    #[test]
    fn every_field_is_found_under_its_own_name() {
        for field in Field::ALL {
            assert_eq!(find(&fold(field.as_str())), Some(field), "{field}");
        }
    }

    #[test]
    fn folds_case_marks_and_punctuation() {
        for (header, folded) in [
            ("E-Mail", "email"),
            (" First_Name* ", "firstname"),
            ("# Employees", "employees"),
            ("Pre\u{301}nom", "prenom"),
            ("Société", "societe"),
            ("Unternehmensgröße", "unternehmensgrosse"),
            ("\u{feff}Email\u{a0}", "email"),
            ("名前", "名前"),
            ("--", ""),
        ] {
            assert_eq!(fold(header), folded, "{header}");
        }
    }
}

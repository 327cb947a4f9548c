//! Finding a person in texts, however they are written there, so that they can be taken out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ContactProfile;
use crate::lead::LeadProfile;
use crate::{ContactId, LeadId};

/// What stands where a person was.
pub const ERASED: &str = "[erased]";
/// Stands for the id of a lead of theirs: that is derived from an address, so whoever guesses the address would find it again.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// Digits of a national number: fewer are found in texts that mean no phone.
const PHONE_MIN: usize = 7;
/// Separators in a row that a written phone number has at most.
const SEPARATORS_MAX: usize = 3;

/// What a person is known by.
///
/// Addresses (e-mail, phone, LinkedIn) say for sure who is meant. A name does not: it is theirs only in what is linked to them by an
/// address or an id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Folded words of their names.
    names: BTreeSet<String>,
    /// In normal form.
    emails: BTreeSet<String>,
    /// E.164.
    phones: BTreeSet<String>,
    /// In normal form.
    linkedin: BTreeSet<String>,
    leads: BTreeSet<LeadId>,
    /// Contacts that they are, and things that are about them.
    linked: BTreeSet<Uuid>,
}

/// A range of a text in folded characters.
type Span = (usize, usize);

/// A text with case taken out, and where each character came from.
struct Folded {
    chars: Vec<char>,
    bytes: Vec<(usize, usize)>,
}

impl Folded {
    fn of(text: &str) -> Self {
        let (mut chars, mut bytes) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len()));
        for (at, c) in text.char_indices() {
            let range = (at, at + c.len_utf8());
            for folded in c.to_uppercase().flat_map(char::to_lowercase) {
                chars.push(folded);
                bytes.push(range);
            }
        }
        Self { chars, bytes }
    }

    /// Where `needle` stands with `before` and `after` true of what is around it.
    fn find(
        &self,
        needle: &str,
        before: impl Fn(char) -> bool,
        after: impl Fn(char, Option<char>) -> bool,
        found: &mut Vec<Span>,
    ) {
        let needle = Self::of(needle).chars;
        let (Some(first), length) = (needle.first(), needle.len()) else { return };
        if length > self.chars.len() {
            return;
        }
        for start in 0..=self.chars.len() - length {
            if self.chars[start] != *first || self.chars[start..start + length] != needle[..] {
                continue;
            }
            let end = start + length;
            let free_before = start.checked_sub(1).is_none_or(|i| before(self.chars[i]));
            let free_after = self.chars.get(end).is_none_or(|c| after(*c, self.chars.get(end + 1).copied()));
            if free_before && free_after {
                found.push((start, end));
            }
        }
    }

    /// Digits with at most a few separators between them, with their places.
    fn digit_runs(&self) -> Vec<Vec<(char, usize)>> {
        let (mut runs, mut run, mut gap) = (Vec::new(), Vec::new(), 0);
        for (at, c) in self.chars.iter().enumerate() {
            if c.is_ascii_digit() {
                run.push((*c, at));
                gap = 0;
            } else if " -.()/\u{a0}\u{2009}\u{2010}\u{2011}\u{202f}".contains(*c) && gap < SEPARATORS_MAX {
                gap += 1;
            } else {
                runs.push(std::mem::take(&mut run));
                gap = 0;
            }
        }
        runs.push(run);
        runs.retain(|run| run.len() >= PHONE_MIN);
        runs
    }

    /// A phone number with or without its country code, trunk prefix and separators.
    fn find_phone(&self, e164: &str, found: &mut Vec<Span>) {
        let (country, national) = split_phone(e164);
        if national.len() < PHONE_MIN {
            return;
        }
        let digit = |at: usize| self.chars.get(at).is_some_and(char::is_ascii_digit);
        for run in self.digit_runs() {
            let digits: String = run.iter().map(|(c, _)| *c).collect();
            for (i, _) in digits.match_indices(&national) {
                let mut from = i;
                let before = &digits[..i];
                for prefix in
                    [format!("00{country}0"), format!("{country}0"), format!("00{country}"), country.clone(), "0".to_owned()]
                {
                    if before.ends_with(&prefix) {
                        from -= prefix.len();
                        break;
                    }
                }
                let (mut start, end) = (run[from].1, run[i + national.len() - 1].1 + 1);
                if digit(end) || start > 0 && digit(start - 1) {
                    continue;
                }
                if start > 0 && self.chars[start - 1] == '(' {
                    start -= 1;
                }
                if start > 0 && self.chars[start - 1] == '+' {
                    start -= 1;
                }
                found.push((start, end));
            }
        }
    }
}

/// Country code and national number, digits only.
fn split_phone(e164: &str) -> (String, String) {
    let digits = e164.trim_start_matches('+').to_owned();
    let country = phonenumber::parse(None, e164).map(|number| number.code().value().to_string()).unwrap_or_default();
    match digits.strip_prefix(&country) {
        Some(national) => (country, national.to_owned()),
        None => (String::new(), digits),
    }
}

/// Folded words of names; initials are none.
fn words_of(names: [&Option<String>; 2]) -> impl Iterator<Item = String> {
    let words = names.into_iter().flatten().flat_map(|name| name.split_whitespace());
    words.map(|word| crate::text::fold(word.trim_matches(|c: char| !c.is_alphanumeric()))).filter(|word| word.chars().count() > 1)
}

fn has(known: &BTreeSet<String>, address: Option<&impl ToString>) -> bool {
    address.is_some_and(|address| known.contains(&address.to_string()))
}

impl Person {
    pub fn add_contact(&mut self, id: ContactId, profile: &ContactProfile) {
        self.linked.insert(id.uuid());
        let ContactProfile { first_name, last_name, email, phone, linkedin_url, .. } = profile;
        self.add_names([first_name, last_name]);
        self.emails.extend(email.as_ref().map(ToString::to_string));
        self.phones.extend(phone.as_ref().map(ToString::to_string));
        self.linkedin.extend(linkedin_url.as_ref().map(ToString::to_string));
    }

    /// A lead of theirs. Further addresses are learnt from one who has an address that is nobody else's: a phone number is no proof.
    pub fn add_lead(&mut self, id: LeadId, profile: &LeadProfile) {
        self.leads.insert(id);
        if !self.has_own_address(profile) {
            return;
        }
        let LeadProfile { first_name, last_name, email, phone, linkedin_url, .. } = profile;
        self.add_names([first_name, last_name]);
        self.emails.extend(email.as_ref().map(ToString::to_string));
        self.phones.extend(phone.as_ref().map(ToString::to_string));
        self.linkedin.extend(linkedin_url.as_ref().map(ToString::to_string));
    }

    fn add_names(&mut self, names: [&Option<String>; 2]) {
        self.names.extend(words_of(names));
    }

    /// A lead that was theirs and is no more: its id was made of an address of theirs.
    pub fn add_former_lead(&mut self, id: LeadId) {
        self.leads.insert(id);
    }

    /// Something that is about them.
    pub fn link(&mut self, id: Uuid) {
        self.linked.insert(id);
    }

    pub fn is_linked(&self, id: Uuid) -> bool {
        self.linked.contains(&id)
    }

    pub fn leads(&self) -> &BTreeSet<LeadId> {
        &self.leads
    }

    pub fn emails(&self) -> &BTreeSet<String> {
        &self.emails
    }

    /// Addresses that messages go to.
    pub fn addresses(&self) -> impl Iterator<Item = &String> {
        self.emails.iter().chain(&self.phones)
    }

    /// What leads of theirs can be found by.
    pub fn identities(&self) -> impl Iterator<Item = String> {
        let emails = self.emails.iter().map(|email| format!("email:{email}"));
        let linkedin = self.linkedin.iter().map(|url| format!("linkedin:{url}"));
        emails.chain(linkedin).chain(self.phones.iter().map(|phone| format!("phone:{phone}")))
    }

    /// Whether a lead is them: by e-mail or LinkedIn. A whole company can have one phone number, so that says it only of a lead who has
    /// their name too, or is nothing but that number.
    pub fn is_lead(&self, profile: &LeadProfile) -> bool {
        self.has_own_address(profile) || has(&self.phones, profile.phone.as_ref()) && self.could_be_named(profile)
    }

    fn has_own_address(&self, profile: &LeadProfile) -> bool {
        has(&self.emails, profile.email.as_ref()) || has(&self.linkedin, profile.linkedin_url.as_ref())
    }

    fn could_be_named(&self, profile: &LeadProfile) -> bool {
        let LeadProfile { first_name, last_name, email, linkedin_url, .. } = profile;
        let mut words = words_of([first_name, last_name]).peekable();
        if words.peek().is_none() {
            return email.is_none() && linkedin_url.is_none();
        }
        // A last name alone may be another's of the same family.
        let family = first_name.is_none() && (email.is_some() || linkedin_url.is_some());
        !family && words.all(|word| self.names.contains(&word))
    }

    fn addresses_in(&self, text: &Folded) -> Vec<Span> {
        let mut found = Vec::new();
        let outside = |c: char| !c.is_alphanumeric() && !"._+-".contains(c);
        // `example.com.` ends a sentence, `example.com.au` is another place.
        let ends = |c: char, next: Option<char>| match c {
            '.' => next.is_none_or(|next| !next.is_alphanumeric()),
            c => !c.is_alphanumeric() && c != '-',
        };
        for email in &self.emails {
            text.find(email, outside, ends, &mut found);
            text.find(&email.replace('@', "%40"), |_| true, ends, &mut found);
        }
        for url in &self.linkedin {
            let place = url.trim_start_matches("https://www.");
            text.find(place, |_| true, |c, _| !c.is_alphanumeric() && !"-_%".contains(c), &mut found);
        }
        for phone in &self.phones {
            text.find_phone(phone, &mut found);
        }
        found
    }

    fn names_in(&self, text: &Folded) -> Vec<Span> {
        let mut found = Vec::new();
        for name in &self.names {
            text.find(name, |c| !c.is_alphanumeric(), |c, _| !c.is_alphanumeric(), &mut found);
        }
        found
    }

    fn ids_in(&self, text: &str) -> bool {
        let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
        let ids = text.split(|c| !is_part(c)).filter(|word| word.len() == 36).filter_map(|word| Uuid::parse_str(word).ok());
        ids.into_iter().any(|id| self.linked.contains(&id) || self.leads.contains(&LeadId::from_uuid(id)))
    }

    /// Whether a text is about them for sure: it has an address of theirs, or the id of something that is.
    pub fn is_in(&self, text: &str) -> bool {
        self.ids_in(text) || !self.addresses_in(&Folded::of(text)).is_empty()
    }

    /// The text without them; `None` if they are not in it. With `names`, which is for texts that are about them, those too.
    pub fn redact(&self, text: &str, names: bool) -> Option<String> {
        let folded = Folded::of(text);
        let mut spans = self.addresses_in(&folded);
        if names {
            spans.extend(self.names_in(&folded));
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        spans.sort_unstable();
        for (start, end) in spans {
            let (start, end) = (folded.bytes[start].0, folded.bytes[end - 1].1);
            // What lies within another, or overlaps it, is gone with it.
            if start >= from {
                out.push_str(&text[from..start]);
                out.push_str(ERASED);
            }
            from = from.max(end);
        }
        out.push_str(&text[from..]);
        for lead in &self.leads {
            out = out.replace(&lead.to_string(), NOBODY);
        }
        (out != text).then_some(out)
    }

    /// Takes them out of every text of a JSON value, names of fields left alone; says whether they were in it.
    pub fn redact_json(&self, value: &mut Value, names: bool) -> bool {
        match value {
            Value::String(text) => match self.redact(text, names) {
                Some(rest) => {
                    *text = rest;
                    true
                }
                None => false,
            },
            // All of them: `any` would stop at the first.
            Value::Array(entries) => entries.iter_mut().fold(false, |any, entry| any | self.redact_json(entry, names)),
            Value::Object(fields) => fields.values_mut().fold(false, |any, field| any | self.redact_json(field, names)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::address::{Email, LinkedinUrl, Phone};

    fn ada() -> Person {
        let profile = ContactProfile {
            first_name: Some("Ådá".to_owned()),
            last_name: Some("Lovelace-Straße".to_owned()),
            email: Some(Email::parse("ada@engines.example").unwrap()),
            phone: Some(Phone::parse("+44 20 7946 0123").unwrap()),
            linkedin_url: Some(LinkedinUrl::parse("linkedin.com/in/ada-l").unwrap()),
            ..ContactProfile::default()
        };
        let mut person = Person::default();
        person.add_contact(ContactId::from_uuid(Uuid::from_u128(7)), &profile);
        person
    }

    #[test]
    fn addresses_in_every_spelling() {
        for text in [
            "ADA@Engines.Example",
            "<ada@engines.example>.",
            "https://x.example/?to=ada%40engines.example&x",
            "+442079460123",
            "+44 20 7946 0123",
            "+44 (0)20 7946-0123",
            "0044 20 7946 0123",
            "020 7946 0123",
            "(020) 7946.0123",
            "tel:442079460123",
            "20\u{a0}7946\u{a0}0123",
            "http://uk.linkedin.com/in/Ada-L/",
        ] {
            assert!(ada().is_in(text), "{text}");
            let rest = ada().redact(text, false).unwrap();
            assert!(rest.contains(ERASED) && !ada().is_in(&rest), "{text}: {rest}");
        }
        assert_eq!(ada().redact("call +44 20 7946 0123, or ada@engines.example.", false).unwrap(), "call [erased], or [erased].");
    }

    #[test]
    fn others_are_left_alone() {
        for text in [
            "bada@engines.example",
            "ada@engines.example.au",
            "x.ada@engines.example",
            "ada@engines.examples",
            "+44 20 7946 01234",
            "92079460123",
            "linkedin.com/in/ada-lx",
            "Canada, Ådámant",
            "00000000-0000-0000-0000-000000000008",
        ] {
            assert!(!ada().is_in(text) && ada().redact(text, true).is_none(), "{text}");
        }
    }

    #[test]
    fn names_where_they_are_meant() {
        assert_eq!(ada().redact("Met ÅDÁ and LOVELACE-STRASSE", false), None);
        assert_eq!(ada().redact("Met ÅDÁ and LOVELACE-STRASSE", true).unwrap(), "Met [erased] and [erased]");
    }

    #[test]
    fn a_number_that_others_have_too_makes_nobody_else_them() {
        let phone = || Some(Phone::parse("+44 20 7946 0123").unwrap());
        let lead = |first: Option<&str>, last: Option<&str>, email: Option<&str>| LeadProfile {
            first_name: first.map(str::to_owned),
            last_name: last.map(str::to_owned),
            email: email.map(|email| Email::parse(email).unwrap()),
            phone: phone(),
            ..LeadProfile::default()
        };
        let theirs = [
            lead(Some("ÅDÁ"), Some("lovelace-Straße"), Some("ada@private.example")),
            lead(Some("Ådá"), None, None),
            lead(None, None, None),
            lead(Some("Bob"), None, Some("ADA@engines.example")),
        ];
        let others = [
            lead(Some("Bob"), Some("Babbage"), Some("bob@engines.example")),
            lead(Some("Bob"), Some("Babbage"), None),
            lead(Some("Bob"), Some("Lovelace-Straße"), None),
            lead(None, Some("Lovelace-Straße"), Some("family@engines.example")),
            lead(None, None, Some("office@engines.example")),
        ];
        for profile in theirs {
            assert!(ada().is_lead(&profile), "{profile:?}");
        }
        for profile in others {
            assert!(!ada().is_lead(&profile), "{profile:?}");
        }
        // What a lead who has only the number says of itself is not taken for theirs.
        let mut person = ada();
        person.add_lead(LeadId::from_uuid(Uuid::from_u128(8)), &lead(Some("Ådá"), None, Some("ada@private.example")));
        assert_eq!(person.emails().len(), 1);
        person.add_lead(LeadId::from_uuid(Uuid::from_u128(8)), &lead(Some("Bob"), None, Some("ada@engines.example")));
        assert!(person.is_lead(&lead(Some("Bob"), None, None)));
    }

    #[test]
    fn ids_link_and_leads_are_nobody() {
        let mut ada = ada();
        let (lead, deal) = (Uuid::from_u128(8), Uuid::from_u128(9));
        ada.add_lead(LeadId::from_uuid(lead), &LeadProfile::default());
        ada.link(deal);
        assert!(ada.is_in(&format!("{{\"lead_id\":\"{lead}\"}}")) && ada.is_in(&deal.to_string()) && ada.is_linked(deal));
        let mut value = json!({"lead_id": lead, "texts": ["Ådá", {"n": 1}]});
        assert!(ada.redact_json(&mut value, true));
        assert_eq!(value, json!({"lead_id": NOBODY, "texts": [ERASED, {"n": 1}]}));
        assert!(!ada.redact_json(&mut value, true));
    }
}

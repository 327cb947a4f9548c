//! Whether one text speaks of what another names.

use super::model::Model;
use crate::text::fold;

/// Words of a text, folded, without punctuation, with a space around each.
fn normal(text: &str) -> String {
    let plain: String = fold(text).chars().map(|c| if c.is_alphanumeric() || matches!(c, '+' | '#') { c } else { ' ' }).collect();
    format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether `text` has `wanted`, or another word for it, as whole words.
pub(super) fn speaks_of(model: &Model, text: &str, wanted: &str) -> bool {
    let (text, wanted) = (normal(text), normal(wanted));
    if wanted.trim().is_empty() {
        return false;
    }
    if text.contains(&wanted) {
        return true;
    }
    let words = wanted.trim();
    // Another word for the whole of it, or for a word in it: `VP Sales` is in `Vice President, Sales`.
    model.synonyms.iter().any(|group| {
        let Some(named) = group.iter().find(|word| has_words(&wanted, word)) else { return false };
        group.iter().any(|other| {
            let other = format!(" {words} ").replace(&format!(" {named} "), &format!(" {other} "));
            text.contains(&other)
        })
    })
}

/// Whether a normal text has these words, whole. It is asked for every word that is known, so it makes no texts of its own.
fn has_words(text: &str, words: &str) -> bool {
    let ends = |at: usize| text.as_bytes().get(at) == Some(&b' ');
    text.match_indices(words).any(|(at, found)| at.checked_sub(1).is_some_and(ends) && ends(at + found.len()))
}

/// Whether a place is in, or is, the wanted one: `Palma de Mallorca, Spain` is in `ES` and not in `DE`.
pub(super) fn lies_in(model: &Model, place: &str, wanted: &str) -> bool {
    let mut names = model.countries.iter().filter(|names| names.iter().any(|name| same(name, wanted))).flatten();
    let whole = names.any(|name| place.split(',').any(|part| same(part, name)));
    // A code says nothing within a longer text.
    whole || wanted.trim().chars().count() > 2 && speaks_of(model, place, wanted)
}

/// The seniority that a title speaks of.
pub(super) fn seniority_of<'m>(model: &'m Model, title: &str) -> Option<&'m str> {
    let title = normal(title);
    let speaks = |words: &[String]| words.iter().any(|word| title.contains(&normal(word)));
    model.seniorities.iter().find(|(_, words)| speaks(words)).map(|(name, _)| name.as_str())
}

/// `c_level`, `C-Level` and `c level` are one.
pub(super) fn same(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

/// The employees that a text speaks of, both ends inclusive: `51-200`, `1,000+`, `about 40`, `10001 or more`.
pub fn headcount(text: &str) -> Option<(u32, u32)> {
    let mut numbers: Vec<u32> = Vec::new();
    let mut digits = String::new();
    let chars: Vec<char> = text.chars().chain(std::iter::once(' ')).collect();
    for (i, c) in chars.iter().enumerate() {
        let next_is_digit = chars.get(i + 1).is_some_and(char::is_ascii_digit);
        match c {
            c if c.is_ascii_digit() => digits.push(*c),
            // Thousands are grouped by a comma, a dot, an apostrophe or a space that can be of many kinds.
            ',' | '.' | '\'' | '\u{a0}' | '\u{202f}' if !digits.is_empty() && next_is_digit => {}
            c => {
                if !digits.is_empty() {
                    let thousands = matches!(c, 'k' | 'K');
                    numbers.push(digits.parse::<u32>().ok()?.saturating_mul(if thousands { 1_000 } else { 1 }));
                    digits.clear();
                }
            }
        }
    }
    let lower = text.to_lowercase();
    match numbers[..] {
        [from] if text.contains('+') || ["more", "over", ">"].iter().any(|word| lower.contains(word)) => Some((from, u32::MAX)),
        [to] if ["less", "under", "up to", "<"].iter().any(|word| lower.contains(word)) => Some((0, to)),
        [n] => Some((n, n)),
        [from, to] if from <= to => Some((from, to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headcounts() {
        for (text, range) in [
            ("51-200", Some((51, 200))),
            ("1,000+", Some((1_000, u32::MAX))),
            ("about 40", Some((40, 40))),
            ("1.001 – 5.000 Mitarbeiter", Some((1_001, 5_000))),
            ("1k-5k", Some((1_000, 5_000))),
            ("fewer, up to 10", Some((0, 10))),
            ("10001 or more", Some((10_001, u32::MAX))),
            ("200-51", None),
            ("many", None),
            ("99999999999", None),
        ] {
            assert_eq!(headcount(text), range, "{text}");
        }
    }

    #[test]
    fn words_and_their_synonyms() {
        let model = Model::of_version("1").unwrap();
        for (text, wanted, found) in [
            ("Chief Technology Officer", "CTO", true),
            ("CTO & co-founder", "chief technology officer", true),
            ("Vice President, Sales", "VP Sales", true),
            ("Director of Sales", "VP Sales", false),
            ("Doctor", "CTO", false),
            ("Berlin, Germany", "germany", true),
            ("C++ developer", "C", false),
            ("anything", " ", false),
        ] {
            assert_eq!(speaks_of(&model, text, wanted), found, "{wanted} in {text}");
        }
        for (place, wanted, found) in [
            ("London, UK", "United Kingdom", true),
            ("Palma de Mallorca, Spain", "DE", false),
            ("Palma de Mallorca, Spain", "ES", true),
            ("Berlin, DE", "Germany", true),
            ("Greater Boston Area, MA, United States", "boston", true),
        ] {
            assert_eq!(lies_in(&model, place, wanted), found, "{place} in {wanted}");
        }
        assert_eq!(seniority_of(&model, "Chief Revenue Officer"), Some("c_level"));
        assert_eq!(seniority_of(&model, "SVP Engineering"), Some("vp"));
        assert_eq!(seniority_of(&model, "Accountant"), None);
        assert!(same("C-Level", "c_level"));
    }
}

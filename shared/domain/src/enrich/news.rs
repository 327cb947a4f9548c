//! Mentions of money raised, on press and news pages.

use url::Url;

use super::Funding;
use super::fact::cut;
use super::html::Markup;
use super::page::when;
use crate::text::fold;

/// A sentence is about funding if it has one of these verbs or nouns and an amount or a round.
const RAISED: &[&str] = &[
    "raises",
    "raised",
    "raising",
    "secures",
    "secured",
    "closes",
    "closed",
    "lands",
    "announces",
    "announced",
    "funding round",
    "led by",
    "financing",
    "investment",
];
const ROUNDS: &[(&str, &str)] = &[
    ("pre-seed", "Pre-seed"),
    ("seed round", "Seed"),
    ("seed funding", "Seed"),
    ("series a", "Series A"),
    ("series b", "Series B"),
    ("series c", "Series C"),
    ("series d", "Series D"),
    ("series e", "Series E"),
    ("series f", "Series F"),
    ("growth round", "Growth"),
];
/// What must stand beside an amount without a round, lest a donation, a fine or a turnover is taken for it.
const CAPITAL: &[&str] = &["funding", "financing", "round", "venture", "investors", "growth capital"];

/// The first mention of money raised on a page, with its date if the page says one.
pub fn funding_in(markup: &Markup, url: &Url) -> Option<Funding> {
    let (at, block) = markup.blocks.iter().enumerate().find(|(_, block)| speaks_of_funding(block))?;
    let folded = fold(block);
    let round = ROUNDS.iter().find(|(word, _)| has_word(&folded, word)).map(|(_, name)| (*name).to_owned());
    // A date stands within the sentence, or in a line of its own right before or behind it.
    let near = markup.blocks[at.saturating_sub(2)..].iter().take(5);
    let mut days = std::iter::once(block).chain(near).filter_map(|text| day_in(text));
    let of_page = || markup.metas.get("article:published_time").and_then(|text| when(text));
    let announced_at = days.next().or_else(of_page);
    Some(Funding { headline: cut(block, 300), round, amount: amount_in(block), announced_at, url: url.to_string() })
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        before && text[at + word.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric())
    })
}

fn speaks_of_funding(block: &str) -> bool {
    if block.len() > 2_000 {
        return false;
    }
    let text = fold(block);
    let raised = RAISED.iter().any(|word| has_word(&text, word));
    let round = ROUNDS.iter().any(|(word, _)| has_word(&text, word));
    let capital = CAPITAL.iter().any(|word| has_word(&text, word));
    raised && (round || capital && amount_in(block).is_some())
}

/// `$12 million`, `€4.5M`, `USD 30m`, `12 million euros`, as written.
fn amount_in(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let scale = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        ["million", "billion", "m", "mn", "bn", "b", "mio", "millionen"].contains(&word.as_str())
    };
    let currency = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        ["usd", "eur", "gbp", "dollars", "euros", "euro", "pounds", "chf"].contains(&word.as_str())
    };
    for (i, word) in words.iter().enumerate() {
        let clean = word.trim_matches(|c: char| !c.is_alphanumeric() && !"$€£".contains(c));
        let number = clean.trim_start_matches(['$', '€', '£']);
        let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if digits.is_empty()
            || !digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
            || !digits.ends_with(|c: char| c.is_ascii_digit())
        {
            continue;
        }
        let next = words.get(i + 1).copied().unwrap_or_default();
        let suffix = &number[digits.len()..];
        let scaled_here = !suffix.is_empty() && scale(suffix);
        let scaled = scaled_here || suffix.is_empty() && scale(next);
        let after = words.get(if scaled_here { i + 1 } else { i + 2 }).copied().unwrap_or_default();
        let before = i.checked_sub(1).and_then(|i| words.get(i)).copied().unwrap_or_default();
        let named = clean.starts_with(['$', '€', '£']) || currency(before) || currency(after);
        if !scaled || !named {
            continue;
        }
        let trim = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && !"$€£".contains(c)).to_owned();
        let mut parts = Vec::new();
        if currency(before) {
            parts.push(trim(before));
        }
        parts.push(trim(clean));
        if !scaled_here {
            parts.push(trim(next));
        }
        if !clean.starts_with(['$', '€', '£']) && !currency(before) {
            parts.push(trim(after));
        }
        return Some(parts.join(" "));
    }
    None
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `2026-03-01`, `March 1, 2026` or `1 March 2026` in a text.
fn day_in(text: &str) -> Option<crate::Time> {
    let words: Vec<String> =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()).collect();
    if let Some(day) = words.iter().find_map(|word| when(word)) {
        return Some(day);
    }
    let month = |word: &str| MONTHS.iter().position(|name| word.starts_with(name) && word.chars().all(char::is_alphabetic));
    let number = |word: &str| word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<u32>().ok();
    words.windows(3).find_map(|three| {
        let (month, day) = match (month(&three[0]), month(&three[1])) {
            (Some(month), _) => (month, number(&three[1])?),
            (None, Some(month)) => (month, number(&three[0])?),
            _ => return None,
        };
        let year = three[2].parse::<u32>().ok().filter(|year| (1990..2100).contains(year))?;
        when(&format!("{year:04}-{:02}-{day:02}", month + 1))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::html::read_markup;
    use super::*;

    fn found(html: &str) -> Option<Funding> {
        funding_in(&read_markup(html), &Url::parse("https://acme.example/press").unwrap())
    }

    #[test]
    fn mentions() {
        for (html, round, amount, day) in [
            (
                "<h2>Acme raises $12 million Series B led by Example Ventures</h2><p>March 3, 2026</p>",
                Some("Series B"),
                Some("$12 million"),
                Some("2026-03-03"),
            ),
            ("<time>2026-05-01</time><h3>We closed our €4.5M seed round!</h3>", Some("Seed"), Some("€4.5M"), Some("2026-05-01")),
            ("<p>1 June 2026 — Acme secured USD 30m in funding.</p>", None, Some("USD 30m"), Some("2026-06-01")),
            ("<p>Acme has raised 12 million euros from investors</p>", None, Some("12 million euros"), None),
            ("<p>We announced our Series A</p>", Some("Series A"), None, None),
        ] {
            let funding = found(html).unwrap_or_else(|| panic!("{html}"));
            assert_eq!((funding.round.as_deref(), funding.amount.as_deref()), (round, amount), "{html}");
            assert_eq!(funding.announced_at.map(|at| at.to_string()[..10].to_owned()).as_deref(), day, "{html}");
        }
        for html in [
            "<p>We raised $5,000 for charity</p>",
            "<p>Our series a product line is here</p>",
            "<p>Revenue rose to $12 million</p>",
            "<p>Acme fined $12 million, court announced</p>",
            "<p>raises the bar</p>",
            "",
        ] {
            assert_eq!(found(html), None, "{html}");
        }
    }
}
